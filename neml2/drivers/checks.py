"""The checks of input files: a run against a file, against values, and a model against its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, ClassVar

import torch

from neml2.drivers.files.formats import load_flat
from neml2.drivers.from_file import Pairs, PrescribedTransient, declare, value_fields
from neml2.fields import Dependency, Field, FileField, Option
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


register(TransientRegression)
register(Verification)
