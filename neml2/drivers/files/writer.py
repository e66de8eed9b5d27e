"""`Writer`: a run that goes to disk block by block, and `Unfinished`: what is needed to go on with one.

The run grows in ``run.partial.h5`` and becomes ``run.h5`` when it is complete. A process that is killed at
any instant leaves a partial file that opens, holds all rows of the blocks that were appended, and the
checkpoint from which the next row starts.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neml2.drivers.files.hdf5 import SUFFIXES, create
from neml2.drivers.files.places import Path, check_writable, locked, partial, scratch, sync_folder
from neml2.drivers.files.reading import attribute, opened, read
from neml2.drivers.files.records import read_record
from neml2.drivers.files.rows import EVENT_COLUMNS, Rows
from neml2.drivers.files.slots import Slots
from neml2.drivers.results.layout import STEP, Column
from neml2.drivers.results.saving import Save
from neml2.drivers.results.xarray_view import columns
from neml2.drivers.trajectory import Origin, Trajectory, expanded

if TYPE_CHECKING:
    from typing_extensions import Self

_STATE, _MEMORY, _EVENTS = "state ", "memory ", "events"
_OURS = "writer"  # what of /history is the writer's
_BLOCK = 2**26  # bytes at a time where a file is copied


class Writer:
    """Writes the blocks of a run of ``steps`` rows to ``path``, an HDF5 file.

    batch
        The batch of the run; results have it in full in the file.
    save
        What is kept; blocks that are appended are those that ``save.select`` has made.
    history
        What is needed to run again: numbers, texts, tensors and typed tensors, nested; it comes back as
        :attr:`Unfinished.history`. ``"time"`` are the times of all rows.
    events
        The names of events that may happen.
    overwrite
        Start anew where an interrupted run has left a partial file.

    Raises :class:`OSError` where nothing can be written, where another run writes to the same place, or where
    an interrupted run has left its results (:class:`FileExistsError`).
    """

    def __init__(
        self,
        path: Path,
        origin: Origin,
        *,
        batch: Sequence[int],
        steps: int,
        save: Save | None = None,
        history: Mapping[str, Any] | None = None,
        events: Sequence[str] = (),
        overwrite: bool = False,
    ) -> None:
        self.path, self.partial = FilePath(path), partial(path)
        self.origin, self.batch, self.steps = origin, torch.Size(batch), steps
        self.save = Save() if save is None else save
        self.history, self.event_names, self.overwrite = dict(history or {}), tuple(events), overwrite
        check_writable(path)
        _check_free(self.partial, self.path, overwrite)
        self.rows: Rows | None = None
        self.slots: Slots | None = None
        self.events_to_come: list[dict[str, np.ndarray]] = []
        time = self.history.get("time")
        self.kept = (
            self.steps if time is None else self.save.count(torch.as_tensor(getattr(time, "data", time)))
        )

    # ------------------------------------------------------------------ a run

    def append(
        self,
        block: Trajectory,
        first: int,
        checkpoint: Mapping[str, torch.Tensor],
        done: int | None = None,
    ) -> None:
        """Write a block, and the state from which the row after it starts; both are safe when this returns.

        ``first`` is the number of the block's first row in the run, ``done`` that of the row after it
        (needed where ``save`` does not keep all rows). Raises :class:`OSError`; what was appended before is
        safe nevertheless.
        """
        if done is None:
            if block.rows is not None and len(block.rows) and int(block.rows[-1]) != first + len(block) - 1:
                raise ValueError("append needs done=, the number of the row after the block")
            done = first + len(block)
        numbers = np.arange(first, first + len(block)) if block.rows is None else block.rows.numpy()
        block = _whole(block.detach(), self.batch)
        try:
            if self.rows is None:
                self._create(block)
            assert self.rows is not None and self.slots is not None
            if len(block):
                self.rows.append(columns(block, physical=False), numbers)
            count, events = self.rows.count + len(block), self.rows.event_count
            if self.events_to_come:
                table = {n: np.concatenate([e[n] for e in self.events_to_come]) for n in EVENT_COLUMNS}
                events = self.rows.append_events(table)
            kept = {_STATE + n: t for n, t in checkpoint.items()}
            kept |= {_MEMORY + n: t for n, t in self.save.memory().items()}
            self.slots.write(done, count, kept | {_EVENTS: torch.tensor(events)})
            self.rows.commit(count, events)
        except OSError as error:
            raise self._explained(error) from None
        self.events_to_come.clear()

    def events(self, point: Any, row: Any, time: Any, event: Any) -> None:
        """Note events, which go to the file with the next block.

        Arrays of one length: the number of the point in the flattened batch, the row, the time, and which
        event, a number into the names.
        """
        given = (point, row, time, event)
        table = {n: np.atleast_1d(np.asarray(v)) for n, v in zip(EVENT_COLUMNS, given, strict=True)}
        self.events_to_come.append(table)

    def finish(self) -> None:
        """The run is complete: flush, and give the file its name."""
        if self.rows is None:
            raise ValueError(f"there is nothing to write to {self.path}: no row of the run was kept")
        try:
            if self.rows.count < self.kept:  # the run ended early
                self._finish_short()
            else:
                self.rows.complete()
                os.fsync(self.rows.file.fileno())
                os.replace(self.partial, self.path)
                self.rows.trim()  # not before: until it has its name, a run can be resumed
            sync_folder(self.path.parent)
        except OSError as error:
            raise self._explained(error) from None
        self.rows.close()

    def leave(self, reason: str) -> None:
        """The run is interrupted or has failed: flush; the partial file stays, with the reason."""
        if self.rows is not None and not self.rows.file.closed:
            with contextlib.suppress(OSError):  # on a full disk, what is safe already stays safe
                self.rows.ended(reason)
                os.fsync(self.rows.file.fileno())
            self.rows.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.leave("interrupted" if kind is None else kind.__name__)

    # ------------------------------------------------------------------ files

    def _create(self, block: Trajectory) -> None:
        made = scratch(self.partial)
        try:
            self._make(made, block, max(self.kept, 1))
            check_writable(self.path, made.stat().st_size)  # as large as the result, but empty
            _publish(made, self.partial, self.overwrite)
        finally:
            made.unlink(missing_ok=True)
        self.rows = Rows(self.partial)
        if not locked(self.rows.file):
            raise _busy(self.partial)
        self.slots = Slots(self.rows)

    def _make(self, made: FilePath, block: Trajectory, room: int) -> None:
        ours = {
            "batch": list(self.batch),
            "steps": self.steps,
            "save": self.save.options(),
            "name": self.path.name,
            "events": list(self.event_names),
        }
        history = {"initial": self.origin.initial, **self.history, _OURS: ours}
        create(made, block, room, history, self.origin, self.event_names)

    def _finish_short(self) -> None:
        """Write the result with room for its rows alone, from the partial file that had room for more."""
        assert self.rows is not None
        old, made = self.rows, scratch(self.partial)
        try:
            self._make(made, read(self.partial, lazy=True, most=1), old.count)
            with Rows(made) as new, opened(self.partial) as file:
                size = sum(f.dtype.itemsize * int(np.prod(f.shape)) for f in old.fields.values())
                block = max(1, _BLOCK // max(size, 1))
                for first in range(0, old.count, block):
                    part = slice(first, min(first + block, old.count))
                    found = [Column(n, f.dims, file[n][part]) for n, f in old.fields.items()]
                    new.append(found, file[STEP][part], physical=True)
                    new.commit(part.stop)
                if old.event_count:
                    table = {n: file["events"][n][: old.event_count] for n in EVENT_COLUMNS}
                    new.commit(old.count, new.append_events(table))
                new.complete()
                os.fsync(new.file.fileno())
            os.replace(made, self.path)
            self.partial.unlink()
        finally:
            made.unlink(missing_ok=True)

    def _explained(self, error: OSError) -> OSError:
        if isinstance(error, FileExistsError):
            return error
        count = self.rows.count if self.rows is not None else 0
        kept = f"; the {count} rows before are safe in {self.partial}, and resume goes on with them"
        reason = error.strerror or str(error)
        return type(error)(f"cannot write {self.partial}: {reason}{kept if count else ''}")


@dataclass(frozen=True)
class Unfinished:
    """What an interrupted run has left, to go on with it.

    ``row`` is the number of the next row, ``checkpoint`` the tensors from which it starts (none: the run
    starts at the beginning), ``rows`` how many rows are on disk; ``history``, ``origin``, ``save``,
    ``batch``, ``steps`` and ``events`` are those of the :class:`Writer`; ``reason`` says how it was
    interrupted.
    """

    path: FilePath
    row: int
    rows: int
    checkpoint: Mapping[str, torch.Tensor]
    history: Mapping[str, Any]
    origin: Origin
    save: Save
    batch: torch.Size
    steps: int
    events: tuple[str, ...]
    reason: str

    @classmethod
    def read(cls, path: Path) -> Unfinished:
        """The record of the interrupted run of the result ``path`` (or of its partial file).

        Raises :class:`FileNotFoundError` if there is none, :class:`IsADirectoryError`, and
        :class:`ValueError` for a complete or damaged file, or one that is no result.
        """
        if FilePath(path).is_dir():
            raise IsADirectoryError(f"{path} is a folder; give the name of the result, such as run.h5")
        target = _result_name(FilePath(path))
        source = partial(target)
        if not source.exists():
            raise _nothing_left(source, target)
        origin = read(source, lazy=True, most=0).origin
        with opened(source) as file:
            history = read_record(file["history"])
            reason = attribute(file["provenance"], "ended")
        if _OURS not in history:
            raise ValueError(f"{source} was not written by a run, and cannot be resumed")
        ours = history.pop(_OURS)
        with Rows(source) as rows:
            row, count, tensors = Slots(rows).read()
        save = Save.of(ours["save"])
        save.remember(_named(tensors, _MEMORY))
        return cls(
            path=target,
            row=row,
            rows=count,
            checkpoint=_named(tensors, _STATE),
            history=history,
            origin=origin,
            save=save,
            batch=torch.Size(ours["batch"]),
            steps=ours["steps"],
            events=tuple(ours["events"]),
            reason=reason,
        )

    def writer(self) -> Writer:
        """The writer that goes on with the file.

        Raises :class:`BlockingIOError` if another run does so, :class:`ValueError` if one has done so.
        """
        source = partial(self.path)
        writer = Writer(
            self.path,
            self.origin,
            batch=self.batch,
            steps=self.steps,
            save=self.save,
            history=self.history,
            events=self.events,
            overwrite=True,  # nothing is: the file is there already
        )
        rows = Rows(source)
        if not locked(rows.file):
            rows.close()
            raise _busy(source)
        slots = Slots(rows)
        row, count, tensors = slots.read()
        if row != self.row:
            rows.close()
            raise ValueError(f"{source} has changed since it was read; read it again")
        rows.cut(count, int(tensors.get(_EVENTS, 0)))
        rows.ended("running")
        writer.rows, writer.slots = rows, slots
        return writer


def _nothing_left(source: FilePath, target: FilePath) -> OSError | ValueError:
    """Why there is no run to go on with where no partial file is."""
    if not target.exists():
        return FileNotFoundError(f"there is neither {source} nor {target}; nothing to resume")
    if target.suffix.lower() not in SUFFIXES:
        return ValueError(f"{target} is not the result of a run; give its name, such as {target.stem}.h5")
    try:
        with opened(target):
            return ValueError(f"{target} is complete; there is nothing to resume")
    except ValueError as fault:
        return fault


def _result_name(path: FilePath) -> FilePath:
    """``run.h5`` for ``run.partial.h5`` and for itself."""
    return path.with_name(path.stem.removesuffix(".partial") + path.suffix)


def _named(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _check_free(source: FilePath, target: FilePath, overwrite: bool) -> None:
    """Refuse a place where a run is going on, or has left something that nobody said may go."""
    if not source.exists():
        return
    with open(source, "rb+") as file:
        if not locked(file):
            raise _busy(source)
    if overwrite:
        return
    try:
        left = Unfinished.read(source)
    except ValueError:
        raise FileExistsError(
            f"{source} is in the way and holds no run that could go on; remove it, or give overwrite=True"
        ) from None
    raise FileExistsError(
        f"{source} holds {left.row} of {left.steps} steps of an interrupted run ({left.reason});"
        f" resume('{target}') goes on with it, overwrite=True starts anew"
    )


def _busy(source: FilePath) -> BlockingIOError:
    return BlockingIOError(f"{source} is being written by another run; wait for it, or choose another name")


def _publish(made: FilePath, target: FilePath, overwrite: bool) -> None:
    """Give a finished new file its name; two runs that start at the same moment never both get it."""
    if overwrite:
        os.replace(made, target)
        return
    try:
        os.link(made, target)
    except FileExistsError:
        raise _busy(target) from None
    except OSError:  # a file system without links
        os.replace(made, target)


def _whole(block: Trajectory, batch: torch.Size) -> Trajectory:
    """The block with results, status and iterations in the whole batch."""
    count = len(block)

    def wide(t: torch.Tensor) -> torch.Tensor:
        missing = (1,) * (len(batch) + 1 - t.ndim)
        return t.reshape(count, *missing, *t.shape[1:]).expand(count, *batch)

    return replace(
        block,
        status=wide(block.status),
        iterations=wide(block.iterations),
        outputs={n: expanded(v, batch) for n, v in block.outputs.items()},
    )
