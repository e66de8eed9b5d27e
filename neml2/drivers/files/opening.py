"""Files of runs as xarray datasets, read when values are asked for; one run, or many together."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from neml2.drivers.files.places import Path
from neml2.drivers.files.reading import attribute, opened
from neml2.drivers.results.layout import STEP

if TYPE_CHECKING:
    import xarray


def open_run(path: Path) -> xarray.Dataset:
    """The dataset of a run, complete or not, as far as its rows are complete; values are read when needed.

    Tensors have the methods of :mod:`~neml2.drivers.results.accessor`. ``attrs`` says whether the run is
    ``complete`` and how it ``ended``. Close it, or use it in a ``with``. Raises
    :class:`FileNotFoundError`, or :class:`ValueError` for files that hold no run.
    """
    import xarray

    import neml2.drivers.results.accessor  # noqa: F401

    with opened(path) as file:
        steps = len(file[STEP])
        provenance = file.get("provenance")
        found = {} if provenance is None else dict(provenance.attrs)
        complete, ended = int(found.get("complete", 1)), ""
        if provenance is not None:
            ended = attribute(provenance, "ended")
    dataset = xarray.open_dataset(path, engine="h5netcdf")
    closing = dataset._close
    dataset = dataset.isel({STEP: slice(steps)})
    dataset.set_close(closing)
    return dataset.assign_attrs(complete=complete, ended=ended or "complete")


def open_runs(
    paths: str | os.PathLike[str] | Iterable[Path], along: str = "run"
) -> xarray.Dataset | xarray.DataTree:
    """Many runs together: of files, or of a pattern such as ``"runs/*.h5"``.

    Runs with the same variables and shapes become one dataset, in memory, with a new dimension ``along``
    whose labels are the names of the files. Others become a tree with a node for each file, read when needed.
    Raises :class:`FileNotFoundError` for a pattern without files, and what :func:`open_run` raises.
    """
    import xarray

    files = _files(paths)
    names = _names(files)
    runs = [open_run(f) for f in files]
    first = runs[0]
    if all(_shape(r) == _shape(first) for r in runs):
        labels = xarray.Variable(along, names, {"long_name": "File of the run"})
        whole = xarray.concat(
            runs,
            dim=labels,
            data_vars="all",
            coords="different",
            compat="equals",
            join="override",
            combine_attrs="drop_conflicts",
        )
        for run in runs:
            run.close()
        return whole
    return xarray.DataTree.from_dict(dict(zip(names, runs, strict=True)))


def _files(paths: str | os.PathLike[str] | Iterable[Path]) -> list[str]:
    if isinstance(paths, str | os.PathLike):
        text = os.fspath(paths)
        found = sorted(glob.glob(text)) if glob.has_magic(text) and not os.path.exists(text) else [text]
        if not found:
            raise FileNotFoundError(f"no file fits '{text}'; give a pattern such as 'runs/*.h5'")
        return found
    found = [os.fspath(p) for p in paths]
    if not found:
        raise FileNotFoundError("there are no files to open; give one at least")
    return found


def _names(files: Sequence[str]) -> list[str]:
    """The stems of the files, with as many folders before them as make them differ."""
    parts = [os.path.splitext(os.path.abspath(f))[0].split(os.sep) for f in files]
    for depth in range(1, max(len(p) for p in parts) + 1):
        names = [":".join(p[-depth:]) for p in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{n}:{i}" for i, n in enumerate(names)]


def _shape(run: xarray.Dataset) -> Any:
    """Everything that must agree for runs to be put side by side."""
    return {str(n): (v.dims, v.shape, v.dtype) for n, v in run.variables.items()}
