"""A GPU that is none: bindings that take what those of CUDA take, and run the text on the CPU."""

from __future__ import annotations

import ctypes
from enum import IntEnum
from types import SimpleNamespace

import pytest
import torch

from neml2.compiler import cuda
from neml2.compiler.build import library

SOURCE = """struct Index {{ unsigned x; }};
static Index blockIdx, blockDim, threadIdx;
#define __global__
{text}
extern "C" void launch(unsigned blocks, unsigned threads, void **parameters) {{
    blockDim.x = threads;
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x)
        for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x) run(*(const Arguments *)parameters[0]);
}}
"""
STREAM = 5


class Code(IntEnum):
    FINE = 0
    INVALID_ARCHITECTURE = 5
    COMPILATION = 6
    INVALID_IMAGE = 200
    INVALID_VALUE = 1
    NO_CONTEXT = 201


class Nvrtc:
    """The text is its own machine code; one that holds ``#error`` is refused."""

    def __init__(self):
        self.compiled = []
        self.log = b""

    def nvrtcVersion(self):
        return Code.FINE, 13, 5

    def nvrtcCreateProgram(self, text, name, count, headers, names):
        return Code.FINE, SimpleNamespace(text=text, name=name)

    def nvrtcCompileProgram(self, program, count, options):
        assert count == len(options)
        self.compiled.append(options)
        if b"#error" in program.text:
            self.log = b'kernel.cu(1): error: #error directive: "no"\n1 error detected in the compilation\n\0'
            return (Code.COMPILATION,)
        return (Code.FINE,)

    def nvrtcGetProgramLogSize(self, program):
        return Code.FINE, len(self.log)

    def nvrtcGetProgramLog(self, program, log):
        log[:] = self.log
        return (Code.FINE,)

    def nvrtcGetCUBINSize(self, program):
        return Code.FINE, len(program.text)

    def nvrtcGetCUBIN(self, program, code):
        code[:] = program.text
        return (Code.FINE,)

    def nvrtcDestroyProgram(self, program):
        return (Code.FINE,)


class Driver:
    """Contexts are numbers, one for each device; ``launches`` tells what was launched, and where."""

    def __init__(self):
        self.stack = []
        self.launches = []

    def cuInit(self, flags):
        return (Code.FINE,)

    def cuDeviceGet(self, index):
        return Code.FINE, index

    def cuDevicePrimaryCtxRetain(self, device):
        return Code.FINE, 100 + device

    def cuCtxPushCurrent(self, context):
        self.stack.append(context)
        return (Code.FINE,)

    def cuCtxPopCurrent(self):
        return Code.FINE, self.stack.pop()

    def cuModuleLoadData(self, code):
        if not self.stack:
            return (Code.NO_CONTEXT, None)
        if b"__global__" not in code:
            return (Code.INVALID_IMAGE, None)
        return Code.FINE, library(SOURCE.format(text=code.decode()))[1]

    def cuModuleGetFunction(self, module, name):
        assert name == b"run"
        return Code.FINE, (module.launch, self.stack[-1])

    def cuLaunchKernel(self, kernel, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra):
        launch, context = kernel
        if not self.stack or self.stack[-1] != context:
            return (Code.NO_CONTEXT,)
        if gx < 1 or bx > 1024 or (gy, gz, by, bz, shared, extra) != (1, 1, 1, 1, 0, 0):
            return (Code.INVALID_VALUE,)
        self.launches.append((context, stream, gx, bx))
        launch(ctypes.c_uint(gx), ctypes.c_uint(bx), ctypes.c_void_p(parameters))
        return (Code.FINE,)


def emulate(patch: pytest.MonkeyPatch) -> tuple[Driver, Nvrtc]:
    """Two GPUs of architecture 9.0, the first one current."""
    driver, nvrtc = Driver(), Nvrtc()
    patch.setattr(cuda, "_bindings", lambda: (driver, nvrtc))
    patch.setattr(torch.cuda, "current_device", lambda: 0)
    patch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0))
    patch.setattr(torch.cuda, "current_stream", lambda index: SimpleNamespace(cuda_stream=STREAM + index))
    return driver, nvrtc
