"""How an experiment looks when it is printed: what was read, from where to where, what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neml2.drivers.control.control import Control
from neml2.drivers.histories.given import as_data
from neml2.html import Markup, card, element, sparkline, table
from neml2.registry import listing

if TYPE_CHECKING:
    from neml2.recurrent.experiment import Experiment, Response

_HEAD = ("", "values", "from", "to", "missing", "sigma", "weight")


def lines(experiment: Experiment) -> list[str]:
    """The summary as lines of text."""
    first, *others = sentences(experiment)
    rows = [_HEAD, *map(_row, experiment.responses.values())]
    kept = [i for i in range(len(_HEAD)) if any(row[i] for row in rows[1:])]
    width = {i: max(len(row[i]) for row in rows) for i in kept}
    found = [f"{experiment!r}: {first}", *(f"  {line}" for line in others)]
    for row in rows:
        found.append("  " + "  ".join(row[i].rjust(width[i]) if i else row[i].ljust(width[i]) for i in kept))
    return [line.rstrip() for line in found]


def html(experiment: Experiment) -> Markup:
    """The summary for a notebook: a table, and a drawing of every response over time."""
    first, *others = sentences(experiment)
    drawn = [
        sparkline([(_times(experiment, r), r.values)], f"{r.name} over time", width=240, height=80)
        for r in experiment.responses.values()
    ]
    return card(
        element("div", element("b", repr(experiment)), " ", first),
        *[element("div", line, class_="quiet") for line in others],
        *drawn,
        table([_row(r) for r in experiment.responses.values()], _HEAD, range(1, len(_HEAD))),
    )


def sentences(experiment: Experiment) -> list[str]:
    """Rows and times, then what is prescribed."""
    h = experiment.history
    time = h.time.detach().double().reshape(-1)
    weight = "" if experiment.weight == 1 else f", weight {float(experiment.weight):g}"
    found = [f"{len(h)} rows, time {float(time[0]):g} to {float(time[-1]):g}{weight}"]
    if h.control is not None:
        found.append(_control(h.control))
    for n, v in h.prescribed.items():
        data = as_data(v, n).detach()
        found.append(f"prescribed {n}: {float(data.min()):g} to {float(data.max()):g}")
    found += [
        f"constant {n}: {listing(f'{x:g}' for x in as_data(v, n).flatten().tolist())}"
        for n, v in h.constant.items()
    ]
    return found


def _control(control: Control) -> str:
    """``prescribed strain.xx: -0.01 to 0.01; stress-free yy, zz, yz, xz, xy``."""
    said, free = [], []
    for i, label in enumerate(control.labels):
        a, b = control.stress_weight[..., i], control.strain_weight[..., i]
        target, carry = control.target[..., i], control.carry[..., i]
        if not bool(b.any()) and not bool(target.any()) and not bool(carry.any()):
            free.append(label)
            continue
        kinds = [n for n, w in (("stress", a), (control.strain_name, b)) if bool(w.any())]
        span = (
            f"{float(target.min()):g} to {float(target.max()):g}" if not bool(carry.any()) else "as reached"
        )
        said.append(f"{'/'.join(kinds)}.{label}: {span}")
    rest = f"; free of stress: {listing(free)}" if free else ""
    return f"prescribed {listing(said)}{rest}"


def _row(r: Response) -> tuple[str, ...]:
    return (
        r.name,
        f"{len(r)}",
        f"{r.values.min():.4g}",
        f"{r.values.max():.4g}",
        f"{r.missing}" if r.missing else "",
        "" if r.sigma is None else _span(r.sigma),
        "" if (r.weight == 1).all() else _span(r.weight),
    )


def _span(x: np.ndarray) -> str:
    return f"{x.min():g}" if x.min() == x.max() else f"{x.min():g} to {x.max():g}"


def _times(experiment: Experiment, r: Response) -> np.ndarray:
    t = experiment.history.time.detach().double().cpu().numpy().reshape(-1)
    return t[r.left] + r.fraction * (t[r.left + 1] - t[r.left])
