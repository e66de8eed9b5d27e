"""From a program and tensors to a call: arguments as one array of 64-bit words."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import cached_property

import torch

from neml2.compiler.build import library
from neml2.compiler.program import Program

Words = list[int]
_C_TYPES = {torch.float64: "double", torch.float32: "float"}


class Launcher:
    """A program for one dtype and device, ``"cpu"`` or a GPU as ``"cuda:0"``, built when it is first called.

    ``run`` takes the arguments of the program by their keys: numbers, tensors of integers, and views made
    by :func:`view`; those that are left out are missing. The arrays are those of the caller; they must live
    until it returns.
    """

    def __init__(self, program: Program, dtype: torch.dtype = torch.float64, device: str = "cpu") -> None:
        self.program, self.dtype, self.device = program, dtype, device

    @cached_property
    def text(self) -> str:
        """The source that is compiled."""
        made = self.program.for_cpu if self.device == "cpu" else self.program.for_cuda
        return made(_C_TYPES[self.dtype])

    @cached_property
    def _function(self):
        if self.device == "cpu":
            self.path, loaded = library(self.text)
            return loaded.run
        from neml2.compiler.cuda import function

        return function(self.text, self.device)

    def build(self) -> Launcher:
        """Compile now. Raises :class:`~neml2.compiler.build.NoCompiler`."""
        self._function  # noqa: B018
        return self

    def run(self, given: Mapping[str, object]) -> None:
        """Call the kernel for ``points`` points; on a GPU it is in the queue when this returns."""
        words: Words = []
        for key, (kind, _) in self.program.fields.items():
            value = given.get(key)
            if isinstance(value, torch.Tensor):
                words.append(value.data_ptr())
            elif isinstance(value, list):
                words += value
            elif value is None:
                words += [0] if kind.endswith("*") else [0, 0, 0, 0]
            else:
                words.append(int(value))  # type: ignore[call-overload]
        array = (ctypes.c_int64 * len(words))(*words)
        if self.device == "cpu":
            self._function(array, ctypes.c_int64(torch.get_num_threads()))
        else:
            self._function(array, int(given["points"]))  # type: ignore[call-overload]


def flat(data: torch.Tensor, lead: int, rank: int, batch: torch.Size, size: int) -> torch.Tensor:
    """``(*lead, *own_batch, *rest)`` as ``(*lead, points or 1, size)``; a lone point stands for all."""
    front, own = data.shape[:lead], data.shape[lead : lead + rank]
    if all(n == 1 for n in own):
        return data.reshape(*front, 1, size)
    padded = data.reshape(*front, *(1,) * (len(batch) - rank), *own, size)
    return padded.expand(*front, *batch, size).reshape(*front, batch.numel(), size)


def view(data: torch.Tensor) -> Words:
    """``([steps,] points or 1, size)`` as a strided view; without steps it is the same at every step."""
    stride = data.stride()
    return [
        data.data_ptr(),
        stride[0] if data.ndim == 3 else 0,
        stride[-2] if data.shape[-2] > 1 else 0,
        stride[-1],
    ]
