"""`History`: prescribed values over time, and its check against a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neml2.errors import MissingVariable
from neml2.lags import split
from neml2.model import Model
from neml2.registry import did_you_mean, listing
from neml2.step import StateUpdate
from neml2.types import Scalar, TensorWrapper

if TYPE_CHECKING:
    import pandas
    import xarray

    from neml2.hit.settings import Settings

Values = dict[str, TensorWrapper]


class History:
    """Prescribed values over time, and where a material starts from.

    time
        The time of every step, ``(n,)``, or ``(n, *batch)`` for specimens with clocks of their own. It
        increases from step to step.
    prescribed
        Values by variable name: typed tensors, torch tensors, numpy arrays or lists of shape
        ``(n, *batch, *sub_batch, *base)``: the step comes first.
    initial
        Values of states before the first step, ``(*batch, *sub_batch, *base)``; zero where not given.
    constant
        Prescribed values that do not change, ``(*batch, *sub_batch, *base)`` or a number: they have no
        step axis, and this is the only way to give them.

    Torch tensors and numpy arrays of a symmetric tensor hold the stored (Mandel) components; see
    ``SR2.from_physical``. Numbers, lists and integers follow the dtype of the model, all else keeps its own.

    Raises :class:`ValueError` when the time does not increase or is not finite. What depends on the model
    (names, types, shapes, dtypes, NaN and infinity) is checked by :meth:`bind`, before the first step.
    """

    def __init__(
        self,
        time: Any,
        prescribed: Mapping[str, Any] | None = None,
        *,
        initial: Mapping[str, Any] | None = None,
        constant: Mapping[str, Any] | None = None,
    ) -> None:
        self.given_time = time.data if isinstance(time, TensorWrapper) else time
        self.time = as_data(self.given_time, "time")
        self.prescribed = dict(prescribed or {})
        self.initial = dict(initial or {})
        self.constant = dict(constant or {})
        for name in self.prescribed:
            if name in self.constant:
                raise ValueError(f"'{name}' is given both in prescribed and in constant; keep one of them")
        _check_time(self.time)

    def __len__(self) -> int:
        return self.time.shape[0]

    def __repr__(self) -> str:
        names = [*self.prescribed, *(f"{n} (constant)" for n in self.constant)]
        start = f", initial {listing(self.initial)}" if self.initial else ""
        return f"History({len(self)} steps of {listing(names)}{start})"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], time: str = "t") -> History:
        """From a dict that holds the time under the name ``time`` among the prescribed values."""
        if time not in values:
            raise MissingVariable(
                f"the history has no time '{time}'{did_you_mean(time, values)}; got {listing(values)}"
            )
        return cls(values[time], {n: v for n, v in values.items() if n != time})

    @classmethod
    def from_pandas(
        cls,
        table: pandas.DataFrame,
        *,
        time: str = "t",
        batch: str | None = None,
        scalars: Iterable[str] = (),
        initial: Mapping[str, Any] | None = None,
        constant: Mapping[str, Any] | None = None,
    ) -> History:
        """From a table with one row per step.

        Columns ``E_xx``, ``E_yy``, ``E_zz``, ``E_yz``, ``E_xz``, ``E_xy`` make the symmetric tensor ``E``.
        They are tensor components: the shear entries are half the engineering shear strains. Nine columns
        (``F_xx``, ``F_xy``, ...) make a second-order tensor, three (``v_x``, ``v_y``, ``v_z``) a vector; any
        other column is a Scalar of that name. ``scalars`` names columns that are Scalars whatever they look
        like. With ``batch``, a column that numbers or names the specimens, the table holds their histories
        one after the other.
        """
        from neml2.drivers.tables import from_pandas

        given_time, prescribed = from_pandas(table, time, batch, tuple(scalars))
        return cls(given_time, prescribed, initial=initial, constant=constant)

    @classmethod
    def from_xarray(
        cls,
        dataset: xarray.Dataset,
        variables: Iterable[str] | None = None,
        *,
        initial: Mapping[str, Any] | None = None,
        constant: Mapping[str, Any] | None = None,
    ) -> History:
        """From a dataset in the layout of our HDF5 files: the prescribed values of a trajectory, or your own.

        The time is the coordinate ``time``. Arrays have a dimension ``step`` (or ``time``) and, for tensors,
        a dimension ``component`` labelled ``xx``, ``yy``, ... with physical (tensor) components. Any other
        dimension is a batch dimension, or a sub-batch one if its name starts with ``sub_batch``.
        ``variables`` chooses; by default all with the attribute ``role = "force"``, or all if none has a
        role.
        """
        from neml2.drivers.tables import from_xarray

        time, prescribed = from_xarray(dataset, variables)
        return cls(time, prescribed, initial=initial, constant=constant)

    def to(self, *args: Any, **kwargs: Any) -> History:
        """As :meth:`torch.Tensor.to`, for the time and every tensor in the history."""

        def moved(values: Mapping[str, Any]) -> dict[str, Any]:
            return {
                n: (v if isinstance(v, TensorWrapper) else as_data(v, n)).to(*args, **kwargs)
                for n, v in values.items()
            }

        time = self.time.to(*args, **kwargs)
        constant = {
            n: v if isinstance(v, int | float) else moved({n: v})[n] for n, v in self.constant.items()
        }
        return History(time, moved(self.prescribed), initial=moved(self.initial), constant=constant)

    def bind(self, update: StateUpdate, time: str = "t", settings: Settings | None = None) -> Loading:
        """The history as typed values for ``update``, checked.

        Raises :class:`ValueError` (unknown names, shapes, values that are not finite),
        :class:`~neml2.errors.MissingVariable` (forces that are not prescribed) or :class:`TypeError` (tensor
        types, mixed dtypes); the message names variable, step and point.
        """
        return _Binding(self, update, time, settings).result()


@dataclass(frozen=True)
class Loading:
    """A history that fits a model.

    ``forces`` are typed, ``(n, *batch, *sub_batch, *base)``; ``initial`` has no step axis. ``zeros`` are the
    initial values of states that are not given but have a declared sub-batch shape. ``batch`` is that of the
    history and of the model's parameters.
    """

    time: torch.Tensor
    forces: Values
    initial: Values
    zeros: Values
    batch: torch.Size

    def __len__(self) -> int:
        return self.time.shape[0]

    def at(self, step: int) -> Values:
        """The prescribed values at one step."""
        return {n: type(v)._new(v.data[step], v.sub_batch_ndim) for n, v in self.forces.items()}


class _Binding:
    def __init__(self, history: History, update: StateUpdate, time: str, settings: Settings | None) -> None:
        self.history, self.update, self.time_name, self.settings = history, update, time, settings
        self.steps = len(history)

    def result(self) -> Loading:
        h, update = self.history, self.update
        self._check_names()
        self.like = self._working_type()
        time = self._loose(h.given_time, "time")
        time = time if isinstance(time, torch.Tensor) else as_data(time, "time")
        _check_time(time)
        forces = {n: self._force(n, v) for n, v in h.prescribed.items()}
        forces |= {n: self._constant(n, v) for n, v in h.constant.items()}
        kinds = {**update.outputs, **update.states, **update.guesses}
        initial = {n: self._initial(n, v, kinds[n]) for n, v in h.initial.items()}
        self._check_dtypes(time, forces, initial)
        if self.time_name in update.forces:
            forces = {self.time_name: Scalar(time), **forces}
        forces = {n: self._declared(n, v, 1) for n, v in forces.items()}
        initial = {n: self._declared(n, v, 0) for n, v in initial.items()}
        zeros = {
            n: self._zero(n, k) for n, k in update.states.items() if n not in initial and self._extent(n)
        }
        batch = self._common_batch(time, forces, {**zeros, **initial})
        for n, v in forces.items():
            _check_finite(v, n, 1, time)
        for n, v in initial.items():
            _check_finite(v, n, 0, time)
        return Loading(time, forces, initial, zeros, batch)

    # ------------------------------------------------------------------ names

    def _check_names(self) -> None:
        h, update = self.history, self.update
        given = {**h.prescribed, **h.constant}
        known = [*update.forces, *update.states, *update.guesses]
        if self.time_name in given:
            raise ValueError(
                f"'{self.time_name}' is the time and is prescribed as well; leave it out of the prescribed"
                " values"
            )
        for n in given:
            if n in update.forces:
                continue
            if n in update.states or n in update.guesses:
                raise ValueError(
                    f"'{n}' is computed by {update.model} and cannot be prescribed; give its initial value"
                    " with"
                    f" initial={{'{n}': ...}}"
                )
            if "~" in n and split(n)[0] in update.forces:
                raise ValueError(f"'{n}' follows from '{split(n)[0]}'; prescribe that alone")
            raise ValueError(
                f"{update.model} reads no '{n}'{did_you_mean(n, known)} (it needs {listing(update.forces)})"
            )
        starts = {**update.states, **update.guesses, **update.outputs}
        for n in h.initial:
            if n in starts:
                continue
            if n in update.forces:
                raise ValueError(
                    f"nothing computes '{n}', so an initial value is not enough; prescribe it, or give"
                    f" constant={{'{n}': ...}} if it does not change"
                )
            raise ValueError(
                f"{update.model} has no variable '{n}' to start from{did_you_mean(n, starts)}"
                f" (states are {listing(update.states)})"
            )
        for n in update.forces:
            if n not in given and n != self.time_name and n not in update.optional:
                near = did_you_mean(n, given)
                clock = (
                    f", or name it as the time with TransientDriver(model, time='{n}')"
                    if self.time_name not in update.forces and update.forces[n] is Scalar
                    else ""
                )
                raise MissingVariable(
                    f"{update.model} needs '{n}' ({update.forces[n].__name__}): prescribe '{n}'{clock}{near}"
                    f" (prescribed are {listing(given)})"
                )

    # ------------------------------------------------------------------ dtypes

    def _working_type(self) -> torch.Tensor:
        """A tensor with the dtype and the device that numbers and integers follow."""
        model: Model = self.update.model
        h = self.history
        given = [h.given_time, *h.prescribed.values(), *h.constant.values(), *h.initial.values()]
        tensors = [*model.parameters(), *model.buffers()]
        tensors += [v.data if isinstance(v, TensorWrapper) else v for v in given if _is_strict(v)]
        for t in tensors:
            data = as_data(t, "")
            if data.is_floating_point():
                return data.new_zeros(())
        return torch.zeros((), dtype=torch.float64)

    def _loose(self, value: Any, what: str) -> Any:
        """Numbers, lists and integers in the working dtype; the rest as a tensor in its own."""
        if isinstance(value, TensorWrapper):
            return value
        data = as_data(value, what)
        return data if _is_strict(value) else data.to(self.like)

    def _check_dtypes(self, time: torch.Tensor, forces: Values, initial: Values) -> None:
        model = self.update.model
        seen: list[tuple[str, torch.Tensor]] = [
            (f"parameter '{n}' of the model", p) for n, p in model.named_parameters()
        ]
        seen.append(("the time", time))
        seen += [(f"prescribed '{n}'", v.data) for n, v in forces.items()]
        seen += [(f"initial '{n}'", v.data) for n, v in initial.items()]
        seen = [(what, t) for what, t in seen if t.is_floating_point()]
        first, a = seen[0]
        for what, b in seen[1:]:
            if b.dtype != a.dtype:
                raise TypeError(
                    f"{what} is {b.dtype} but {first} is {a.dtype}; convert one of them with"
                    f" history.to({a.dtype}) or model.to({b.dtype})"
                )
            if b.device != a.device:
                raise TypeError(
                    f"{what} is on {b.device} but {first} is on {a.device}; move one of them with"
                    f" history.to('{a.device}') or model.to('{b.device}')"
                )

    # ------------------------------------------------------------------ values

    def _force(self, name: str, value: Any) -> TensorWrapper:
        kind = self.update.forces[name]
        if isinstance(value, int | float):
            raise ValueError(
                f"prescribed '{name}' is the number {value:g}; a value that does not change is given with"
                f" constant={{'{name}': {value:g}}}"
            )
        typed = self._typed(f"prescribed '{name}'", value, kind, f"({self.steps}, *batch, {_axes(kind)})")
        batch = typed.dynamic_batch_shape
        if not batch:
            raise ValueError(
                f"prescribed '{name}' has no step axis (shape {tuple(typed.shape)}); give"
                f" ({self.steps}, *batch, {_axes(kind)}), or constant={{'{name}': ...}} if it does not change"
            )
        if batch[0] != self.steps:
            raise ValueError(
                f"prescribed '{name}' has {batch[0]} steps but the time has {self.steps}; the first axis of"
                f" {tuple(typed.shape)} is the step"
            )
        return typed

    def _constant(self, name: str, value: Any) -> TensorWrapper:
        kind = self.update.forces[name]
        typed = self._typed(f"constant '{name}'", value, kind, f"(*batch, {_axes(kind)})")
        return kind._new(typed.data.expand(self.steps, *typed.shape), typed.sub_batch_ndim)

    def _initial(self, name: str, value: Any, kind: type[TensorWrapper]) -> TensorWrapper:
        return self._typed(f"initial '{name}'", value, kind, f"(*batch, {_axes(kind)})")

    def _typed(self, what: str, value: Any, kind: type[TensorWrapper], shape: str) -> TensorWrapper:
        if isinstance(value, TensorWrapper):
            if type(value) is not kind:
                raise TypeError(f"{what} is a {type(value).__name__}, but the model needs a {kind.__name__}")
            return value
        data = self._loose(value, what)
        if data.shape[data.ndim - kind.BASE_NDIM :] != kind.BASE_SHAPE or data.ndim < kind.BASE_NDIM:
            raise ValueError(f"{what} has shape {tuple(data.shape)}; a {kind.__name__} needs {shape}")
        return kind(data)

    def _extent(self, name: str) -> tuple[int, ...] | None:
        return None if self.settings is None else self.settings.sub_batch_shape(name)

    def _zero(self, name: str, kind: type[TensorWrapper]) -> TensorWrapper:
        extent = self._extent(name) or ()
        return kind._new(self.like.new_zeros(*extent, *kind.BASE_SHAPE), len(extent))

    def _declared(self, name: str, value: TensorWrapper, lead: int) -> TensorWrapper:
        """``value`` in the sub-batch shape that ``[Settings]`` declares; ``lead`` counts its step axes."""
        extent = self._extent(name)
        if extent is None or tuple(value.sub_batch_shape) == extent:
            return value
        if value.sub_batch_ndim or len(value.dynamic_batch_shape) > lead:
            has = (
                f"sub-batch {tuple(value.sub_batch_shape)}"
                if value.sub_batch_ndim
                else f"unmarked batch axes {tuple(value.dynamic_batch_shape[lead:])}"
            )
            raise ValueError(
                f"'{name}' has {has} but [Settings] declares the sub-batch {extent}; mark its axes with"
                f" sub_batch_ndim={len(extent)}, or drop them"
            )
        kind, front = type(value), value.data.shape[:lead]
        data = value.data.reshape(*front, *(1,) * len(extent), *kind.BASE_SHAPE)
        return kind._new(data.expand(*front, *extent, *kind.BASE_SHAPE), len(extent))

    def _common_batch(self, time: torch.Tensor, forces: Values, initial: Values) -> torch.Size:
        shapes = {f"'{n}'": v.dynamic_batch_shape[1:] for n, v in forces.items()}
        shapes.setdefault("the time", time.shape[1:])
        shapes |= {f"initial '{n}'": v.dynamic_batch_shape for n, v in initial.items()}
        for prefix, module in self.update.model.named_modules():
            if isinstance(module, Model):
                for attr, kind in module._kinds.items():
                    p = module._parameters.get(attr)
                    if p is not None:
                        shapes[f"parameter '{prefix}{'.' * bool(prefix)}{attr}'"] = kind.batch_shape(p.shape)
        whole, told = torch.Size(), "a single point"
        for what, shape in shapes.items():
            try:
                new = torch.broadcast_shapes(whole, shape)
            except RuntimeError:
                raise ValueError(
                    f"the batch {tuple(shape)} of {what} does not fit the batch {tuple(whole)} of {told};"
                    f" batches broadcast from the right, with the step axis left out"
                ) from None
            if new != whole:
                whole, told = new, what
        return whole


# ---------------------------------------------------------------------- helpers


def as_data(value: Any, what: str) -> torch.Tensor:
    """A tensor from a tensor (itself), a numpy array (in its dtype), a number or nested lists (float64)."""
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, TensorWrapper):
        return value.data
    try:
        array = np.array(value)
        if array.dtype == object or array.dtype.kind not in "fiub":
            raise TypeError(f"an array of {array.dtype}")
        return torch.from_numpy(array)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{what} is a {type(value).__name__} ({error}); give a typed tensor, a torch tensor, a numpy"
            " array or"
            f" numbers in lists of equal lengths"
        ) from None


def _is_strict(value: Any) -> bool:
    """Whether a value has a floating-point dtype of its own."""
    if isinstance(value, TensorWrapper):
        return True
    if isinstance(value, torch.Tensor):
        return value.is_floating_point()
    return hasattr(value, "dtype") and np.dtype(value.dtype).kind == "f"


def _axes(kind: type[TensorWrapper]) -> str:
    return ", ".join(str(n) for n in kind.BASE_SHAPE) or "with no further axis"


def _check_time(time: torch.Tensor) -> None:
    if time.ndim == 0 or time.shape[0] == 0:
        raise ValueError(
            f"the time has shape {tuple(time.shape)}; give the time of every step, (n,) or (n, *batch)"
        )
    broken = (~time.isfinite()).nonzero()
    if len(broken):
        i = tuple(broken[0].tolist())
        raise ValueError(f"the time is {float(time[i]):g} at step {i[0]}{_point(i[1:])}; it must be finite")
    stuck = (time[1:] <= time[:-1]).nonzero()
    if len(stuck):
        i = tuple(stuck[0].tolist())
        before, after = float(time[i]), float(time[(i[0] + 1, *i[1:])])
        raise ValueError(
            f"the time does not increase at step {i[0] + 1}{_point(i[1:])}: {after:.12g} after {before:.12g};"
            f" every step needs a positive time increment"
        )


def _check_finite(value: TensorWrapper, name: str, lead: int, time: torch.Tensor) -> None:
    broken = (~value.data.isfinite()).nonzero()
    if not len(broken):
        return
    index = tuple(broken[0].tolist())
    batch = len(value.dynamic_batch_shape)
    base = index[len(index) - value.BASE_NDIM :]
    site = index[batch : len(index) - value.BASE_NDIM]
    place = _point(index[lead:batch])
    if site:
        place += f", sub-batch {_numbers(site)}"
    if base:
        place += f", component {value.COMPONENTS[int(np.ravel_multi_index(base, value.BASE_SHAPE))]}"
    found = f"{float(value.data[index]):g}"
    if lead:
        t = f" (t = {float(time[index[0]].reshape(-1)[0]):g})"
        raise ValueError(f"prescribed '{name}' is {found} at step {index[0]}{t}{place}; give a finite value")
    raise ValueError(f"initial '{name}' is {found}{place}; give a finite value")


def _point(index: tuple[int, ...]) -> str:
    return f", point {_numbers(index)}" if index else ""


def _numbers(index: tuple[int, ...]) -> str:
    return str(index[0]) if len(index) == 1 else str(index)
