"""Where results go: HDF5 files, or NEML2's flat dictionary in a file of torch."""

from __future__ import annotations

from pathlib import Path as FilePath

import torch

from neml2 import log
from neml2.drivers.files.hdf5 import SUFFIXES
from neml2.drivers.files.places import check_writable, replacing
from neml2.drivers.trajectory import Path, Trajectory
from neml2.registry import listing

_TORCH = (".pt", ".pth")


def check_place(path: Path, size: int = 0) -> None:
    """Refuse a path of unknown format (:class:`ValueError`) or that cannot be written (:class:`OSError`).

    ``size`` is the number of bytes that the file will need.
    """
    suffix = FilePath(path).suffix.lower()
    if suffix not in (*SUFFIXES, *_TORCH):
        raise ValueError(
            f"cannot tell the format of '{path}'; end its name in one of {listing((*SUFFIXES, *_TORCH))}"
        )
    check_writable(path, size)


def save(trajectory: Trajectory, path: Path) -> None:
    """Write HDF5 for ``.h5``, ``.hdf5``, ``.nc``; the dict of :meth:`Trajectory.to_dict` for ``.pt``."""
    check_place(path)
    if FilePath(path).suffix.lower() in SUFFIXES:
        trajectory.to_hdf5(path)
    else:
        _save_flat(trajectory, path)
    log.emit("driver", log.INFO, f"Results saved to {path}")


def _save_flat(trajectory: Trajectory, path: Path) -> None:
    flat = {
        n: v.clone() for n, v in trajectory.to_dict().items()
    }  # steps must not drag the whole history along
    with replacing(path) as temporary:
        try:
            torch.save(flat, temporary)
        except RuntimeError as error:  # what torch makes of a full disk
            reason = str(error).splitlines()[0]
            raise OSError(f"cannot write {path}: {reason}; what was there before is unchanged") from None


def load_flat(path: Path) -> dict[str, torch.Tensor]:
    """The flat dictionary of a file that :func:`save` has written; nothing is unpickled.

    Raises :class:`FileNotFoundError`, or :class:`ValueError` for a file that holds something else.
    """
    if not FilePath(path).is_file():
        raise FileNotFoundError(f"there is no reference file {path}")
    if FilePath(path).suffix.lower() in SUFFIXES:
        return Trajectory.from_hdf5(path).to_dict()
    try:
        found = torch.load(path, weights_only=True, map_location="cpu")
    except Exception:  # torch's own message tells how to load such a file nevertheless
        raise ValueError(
            f"{path} holds no plain dict of tensors (other objects are not loaded, they could run code);"
            f" save one with save_as"
        ) from None
    if not isinstance(found, dict) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise ValueError(
            f"{path} holds a {type(found).__name__}, not a dict of tensors; save one with save_as"
        )
    return found
