"""Quantities at points by text: components, invariants, running extremes, arithmetic and comparisons."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from neml2.drivers.results.derived import QUANTITIES
from neml2.drivers.results.layout import mandel_factors
from neml2.errors import MissingVariable
from neml2.registry import did_you_mean, listing
from neml2.types import TensorWrapper

Values = Mapping[str, TensorWrapper]


def component(values: Values, name: str) -> torch.Tensor:
    """A Scalar ``"damage"`` or a physical component ``"stress.xx"``, ``(points, *sub_batch)``.

    Raises :class:`~neml2.errors.MissingVariable` for a name that is not there, :class:`ValueError` for a
    tensor without a component.
    """
    if name in values:
        value = values[name]
        if value.BASE_NDIM:
            raise ValueError(
                f"'{name}' is a {type(value).__name__}; say which component, such as"
                f" '{name}.{value.COMPONENTS[0]}'"
            )
        return value.data
    base, _, label = name.rpartition(".")
    if base not in values:
        near = did_you_mean(base or name, values)
        raise MissingVariable(f"there is no variable '{base or name}'{near}; there are {listing(values, 30)}")
    value = values[base]
    if label not in value.COMPONENTS or not value.BASE_NDIM:
        labels = value.COMPONENTS if value.BASE_NDIM else ()
        mirrored = f"; did you mean '{label[::-1]}'?" if label[::-1] in labels else ""
        raise MissingVariable(
            f"'{base}' is a {type(value).__name__} and has no component '{label}'"
            f"{mirrored or did_you_mean(label, labels)} (it has {listing(labels)})"
        )
    i = value.COMPONENTS.index(label)
    data = value.data.flatten(-value.BASE_NDIM)[..., i]
    factors = mandel_factors(type(value), data)
    return data if factors is None or float(factors[i]) == 1.0 else data / factors[i]


def norm(value: TensorWrapper, other: TensorWrapper | None = None) -> torch.Tensor:
    """The norm of a value, or of its distance to another one, ``(points,)``; of the worst site."""
    size = _size(value.data if other is None else value.data - other.data, value.BASE_NDIM)
    return size.flatten(1).amax(-1) if size.ndim > 1 else size


# ---------------------------------------------------------------------- values at points


class Extremes:
    """The largest value so far, at every point, of quantities that somebody has asked for.

    ``found`` maps the text of a quantity, with ``+`` before it for the largest and ``-`` for the smallest
    value, to ``(points,)``.
    """

    def __init__(self, points: int) -> None:
        self.points = points
        self.found: dict[str, torch.Tensor] = {}

    def before(self, key: str, like: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """What has been found so far at the points ``index``; NaN where nothing has."""
        if key not in self.found:
            self.found[key] = like.new_full((self.points,), torch.nan)
        return self.found[key][index]

    def take(self, view: View) -> None:
        """Let the values of a view count."""
        for key in list(self.found):
            self.found[key][view.index] = view.extreme(key)


class View:
    """The values of some points at one place of their histories, as conditions see them.

    ``view["stress"]`` is typed, ``(points, *sub_batch, *base)``; ``view.component("stress.xx")`` is a tensor
    ``(points,)``, and so is any other text such as ``"von_mises(stress) / 3"``. ``view.peak`` and
    ``view.trough`` are the largest and the smallest value of such a text since the beginning.

    time, cycle
        ``(points,)``; the cycle is that of the row that the points are going to (``None``: not numbered).
    index
        The points, counted in the flattened batch.
    """

    def __init__(
        self,
        values: Values,
        time: torch.Tensor,
        cycle: torch.Tensor | None,
        index: torch.Tensor,
        extremes: Extremes,
    ) -> None:
        self.values, self.time, self.cycle, self.index = values, time, cycle, index
        self._extremes = extremes

    def __getitem__(self, name: str) -> TensorWrapper:
        """A typed value; :class:`~neml2.errors.MissingVariable` if there is none of that name."""
        if name not in self.values:
            raise MissingVariable(
                f"there is no variable '{name}'{did_you_mean(name, self.values)};"
                f" there are {listing(self.values, 30)}"
            )
        return self.values[name]

    def component(self, text: str) -> torch.Tensor:
        """A component, or any expression of variables, ``(points,)``; see :func:`parse`."""
        plain = text in self.values or text.rpartition(".")[0] in self.values
        return self._per_point(self.named(text) if plain else parse(text).value(self), text)

    def peak(self, text: str) -> torch.Tensor:
        """The largest value so far."""
        return self.extreme("+" + text)

    def trough(self, text: str) -> torch.Tensor:
        """The smallest value so far."""
        return self.extreme("-" + text)

    def extreme(self, key: str) -> torch.Tensor:
        """The largest (``"+text"``) or smallest (``"-text"``) value so far."""
        now = self.component(key[1:])
        best = torch.fmax if key[0] == "+" else torch.fmin
        return best(now, self._extremes.before(key, now, self.index))

    def named(self, name: str) -> torch.Tensor:
        """A Scalar, a component, the time or the cycle, ``(points, *sub_batch)``."""
        if name not in self.values and name in ("time", "cycle"):
            if name == "time":
                return self.time
            if self.cycle is None:
                raise ValueError("the history does not number its cycles; give it cycle=...")
            return self.cycle
        return component(self.values, name)

    def _per_point(self, found: torch.Tensor, text: str) -> torch.Tensor:
        if found.ndim > 1:
            raise ValueError(
                f"'{text}' has the sub-batch {tuple(found.shape[1:])}; take its max(...), min(...) or"
                " mean(...)"
            )
        return found.expand(self.index.shape)


# ---------------------------------------------------------------------- texts


@dataclass(frozen=True)
class Expression:
    """A text as a function of a view; ``strict`` where a condition is not met by equality.

    The value of a comparison is positive where it holds: the difference of its two sides. Of ``and`` it is
    the smaller, of ``or`` the larger one.
    """

    text: str
    value: Callable[[View], torch.Tensor]
    condition: bool = False
    strict: bool = False


_cache: dict[str, Expression] = {}


def parse(text: str) -> Expression:
    """An expression or a condition of the variables of a model.

    Numbers, names (``damage``, ``stress.xx``, ``time``, ``cycle``; in quotes where a name is no identifier),
    ``+ - * / **``, comparisons ``< <= > >=``, ``and``, ``or``, and the functions ``abs``, ``sqrt``, ``exp``,
    ``log``, ``min``, ``max``, ``mean`` and ``sum`` (of one argument: over its sub-batch), ``von_mises``,
    ``norm`` and ``trace`` of tensors, ``peak`` and ``trough``: the extremes so far. Nothing else is run.

    Raises :class:`ValueError` for any other text.
    """
    if text not in _cache:
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except SyntaxError as error:
            raise ValueError(
                f"'{text}' is no condition ({error.msg}); write it as 'stress.xx > 300'"
            ) from None
        value, condition, strict = _Reader(text).read(tree)
        _cache[text] = Expression(text, value, condition, strict)
    return _cache[text]


_Read = tuple[Callable[[View], torch.Tensor], bool, bool]  # the value, whether a condition, whether strict
_ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_EACH = {"abs": torch.abs, "sqrt": torch.sqrt, "exp": torch.exp, "log": torch.log}
_SEVERAL = {"max": torch.maximum, "min": torch.minimum}
_SITES: dict[str, Callable[..., torch.Tensor]] = {
    "max": torch.amax,
    "min": torch.amin,
    "mean": torch.mean,
    "sum": torch.sum,
}
_TENSORS = [n for n, q in QUANTITIES.items() if q.arguments == 1 and n != "principal"]
_SO_FAR = {"peak": "+", "trough": "-"}
_FUNCTIONS = [*_EACH, *_SITES, *_TENSORS, *_SO_FAR]


class _Reader:
    """From syntax to a function of a view, node by node of a few kinds."""

    def __init__(self, text: str) -> None:
        self.text = text

    def refuse(self, node: ast.AST, remedy: str) -> ValueError:
        part = ast.get_source_segment(self.text.strip(), node) or type(node).__name__
        return ValueError(f"'{part}' in '{self.text}' cannot be read; {remedy}")

    def read(self, node: ast.expr) -> _Read:
        name = self._name(node)
        if name is not None:
            return (lambda view: view.named(name)), False, False
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            number = float(node.value)  # type: ignore[arg-type]
            return (lambda view: view.time.new_tensor(number)), False, False
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        if isinstance(node, ast.BoolOp):
            return self._both(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = self._number(node.operand)
            return (lambda view: -inner(view)) if isinstance(node.op, ast.USub) else inner, False, False
        if isinstance(node, ast.BinOp):
            return self._arithmetic(node), False, False
        if isinstance(node, ast.Call):
            return self._call(node), False, False
        raise self.refuse(node, "use numbers, variables, + - * / **, comparisons, 'and', 'or' and functions")

    def _name(self, node: ast.expr) -> str | None:
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.Attribute):
            base = self._name(node.value)
            return None if base is None else f"{base}.{node.attr}"
        return None

    def _number(self, node: ast.expr) -> Callable[[View], torch.Tensor]:
        value, condition, _ = self.read(node)
        if condition:
            raise self.refuse(node, "a comparison is no number here")
        return value

    def _comparison(self, node: ast.Compare) -> _Read:
        if len(node.ops) != 1:
            raise self.refuse(node, "compare two sides, and join comparisons with 'and'")
        op = node.ops[0]
        if not isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            raise self.refuse(node, "compare with <, <=, > or >=")
        left, right = self._number(node.left), self._number(node.comparators[0])
        if isinstance(op, ast.Lt | ast.LtE):
            left, right = right, left
        return (lambda view: left(view) - right(view)), True, isinstance(op, ast.Lt | ast.Gt)

    def _both(self, node: ast.BoolOp) -> _Read:
        parts = [self.read(n) for n in node.values]
        for n, part in zip(node.values, parts, strict=True):
            if not part[1]:
                raise self.refuse(n, "'and' and 'or' join comparisons")
        values = [p[0] for p in parts]
        join = torch.minimum if isinstance(node.op, ast.And) else torch.maximum
        return (lambda view: _folded(join, [v(view) for v in values])), True, any(p[2] for p in parts)

    def _arithmetic(self, node: ast.BinOp) -> Callable[[View], torch.Tensor]:
        left = self._number(node.left)
        if isinstance(node.op, ast.Pow):
            right = self._number(node.right)
            # exp and log give the same bits wherever a point lies in memory, which pow does not
            return lambda view: torch.exp(right(view) * torch.log(left(view)))
        if type(node.op) not in _ARITHMETIC:
            raise self.refuse(node, "use + - * / **")
        op, right = _ARITHMETIC[type(node.op)], self._number(node.right)
        return lambda view: op(left(view), right(view))

    def _call(self, node: ast.Call) -> Callable[[View], torch.Tensor]:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _FUNCTIONS or node.keywords or not node.args:
            near = did_you_mean(name, _FUNCTIONS) if name not in _FUNCTIONS else ""
            raise self.refuse(node, f"functions are {listing(_FUNCTIONS, 20)}{near}")
        if len(node.args) > 1 and name not in _SEVERAL:
            raise self.refuse(node, f"{name} takes one argument")
        if name in _TENSORS:
            variable = self._name(node.args[0])
            if variable is None:
                raise self.refuse(node, f"{name} takes the name of a tensor")
            return lambda view: _derived(variable, view[variable], name)
        arguments = [self._number(a) for a in node.args]
        if name in _SO_FAR:
            key = _SO_FAR[name] + ast.unparse(node.args[0])
            return lambda view: view.extreme(key)
        if name in _EACH:
            return lambda view: _EACH[name](arguments[0](view))
        if len(arguments) > 1:
            return lambda view: _folded(_SEVERAL[name], [a(view) for a in arguments])
        return lambda view: _over_sites(name, arguments[0](view))


def _folded(
    join: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], parts: list[torch.Tensor]
) -> torch.Tensor:
    found = parts[0]
    for part in parts[1:]:
        found = join(found, part)
    return found


def _over_sites(name: str, value: torch.Tensor) -> torch.Tensor:
    return _SITES[name](value, tuple(range(1, value.ndim))) if value.ndim > 1 else value


def _size(data: torch.Tensor, base: int) -> torch.Tensor:
    """The Frobenius norm over the last ``base`` axes."""
    if not base:
        return data.abs()
    flat = data.flatten(-base)
    return (flat * flat).sum(-1).sqrt()


def _derived(text: str, value: TensorWrapper, name: str) -> torch.Tensor:
    """A derived quantity; :class:`ValueError` for a tensor that has none."""
    quantity = QUANTITIES[name]
    if type(value) not in quantity.kinds:
        kinds = listing(k.__name__ for k in quantity.kinds)
        raise ValueError(f"{name} is of tensors of type {kinds}, and '{text}' is a {type(value).__name__}")
    return quantity.function(value).data
