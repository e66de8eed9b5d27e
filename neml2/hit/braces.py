"""Replacement of ``${}`` in values."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from neml2.hit.errors import CircularReference, SyntaxProblem, did_you_mean
from neml2.hit.scan import MAX_NESTING

if TYPE_CHECKING:
    from neml2.hit.document import Document, Value

MAX_VALUE = 2**20  # characters of one value after expansion

_BRACE = re.compile(r"\$\{|\}")


class Expansion:
    """Replaces ``${path}``, ``${replace path}``, ``${env NAME}`` and ``${raw a b c}`` in one value."""

    def __init__(self, document: Document, value: Value, path: tuple[Value, ...] = ()) -> None:
        self.document, self.value, self.path = document, value, (*path, value)

    def result(self) -> str:
        raw = self.value.raw
        text = raw[1:-1] if len(raw) > 1 and raw[0] == raw[-1] == "'" else raw
        if "${" in text:
            text, _ = self._replace(text, 0, inside=False)
            self.document.spend(len(text), self.value.where)
        return text

    def _replace(self, text: str, at: int, inside: bool) -> tuple[str, int]:
        parts: list[str] = []
        size = 0
        while True:
            hit = _BRACE.search(text, at)
            if hit is None or (hit[0] == "}" and inside):
                end = hit.start() if hit else len(text)
                return "".join([*parts, text[at:end]]), hit.end() if hit else end
            if hit[0] == "}":
                parts.append(text[at : hit.end()])
                at = hit.end()
                continue
            parts.append(text[at : hit.start()])
            command, at = self._replace(text, hit.end(), inside=True)
            parts.append(self._value_of(command))
            size += len(parts[-1])
            if size > MAX_VALUE:
                self.document.spend(size, self.value.where)

    def _value_of(self, command: str) -> str:
        words = command.split()
        if words[:1] == ["raw"]:
            return "".join(words[1:])
        if words[:1] == ["env"] and len(words) == 2:
            return os.environ.get(words[1], "")
        if words[:1] == ["replace"] and len(words) == 2:
            words = words[1:]
        if len(words) != 1:
            ways = "${path}, ${replace path}, ${env NAME} or ${raw a b}"
            raise SyntaxProblem(self.value.where, f"'${{{command}}}' is not understood; use {ways}")
        return self._look_up(words[0])

    def _look_up(self, path: str) -> str:
        found = self.document.find(path)
        if found is not None and not isinstance(found, type(self.value)):
            raise SyntaxProblem(self.value.where, f"'${{{path}}}' is a section, not a value")
        if found is None:
            known = [f"{b.path}/{v}".lstrip("/") for b in self.document.root.walk() for v in b.values]
            raise SyntaxProblem(
                self.value.where,
                f"'${{{path}}}': no value '{path}' in this input{did_you_mean(path, known)}"
                " (paths start at the top)",
            )
        if found in self.path:
            names = [v.name for v in self.path[self.path.index(found) :]] + [found.name]
            raise CircularReference(self.value.where, f"${{}} goes in a circle: {' -> '.join(names)}")
        if len(self.path) > MAX_NESTING:
            raise SyntaxProblem(
                self.value.where, f"${{}} refers on more than {MAX_NESTING} times; shorten the chain"
            )
        if found.expanded is None:
            found.expanded = Expansion(self.document, found, self.path).result()
        return found.expanded
