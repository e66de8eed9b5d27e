"""Tests of single models: their outputs against given ones, and their derivatives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, ClassVar

import torch

from neml2.drivers.checks import Comparison
from neml2.drivers.from_file import Pairs, declare, value_fields
from neml2.fields import Dependency, Field, Option
from neml2.model import Model
from neml2.registry import did_you_mean, listing, register
from neml2.types import TensorWrapper
from neml2.values import as_typed


@dataclass(frozen=True)
class ModelUnitTestReport:
    """How many outputs and how many directional derivatives were compared."""

    value_checks: int
    jvp_checks: int

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return f"{self.value_checks} outputs and {self.jvp_checks} directional derivatives agree"


class ModelUnitTest:
    """Compare a model's outputs with expected ones, and its directional derivatives with reverse mode.

    ``tangents`` are the directions, by input; by default ``(1, 2, ..., N) / (N + 1)`` over the flattened
    input.
    """

    def __init__(
        self,
        model: Model,
        inputs: Mapping[str, Any],
        *,
        expected_outputs: Mapping[str, Any] | None = None,
        tangents: Mapping[str, Any] | None = None,
        rtol: float = 1e-10,
        atol: float = 1e-12,
        derivative_rtol: float | None = None,
        derivative_atol: float | None = None,
    ) -> None:
        self.model = model
        for name in inputs:
            if name not in model.input_spec:
                raise ValueError(f"{model} has no input '{name}'{did_you_mean(name, model.input_spec)}")
        self.inputs = model.typed_inputs(inputs)
        self.expected: dict[str, TensorWrapper] = {}
        for name, value in (expected_outputs or {}).items():
            if name not in model.output_spec:
                raise ValueError(f"{model} has no output '{name}'{did_you_mean(name, model.output_spec)}")
            self.expected[name] = as_typed(value, model.output_spec[name], f"expected '{name}'")
        self.tangents = dict(tangents or {})
        for name in self.tangents:
            if name not in self.inputs:
                raise ValueError(
                    f"there is a tangent of '{name}', but no such input{did_you_mean(name, self.inputs)}"
                )
        self.rtol, self.atol = rtol, atol
        self.derivative_rtol = rtol if derivative_rtol is None else derivative_rtol
        self.derivative_atol = atol if derivative_atol is None else derivative_atol

    @classmethod
    def from_string(cls, text: str, name: str | None = None) -> ModelUnitTest:
        """The ``ModelUnitTest`` of a ``[Drivers]`` block: the one called ``name``, or the only one."""
        from neml2 import load_string

        return _test_in(load_string(text), name)

    @classmethod
    def from_file(cls, path: str | FilePath, name: str | None = None) -> ModelUnitTest:
        """The same for an input file."""
        from neml2 import load_input

        return _test_in(load_input(path), name)

    def run(self, check_values: bool = True, check_dvalue: bool = True) -> ModelUnitTestReport:
        """Counts of what was compared; :class:`AssertionError` names the output or ``d(out)/d(in)``."""
        values, slopes = Comparison("outputs"), Comparison("directional derivatives")
        if check_values:
            with torch.no_grad():
                outputs = self.model.call_by_name(self.inputs)
            for name, wanted in self.expected.items():
                values.add(name, outputs[name].data, wanted.data, self.rtol, self.atol)
        values.check()
        if check_dvalue:
            for name, value in self.inputs.items():
                if value.data.is_floating_point():
                    self._compare_slopes(name, slopes)
        slopes.check()
        return ModelUnitTestReport(values.compared, slopes.compared)

    def _compare_slopes(self, name: str, slopes: Comparison) -> None:
        value = self.inputs[name]
        direction = as_typed(self.tangents.get(name, _ramp(value)), type(value), f"tangent of '{name}'")
        _, forward = self.model.jvp(self.inputs, {name: direction})
        batch = self.model.batch_shape(self.inputs)
        with torch.enable_grad():
            rank = len(batch) - len(value.dynamic_batch_shape)
            inner = value.data.shape[len(value.dynamic_batch_shape) :]
            wide = value.data.detach().reshape((1,) * rank + tuple(value.data.shape)).expand(*batch, *inner)
            leaf = wide.clone().requires_grad_(True)
            moved = {**self.inputs, name: type(value)(leaf, value.sub_batch_ndim)}
            outputs = self.model.call_by_name(moved)
            for out, result in outputs.items():
                weight = _ramp(result)
                total = (result.data * weight.data).sum()
                slope = None
                if total.requires_grad:
                    (slope,) = torch.autograd.grad(total, leaf, retain_graph=True, allow_unused=True)
                backward = torch.zeros_like(leaf) if slope is None else slope
                found = (forward[out].data * weight.data).sum()
                wanted = (backward * direction.data.to(leaf)).sum()
                slopes.add(f"d({out})/d({name})", found, wanted, self.derivative_rtol, self.derivative_atol)


def _ramp(value: TensorWrapper) -> TensorWrapper:
    n = value.data.numel()
    ramp = torch.arange(1, n + 1, dtype=value.data.dtype, device=value.data.device) / (n + 1)
    return type(value)._new(ramp.reshape(value.data.shape), value.sub_batch_ndim)


class ModelUnitTestBlock:
    """Compare a model's outputs and derivatives with expected ones; ``test`` is the actual test."""

    SECTION: ClassVar[str] = "Drivers"
    IGNORED_OPTIONS: ClassVar[tuple[str, ...]] = ("check_",)  # files have more of these than are in use
    FIELDS: ClassVar[dict[str, Field]] = declare(
        {
            "model": (Model, Dependency("Models", "The model to test")),
            **value_fields("input_", "inputs"),
            **value_fields("output_", "expected outputs"),
            "value_rel_tol": (
                float,
                Option("Relative tolerance of outputs", default=1e-5, within="[0, inf)"),
            ),
            "value_abs_tol": (
                float,
                Option("Absolute tolerance of outputs", default=1e-8, within="[0, inf)"),
            ),
            "derivative_rel_tol": (
                float,
                Option("Relative tolerance of derivatives", default=1e-5, within="[0, inf)"),
            ),
            "derivative_abs_tol": (
                float,
                Option("Absolute tolerance of derivatives", default=1e-8, within="[0, inf)"),
            ),
            "check_values": (bool, Option("Whether to compare outputs", default=True)),
            "check_derivatives": (bool, Option("Whether to compare derivatives", default=True)),
        }
    )

    def __init__(
        self,
        model: Model,
        value_rel_tol: float = 1e-5,
        value_abs_tol: float = 1e-8,
        derivative_rel_tol: float = 1e-5,
        derivative_abs_tol: float = 1e-8,
        check_values: bool = True,
        check_derivatives: bool = True,
        **values: Any,
    ) -> None:
        unknown: Iterable[str] = [n for n in values if n not in self.FIELDS]
        for n in unknown:
            raise TypeError(f"ModelUnitTest has no option '{n}'{did_you_mean(n, self.FIELDS)}")
        inputs, outputs = Pairs(values, "input_"), Pairs(values, "output_")
        self.test = ModelUnitTest(
            model,
            inputs.values,
            expected_outputs=outputs.values,
            rtol=value_rel_tol,
            atol=value_abs_tol,
            derivative_rtol=derivative_rel_tol,
            derivative_atol=derivative_abs_tol,
        )
        self.check_values, self.check_derivatives = check_values, check_derivatives

    def run(self) -> ModelUnitTestReport:
        """What :meth:`ModelUnitTest.run` gives."""
        return self.test.run(self.check_values, self.check_derivatives)


def _test_in(file: Any, name: str | None) -> ModelUnitTest:
    names = file.names("Drivers")
    if name is None:
        tests = [
            n
            for n in names
            if file.document.section("Drivers").blocks[n].values["type"].text == "ModelUnitTest"
        ]
        if len(tests) != 1:
            raise ValueError(
                f"the input has {len(tests)} blocks of type ModelUnitTest ({listing(tests)}); name one"
            )
        name = tests[0]
    block = file.get_driver(name)
    if not isinstance(block, ModelUnitTestBlock):
        raise TypeError(f"[Drivers/{name}] is a {type(block).__name__}, not a ModelUnitTest")
    return block.test


register(ModelUnitTestBlock, "ModelUnitTest")
