"""The text of a kernel: its arguments, its function, and what is put around them for the CPU and for CUDA.

A kernel is a function ``block`` that does all its work for one block of points (the lanes of a vector on
the CPU, one point on a GPU), and a struct ``Arguments`` of views and numbers. The same text is compiled
with ``vector.hpp`` or with ``scalar.hpp``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from neml2.compiler.scope import word

HERE = Path(__file__).parent
# up to here it pays that the compiler schedules before it allocates registers: 5 to 13 % in crystals of 7,000
# lines, while the 7,600 of twelve back stresses lose 18 %
MANY_LINES = 7400
_SCHEDULE = """#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("schedule-insns,sched-pressure")
#endif
"""


@dataclass
class Program:
    """The source of a kernel, without headers: its arguments in order, and its function ``block``."""

    name: str
    fields: dict[str, tuple[str, str]] = field(default_factory=dict)  # key: C++ type, name in C++
    text: str = ""

    def argument(self, kind: str, key: str) -> str:
        """Declare an argument; how the code names it."""
        taken = {name for _, name in self.fields.values()}
        name = word(key)
        while name in taken:
            name += "_"
        self.fields[key] = (kind, name)
        return f"a.{name}"

    def arguments(self) -> str:
        """The struct of arguments."""
        members = "\n".join(f"    {kind} {name};" for kind, name in self.fields.values())
        return f"struct Arguments {{\n{members}\n}};\n"

    def source(self) -> str:
        """The struct of arguments and the function."""
        return (
            f"{self.arguments()}\n// {self.name}\n"
            f"FN void block(const Arguments &a, int64_t p0, int n) {{\n{self.text}\n}}\n"
        )

    def runner(self) -> str:
        """The function that is called from outside."""
        return _CPU

    def for_cpu(self, dtype: str = "double") -> str:
        """The whole source for the CPU; ``dtype`` is that of the arrays, arithmetic is in double."""
        source = self.source()
        schedule = _SCHEDULE if source.count("\n") < MANY_LINES else ""
        parts = [schedule, f"typedef {dtype} T;", header("vector"), header("dense"), source, self.runner()]
        return "\n".join(parts)

    def for_cuda(self, dtype: str = "double") -> str:
        """The whole source for NVRTC."""
        return "\n".join([f"typedef {dtype} T;", header("scalar"), header("dense"), self.source(), _CUDA])


def header(name: str) -> str:
    """The text of a header of this folder."""
    return (HERE / f"{name}.hpp").read_text()


_CPU = """extern "C" void run(const Arguments *a, int64_t threads) {
    parallel((a->points + W - 1) / W, threads, [a](int64_t b) {
        block(*a, b * W, a->points - b * W < W ? (int)(a->points - b * W) : W);
    });
}
"""
_CUDA = """extern "C" __global__ void run(const Arguments a) {
    const int64_t p = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (p < a.points) block(a, p, 1);
}
"""
