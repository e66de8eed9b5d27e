"""The check of a history against a model, before the first step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neml2.drivers.histories.given import as_data, check_time, point
from neml2.drivers.histories.history import History
from neml2.errors import MissingVariable
from neml2.lags import split
from neml2.model import Model
from neml2.registry import did_you_mean, listing
from neml2.step import StateUpdate
from neml2.types import Scalar, TensorWrapper
from neml2.types.shapes import broadcast_shapes

if TYPE_CHECKING:
    from neml2.hit.settings import Settings

Values = dict[str, TensorWrapper]
Start = tuple[Values, Values]


@dataclass(frozen=True)
class Loading:
    """A history that fits a model.

    ``forces`` are typed, ``(n, *batch, *sub_batch, *base)``; ``initial`` has no step axis. ``zeros`` are the
    initial values of states that are not given but have a declared sub-batch shape. ``batch`` is that of the
    history and of the model's parameters. ``lengths``, integers ``(*batch)``, says how many rows count where
    that is not the same for all points.
    """

    time: torch.Tensor
    forces: Values
    initial: Values
    zeros: Values
    batch: torch.Size
    lengths: torch.Tensor | None = None

    def __len__(self) -> int:
        return self.time.shape[0]

    def at(self, step: int) -> Values:
        """The prescribed values at one step."""
        return {n: type(v)._new(v.data[step], v.sub_batch_ndim) for n, v in self.forces.items()}

    def start(self, update: StateUpdate, more: Values | None = None) -> Start:
        """State and outputs before the first step, from the initial values and ``more`` of them."""
        initial = {**self.initial, **(more or {})}
        state = update.initial_state({**self.zeros, **initial}, self.time)
        outputs = update.initial_outputs(state, self.at(0))
        return state, outputs | {n: v for n, v in initial.items() if n in outputs}


class Binding:
    """The check of a history against a model: :meth:`result` is the :class:`Loading`, or an error."""

    def __init__(self, history: History, update: StateUpdate, time: str, settings: Settings | None) -> None:
        self.history, self.update, self.time_name, self.settings = history, update, time, settings
        self.steps = len(history)

    def result(self) -> Loading:
        h, update = self.history, self.update
        self._check_names()
        self.like = self._working_type()
        time = self._loose(h.given_time, "time")
        time = time if isinstance(time, torch.Tensor) else as_data(time, "time")
        check_time(time, h.lengths)
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
        if batch.numel() == 0:
            raise ValueError(
                f"the history has the batch {tuple(batch)}, which has no points; give one at least"
            )
        for n, v in forces.items():
            _check_finite(v, n, 1, time)
        for n, v in initial.items():
            _check_finite(v, n, 0, time)
        return Loading(time, forces, initial, zeros, batch, h.lengths)

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
        if self.history.lengths is not None:
            shapes["the lengths"] = self.history.lengths.shape
        for prefix, module in self.update.model.named_modules():
            if isinstance(module, Model):
                for attr, kind in module._kinds.items():
                    p = module._parameters.get(attr)
                    if p is not None:
                        shapes[f"parameter '{prefix}{'.' * bool(prefix)}{attr}'"] = kind.batch_shape(p.shape)
        whole, told = torch.Size(), "a single point"
        for what, shape in shapes.items():
            try:
                new = broadcast_shapes(whole, shape)
            except RuntimeError:
                raise ValueError(
                    f"the batch {tuple(shape)} of {what} does not fit the batch {tuple(whole)} of {told};"
                    f" batches broadcast from the right, with the step axis left out"
                ) from None
            if new != whole:
                whole, told = new, what
        return whole


def _is_strict(value: Any) -> bool:
    """Whether a value has a floating-point dtype of its own."""
    if isinstance(value, TensorWrapper):
        return True
    if isinstance(value, torch.Tensor):
        return value.is_floating_point()
    return hasattr(value, "dtype") and np.dtype(value.dtype).kind == "f"


def _axes(kind: type[TensorWrapper]) -> str:
    return ", ".join(str(n) for n in kind.BASE_SHAPE) or "with no further axis"


def _check_finite(value: TensorWrapper, name: str, lead: int, time: torch.Tensor) -> None:
    if math.isfinite(value.data.detach().sum()):  # much faster than isfinite of each, and false for any NaN
        return
    broken = (~value.data.isfinite()).nonzero()
    if not len(broken):
        return
    index = tuple(broken[0].tolist())
    batch = len(value.dynamic_batch_shape)
    base = index[len(index) - value.BASE_NDIM :]
    site = index[batch : len(index) - value.BASE_NDIM]
    place = point(index[lead:batch])
    if site:
        place += point(site, "sub-batch")
    if base:
        place += f", component {value.COMPONENTS[int(np.ravel_multi_index(base, value.BASE_SHAPE))]}"
    found = f"{float(value.data[index]):g}"
    if lead:
        t = f" (t = {float(time[index[0]].reshape(-1)[0]):g})"
        raise ValueError(f"prescribed '{name}' is {found} at step {index[0]}{t}{place}; give a finite value")
    raise ValueError(f"initial '{name}' is {found}{place}; give a finite value")
