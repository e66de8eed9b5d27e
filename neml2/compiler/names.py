"""What models call the scalars that they compute."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from neml2.compiler.graph import Node
from neml2.model import Model

_GIVEN = ("const", "input")


@dataclass
class Names:
    """What models call the nodes that they compute.

    ``names`` has a C identifier of each, unlike all others: ``stress_3`` for a component. ``origin`` has the
    type and name of the model.
    """

    names: dict[int, str] = field(default_factory=dict)
    origin: dict[int, str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def give(self, variable: str, nodes: np.ndarray, model: Model, skip: tuple[str, ...] = _GIVEN) -> None:
        """Name the components of ``variable``, row-major, but what has a name and operations to ``skip``."""
        word = re.sub(r"\W", "_", variable)
        word = f"_{word}" if word[0].isdigit() else word
        for k, n in enumerate(nodes.flat):
            if n.index not in self.names and n.op not in skip:
                self.names[n.index] = self._free(f"{word}_{k}" if nodes.ndim else word)
                self.origin[n.index] = f"{model}"

    def follow(self, done: Mapping[int, Node]) -> None:
        """Nodes that have become others, by index, give them their names, if they have none."""
        for k, n in done.items():
            if k in self.names and n.index not in self.names and n.op not in _GIVEN:
                self.names[n.index], self.origin[n.index] = self.names[k], self.origin[k]

    def _free(self, word: str) -> str:
        found, k = word, 2
        while found in self._taken:
            found, k = f"{word}_{k}", k + 1
        self._taken.add(found)
        return found
