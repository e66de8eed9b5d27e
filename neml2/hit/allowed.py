"""The words of ``[Tensors]`` expressions: each of these and nothing else may be named."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


TORCH = _words(
    """
    abs acos acosh add allclose all amax amin any arange argmax argmin argsort as_tensor asin asinh atan
    atan2 atanh atleast_1d atleast_2d atleast_3d bmm broadcast_tensors broadcast_to cat ceil chunk clamp
    clip clone column_stack concat concatenate cos cosh count_nonzero cross cummax cummin cumprod cumsum
    cumulative_trapezoid deg2rad det diag diag_embed diagonal diff div dot dstack erf erfc exp exp2
    expm1 eye flatten flip fliplr flipud floor fmod frac full full_like gather ge gt heaviside hstack
    hypot index_select inner inverse isclose isfinite isinf isnan le lerp linspace log log10 log1p log2
    logaddexp logical_and logical_not logical_or logical_xor logspace logsumexp lt masked_select matmul
    max maximum mean median meshgrid min minimum mm moveaxis movedim mul mv nan_to_num narrow ne neg
    norm numel ones ones_like outer permute pow prod quantile rad2deg rand rand_like randint randn
    randn_like randperm ravel reciprocal remainder reshape roll rot90 round rsqrt searchsorted select
    sigmoid sign sin sinh sort split sqrt square squeeze stack std sub sum swapaxes t take tan tanh tile
    trace transpose trapezoid trapz tril triu true_divide trunc unbind unflatten unsqueeze vander var
    vstack where zeros zeros_like Generator get_default_device get_default_dtype device eq
    """
)
TORCH_VALUES = _words(
    """
    float64 float32 float16 double float half int64 int32 int16 int8 uint8 long int short bool pi e inf
    nan newaxis
    """
)
FUNCTIONAL = _words("pad relu softplus normalize one_hot sigmoid tanh")
LINALG = _words("norm vector_norm cross det inv")
NUMPY = _words(
    """
    abs arange exp sin cos tan sqrt log log10 log2 linspace logspace stack concatenate where zeros_like
    ones_like full_like eye diff outer flip roll cumsum prod mean maximum minimum sign floor ceil tanh
    sinh cosh clip sum meshgrid tile pi e inf nan float64 float32 int64 int32
    """
)
MATH = _words(
    """
    acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh degrees dist e erf erfc exp exp2
    expm1 fabs floor fmod fsum gamma hypot inf isclose isfinite isinf isnan lgamma log log10 log1p log2
    nan pi pow radians remainder sin sinh sqrt tan tanh tau trunc
    """
)
# nothing that ends in an underscore: values are shared between blocks
TENSOR_METHODS = _words(
    """
    abs acos all amax amin any argmax argmin argsort asin atan atan2 bool broadcast_to ceil chunk clamp
    clip clone contiguous cos cosh count_nonzero cpu cross cummax cummin cumprod cumsum det detach diag
    diag_embed diagonal diff dim dot double erf exp expand expand_as expm1 fill flatten flip float floor
    fmod frac gather index_select int inverse isfinite isinf isnan item lerp log log10 log1p log2
    logical_not long matmul max maximum mean median min minimum moveaxis movedim mv nan_to_num narrow
    neg new_full new_ones new_zeros norm numel outer permute pow prod quantile ravel reciprocal
    remainder repeat reshape roll round rsqrt select sigmoid sign sin sinh size sort split sqrt square
    squeeze std sub sum swapaxes t tan tanh tile to tolist trace transpose tril triu trunc unbind
    unflatten unsqueeze var view view_as reshape_as where add mul div eq ne lt le gt ge type_as
    """
)
TENSOR_VALUES = _words("shape dtype device ndim T mT data")
TYPED_VALUES = _words(
    """
    data dtype device shape ndim base_shape batch_shape dynamic_batch_shape sub_batch_shape k_shape
    sub_batch_ndim dynamic_batch sub_batch batch base base_ndim k BASE_NDIM BASE_SHAPE COMPONENTS
    """
)
TYPED_METHODS = _words("to with_sub_batch_ndim materialize clone detach as_typed")
CLASS_VALUES = _words("BASE_NDIM BASE_SHAPE COMPONENTS")
FACTORIES = _words(
    """
    zeros ones full empty zeros_like fill identity identity_sym identity_vol identity_dev identity_C1
    identity_C2 identity_C3 arange from_value rand from_axis_angle from_axis_angle_standard from_matrix
    rotation_from_to from_physical from_typed
    """
)
VIEW_METHODS = _words(
    """
    unsqueeze squeeze expand expand_at diagonalize retag flatten transpose broadcast_to flip pad set
    """
)
