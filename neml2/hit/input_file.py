"""The contents of an input file: objects that are built when they are first asked for, each once."""

from __future__ import annotations

import importlib
import keyword
import os
import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any

import neml2.types
from neml2 import registry
from neml2.hit import builder, csv, expressions
from neml2.hit.document import Block, Document, Value
from neml2.hit.errors import (
    CircularReference,
    InputError,
    InputErrors,
    SyntaxProblem,
    UnknownName,
    did_you_mean,
    listing,
    nearest,
)
from neml2.hit.settings import Settings, read_settings
from neml2.hit.supply import base, supplied_names
from neml2.model import Model
from neml2.registry import SECTIONS, Entry

CATALOGUE = (  # what has to be imported so that every type is known
    "neml2.data",
    "neml2.models",
    "neml2.composed",
    "neml2.gradient",
    "neml2.implicit",
    "neml2.predictors",
    "neml2.system",
    "neml2.solvers",
    "neml2.solvers.schur",
    "neml2.solvers.krylov",
    "neml2.drivers",
    "neml2.hit.tensors",
)
TENSOR_OPTIONS = {"Python": ("expr",), **dict.fromkeys(csv.KINDS, ("csv_file", "variable", "column_names"))}

MAX_DEPTH = 50  # of blocks that refer to blocks: Python's own recursion limit is 1000 frames
ENOUGH = 100  # errors after which checking stops

Key = tuple[str, str]


class InputFile:
    """What an input file defines.

    Objects are built on the first request and kept: the same block asked for twice is the same object.
    Every getter raises :class:`~neml2.hit.errors.InputError` (a ``ValueError``), which says file, line and
    column; :meth:`check` builds everything and reports all errors at once.
    """

    def __init__(self, document: Document, trust_input: bool = False) -> None:
        load_catalogue()
        self.document = document
        self.trust_input = trust_input
        self._made: dict[Key, Any] = {}
        self._failed: dict[Key, InputError] = {}
        self._stack: list[Key] = []
        self._users: dict[Key, set[Key]] = {}  # who was built upon a block
        self._pending: list[tuple[Key, str, Callable[[], InputError]]] = []
        self._lock = threading.RLock()
        stray = document.stray()
        if stray or document.problems:
            # what a misspelt section holds is missing everywhere else: no use to say so
            further = [] if stray else self.errors()
            raise InputErrors(_sorted([*document.problems, *stray, *further]))

    def __repr__(self) -> str:
        counts = [f"{len(self.names(s))} in [{s}]" for s in SECTIONS if self.names(s)]
        return f"InputFile({self.document.file}: {listing(counts)})"

    # ---------------------------------------------------------------- getters

    def get_model(self, name: str) -> Model:
        """The model ``[Models/name]``."""
        return self.get("Models", name)

    def get_solver(self, name: str) -> Any:
        """The solver ``[Solvers/name]``."""
        return self.get("Solvers", name)

    def get_equation_system(self, name: str) -> Any:
        """The system ``[EquationSystems/name]``."""
        return self.get("EquationSystems", name)

    def get_data(self, name: str) -> Any:
        """The shared data ``[Data/name]``."""
        return self.get("Data", name)

    def get_driver(self, name: str) -> Any:
        """The driver ``[Drivers/name]``."""
        return self.get("Drivers", name)

    def get_tensor(self, name: str) -> Any:
        """The value of ``[Tensors/name]``: a typed tensor or a ``torch.Tensor``."""
        return self.get("Tensors", name)

    def has_model(self, name: str) -> bool:
        """Whether there is a block ``[Models/name]``."""
        return self.has("Models", name)

    def has_tensor(self, name: str) -> bool:
        """Whether there is a block ``[Tensors/name]``."""
        return self.has("Tensors", name)

    def has(self, section: str, name: str) -> bool:
        """Whether there is a block ``[section/name]``."""
        return name in self.document.section(section).blocks

    def names(self, section: str) -> list[str]:
        """The names of the blocks of a section, in the order of the file."""
        return list(self.document.section(section).blocks)

    @cached_property
    def settings(self) -> Settings:
        """What ``[Settings]`` declares."""
        return read_settings(self.document.section("Settings"))

    def fact(self, name: str) -> Any:
        """Something of the file itself: its ``settings``, ``directory``, ``text``, or itself as ``file``."""
        facts: dict[str, Callable[[], Any]] = {
            "settings": lambda: self.settings,
            "directory": lambda: self.document.folder,
            "text": lambda: self.document.text,
            "file": lambda: self,
        }
        return facts[name]()

    # ---------------------------------------------------------------- building

    def get(self, section: str, name: str) -> Any:
        """The object of the block ``[section/name]``."""
        key = (section, name)
        with self._lock:
            if self._stack:
                self._users.setdefault(key, set()).add(self._stack[-1])
            if key in self._failed:
                raise self._failed[key]
            if key in self._made:
                return self._made[key]
            if key in self._stack:
                raise self._circle(key)
            if len(self._stack) >= MAX_DEPTH:
                where = self.document.section(section).blocks[name].where if self.has(section, name) else ""
                raise InputError(
                    where, f"[{section}/{name}] lies more than {MAX_DEPTH} references deep; flatten it"
                )
            self._stack.append(key)
            try:
                self._made[key] = self._build(section, name)
            except InputError as error:
                if not isinstance(error, CircularReference) or len(self._stack) == 1:
                    self._failed[key] = error
                raise
            finally:
                self._stack.pop()
            if not self._stack:
                self._settle()
            if key in self._failed:
                raise self._failed[key]
            return self._made[key]

    def _build(self, section: str, name: str) -> Any:
        block = self.document.section(section).blocks.get(name)
        if block is None:
            near = did_you_mean(name, self.names(section)) or f"; there are {listing(self.names(section))}"
            raise UnknownName(
                self.document.file,
                f"No [{section}/{name}] found in {self.document.file}{near}",
            )
        if keyword.iskeyword(name) and section != "Tensors":
            raise InputError(
                block.where, f"[{block.path}]: '{name}' is a keyword of Python; give the block another name"
            )
        kind = self._type(block)
        if section == "Tensors" and kind.text in TENSOR_OPTIONS:
            return self._tensor(block, kind.text)
        return builder.build(self, self._entry(section, block, kind), block)

    def _type(self, block: Block) -> Value:
        kind = block.values.get("type")
        if kind is None:
            slip = nearest("type", block.values)
            where = block.values[slip].where if slip else block.where
            hint = f", but '{slip}'; did you mean 'type'?" if slip else "; say what it is"
            raise SyntaxProblem(where, f"[{block.path}] has no parameter 'type'{hint}")
        return kind

    def _entry(self, section: str, block: Block, kind: Value) -> Entry:
        known = [e.name for e in registry.entries(section)] + (
            list(TENSOR_OPTIONS) if section == "Tensors" else []
        )
        try:
            entry = registry.lookup(kind.text)
        except KeyError:
            entry = None
        if entry is not None and entry.section == section:
            return entry
        if entry is not None:
            what = f"[{block.path}] has the type '{kind.text}', which belongs into [{entry.section}]"
            raise UnknownName(kind.where, what)
        hint = did_you_mean(kind.text, known)
        if section == "Tensors" and (not hint or kind.text in neml2.types.__all__):  # as in NEML2 2
            hint = "; write 'type = Python' and an 'expr', such as Scalar(1.0)"
        raise UnknownName(
            kind.where,
            f"[{block.path}] has the unknown type '{kind.text}'"
            f"{hint or '; neml2-syntax lists the types, --load FILE adds your own'}",
        )

    def _tensor(self, block: Block, kind: str) -> Any:
        options = TENSOR_OPTIONS[kind]
        errors = builder.unknown_options(block, kind, options)
        raise_any(errors)
        values = block.values
        if options[0] not in values:
            raise SyntaxProblem(block.where, f"[{block.path}] needs the option '{options[0]}' ({kind})")
        source = values[options[0]]
        if kind == "Python":
            return expressions.evaluate(
                source.text,
                source.where,
                block.name,
                self.names("Tensors"),
                self.get_tensor,
                self.trust_input,
            )
        path = os.path.join(self.document.folder, source.text)
        return csv.read_csv(
            csv.KINDS[kind],
            path,
            variable=values["variable"].text if "variable" in values else "",
            column_names=values["column_names"].tokens if "column_names" in values else (),
            where=source.where,
        )

    def _circle(self, key: Key) -> CircularReference:
        chain = [*self._stack[self._stack.index(key) :], key]
        block = self.document.section(key[0]).blocks[key[1]]
        verb = "refers to itself" if key[0] == "Tensors" else "contains itself"
        path = " -> ".join(name for _, name in chain)
        return CircularReference(
            block.where, f"[{block.path}] {verb}: {path}; remove one of these references"
        )

    # ---------------------------------------------------------------- names of variables

    def supplied_names(self) -> set[str]:
        """Every variable that this file can supply, as far as can be told without building anything."""
        return self._supplied

    @cached_property
    def _supplied(self) -> set[str]:
        return supplied_names(self.document)

    def expect_supplied(self, word: str, error: Callable[..., InputError], label: str, value: Value) -> None:
        """Make sure, once everything is built, that something supplies the variable ``word``.

        A file without drivers is a library: its variables are supplied by whoever loads it.
        """
        if self.names("Drivers") and base(word) not in self.supplied_names():
            self._pending.append((self._stack[-1], word, lambda: error(self, label, value, word)))

    def _settle(self) -> None:
        """Report variables that nothing supplies; models whose outputs follow from options are asked now."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        outputs: set[str] = set()
        for name in self.names("Models"):
            try:
                outputs |= {base(n) for n in self.get_model(name).output_spec}
            except InputError:
                continue
        for key, word, error in pending:
            if base(word) not in outputs:
                failure = error()
                for wrong in self._dependents(key):
                    self._failed.setdefault(wrong, failure)
                    self._made.pop(wrong, None)

    def _dependents(self, key: Key) -> set[Key]:
        """The block ``key`` and all that were built upon it."""
        found: set[Key] = set()
        queue = [key]
        while queue:
            at = queue.pop()
            if at not in found:
                found.add(at)
                queue.extend(self._users.get(at, ()))
        return found

    # ---------------------------------------------------------------- checking

    def errors(self) -> list[InputError]:
        """All that is wrong with any block, whether it is used or not."""
        found: list[InputError] = []
        try:
            _ = self.settings
        except InputError as error:
            found.append(error)
        for section in SECTIONS:
            for name in self.names(section):
                if len(found) >= ENOUGH:
                    break
                try:
                    self.get(section, name)
                except InputErrors as several:
                    found += several.errors
                except InputError as error:
                    found.append(error)
        return _sorted(found)

    def check(self) -> None:
        """Build every block; raises :class:`~neml2.hit.errors.InputErrors` with up to 20 errors."""
        found = self.errors()
        if found:
            raise InputErrors(found)


def load_catalogue() -> None:
    """Import every module that registers types."""
    for module in CATALOGUE:
        importlib.import_module(module)


def raise_any(errors: list[InputError]) -> None:
    """Raise the error, or all of them together, if there are any."""
    if errors:
        raise errors[0] if len(errors) == 1 else InputErrors(errors)


def _sorted(errors: list[InputError]) -> list[InputError]:
    """The distinct errors in the order of the file."""
    distinct = {str(e): e for e in errors}.values()
    return sorted(distinct, key=lambda e: (e.where.file, e.where.line, e.where.col))
