"""What the contract test of models needs to know about one of them: a table row per model.

A file ``cases_<family>.py`` beside this one lists its rows in ``CASES``; ``test_contract.py`` finds it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from neml2.hit.input_file import load_catalogue
from neml2.registry import lookup
from neml2.types import Scalar, TensorWrapper


@dataclass(frozen=True)
class Part:
    """Another object that a case's model needs, as ``type`` and options; ``name`` is its block in input text.

    A part that stands where a parameter's value is expected is the model that provides it.
    """

    type: str
    options: dict[str, Any] = field(default_factory=dict)
    name: str = "part"


@dataclass(frozen=True)
class Case:
    """One model with options and one material point.

    type, options
        The type's name in the catalogue and the constructor's keywords: numbers, words, lists, typed
        tensors, or a :class:`Part` (a list of them) for another object.
    inputs
        The point: variable name -> number, nested list, or typed tensor (to give a sub-batch rank). Choose
        numbers without symmetry, of the size that the physics has, away from kinks unless that is the point.
    outputs
        The known answer at the point, where there is one (from the formula by hand or from a paper).
    tag
        Tells several cases of one type apart.
    smooth
        ``False`` where the point sits on a kink or singularity: finite differences are not compared, but
        derivatives must be finite. Give the expected one-sided derivatives in a test of your own.
    constant
        Inputs through which nothing is differentiated by convention (finite differences would disagree).
    pointwise
        ``False`` for models that combine points of a batch (a mean over the batch): batches are not compared.
    spread
        Relative size of the variation from point to point when batches are made from the point.
    step
        Largest relative step of the finite differences; smaller for strongly nonlinear models.
    wire
        ``False`` if the model's parameters cannot be wired in this case.
    """

    type: str
    options: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    tag: str = ""
    smooth: bool = True
    constant: tuple[str, ...] = ()
    pointwise: bool = True
    spread: float = 0.05
    step: float = 1e-2
    wire: bool = True

    def __str__(self) -> str:
        return f"{self.type}-{self.tag}" if self.tag else self.type

    def build(self, **changes: Any) -> Any:
        """The model, with some of its options changed."""
        return build(self.type, {**self.options, **changes}, "model")

    def point(self, model: Any) -> dict[str, TensorWrapper]:
        """The inputs as typed tensors in float64, in the order of the model's inputs."""
        missing = [n for n in model.input_spec if n not in self.inputs and n not in model.optional_inputs]
        assert not missing, (
            f"{self}: the case gives no value for {missing}; the inputs are {model.input_spec}"
        )
        return {n: typed(self.inputs[n], kind) for n, kind in model.input_spec.items() if n in self.inputs}


def typed(value: Any, kind: type[TensorWrapper]) -> TensorWrapper:
    """A number, nested list or typed tensor as a ``kind`` in float64."""
    if isinstance(value, TensorWrapper):
        assert type(value) is kind, f"a {type(value).__name__} is given where a {kind.__name__} is read"
        return value
    data = torch.as_tensor(value, dtype=torch.float64)
    return Scalar(data) if kind is Scalar else kind(data)


def build(type_name: str, options: dict[str, Any], name: str = "") -> Any:
    """An object of the catalogue from its type and options; models get a name."""
    entry = lookup(type_name)
    given = {k: _built(v) for k, v in options.items()}
    if entry.section == "Models":
        given["name"] = name
    return entry.cls(**given)


def _built(value: Any) -> Any:
    if isinstance(value, Part):
        return build(value.type, value.options, value.name)
    if isinstance(value, list | tuple):
        return [_built(v) for v in value]
    return value


def families() -> Iterable[str]:
    """The names of the case files: ``cases_<family>``."""
    return sorted(p.stem for p in Path(__file__).parent.glob("cases_*.py"))


def all_cases() -> list[Case]:
    """The rows of all case files, once the whole catalogue is registered."""
    load_catalogue()
    modules = [importlib.import_module(f"tests.models.{name}") for name in families()]
    return [case for module in modules for case in module.CASES]
