"""From source to a kernel on a GPU: NVRTC, a cache by content, one thread for each point.

NVRTC and the driver are called through ``cuda-bindings``, NVIDIA's own, which are imported when the first
kernel is built. A kernel lives in the primary context of its device, the one of torch, and runs on torch's
current stream there. Arguments are passed by value (NVRTC takes 32,764 bytes, a thousand views). Products
and sums are contracted, as they are on the CPU.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from neml2.compiler.build import NoCompiler, cache_directory

OPTIONS = ("--std=c++17", "-w")  # headers have functions that a kernel does not call
# Most kernels take all 255 registers, so 256 threads fill a multiprocessor: blocks of 64 fill it as well as
# larger ones, and spread a small batch over more of them.
THREADS = 64


def function(text: str, device: str = "cuda") -> Callable[[ctypes.Array, int], None]:
    """The kernel of a source on a device: called with the words of its arguments and a number of points.

    It returns when the kernel is in the queue, as torch does. Raises
    :class:`~neml2.compiler.build.NoCompiler`.
    """
    driver, _ = _bindings()
    index = torch.device(device).index
    index = torch.cuda.current_device() if index is None else index
    major, minor = torch.cuda.get_device_capability(index)
    code = machine_code(text, f"sm_{major}{minor}")
    try:
        _ask(driver.cuInit(0))
        context = _ask(driver.cuDevicePrimaryCtxRetain(_ask(driver.cuDeviceGet(index))))
        _ask(driver.cuCtxPushCurrent(context))
        try:
            kernel = _ask(driver.cuModuleGetFunction(_ask(driver.cuModuleLoadData(code)), b"run"))
        finally:
            _ask(driver.cuCtxPopCurrent())
    except RuntimeError as error:
        raise NoCompiler(
            f"cannot load a kernel on cuda:{index} ({error}); update its driver, or use engine='eager'"
        ) from None

    def run(words: ctypes.Array, points: int) -> None:
        if points == 0:
            return
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(words))
        stream = torch.cuda.current_stream(index).cuda_stream
        blocks = -(-points // THREADS)
        _ask(driver.cuCtxPushCurrent(context))  # threads of autograd may have none
        try:
            _ask(
                driver.cuLaunchKernel(
                    kernel, blocks, 1, 1, THREADS, 1, 1, 0, stream, ctypes.addressof(pointers), 0
                )
            )
        finally:
            _ask(driver.cuCtxPopCurrent())

    return run


def machine_code(text: str, architecture: str) -> bytes:
    """The cubin of a source, from the cache or from NVRTC. Raises :class:`~neml2.compiler.build.NoCompiler`.

    It needs no GPU.
    """
    _, nvrtc = _bindings()
    options = (f"--gpu-architecture={architecture}", *OPTIONS)
    version = nvrtc.nvrtcVersion()[1:]
    key = hashlib.sha256("\n".join([text, *options, str(version)]).encode()).hexdigest()[:20]
    folder = cache_directory()
    for found in folder.glob(f"{key}-*.cubin"):
        with suppress(OSError):
            code = found.read_bytes()
            if found.stem == f"{key}-{_digest(code)}":
                return code
            found.unlink()  # damaged
    code = _compiled(nvrtc, text, options)
    with suppress(OSError):  # a full disk: the next process compiles again
        _keep(folder / f"{key}.cu", text.encode())
        _keep(folder / f"{key}-{_digest(code)}.cubin", code)
    return code


def _ask(answer: tuple) -> Any:
    """What a call of the bindings returns behind its result code. Raises :class:`RuntimeError`."""
    if int(answer[0]):
        raise RuntimeError(f"CUDA answered {answer[0].name}")
    return answer[1] if len(answer) > 1 else None


def _bindings() -> tuple[Any, Any]:
    """Driver and NVRTC."""
    try:
        from cuda.bindings import driver, nvrtc

        nvrtc.nvrtcVersion()  # loads its library
    except (ImportError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise NoCompiler(
            f"kernels on a GPU need NVRTC and cuda-bindings ({reason}); run pip install 'neml2[cuda]'"
        ) from None
    return driver, nvrtc


def _compiled(nvrtc: Any, text: str, options: tuple[str, ...]) -> bytes:
    program = _ask(nvrtc.nvrtcCreateProgram(text.encode(), b"kernel.cu", 0, None, None))
    try:
        done = nvrtc.nvrtcCompileProgram(program, len(options), [o.encode() for o in options])
        if int(done[0]):
            log = bytearray(_ask(nvrtc.nvrtcGetProgramLogSize(program)))
            _ask(nvrtc.nvrtcGetProgramLog(program, log))
            lines = log.decode(errors="replace").strip("\0\n ").splitlines() or [done[0].name]
            raise NoCompiler(f"NVRTC could not compile a kernel ({options[0]}): {lines[0]}")
        code = bytearray(_ask(nvrtc.nvrtcGetCUBINSize(program)))
        _ask(nvrtc.nvrtcGetCUBIN(program, code))
        return bytes(code)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _digest(code: bytes) -> str:
    return hashlib.sha256(code).hexdigest()[:12]


def _keep(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        made = Path(work) / "made"
        made.write_bytes(content)
        os.replace(made, path)
