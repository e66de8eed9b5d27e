"""Models joined by variable name, in the order in which they depend on one another."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from neml2.context import DEFAULT, Context
from neml2.fields import Dependency, Option
from neml2.model import Model
from neml2.registry import did_you_mean, listing
from neml2.types import TensorWrapper

_LEVELS = {"low": 0, None: 1, "high": 2}


class DependencyResolver:
    """Orders models so that every variable is computed before it is read.

    A model depends on the models that compute its inputs. When several compute the same variable their
    declared priorities must differ: the low one runs first and the high one last, so the high one wins. A
    model that reads and computes the same variable does not depend on itself. Ties keep the given order.
    """

    def __init__(self, models: Iterable[Model] = ()) -> None:
        self.models: list[Model] = []
        for model in models:
            self.add_node(model)

    def add_node(self, model: Model) -> None:
        """Add a model; adding it twice changes nothing."""
        if not any(m is model for m in self.models):
            self.models.append(model)

    def resolve(self) -> list[Model]:
        """The models in the order of execution.

        Raises :class:`ValueError` when two models of the same priority compute the same variable, when a
        variable is computed as one type and read as another, or for a cycle, whose path it prints.
        """
        providers = self._providers()
        before: dict[int, dict[int, str]] = {i: {} for i in range(len(self.models))}
        for i, model in enumerate(self.models):
            for variable, kind in model.input_spec.items():
                for j in providers.get(variable, ()):
                    made = self.models[j].output_spec[variable]
                    if made is not kind:
                        raise ValueError(
                            f"'{variable}' is computed by {self.models[j]} as {made.__name__},"
                            f" but {model} reads it as {kind.__name__}"
                        )
                    if j != i and not self._runs_after(j, i, variable):
                        before[i].setdefault(j, variable)
        for variable, chain in providers.items():
            for earlier, later in zip(chain, chain[1:], strict=False):
                before[later].setdefault(earlier, variable)
        return self._sorted(before)

    def _providers(self) -> dict[str, list[int]]:
        providers: dict[str, list[int]] = {}
        for i, model in enumerate(self.models):
            for variable in model.output_spec:
                providers.setdefault(variable, []).append(i)
        for variable, chain in providers.items():
            chain.sort(key=lambda i: self._level(i, variable))
            for i, j in zip(chain, chain[1:], strict=False):
                if self._level(i, variable) == self._level(j, variable):
                    raise ValueError(
                        f"'{variable}' is computed by both {self.models[i]} and {self.models[j]};"
                        f" rename one of the two outputs"
                    )
        return providers

    def _level(self, i: int, variable: str) -> int:
        return _LEVELS[self.models[i].priorities.get(variable)]

    def _runs_after(self, j: int, i: int, variable: str) -> bool:
        """Whether model ``j`` recomputes a variable that ``i`` itself computes at a lower priority."""
        return variable in self.models[i].output_spec and self._level(j, variable) > self._level(i, variable)

    def _sorted(self, before: Mapping[int, Mapping[int, str]]) -> list[Model]:
        after: dict[int, list[int]] = {i: [] for i in before}
        waiting = {i: len(needs) for i, needs in before.items()}
        for i, needs in before.items():
            for j in needs:
                after[j].append(i)
        # breadth first: a model's generation is one more than that of the last model it waits for
        ready = [(0, i) for i, count in waiting.items() if count == 0]
        heapq.heapify(ready)
        order: list[Model] = []
        done = set()
        while ready:
            generation, i = heapq.heappop(ready)
            order.append(self.models[i])
            done.add(i)
            for k in after[i]:
                waiting[k] -= 1
                if waiting[k] == 0:
                    heapq.heappush(ready, (generation + 1, k))
        if len(order) < len(self.models):
            raise ValueError(f"the models depend on one another in a circle: {self._cycle(before, done)}")
        return order

    def _cycle(self, before: Mapping[int, Mapping[int, str]], done: set[int]) -> str:
        path = [next(i for i in before if i not in done)]
        while path[-1] not in path[:-1]:
            path.append(next(j for j in before[path[-1]] if j not in done))
        loop = path[path.index(path[-1]) :]
        arrows = [f"{self.models[i].name or self.models[i]}" for i in reversed(loop)]
        names = [before[i][j] for i, j in zip(loop, loop[1:], strict=False)][::-1]
        return arrows[0] + "".join(f" -({n})-> {a}" for n, a in zip(names, arrows[1:], strict=True))

    def inbound_items(self, order: Sequence[Model]) -> dict[str, type[TensorWrapper]]:
        """Variables that are read before any model computes them, in the order of first reading."""
        made: set[str] = set()
        found: dict[str, type[TensorWrapper]] = {}
        for model in order:
            for variable, kind in model.input_spec.items():
                if variable not in made and found.setdefault(variable, kind) is not kind:
                    raise ValueError(
                        f"'{variable}' is read as {found[variable].__name__}"
                        f" and, by {model}, as {kind.__name__}"
                    )
            made.update(model.output_spec)
        return found

    def outbound_items(
        self, order: Sequence[Model], additional: Sequence[str] | None = None
    ) -> dict[str, type[TensorWrapper]]:
        """Variables whose last value no later model reads, then the ``additional`` ones.

        Raises :class:`ValueError` for an additional variable that nothing computes.
        """
        last: dict[str, int] = {}
        kinds: dict[str, type[TensorWrapper]] = {}
        for i, model in enumerate(order):
            for variable, kind in model.output_spec.items():
                last[variable] = i
                kinds.setdefault(variable, kind)
        found = {
            variable: kind
            for variable, kind in kinds.items()
            if not any(variable in m.input_spec for m in order[last[variable] + 1 :])
        }
        for variable in additional or ():
            if variable not in kinds:
                raise ValueError(
                    f"additional_outputs: no model computes '{variable}'{did_you_mean(variable, kinds)}"
                    f" (computed are {listing(kinds)})"
                )
            found.setdefault(variable, kinds[variable])
        return found


class ComposedModel(Model):
    """Several models as one: outputs of one feed the inputs of others by name.

    The models that wired parameters refer to are added automatically. Inputs are the variables that no
    earlier model computes; outputs are those that no later model reads, and ``additional_outputs``.
    """

    models: list[Model] = Dependency("Models", "The models to join", many=True)
    additional_outputs: list[str] = Option(
        "Variables to return although another of the models reads them", default=[], many=True
    )

    RETURNS_TUPLE = True

    def __init__(self, models: Sequence[Model] | Any = (), *, name: str = "", **given: Any) -> None:
        joined = list(models) if isinstance(models, Iterable) else [models]
        super().__init__(models=joined, name=name, **given)
        resolver = DependencyResolver()
        for model in with_providers(self.__dict__.pop("models")):
            resolver.add_node(model)
        try:
            self._order = resolver.resolve()
            self.input_spec = resolver.inbound_items(self._order)
            self.output_spec = resolver.outbound_items(self._order, self.additional_outputs)
        except ValueError as error:
            raise ValueError(f"{self._label()}: {error}") from None
        required: set[str] = set()
        computed: set[str] = set()
        for model in self._order:  # a value that one model can do without may be needed by another
            required |= {n for n in model.input_spec if n not in {*model.optional_inputs, *computed}}
            computed |= set(model.output_spec)
        self.optional_inputs = frozenset(n for n in self.input_spec if n not in required)
        add_children(self, self._order)
        self.priorities = {}

    @property
    def models_in_order(self) -> tuple[Model, ...]:
        """The models in the order of their execution."""
        return tuple(self._order)

    def evaluate(
        self, values: Mapping[str, TensorWrapper], context: Context = DEFAULT
    ) -> dict[str, TensorWrapper]:
        pool = dict(values)
        for model in self._order:
            pool.update(model.evaluate(pool, context))
        return {n: pool[n] for n in self.output_spec}


def with_providers(models: Iterable[Model]) -> list[Model]:
    """The models and, recursively, the models that their wired parameters refer to, each once."""
    found: list[Model] = []
    queue = list(models)
    while queue:
        model = queue.pop(0)
        if not any(m is model for m in found):
            found.append(model)
            queue.extend(model.providers)
    return found


def add_children(parent: Model, models: Iterable[Model], fallback: str = "_child_{}") -> None:
    """Register ``models`` as submodules by their names, or as ``fallback`` where that is not possible."""
    for i, model in enumerate(models):
        taken = not model.name.isidentifier() or hasattr(parent, model.name)
        parent.add_module(fallback.format(i) if taken else model.name, model)
