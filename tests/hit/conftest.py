"""A driver with every kind of declaration, and short ways to the errors of an input text."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from neml2 import registry
from neml2.fields import Dependency, FileField, Option, ValueField, setting
from neml2.hit import InputError, load_string
from neml2.hit.errors import Where
from neml2.hit.expressions import evaluate
from neml2.model import Model
from neml2.types import SR2, Scalar


@dataclass(frozen=True)
class StubDriver:
    """Holds what it is given."""

    SECTION: ClassVar[str] = "Drivers"

    model: Model = setting(Dependency("Models", "The model"))
    clock: Any = setting(ValueField("Times", option="prescribed_time", type=Scalar))
    time: str = setting(Option("Name of the time", default="t"))
    names: list[str] = setting(Option("Names", option="prescribed_Scalar_names", default=(), many=True))
    values: Any = setting(
        ValueField("Values", option="prescribed_Scalar_values", default=(), many=True, type=Scalar)
    )
    strains: Any = setting(
        ValueField("Values", option="prescribed_SR2_values", default=(), many=True, type=SR2)
    )
    rtol: float | None = setting(Option("Tolerance", default=None))
    counts: list[int] = setting(Option("Integers", default=(), many=True, within="[0, 10]"))
    settings: Any = setting(FileField("Settings"))
    directory: Path | None = setting(FileField("Folder"))


@pytest.fixture(autouse=True)
def stub_driver():
    registry.register(StubDriver)
    yield StubDriver
    registry._entries.pop("StubDriver", None)


@pytest.fixture
def others():
    """The other blocks that an expression may refer to."""
    return {"edges": Scalar(torch.linspace(0.0, 1.0, 5, dtype=torch.float64)), "half": Scalar(0.5)}


@pytest.fixture
def value(others):
    """Evaluates an expression."""

    def result(text: str, blocks: dict | None = None, trust_input: bool = False) -> Any:
        known = others if blocks is None else blocks
        return evaluate(text, Where("input.i", 3, 5), "x", known, known.__getitem__, trust_input)

    return result


@pytest.fixture
def refusal(value):
    """The line with which an expression is refused, quickly."""

    def message(text: str, **more: Any) -> str:
        began = time.perf_counter()
        with pytest.raises(InputError) as caught:
            value(text, **more)
        assert time.perf_counter() - began < 10  # one core may be shared by many
        found = str(caught.value)
        assert found.startswith("input.i:3:5: [Tensors/x] ")
        assert "\n" not in found
        return found

    return message


@pytest.fixture
def complaints():
    """The lines with which ``check`` (or reading) refuses a text; each is one line, and quick."""

    def lines(text: str) -> list[str]:
        began = time.perf_counter()
        try:
            load_string(text).check()
        except InputError as error:
            assert time.perf_counter() - began < 5  # one core may be shared by many
            return str(error).split("\n")
        return []

    return lines
