"""``[Tensors] type = Python``: expressions interpreted over a table of syntax and names, not by ``eval``."""

from __future__ import annotations

import ast
import builtins
import math
import textwrap
from collections.abc import Iterable
from typing import Any

import torch

import neml2.types
from neml2.hit import vocabulary
from neml2.hit.budget import Budget, Refused, SizeGuard
from neml2.hit.errors import InputError, Where
from neml2.hit.interpreter import Interpreter, Lookup, Scope
from neml2.types import TensorWrapper


def evaluate(
    text: str, where: Where, block: str, others: Iterable[str], lookup: Lookup, trust_input: bool = False
) -> TensorWrapper | torch.Tensor:
    """The tensor that ``text`` describes: one expression, or lines that assign ``result``.

    ``others`` are the names of the other ``[Tensors]`` blocks; ``lookup`` builds one of them. With
    ``trust_input`` the text is run as ordinary Python instead.

    Raises :class:`InputError` (a ``ValueError``): ``[Tensors/x] expr raised NameError: ...``.
    """
    label = f"[Tensors/{block}]"
    form, tree, code = _parsed(text, where, label)
    known = [n for n in others if n != block or n not in vocabulary.names(Budget())]  # [sqrt] may call sqrt
    run = _trusted if trust_input else _interpreted
    try:
        result = run(tree, code, known, lookup)
    except InputError:
        raise  # a block that this one uses failed; the innermost one is the one to repair
    except Refused as error:
        raise InputError(where, f"{label} {form} {error}; {vocabulary.TRUST}") from None
    except RecursionError:
        raise InputError(
            where, f"{label} {form} is nested too deeply; split it into several blocks"
        ) from None
    except Exception as error:
        raise InputError(where, f"{label} {form} raised {type(error).__name__}: {error}") from error
    if result is None and form == "code":
        raise InputError(where, f"{label} code assigns no 'result'; end it with 'result = ...'")
    if not isinstance(result, TensorWrapper | torch.Tensor):
        kind = type(result).__name__
        raise InputError(where, f"{label} {form} gives a {kind}, not a tensor; wrap it, as in Scalar(...)")
    return result


def _parsed(text: str, where: Where, label: str) -> tuple[str, ast.AST, str]:
    first, newline, rest = text.partition("\n")
    code = (first.strip() + newline + textwrap.dedent(rest)).strip()
    try:
        try:
            return "expr", ast.parse(code, "<expr>", "eval").body, code
        except SyntaxError:
            return "code", ast.parse(code, "<expr>", "exec"), code
    except SyntaxError as error:
        if "too many nested" in str(error.msg):
            raise InputError(
                where, f"{label} expr is nested too deeply; split it into several blocks"
            ) from None
        line = f" in line {error.lineno}" if "\n" in code else ""
        raise InputError(where, f"{label} expr raised SyntaxError: {error.msg}{line}") from None
    except (MemoryError, RecursionError, ValueError):
        raise InputError(where, f"{label} expr is nested too deeply; split it into several blocks") from None


def _trusted(tree: ast.AST, code: str, others: list[str], lookup: Lookup) -> Any:
    import numpy

    scope: dict[str, Any] = {n: getattr(neml2.types, n) for n in neml2.types.__all__}
    scope.update(torch=torch, math=math, np=numpy, __builtins__=builtins)
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    scope.update({n: lookup(n) for n in others if n in used})
    if isinstance(tree, ast.expr):
        return eval(compile(code, "<expr>", "eval"), scope)
    exec(compile(code, "<expr>", "exec"), scope)
    return scope.get("result")


def _interpreted(tree: ast.AST, code: str, others: list[str], lookup: Lookup) -> Any:
    del code
    budget = Budget()
    guard = SizeGuard(budget)

    def outside(name: str) -> Any:
        guard.__exit__(None, None, None)  # another block has a budget of its own
        try:
            return lookup(name)
        finally:
            guard.__enter__()

    interpreter = Interpreter(budget, vocabulary.names(budget), others, outside)
    with guard:
        if isinstance(tree, ast.expr):
            return interpreter.value(tree, Scope())
        assert isinstance(tree, ast.Module)
        return interpreter.block(tree.body)
