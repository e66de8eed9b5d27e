"""A compiled state update: how it is made, and how a whole history runs through it in one call."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from neml2.compiler.build import library
from neml2.compiler.condense import condense, operations
from neml2.compiler.emit import Interface, interface, source
from neml2.compiler.lower import Step, Unsupported, lower
from neml2.compiler.sample import sample_points
from neml2.solvers.direct import DenseLU
from neml2.solvers.newton import Newton
from neml2.step import StateUpdate
from neml2.types import TensorWrapper

Values = Mapping[str, TensorWrapper]


@dataclass(frozen=True)
class March:
    """What a march gave: outputs ``(steps, *batch, *base)`` from step 1 on, status and iterations.

    ``failures`` counts the blocks of points in which some point failed; the run stopped there.
    """

    outputs: dict[str, torch.Tensor]
    status: torch.Tensor
    iterations: torch.Tensor
    failures: int


class Kernel:
    """The compiled update of a model; float64 on the CPU.

    ``step``, ``eliminations`` and ``text`` (the C++) show how it is made. Parameters and prescribed values
    are arguments: changing one does not compile again.
    """

    def __init__(self, update: StateUpdate, forces: Values) -> None:
        self.update = update
        self.step: Step = lower(update)
        for region in self.step.regions:
            if type(region.solver) is not Newton or type(region.solver.linear_solver) is not DenseLU:
                raise Unsupported(f"the solver of '{region.name}' is not Newton with DenseLU")
        samples = sample_points(update.model, self.step, forces)
        self.eliminations = [condense(region, samples) for region in self.step.regions]
        self.face: Interface = interface(self.step)
        self.text = source(self.step, self.eliminations, self.face)
        self.path, self._library = library(self.text)
        self._buffers = {n: b.clone() for n, b in update.model.named_buffers()}

    def is_stale(self) -> bool:
        """Whether a part of the kernel has changed: a solver, a buffer, the size of a table."""
        model = self.update.model
        if any(r.solver is not r.update.solver for r in self.step.regions):
            return True
        if any(not torch.equal(b, self._buffers[n]) for n, b in model.named_buffers()):
            return True
        found = {n: self._parameter(n) for n, _ in self.face.parameters}
        return any(found[n][0].shape[found[n][1] :].numel() != size for n, size in self.face.parameters)

    def _parameter(self, name: str) -> tuple[torch.Tensor, int]:
        """A parameter and the rank of its batch."""
        owner, attr = self.update.model._owner(name)
        p = owner._parameters[attr]
        assert p is not None
        return p.detach(), len(owner._kinds[attr].batch_shape(p.shape))

    def operations(self) -> int:
        """Scalar operations of one Newton iteration, all regions together."""
        return sum(operations(e, r) for e, r in zip(self.eliminations, self.step.regions, strict=True))

    def march(self, forces: Values, state: Values, steps: int, batch: torch.Size) -> March:
        """All steps of a history. ``forces`` ``(steps, *batch, *base)``, ``state`` without the step axis."""
        points = batch.numel()
        keep: list[torch.Tensor] = []  # until the kernel returns
        arrays = _Arrays(batch, keep)
        face = self.face
        parameters = [arrays.view(*self._parameter(n), size, steps=False) for n, size in face.parameters]
        initial = []
        for name, size, _ in face.states:
            value = state.get(name)
            data = torch.zeros(size, dtype=torch.float64) if value is None else value.data.detach()
            initial.append(
                arrays.view(data, 0 if value is None else len(value.dynamic_batch_shape), size, False)
            )
        given = [
            arrays.view(forces[n].data.detach(), len(forces[n].dynamic_batch_shape) - 1, size, True)
            for n, size in face.forces
        ]
        outputs = {n: torch.empty(steps, points, size, dtype=torch.float64) for n, size in face.outputs}
        status = torch.zeros(steps, points, dtype=torch.int8)
        iterations = torch.zeros(steps, points, dtype=torch.int32)
        out = [_View(o.data_ptr(), o.stride(0), o.stride(1), 1) for o in outputs.values()]
        failures = self._library.march(
            ctypes.c_int64(points),
            ctypes.c_int64(steps),
            ctypes.c_int64(torch.get_num_threads()),
            *[(_View * max(len(v), 1))(*v) for v in (parameters, initial, given, out)],
            ctypes.c_void_p(status.data_ptr()),
            ctypes.c_void_p(iterations.data_ptr()),
        )
        kinds = self.update.outputs
        shaped = {n: o.reshape(steps, *batch, *kinds[n].BASE_SHAPE) for n, o in outputs.items()}
        return March(shaped, status.reshape(steps, *batch), iterations.reshape(steps, *batch), failures)


class _View(ctypes.Structure):
    _fields_ = [
        ("p", ctypes.c_void_p),
        ("step", ctypes.c_int64),
        ("point", ctypes.c_int64),
        ("comp", ctypes.c_int64),
    ]


@dataclass
class _Arrays:
    """Makes strided views for the kernel and keeps their memory alive."""

    batch: torch.Size
    keep: list[torch.Tensor]

    def view(self, data: torch.Tensor, rank: int, size: int, steps: bool) -> _View:
        """``data`` ``([steps,] *batch, *base)`` with its points flattened; a lone point has no stride."""
        data = data.double().cpu()
        lead = (data.shape[0],) if steps else ()
        own = tuple(data.shape[len(lead) : len(lead) + rank])
        if all(n == 1 for n in own):
            flat = data.reshape(*lead, 1, size)
        else:
            padded = data.reshape(*lead, *(1,) * (len(self.batch) - rank), *own, size)
            flat = padded.expand(*lead, *self.batch, size).reshape(*lead, self.batch.numel(), size)
        self.keep.append(flat)
        stride = flat.stride()
        return _View(
            flat.data_ptr(),
            stride[0] if steps else 0,
            stride[-2] if flat.shape[-2] > 1 else 0,
            stride[-1],
        )
