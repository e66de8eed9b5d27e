"""How a fit looks: a table of values with intervals, sentences, and the same as a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neml2.html import Markup, card, element, sparkline, table

if TYPE_CHECKING:
    import xarray

    from neml2.recurrent.fit_result import FitResult


def summary(result: FitResult, level: float = 0.95) -> str:
    """See :meth:`FitResult.summary`."""
    rows = [_head(level), *_rows(result, level)]
    width = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [*_sentences(result), ""]
    for row in rows:
        cells = [w.rjust(width[i]) if i else w.ljust(width[i]) for i, w in enumerate(row)]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join([*lines, *([""] if result.warnings else []), *(f"  ! {w}" for w in result.warnings)])


def html(result: FitResult) -> Markup:
    """See :meth:`FitResult._repr_html_`."""
    first, *others = _sentences(result)
    losses = np.array([e.loss for e in result.history])
    numbers = np.arange(len(losses))
    drawn = np.log10(np.where(np.isfinite(losses) & (losses > 0), losses, np.nan))
    return card(
        element("div", element("b", "FitResult"), " ", first),
        *[element("div", line, class_="quiet") for line in others],
        table(_rows(result, 0.95), _head(0.95), range(1, 5)),
        *[element("div", w) for w in result.warnings],
        element("div", "logarithm of the loss over evaluations", class_="quiet"),
        sparkline([(numbers, drawn)], "loss"),
    )


def to_xarray(result: FitResult) -> xarray.Dataset:
    """See :meth:`FitResult.to_xarray`."""
    import xarray

    known, misfit = result.uncertainty, result.misfit
    intervals = np.array(list(result.intervals().values()))
    points = misfit.compared_points(result.u)
    square = ("parameter", "parameter_again")
    evaluations = result.history
    return xarray.Dataset(
        {
            "value": ("parameter", np.array(list(result.values.values()))),
            "standard_error": ("parameter", known.errors),
            "interval": (("parameter", "side"), intervals, {"long_name": "95 % confidence interval"}),
            "covariance": (square, known.covariance),
            "correlation": (square, known.correlation),
            "loss": ("evaluation", np.array([e.loss for e in evaluations])),
            "tried": (("evaluation", "parameter"), np.array([list(e.values.values()) for e in evaluations])),
            **{n: ("point", v) for n, v in points.items()},
        },
        coords={"parameter": result.names, "parameter_again": result.names, "side": ["lower", "upper"]},
        attrs={
            "method": result.method,
            "final_loss": result.loss,
            "converged": int(result.converged),
            "message": result.message,
            "residual_variance": known.variance,
            "degrees_of_freedom": known.freedom,
            "warnings": "\n".join(result.warnings),
        },
    )


def _sentences(result: FitResult) -> list[str]:
    known, misfit = result.uncertainty, result.misfit
    how = "converged" if result.converged else "not converged"
    tests = len(misfit.experiments)
    first = (
        f"{len(result.names)} parameters, {misfit.points} measured values of {tests} test{'s' * (tests > 1)}:"
        f" {how} in {len(result.history)} evaluations ({result.method})"
    )
    spread = (
        f"the sum of squares is {2 * result.loss:.4g}, for {known.freedom} degrees of freedom"
        if misfit.absolute
        else f"root mean square difference {np.sqrt(known.variance):.3g} of the size of the responses"
    )
    return [first, f"loss {result.loss:.6g}; {spread}"]


def _head(level: float) -> tuple[str, ...]:
    return ("", "value", "std. error", f"{100 * level:g} % from", "to", "relative")


def _rows(result: FitResult, level: float) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, (low, high) in result.intervals(level).items():
        value, error = result[name], result.errors[name]
        share = "" if value == 0 or not np.isfinite(error) else f"{100 * error / abs(value):.2g} %"
        rows.append((name, f"{value:.6g}", f"{error:.3g}", f"{low:.6g}", f"{high:.6g}", share))
    return rows
