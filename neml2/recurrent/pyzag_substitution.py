"""Forward substitution through the blocks of a chunk: in a kernel, or in three torch calls."""
# mypy: disable-error-code="import-untyped,import-not-found"

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from pyzag.chunktime import BidiagonalThomasFactorization
from pyzag.operators.base import BlockVector
from pyzag.operators.dense import DenseBlockVector

from neml2.compiler.build import NoCompiler
from neml2.compiler.launch import Launcher, Words, view
from neml2.compiler.program import Program

LARGEST = 32  # unknowns whose matrix stays in the fastest cache


class Substitution(BidiagonalThomasFactorization):
    r"""Solves :math:`A_k x_k + B_{k-1} x_{k-1} = v_k` for one ``k`` after the other, all specimens at once.

    Where autograd looks on, it is pyzag's own factorization.
    """

    def matvec(self, v: BlockVector) -> BlockVector:
        """The solution for the right-hand side ``v``, ``(m, batch, n)``."""
        a, b = self.A.data, self.B.data
        if torch.is_grad_enabled() and any(t.requires_grad for t in (a, b, v.data)):
            return super().matvec(v)  # in-place work cannot be differentiated
        return DenseBlockVector(self._solve(a, b, v.data))

    @staticmethod
    def _solve(a: torch.Tensor, b: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        lu, pivots, _ = torch.linalg.lu_factor_ex(a)
        x = torch.linalg.lu_solve(lu, pivots, v.unsqueeze(-1))
        if len(x) > 1:
            carry = torch.linalg.lu_solve(lu[1:], pivots[1:], b)
            rows = x.unbind(0)
            for c, before, row in zip(carry.unbind(0), rows, rows[1:], strict=False):
                row.baddbmm_(c, before, alpha=-1)
        return x.squeeze(-1)


class NativeSubstitution(Substitution):
    """The same in a kernel, which factors and substitutes in one pass over the memory."""

    @staticmethod
    def _solve(a: torch.Tensor, b: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        n = v.shape[-1]
        if n > LARGEST or a.device.type != "cpu" or a.dtype not in (torch.float64, torch.float32):
            return Substitution._solve(a, b, v)
        try:
            launcher = _launcher(n, a.dtype)
        except NoCompiler:  # the model has told that
            return Substitution._solve(a, b, v)
        x = torch.empty_like(v, memory_format=torch.contiguous_format)
        launcher.run(
            {
                "points": v.shape[1],
                "times": len(v),
                "a": _matrices(a),
                "b": _matrices(b),
                "a_row": a.stride(-2),
                "a_column": a.stride(-1),
                "b_row": b.stride(-2),
                "b_column": b.stride(-1),
                "v": view(v),
                "x": view(x),
            }
        )
        return x


def substitution(inverse_operator: Callable, native: bool) -> Callable:
    """The factorization that is used for the one asked for: the same method, with less overhead."""
    if inverse_operator is not BidiagonalThomasFactorization:
        return inverse_operator
    return NativeSubstitution if native else Substitution


def _matrices(data: torch.Tensor) -> Words:
    """``(m, batch, n, n)`` with entries counted in numbers: rows and columns have strides of their own."""
    step, point = data.stride()[:2]
    return [data.data_ptr(), step, point if data.shape[1] > 1 else 0, 1]


@lru_cache
def _launcher(n: int, dtype: torch.dtype) -> Launcher:
    """Built. Raises :class:`~neml2.compiler.build.NoCompiler`."""
    program = Program(f"forward substitution with blocks of {n}")
    for name in ("points", "times", "a_row", "a_column", "b_row", "b_column"):
        program.argument("int64_t", name)
    for kind, name in (("View", "a"), ("View", "b"), ("View", "v"), ("Out", "x")):
        program.argument(kind, name)
    program.text = f"""    V x[{n}];
    for (int64_t k = 0; k < a.times; ++k) {{
        V s[{n}][{n + 1}];
        for (int i = 0; i < {n}; ++i) {{
            V r = load(a.v, k, p0, n, i);
            for (int j = 0; j < {n}; ++j) {{
                s[i][j] = load(a.a, k, p0, n, i * a.a_row + j * a.a_column);
                if (k) r -= load(a.b, k - 1, p0, n, i * a.b_row + j * a.b_column) * x[j];
            }}
            s[i][{n}] = r;
        }}
        solve<{n}, 1>(s);
        for (int i = 0; i < {n}; ++i) {{
            x[i] = s[i][{n}];
            store(a.x, k, p0, n, i, x[i]);
        }}
    }}"""
    return Launcher(program, dtype).build()
