"""The eager engine: the models as they are, row by row."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from neml2.derivatives import expand_batch
from neml2.drivers.engines.run import Run
from neml2.drivers.trajectory import Trajectory
from neml2.errors import ConvergenceError
from neml2.lags import split
from neml2.points import put, put_data
from neml2.solvers.status import Status
from neml2.step import StepResult
from neml2.types import TensorWrapper
from neml2.types.shapes import broadcast_shapes

Values = dict[str, TensorWrapper]


class EagerMarch:
    """Advances all points with :class:`~neml2.StateUpdate`; results are part of the autograd graph."""

    finished = False  # before the last row
    events = ()

    def __init__(self, run: Run) -> None:
        self.run, self.row = run, -1
        self.batch = run.loading.batch
        self.state, self.last = run.initial()
        self.anchored: Values = {}
        device = run.loading.time.device
        self.failed = torch.zeros(self.batch.numel(), dtype=torch.bool, device=device)
        lengths = run.loading.lengths
        self.lengths = None if lengths is None else lengths.to(device).expand(self.batch).flatten()
        self._begin()

    def _begin(self) -> None:
        self.rows: list[Values] = []
        self.status: list[torch.Tensor] = []
        self.iterations: list[torch.Tensor] = []

    def advance(self, last: int) -> Trajectory:
        """See :class:`~neml2.drivers.engines.run.March`."""
        self._begin()
        try:
            if self.row < 0:
                code = torch.tensor(int(Status.NOT_SOLVED), dtype=torch.int8)
                self._record(self.last, code, torch.zeros((), dtype=torch.int32))
            while self.row + 1 < last:
                self._step(self.row + 1)
                self.run.tick()
        except (ConvergenceError, KeyboardInterrupt, SystemExit) as stop:
            stop.trajectory = self._block()  # type: ignore[union-attr]
            raise
        return self._block()

    # ------------------------------------------------------------------ one row

    def _step(self, k: int) -> None:
        run, update = self.run, self.run.update
        active = self._active(k)
        if active is not None and not len(active):
            return self._record(self.last, *self._idle(k))
        forces, old = run.forces(k, self.anchored), run.old_forces(k, self.last)
        result = self._try(forces, old, active)
        failed = result.status != Status.CONVERGED
        if not bool(failed.any()):
            outputs, *marks = self._merged(k, active, result)
        elif "freeze" not in run.ways:
            raise run.error(k, result, active, (self.state, forces, old))
        else:
            outputs, *marks = self._frozen(k, active, result, forces, old)
        self.state = update.next_state(self.state, outputs)
        return self._record(outputs, *marks)

    def _record(self, outputs: Values, status: torch.Tensor, iterations: torch.Tensor) -> None:
        self.row += 1
        self.last = outputs
        self.rows.append(outputs)
        self.status.append(status)
        self.iterations.append(iterations)
        aim = self.run.aim
        if aim is not None and self.row in aim.anchors:
            self.anchored = {n: outputs[n] for n in (aim.stress, aim.strain)}

    def _active(self, k: int) -> torch.Tensor | None:
        """The points that take part in row ``k``; ``None``: all."""
        taking = ~self.failed
        if self.lengths is not None:
            taking &= self.lengths > k
        return None if bool(taking.all()) else taking.nonzero().squeeze(-1)

    def _try(self, forces: Values, old: Values, index: torch.Tensor | None) -> StepResult:
        run, count = self.run, self.batch.numel() if index is None else len(index)
        if run.at_once is None or count <= run.at_once:
            return run.update(self.state, forces, old, run.levels, index)
        everyone = torch.arange(count, device=self.failed.device) if index is None else index
        parts = [run.update(self.state, forces, old, run.levels, i) for i in everyone.split(run.at_once)]
        return _joined(
            parts, [len(i) for i in everyone.split(run.at_once)], self.batch if index is None else None
        )

    def _merged(
        self, k: int, index: torch.Tensor | None, result: StepResult
    ) -> tuple[Values, torch.Tensor, torch.Tensor]:
        """A row of which all active points have converged."""
        if index is None:
            return result.outputs, result.status, result.iterations
        outputs = {n: _put(self.last[n], self.batch, index, v) for n, v in result.outputs.items()}
        status, counts = self._idle(k)
        status = put_data(status, index, result.status.expand(index.shape))
        return outputs, status, put_data(counts, index, result.iterations.expand(index.shape))

    def _frozen(
        self, k: int, index: torch.Tensor | None, result: StepResult, forces: Values, old: Values
    ) -> tuple[Values, torch.Tensor, torch.Tensor]:
        """A row after which the points that failed take no part any more."""
        if index is None:
            index = torch.arange(self.batch.numel(), device=self.failed.device)
            status, counts = result.status.expand(self.batch), result.iterations.expand(self.batch)
        else:
            status, counts = self._idle(k)
            status = put_data(status, index, result.status.expand(index.shape))
            counts = put_data(counts, index, result.iterations.expand(index.shape))
        good = status.flatten()[index] == Status.CONVERGED
        self.failed[index[~good]] = True
        outputs = self.last
        if bool(good.any()):
            # Advanced once more by themselves, to the same bits: the graph of this step must not hold the
            # failed points, whose infinite slopes would turn the gradients of all into NaN.
            again = self._try(forces, old, index[good])
            outputs = {n: _put(outputs[n], self.batch, index[good], v) for n, v in again.outputs.items()}
        return outputs, status, counts

    def _idle(self, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Status and iterations of points that take no part in row ``k``."""
        device = self.failed.device
        status = torch.full(self.batch, int(Status.FROZEN), dtype=torch.int8, device=device)
        if self.lengths is not None:
            over = (~self.failed & (self.lengths <= k)).reshape(self.batch)
            status = torch.where(
                over, torch.tensor(int(Status.ENDED), dtype=torch.int8, device=device), status
            )
        return status, torch.zeros(self.batch, dtype=torch.int32, device=device)

    # ------------------------------------------------------------------ what came out

    def _block(self) -> Trajectory:
        device, first = self.run.loading.time.device, self.row + 1 - len(self.rows)

        def stacked(parts: list[torch.Tensor], dtype: torch.dtype) -> torch.Tensor:
            if not parts:
                return torch.zeros(0, *self.batch, dtype=dtype, device=device)
            return torch.stack([p.to(device).expand(self.batch) for p in parts])

        names = self.rows[0] if self.rows else ()
        outputs = {n: _stacked([row[n] for row in self.rows]) for n in names}
        return self.run.block(
            first, outputs, stacked(self.status, torch.int8), stacked(self.iterations, torch.int32)
        )

    def checkpoint(self) -> dict[str, torch.Tensor]:
        """See :class:`~neml2.drivers.engines.run.March`."""
        groups = {"state": self.state, "last": self.last, "anchored": self.anchored}
        found = {
            f"{group}/{v.sub_batch_ndim}/{n}": v.data.detach()
            for group, values in groups.items()
            for n, v in values.items()
        }
        return {**found, "failed": self.failed}

    def restore(self, row: int, found: Mapping[str, torch.Tensor]) -> None:
        """See :class:`~neml2.drivers.engines.run.March`."""
        update = self.run.update
        groups: dict[str, Values] = {"state": {}, "last": {}, "anchored": {}}
        kinds = {**update.outputs, **update.states, **update.guesses}
        for key, data in found.items():
            if "/" in key:
                group, sub, name = key.split("/", 2)
                groups[group][name] = kinds[split(name)[0]]._new(data, int(sub))
        self.row, self.failed = row, found["failed"]
        self.state, self.last, self.anchored = groups["state"], groups["last"], groups["anchored"]


def _joined(parts: list[StepResult], counts: list[int], batch: torch.Size | None) -> StepResult:
    """The results of parts of the points as one, with the given batch or a flat one."""

    def whole(values: list[torch.Tensor], inner: int) -> torch.Tensor:
        data = torch.cat(values)
        return data if batch is None else data.reshape(*batch, *data.shape[data.ndim - inner :])

    def joined(name: str, which: str) -> TensorWrapper:
        values = [getattr(p, which)[name] for p in parts]
        inner = values[0].data.ndim - len(values[0].dynamic_batch_shape)
        data = [expand_batch(v, torch.Size((n,))) for v, n in zip(values, counts, strict=True)]
        return type(values[0])._new(whole(data, inner), values[0].sub_batch_ndim)

    failing = [p for p in parts if any(not s.succeeded for s in p.solutions)]
    return StepResult(
        {n: joined(n, "state") for n in parts[0].state},
        {n: joined(n, "outputs") for n in parts[0].outputs},
        whole([p.status.expand(n) for p, n in zip(parts, counts, strict=True)], 0),
        whole([p.iterations.expand(n) for p, n in zip(parts, counts, strict=True)], 0),
        (failing or parts)[0].solutions,
    )


def _put(old: TensorWrapper, batch: torch.Size, index: torch.Tensor, new: TensorWrapper) -> TensorWrapper:
    """``old`` with the points ``index`` replaced; it may lack the sub-batch axes of ``new``."""
    if old.sub_batch_shape != new.sub_batch_shape:
        front, sub, base = old.dynamic_batch_shape, new.sub_batch_shape, new.base_shape
        missing = (1,) * (len(sub) - old.sub_batch_ndim)
        data = old.data.reshape(*front, *missing, *old.sub_batch_shape, *base).expand(*front, *sub, *base)
        old = type(old)._new(data, len(sub))
    return put(old, batch, index, new)


def _stacked(steps: list[TensorWrapper]) -> TensorWrapper:
    """All steps as one value ``(n, *batch, *sub_batch, *base)``, in their widest batch and sub-batch."""
    kind = type(steps[0])
    rank = max(v.sub_batch_ndim for v in steps)
    sub = broadcast_shapes(*[v.sub_batch_shape for v in steps])
    batch = broadcast_shapes(*[v.dynamic_batch_shape for v in steps])
    parts = []
    for v in steps:
        front = (1,) * (len(batch) - len(v.dynamic_batch_shape)) + tuple(v.dynamic_batch_shape)
        middle = (1,) * (rank - v.sub_batch_ndim) + tuple(v.sub_batch_shape)
        shape = (*front, *middle, *kind.BASE_SHAPE)
        parts.append(v.data.reshape(shape).expand((*batch, *sub, *kind.BASE_SHAPE)))
    return kind._new(torch.stack(parts), rank)
