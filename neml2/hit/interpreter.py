"""The interpreter of ``[Tensors]`` expressions: what it has no method for is not allowed."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from neml2.hit import vocabulary
from neml2.hit.budget import MAX_BITS, MAX_DEPTH, Budget, Refused
from neml2.hit.errors import did_you_mean

Lookup = Callable[[str], Any]


class Scope:
    """Local names, with those of the surrounding scope behind them."""

    def __init__(self, names: Mapping[str, Any] | None = None, outer: Scope | None = None) -> None:
        self.names = dict(names or {})
        self.outer = outer

    def holder(self, name: str) -> Scope | None:
        """The scope that has ``name``."""
        at: Scope | None = self
        while at is not None and name not in at.names:
            at = at.outer
        return at


class Lambda:
    """A function written in an expression."""

    def __init__(self, node: ast.Lambda, defaults: list[Any], scope: Scope) -> None:
        self.node, self.scope = node, scope
        self.parameters = [a.arg for a in node.args.args]
        self.defaults = dict(zip(self.parameters[len(self.parameters) - len(defaults) :], defaults))

    def bind(self, args: list[Any], kwargs: dict[str, Any]) -> Scope:
        """The scope in which the body is evaluated for these arguments."""
        given = dict(zip(self.parameters, args))
        extra = [n for n in kwargs if n not in self.parameters or n in given]
        missing = [n for n in self.parameters if n not in {**given, **kwargs, **self.defaults}]
        if extra or missing or len(args) > len(self.parameters):
            raise TypeError(f"lambda takes ({', '.join(self.parameters)}); wrong or missing arguments")
        return Scope({**self.defaults, **given, **kwargs}, self.scope)


class Interpreter:
    """Evaluates syntax trees; what has no method ``_Node`` here is not allowed."""

    def __init__(self, budget: Budget, known: dict[str, Any], others: list[str], lookup: Lookup) -> None:
        self.budget, self.known, self.others, self.lookup = budget, known, set(others), lookup
        self.depth = 0

    def value(self, node: ast.AST, scope: Scope) -> Any:
        """The value of an expression."""
        self.budget.step()
        method = getattr(self, f"_{type(node).__name__}", None)
        if method is None:
            raise Refused(f"uses {_called(node)}, which is not allowed in input files")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Refused(f"is nested more than {MAX_DEPTH} deep")
        try:
            return method(node, scope)
        finally:
            self.depth -= 1

    def block(self, body: list[ast.stmt]) -> Any:
        """The value of ``result`` after the statements, or of a last line that is an expression."""
        scope = Scope()
        last = body[-1] if body else None
        self._run(body[:-1] if isinstance(last, ast.Expr) else body, scope)
        if isinstance(last, ast.Expr):
            return self.value(last.value, scope)
        return scope.names.get("result")

    # ---------------------------------------------------------------- statements

    def _run(self, body: list[ast.stmt], scope: Scope) -> None:
        for node in body:
            self.budget.step()
            if isinstance(node, ast.Assign):
                value = self.value(node.value, scope)
                for target in node.targets:
                    self._assign(target, value, scope)
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                old = self._Name(node.target, scope)
                scope.names[node.target.id] = self._binary(node.op, old, self.value(node.value, scope))
            elif isinstance(node, ast.For) and not node.orelse:
                for item in self._items(self.value(node.iter, scope)):
                    self._assign(node.target, item, scope)
                    self._run(node.body, scope)
            elif isinstance(node, ast.If):
                self._run(node.body if self.value(node.test, scope) else node.orelse, scope)
            elif isinstance(node, ast.Expr) and _is_append(node.value):
                self.value(node.value, scope)
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue  # a comment written as a string
            elif isinstance(node, ast.Expr):
                raise Refused(f"does not use the value of line {node.lineno}; assign it to a name")
            elif not isinstance(node, ast.Pass):
                raise Refused(f"uses {_called(node)}, which is not allowed in input files")

    def _assign(self, target: ast.expr, value: Any, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            scope.names[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            values = self._items(value)
            if len(values) != len(target.elts):
                raise ValueError(f"{len(target.elts)} names for {len(values)} values")
            for t, v in zip(target.elts, values):
                self._assign(t, v, scope)
        else:
            raise Refused(
                "writes into an existing value; build a new one with torch.where, torch.cat or torch.stack"
            )

    # ---------------------------------------------------------------- expressions

    def _Constant(self, node: ast.Constant, scope: Scope) -> Any:
        del scope
        if isinstance(node.value, bytes | complex):
            raise Refused(f"uses {_called(node)}, which is not allowed in input files")
        return node.value

    def _Name(self, node: ast.Name, scope: Scope) -> Any:
        holder = scope.holder(node.id)
        if holder is not None:
            return holder.names[node.id]
        if node.id in self.others:
            return self.lookup(node.id)
        if node.id in self.known:
            return self.known[node.id]
        raise NameError(
            f"name '{node.id}' is not defined{did_you_mean(node.id, [*self.others, *self.known])}"
        )

    def _Attribute(self, node: ast.Attribute, scope: Scope) -> Any:
        return vocabulary.attribute(self.value(node.value, scope), node.attr, self.budget)

    def _Call(self, node: ast.Call, scope: Scope) -> Any:
        function = self.value(node.func, scope)
        args: list[Any] = []
        for a in node.args:
            args.extend(
                self._items(self.value(a.value, scope))
                if isinstance(a, ast.Starred)
                else [self.value(a, scope)]
            )
        if any(k.arg is None for k in node.keywords):
            raise Refused("uses '**', which is not allowed in input files")
        kwargs = {str(k.arg): self.value(k.value, scope) for k in node.keywords}
        if isinstance(function, Lambda):
            return self.value(function.node.body, function.bind(args, kwargs))
        if isinstance(function, vocabulary.Function):
            return function(*args, **kwargs)
        if vocabulary.is_kind(function):
            return vocabulary.Function(function.__name__, function, self.budget)(*args, **kwargs)
        raise TypeError(f"{ast.unparse(node.func)} is a {type(function).__name__} and cannot be called")

    def _Subscript(self, node: ast.Subscript, scope: Scope) -> Any:
        value, key = self.value(node.value, scope), self.value(node.slice, scope)
        if isinstance(value, type | vocabulary.Function):
            raise TypeError(f"{ast.unparse(node.value)} cannot be indexed")
        return value[key]

    def _Slice(self, node: ast.Slice, scope: Scope) -> slice:
        return slice(
            *[None if n is None else self.value(n, scope) for n in (node.lower, node.upper, node.step)]
        )

    def _Tuple(self, node: ast.Tuple, scope: Scope) -> tuple:
        return tuple(self._List(node, scope))

    def _List(self, node: ast.List | ast.Tuple, scope: Scope) -> list:
        made: list[Any] = []
        for n in node.elts:
            made.extend(
                self._items(self.value(n.value, scope))
                if isinstance(n, ast.Starred)
                else [self.value(n, scope)]
            )
        return made

    def _UnaryOp(self, node: ast.UnaryOp, scope: Scope) -> Any:
        return _UNARY[type(node.op)](self.value(node.operand, scope))

    def _BinOp(self, node: ast.BinOp, scope: Scope) -> Any:
        return self._binary(node.op, self.value(node.left, scope), self.value(node.right, scope))

    def _binary(self, op: ast.operator, a: Any, b: Any) -> Any:
        if isinstance(a, str | vocabulary.Function) or isinstance(b, str | vocabulary.Function):
            raise TypeError(f"cannot compute with {a!r} and {b!r}")
        if isinstance(a, list | tuple) or isinstance(b, list | tuple):
            self.budget.sequence(_joined_length(op, a, b))
        if isinstance(a, int) and isinstance(b, int):
            grown = {ast.Mult: a.bit_length() + b.bit_length(), ast.LShift: a.bit_length() + max(b, 0)}
            if grown.get(type(op), 0) > MAX_BITS:
                raise Refused(
                    "makes an integer that is too large; write it as a decimal number, such as 1e30"
                )
        return _BINARY[type(op)](a, b)

    def _BoolOp(self, node: ast.BoolOp, scope: Scope) -> Any:
        stop = isinstance(node.op, ast.Or)
        value = None
        for n in node.values:
            value = self.value(n, scope)
            if bool(value) is stop:
                break
        return value

    def _Compare(self, node: ast.Compare, scope: Scope) -> Any:
        left, result = self.value(node.left, scope), True
        for op, n in zip(node.ops, node.comparators):
            right = self.value(n, scope)
            result = _COMPARE[type(op)](left, right)
            if len(node.ops) > 1 and not result:
                break
            left = right
        return result

    def _IfExp(self, node: ast.IfExp, scope: Scope) -> Any:
        return self.value(node.body if self.value(node.test, scope) else node.orelse, scope)

    def _Lambda(self, node: ast.Lambda, scope: Scope) -> Lambda:
        a = node.args
        if a.vararg or a.kwarg or a.kwonlyargs or a.posonlyargs:
            raise Refused("uses a lambda with '*', which is not allowed in input files")
        return Lambda(node, [self.value(d, scope) for d in a.defaults], scope)

    def _ListComp(self, node: ast.ListComp | ast.GeneratorExp, scope: Scope) -> list:
        made: list[Any] = []

        def loop(level: int, inner: Scope) -> None:
            if level == len(node.generators):
                made.append(self.value(node.elt, inner))
                return
            generator = node.generators[level]
            for item in self._items(self.value(generator.iter, inner)):
                here = Scope(outer=inner)
                self._assign(generator.target, item, here)
                if all(self.value(test, here) for test in generator.ifs):
                    loop(level + 1, here)

        loop(0, scope)
        return made

    _GeneratorExp = _ListComp

    def _items(self, x: Any) -> list:
        return vocabulary.items(x, self.budget)


def _joined_length(op: ast.operator, a: Any, b: Any) -> int:
    if isinstance(op, ast.Mult):
        sequence, count = (a, b) if isinstance(a, list | tuple) else (b, a)
        return len(sequence) * max(count, 0) if isinstance(count, int) else len(sequence)
    return sum(len(x) for x in (a, b) if isinstance(x, list | tuple))


def _is_append(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append"


def _called(node: ast.AST) -> str:
    text = ast.unparse(node).partition("\n")[0]
    return f"'{text[:40]}...'" if len(text) > 43 else f"'{text}'"


_UNARY: dict[type, Callable] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}
_BINARY: dict[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: vocabulary.power,
    ast.MatMult: operator.matmul,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_COMPARE: dict[type, Callable] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
