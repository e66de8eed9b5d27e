"""Named values as packed vectors, one for each time and specimen, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from neml2.errors import MissingVariable
from neml2.registry import did_you_mean, listing
from neml2.solvers.blocks import joined, parted
from neml2.system import Layout, SubBatches
from neml2.types import TensorWrapper
from neml2.types.shapes import broadcast_shapes

Kinds = Mapping[str, type[TensorWrapper]]


class Assembly:
    """How variables are packed: group after group, and in a group variable after variable.

    In a ``dense`` group a variable is flattened, sub-batch first. A ``block`` group is packed site by site:
    for each site its variables one after another. The sub-batch shapes are those of the values that were
    packed last; before that, what ``settings`` declare.
    """

    def __init__(
        self,
        what: str,
        groups: Sequence[Sequence[str]],
        kinds: Kinds,
        structures: Sequence[str],
        settings: SubBatches | None,
    ) -> None:
        self.what, self.settings, self.structures = what, settings, tuple(structures)
        self.groups = tuple(tuple(g) for g in groups if g)
        self.names = tuple(n for g in self.groups for n in g)
        self.kinds = {n: kinds[n] for n in self.names}
        self.layout = self._layout({n: self._declared(n) or () for n in self.names})

    def _declared(self, name: str) -> tuple[int, ...] | None:
        found = self.settings.sub_batch_shape(name) if self.settings is not None else None
        return None if found is None else tuple(found)

    def _layout(self, shapes: Mapping[str, tuple[int, ...]]) -> Layout:
        return Layout(self.groups, self.kinds, dict(shapes), self.structures)

    @property
    def width(self) -> int:
        """Numbers in a packed vector."""
        return sum(g.length for g in self.layout.groups)

    @property
    def base_width(self) -> int:
        """The same without sub-batches: the sum of the base sizes."""
        return sum(math.prod(k.BASE_SHAPE) for k in self.kinds.values())

    def assemble(self, values: Mapping[str, Any], dynamic_dim: int) -> torch.Tensor:
        """Pack ``values``, each ``(*dynamic, *sub_batch, *base)`` with ``dynamic_dim`` dynamic axes.

        Returns ``(*dynamic, width)`` and keeps the sub-batch shapes as the layout of later evaluations.
        Raises :class:`~neml2.errors.MissingVariable` (a ``KeyError``) for a variable without a value, and
        :class:`ValueError` for shapes that do not fit.
        """
        raw: dict[str, torch.Tensor] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        for n in self.names:
            if n not in values:
                raise MissingVariable(
                    f"no value for the {self.what} variable '{n}'{did_you_mean(n, values)};"
                    f" give {listing(self.names)}"
                )
            raw[n], shapes[n] = self._read(n, values[n], dynamic_dim)
        try:
            dynamic = broadcast_shapes(*[v.shape[:dynamic_dim] for v in raw.values()])
        except RuntimeError:
            told = ", ".join(f"'{n}' {tuple(v.shape[:dynamic_dim])}" for n, v in raw.items())
            raise ValueError(f"the {self.what} variables differ in their first axes: {told}") from None
        self.layout = self._layout(shapes)
        kept = {n: self.kinds[n]._new(v, len(shapes[n])) for n, v in raw.items()}
        return joined(self.layout.flatten(kept, dynamic), self.layout.groups, dynamic)

    def _read(self, name: str, value: Any, dynamic_dim: int) -> tuple[torch.Tensor, tuple[int, ...]]:
        kind, declared = self.kinds[name], self._declared(name)
        if isinstance(value, TensorWrapper) and type(value) is not kind:
            raise TypeError(f"'{name}' is a {type(value).__name__}; give a {kind.__name__}")
        data = value.data if isinstance(value, TensorWrapper) else torch.as_tensor(value)
        inner = data.ndim - len(kind.BASE_SHAPE)
        if inner < dynamic_dim or data.shape[inner:] != kind.BASE_SHAPE:
            axes = ("time", "batch")[-dynamic_dim:] if dynamic_dim <= 2 else ("...",)
            wanted = ", ".join((*axes, "*sub_batch", *map(str, kind.BASE_SHAPE)))
            raise ValueError(
                f"the {self.what} variable '{name}' ({kind.__name__}) has the shape {tuple(data.shape)};"
                f" it must be ({wanted})"
            )
        sub = tuple(data.shape[dynamic_dim:inner])
        if sub == (1,) and declared is None and not kind.BASE_SHAPE:  # (time, batch, 1) is common for scalars
            return data.squeeze(-1), ()
        if declared is not None and sub != declared:
            raise ValueError(
                f"'{name}' has the sub-batch {sub}, but [Settings] declares {declared}; make them agree"
            )
        return data, sub

    def unpack(self, packed: torch.Tensor) -> dict[str, TensorWrapper]:
        """The values in ``(*batch, width)`` by name. Raises :class:`ValueError` for another width."""
        if packed.shape[-1] != self.width:
            raise ValueError(
                f"{self.what} vectors have {packed.shape[-1]} components, but {listing(self.names)} have"
                f" {self.width}; pack them with assemble_{'forces' if self.what == 'force' else self.what}()"
            )
        batch = packed.shape[:-1]
        return self.layout.unflatten(parted(packed, self.layout.groups, batch), batch)

    def variable(self, column: int) -> str:
        """The variable that a column of a packed vector belongs to."""
        marks = [
            torch.full(self.layout.sub_batch[n] + self.kinds[n].BASE_SHAPE, i) for i, n in self._numbered()
        ]
        typed = {
            n: self.kinds[n]._new(m, len(self.layout.sub_batch[n]))
            for (_, n), m in zip(self._numbered(), marks)
        }
        flat = joined(self.layout.flatten(typed, torch.Size()), self.layout.groups, torch.Size())
        return self.names[int(flat[column])]

    def _numbered(self) -> list[tuple[int, str]]:
        return list(enumerate(self.names))
