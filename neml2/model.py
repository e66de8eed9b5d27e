"""Models: maps from named, typed values to named, typed values.

A leaf declares its variables, parameters and options once, as class attributes, and says its formula in
``forward(inputs..., parameters...)``. Everything else is done to it from outside.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, TypeVar, get_type_hints

import torch

from neml2 import derivatives
from neml2.binding import Wired, bind, option_value
from neml2.context import DEFAULT, Context
from neml2.errors import MissingVariable
from neml2.fields import (
    DependencyField,
    Field,
    FileField,
    InputField,
    OptionField,
    ParameterField,
)
from neml2.parameters import HoldsParameters
from neml2.registry import did_you_mean, listing, register
from neml2.types import Tensor, TensorWrapper
from neml2.types.shapes import broadcast_shapes
from neml2.values import Kind, as_typed


class Model(HoldsParameters):
    """A map from named values to named values.

    Subclasses declare :func:`~neml2.fields.Input`, :func:`~neml2.fields.Output`,
    :func:`~neml2.fields.Parameter` and :func:`~neml2.fields.Option` attributes and define ``forward``, which
    receives the inputs and then the parameters in the order of declaration, as typed tensors.

    Models are built with keywords: the option names of the input files, or the attribute names. A variable's
    keyword is the name it shall have; a parameter's is a number, a tensor, the *name* of a variable, or
    another model whose output it shall be (the parameter is then *wired*: it becomes an input).

    Data has the shape ``(*batch, *sub_batch, *base)``; all inputs broadcast against one another and against
    the batches of the parameters.
    """

    SECTION: ClassVar[str] = "Models"
    RETURNS_TUPLE: ClassVar[bool] = False  # a leaf with a single output returns it bare

    name: str
    input_spec: dict[str, type[TensorWrapper]]
    output_spec: dict[str, type[TensorWrapper]]
    optional_inputs: frozenset[str] = frozenset()  # inputs that may be left out, such as initial guesses

    # ---------------------------------------------------------------- declaration

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        fields = dict(cls.FIELDS)
        declared = {attr: f for attr, f in vars(cls).items() if isinstance(f, Field)}
        if declared:
            own = {attr: t for attr, t in cls.__annotations__.items() if attr in declared}
            known = getattr(sys.modules.get(cls.__module__), "__dict__", {})
            hints = get_type_hints(SimpleNamespace(__annotations__=own), known)
            for attr, f in declared.items():
                if attr not in hints:
                    raise TypeError(f"{cls.__name__}.{attr} needs a type, as in '{attr}: Scalar = ...'")
                fields[attr] = f.named(attr, hints[attr], fields)
                delattr(cls, attr)  # on an instance the name means the parameter, not its declaration
        cls.FIELDS = fields
        generic = any(isinstance(f.type, TypeVar) for f in fields.values())
        if not abstract and not generic:
            register(cls)

    def __class_getitem__(cls, kind: Any) -> type[Model]:
        """The model for one tensor type: ``BackwardEulerTimeIntegration[SR2]``."""
        if isinstance(kind, TypeVar):
            return cls
        pattern = getattr(cls, "TYPE_NAME", "{T}" + cls.__name__)
        name = pattern.format(T=kind.__name__)
        module = sys.modules[cls.__module__]
        if name not in vars(module):
            hints = {"__module__": cls.__module__, "__doc__": cls.__doc__, "KIND": kind}
            bound: type[Model] = types.new_class(
                name, (cls,), {"abstract": True}, lambda namespace: namespace.update(hints)
            )
            bound.FIELDS = {
                a: _bind(f, kind) if isinstance(f.type, TypeVar) else f for a, f in cls.FIELDS.items()
            }
            setattr(module, name, register(bound))  # in its module by name, so that it can be pickled
        return vars(module)[name]

    # ---------------------------------------------------------------- construction

    def __init__(self, *, name: str = "", **given: Any) -> None:
        super().__init__()
        self.name = name
        self.providers: list[Model] = []  # a plain list: providers are wired to, not owned
        self._kinds: dict[str, Kind] = {}
        values = self._by_option(given)
        for f in self.FIELDS.values():
            if isinstance(f, OptionField | DependencyField | FileField):
                setattr(self, f.attr, option_value(f, values, self._label()))
        fields = self.arrange(dict(self.FIELDS), values)
        for f in fields.values():
            if isinstance(f, ParameterField) and f.option in values:
                values[f.option] = self._wired(values[f.option], f)
        bound = bind(fields, values, self._label(), self.name)
        self.variables = bound.variables
        self.input_spec, self.output_spec = bound.inputs, bound.outputs
        self.priorities = bound.priorities
        self._slots = bound.slots
        for attr, (typed, f) in bound.held.items():
            self._hold(attr, typed, f)
        self.providers = bound.providers
        self.setup()
        if type(self).evaluate is Model.evaluate:
            self._check_forward(fields)

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        """Adapt the declarations to the options of this instance, which are set; the default does nothing.

        ``given`` holds the constructor's values by option name and may be changed along.
        """
        del given
        return fields

    def setup(self) -> None:
        """Called at the end of construction, with names and parameters known; the default does nothing."""

    def _check_forward(self, fields: Mapping[str, Field]) -> None:
        signature = inspect.signature(self.forward)
        try:
            signature.bind(*self._slots)
        except TypeError:
            wanted = [
                f.attr
                for kind in (InputField, ParameterField)
                for f in fields.values()
                if isinstance(f, kind)
            ]
            raise TypeError(
                f"{type(self).__name__}.forward takes {signature}; it is called with the inputs and then the"
                f" parameters, as in forward(self, {', '.join(wanted)})"
            ) from None

    def _by_option(self, given: dict[str, Any]) -> dict[str, Any]:
        options = {f.option: f.option for f in self.FIELDS.values() if f.option is not None}
        attributes = {f.attr: f.option or f.attr for f in self.FIELDS.values()}
        values = {}
        for key, value in given.items():
            option = options.get(key) or attributes.get(key)
            if option is None:
                known = [*options, *self.extra_options()]
                if key not in known:
                    raise TypeError(
                        f"{type(self).__name__} has no option '{key}'{did_you_mean(key, known)}"
                        f" ({type(self).__name__}: {listing(known)})"
                    )
                option = key
            values[option] = value
        return values

    @classmethod
    def extra_options(cls) -> Sequence[str]:
        """Option names beyond the declared ones that :meth:`arrange` understands."""
        return ()

    def _wired(self, value: Any, f: ParameterField) -> Any:
        """A parameter's value with models replaced by their only output."""
        if isinstance(value, list | tuple):
            return [self._wired(v, f) for v in value]
        if not isinstance(value, Model):
            return value
        if len(value.output_spec) != 1:
            raise ValueError(
                f"{self._label()}: {f.option} is a model with outputs {listing(value.output_spec)};"
                f" say which with Wired(variable, model)"
            )
        return Wired(next(iter(value.output_spec)), value)

    # ---------------------------------------------------------------- evaluation

    def evaluate(
        self, values: Mapping[str, TensorWrapper], context: Context = DEFAULT
    ) -> dict[str, TensorWrapper]:
        """Outputs by name from typed inputs by name, unchecked: what compositions and solvers call."""
        result = self.forward(*[self._argument(slot, values, context) for slot in self._slots])
        results = result if isinstance(result, tuple) else (result,)
        if len(results) != len(self.output_spec):
            raise TypeError(
                f"{self._label()}.forward returned {len(results)} values; it declares {len(self.output_spec)}"
            )
        for (variable, kind), value in zip(self.output_spec.items(), results, strict=True):
            if not isinstance(value, kind):
                raise TypeError(
                    f"{self._label()}.forward returned a {type(value).__name__} for '{variable}',"
                    f" which is declared as {kind.__name__}"
                )
        return dict(zip(self.output_spec, results, strict=True))

    def _argument(self, slot: tuple[str, Any], values: Mapping[str, TensorWrapper], context: Context) -> Any:
        how, what = slot
        if how == "name":
            return values[what]
        if how == "parameter":
            return self._kinds[what].wrap(context.value_of(self._parameters[what]))  # type: ignore[arg-type]
        if how == "names":
            return tuple([values[n] for n in what])
        if how == "all":
            return tuple([self._argument(s, values, context) for s in what])
        if how == "buffer":
            return self._kinds[what].wrap(self._buffers[what])  # type: ignore[arg-type]
        return None

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Outputs from inputs in the order of ``input_spec``: one typed tensor, or a tuple of them."""
        if named:
            raise TypeError(
                f"{self._label()} takes its inputs by position ({listing(self.input_spec)});"
                f" to give them by name use call_by_name({{'{next(iter(named))}': ...}})"
            )
        if len(inputs) != len(self.input_spec):
            missing = list(self.input_spec)[len(inputs) :]
            raise TypeError(
                f"{self._label()} takes {len(self.input_spec)} inputs ({listing(self.input_spec)}),"
                f" got {len(inputs)}" + (f"; missing: {listing(missing)}" if missing else "")
            )
        values = tuple(self.call_by_name(dict(zip(self.input_spec, inputs, strict=True))).values())
        return values[0] if len(values) == 1 and not self.RETURNS_TUPLE else values

    def call_by_name(self, values: Mapping[str, Any]) -> dict[str, TensorWrapper]:
        """Outputs by name from inputs by name; raw tensors and numbers are wrapped, extra names ignored.

        Numbers take the dtype of the other inputs or of the parameters.

        Raises :class:`~neml2.errors.MissingVariable` (a ``KeyError``) when an input is missing,
        :class:`TypeError` for a wrong tensor type or when dtypes are mixed, and :class:`ValueError` for
        batches that do not broadcast.
        """
        typed = self.typed_inputs(values)
        try:
            return self.evaluate(typed)
        except RuntimeError:
            self.batch_shape(typed)  # says which batches do not fit, if that is the reason
            raise

    def typed_inputs(self, values: Mapping[str, Any]) -> dict[str, TensorWrapper]:
        """The inputs of the model as typed tensors, checked for presence, kind and dtype."""
        typed: dict[str, TensorWrapper] = {}
        numbers = []
        for variable, kind in self.input_spec.items():
            if variable in values:
                if isinstance(values[variable], int | float | list | tuple):
                    numbers.append(variable)
                typed[variable] = as_typed(values[variable], kind, f"{self._label()}: input '{variable}'")
            elif variable not in self.optional_inputs:
                raise MissingVariable(
                    f"{self._label()} needs the input '{variable}' ({kind.__name__})"
                    f"{did_you_mean(variable, values)}; got {listing(values)}"
                )
        if numbers:
            others = [v.data for n, v in typed.items() if n not in numbers and v.data.is_floating_point()]
            for like in [*others, *self.parameters()][:1]:
                typed |= {n: typed[n].to(like) for n in numbers}
        self._check_dtypes(typed)
        return typed

    def _check_dtypes(self, values: Mapping[str, TensorWrapper]) -> None:
        seen: dict[torch.dtype, str] = {}
        for variable, value in values.items():
            seen.setdefault(value.data.dtype, f"input '{variable}'")
        for n, p in self.named_parameters():
            seen.setdefault(p.dtype, f"parameter '{n}'")
        if len(seen) > 1:
            (a, first), (b, second) = list(seen.items())[:2]
            raise TypeError(
                f"{self._label()}: {first} is {a} but {second} is {b}; convert one, e.g. with .to({a})"
            )

    consumed_items = property(lambda self: frozenset(self.input_spec), doc="Names of the inputs.")
    provided_items = property(lambda self: frozenset(self.output_spec), doc="Names of the outputs.")

    def batch_shape(self, values: Mapping[str, TensorWrapper], context: Context = DEFAULT) -> torch.Size:
        """The dynamic batch to which the inputs and all parameters broadcast.

        Raises :class:`ValueError` that lists the batches when they do not.
        """
        shapes = {f"'{n}'": v.dynamic_batch_shape for n, v in values.items()}
        for path, module in self.named_modules():
            if isinstance(module, Model):
                for attr, kind in module._kinds.items():
                    data = module._parameters.get(attr)
                    if data is not None:
                        name = f"parameter '{path + '.' if path else ''}{attr}'"
                        shapes[name] = kind.batch_shape(context.value_of(data).shape)
        try:
            return broadcast_shapes(*shapes.values())
        except RuntimeError:
            told = ", ".join(f"{n} {tuple(s)}" for n, s in shapes.items() if s)
            raise ValueError(
                f"{self._label()}: these batches do not broadcast to a common one: {told}"
            ) from None

    # ---------------------------------------------------------------- derivatives

    def jvp(
        self, inputs: Mapping[str, Any], tangents: Mapping[str, Any]
    ) -> tuple[dict[str, TensorWrapper], dict[str, TensorWrapper]]:
        """Outputs and their directional derivatives, both by name; missing tangents are zero."""
        return derivatives.jvp(self, self.typed_inputs(inputs), tangents)

    def jacobian(
        self, inputs: Mapping[str, Any]
    ) -> tuple[dict[str, TensorWrapper], dict[str, dict[str, Tensor]]]:
        """Outputs by name, and ``J[out][in]``: ``(*batch, *out_sub, *in_sub, *out_base, *in_base)``."""
        return derivatives.jacobian(self, self.typed_inputs(inputs))

    def param_jacobian(
        self, inputs: Mapping[str, Any], params: Sequence[str] | None = None
    ) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, torch.Tensor]]]:
        """Raw outputs by name, and ``P[out][param]`` with shape ``(*batch, *out_base, *param_base)``."""
        return derivatives.param_jacobian(self, self.typed_inputs(inputs), self._named(params))

    def param_vjp(
        self, inputs: Mapping[str, Any], cotangents: Mapping[str, Any], params: Sequence[str] | None = None
    ) -> dict[str, torch.Tensor]:
        """Gradient of the sum of ``<cotangent, output>`` for each parameter, in the parameter's own shape."""
        return derivatives.param_vjp(self, self.typed_inputs(inputs), cotangents, self._named(params))

    # ---------------------------------------------------------------- looks

    def _label(self) -> str:
        name = self.__dict__.get("name", "")
        return f"{type(self).__name__} '{name}'" if name else type(self).__name__

    def __format__(self, spec: str) -> str:
        return format(self._label(), spec)  # within a sentence a model is its type and name

    def __repr__(self) -> str:
        rows = [
            ("inputs", [f"{n} ({t.__name__})" for n, t in self.input_spec.items()]),
            ("outputs", [f"{n} ({t.__name__})" for n, t in self.output_spec.items()]),
            ("models", [f"{m}" for m in self.children() if isinstance(m, Model)]),
            ("parameters", [f"{n} = {_brief(p)}" for n, p in self.named_parameters()]),
        ]
        lines = [f"  {title + ':':<12}{', '.join(words)}" for title, words in rows if words]
        return "\n".join([self._label(), *lines])

    def _repr_html_(self) -> str:
        from neml2.drivers.pictures.html_model import html

        return html(self)


def for_types(model: type[Model], *kinds: type[TensorWrapper]) -> None:
    """Put a type-generic model into the catalogue, once for each of the tensor types."""
    for kind in kinds:
        model.__class_getitem__(kind)


def _bind(f: Field, kind: type[TensorWrapper]) -> Field:
    return type(f)(**{**vars(f), "type": kind})


def _brief(p: torch.Tensor) -> str:
    return f"{p.item():g}" if p.numel() == 1 else f"tensor{tuple(p.shape)}"
