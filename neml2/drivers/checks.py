"""The checks of input files: a run against a file, against values, and a model against its outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, ClassVar

import torch

from neml2.drivers.files import load_flat
from neml2.drivers.from_file import Pairs, PrescribedTransient, declare, value_fields
from neml2.fields import Dependency, Field, FileField, Option
from neml2.model import Model
from neml2.registry import did_you_mean, listing, register
from neml2.types import SR2, WR2, Scalar, TensorWrapper, Vec
from neml2.values import as_typed

_MOST = 10  # mismatches that are listed


@dataclass(frozen=True)
class Mismatch:
    """An entry that differs from its reference, or that is missing."""

    key: str
    why: str

    def __str__(self) -> str:
        return f"{self.key}: {self.why}"


@dataclass
class Comparison:
    """How many entries were compared, and which differ; true when none does."""

    what: str
    compared: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.mismatches

    def __str__(self) -> str:
        if self:
            return f"{self.what}: all {self.compared} entries agree"
        lines = [f"{self.what}: {len(self.mismatches)} of {self.compared} entries differ"]
        lines += [f"  {m}" for m in self.mismatches[:_MOST]]
        if len(self.mismatches) > _MOST:
            lines.append(f"  ... and {len(self.mismatches) - _MOST} more")
        return "\n".join(lines)

    def add(
        self, key: str, found: torch.Tensor | None, wanted: torch.Tensor, rtol: float, atol: float
    ) -> None:
        """Compare one entry: ``|found - wanted| <= atol + rtol |wanted|``, NaN never agrees."""
        self.compared += 1
        why = _difference(found, wanted, rtol, atol)
        if why:
            self.mismatches.append(Mismatch(key, why))

    def check(self) -> Comparison:
        """Itself, or :class:`AssertionError` with the details."""
        if not self:
            raise AssertionError(str(self))
        return self


def _difference(found: torch.Tensor | None, wanted: torch.Tensor, rtol: float, atol: float) -> str:
    if found is None:
        return "not among the results"
    found, wanted = found.detach(), wanted.detach().to(found.device)
    try:
        found, wanted = torch.broadcast_tensors(found, wanted)
    except RuntimeError:
        return f"has the shape {tuple(found.shape)}, the reference {tuple(wanted.shape)}"
    if not wanted.numel():
        return ""
    found, wanted = found.double(), wanted.double()
    off = (found - wanted).abs()
    if bool((off <= atol + rtol * wanted.abs()).all()):
        return ""
    relative = torch.where(wanted == 0, torch.where(off == 0, 0.0, torch.inf), off / wanted.abs())
    return (
        f"max absolute difference {float(off.max()):.3e}, max relative difference {float(relative.max()):.3e}"
    )


def _tolerances(rtol: float, atol: float) -> dict[str, tuple[Any, Field]]:
    return {
        "rtol": (float, Option("Relative tolerance", default=rtol, within="[0, inf)")),
        "atol": (float, Option("Absolute tolerance", default=atol, within="[0, inf)")),
    }


class TransientRegression:
    """Run a driver and compare everything with a file that an earlier run has saved.

    Entries that only the result has are not compared, and an entry may be given for a smaller batch that
    broadcasts to that of the result.
    """

    SECTION: ClassVar[str] = "Drivers"
    FIELDS: ClassVar[dict[str, Field]] = declare(
        {
            "driver": (PrescribedTransient, Dependency("Drivers", "The driver to run")),
            "reference": (str, Option("File with the expected result, relative to the input file")),
            **_tolerances(1e-5, 1e-8),
            "directory": (str, FileField("Folder of the input file")),
        }
    )

    def __init__(
        self,
        driver: PrescribedTransient,
        reference: str | FilePath,
        rtol: float = 1e-5,
        atol: float = 1e-8,
        directory: str | FilePath | None = None,
    ) -> None:
        _check_driver(driver)
        self.driver = driver
        self.reference = FilePath(directory or ".") / reference
        self.rtol, self.atol = rtol, atol

    def run(self) -> Comparison:
        """The comparison, which is true; :class:`AssertionError` with the details if it is not.

        Raises :class:`FileNotFoundError` when there is no reference file.
        """
        gold = load_flat(self.reference)
        with torch.no_grad():
            result = self.driver.run().to_dict()
        comparison = Comparison(f"comparison with {self.reference.name}")
        for key, wanted in gold.items():
            comparison.add(key, result.get(key), wanted, self.rtol, self.atol)
        return comparison.check()


class Verification:
    """Run a driver and compare some of its inputs and outputs, at some steps, with given values.

    Names are ``input.x`` or ``output.x``; a reference has one row for each of the ``time_steps`` (all by
    default), or is the value itself when there is a single one. What a step does not have, such as outputs of
    the initial state, counts as zero.
    """

    SECTION: ClassVar[str] = "Drivers"
    KINDS: ClassVar[tuple[type[TensorWrapper], ...]] = (Scalar, SR2, Vec, WR2)
    FIELDS: ClassVar[dict[str, Field]] = declare(
        {
            "driver": (PrescribedTransient, Dependency("Drivers", "The driver to run")),
            **_tolerances(1e-5, 1e-8),
            "time_steps": (int, Option("Steps to compare; all by default", default=[], many=True)),
            **value_fields("", "results to compare", KINDS),
        }
    )

    def __init__(
        self,
        driver: PrescribedTransient,
        rtol: float = 1e-5,
        atol: float = 1e-8,
        time_steps: Sequence[int] = (),
        **values: Any,
    ) -> None:
        _check_driver(driver)
        unknown = [n for n in values if n not in self.FIELDS]
        if unknown:
            raise TypeError(
                f"Verification has no option '{unknown[0]}'{did_you_mean(unknown[0], self.FIELDS)}"
            )
        self.driver, self.rtol, self.atol = driver, rtol, atol
        steps = len(driver.history)
        self.steps = list(time_steps) or list(range(steps))
        for k in self.steps:
            if not 0 <= k < steps:
                raise ValueError(
                    f"time_steps: there is no step {k}; the driver has the steps 0 to {steps - 1}"
                )
        if len(set(self.steps)) < len(self.steps):
            raise ValueError("time_steps lists a step twice; keep one of them")
        pairs = Pairs(values, "", self.KINDS)
        if not pairs.values:
            raise ValueError(
                "there is nothing to compare; give names and values, such as SR2_names and SR2_values"
            )
        self.references: dict[str, TensorWrapper] = {}
        for name, value in pairs.values.items():
            if name.partition(".")[0] not in ("input", "output") or "." not in name:
                raise ValueError(
                    f"{pairs.options[name]}: '{name}' is neither 'input.<name>' nor 'output.<name>'"
                )
            what = f"{pairs.options[name]}: the reference of '{name}'"
            typed = as_typed(value, pairs.kinds[name], what)
            if len(self.steps) > 1 and (not typed.batch_shape or typed.shape[0] != len(self.steps)):
                raise ValueError(
                    f"{what} has the shape {tuple(typed.shape)}; it needs {len(self.steps)} rows, one for"
                    " each step"
                )
            self.references[name] = typed

    def run(self) -> Comparison:
        """The comparison, which is true; :class:`AssertionError` with the details if it is not."""
        with torch.no_grad():
            result = self.driver.run().to_dict()
        known = {f"{k.split('.')[0]}.{k.split('.', 2)[2]}" for k in result}
        comparison = Comparison("verification")
        for name, reference in self.references.items():
            if name not in known:
                raise ValueError(
                    f"the driver gives no '{name}'{did_you_mean(name, known)}; it gives"
                    f" {listing(sorted(known))}"
                )
            side, _, variable = name.partition(".")
            for j, k in enumerate(self.steps):
                wanted = (reference.data if len(self.steps) == 1 else reference.data[j]).squeeze()
                found = result.get(f"{side}.{k}.{variable}")
                found = torch.zeros_like(wanted) if found is None else found.squeeze()
                comparison.add(f"{side}.{k}.{variable}", found, wanted, self.rtol, self.atol)
        return comparison.check()


def _check_driver(driver: Any) -> None:
    if not isinstance(driver, PrescribedTransient):
        raise TypeError(f"driver is a {type(driver).__name__}; name a block of type TransientDriver")


# ---------------------------------------------------------------------- models


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


register(TransientRegression)
register(Verification)
register(ModelUnitTestBlock, "ModelUnitTest")
