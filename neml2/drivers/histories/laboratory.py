"""Tests as a laboratory runs them, each as a :class:`History`; units are your own, those of the model.

Numbers may be tensors or lists ``(*batch)`` everywhere: several rates, amplitudes or temperatures at once.
``component`` is xx, yy or zz for tension and compression, yz, xz or xy for shear; shear strains are tensor
components, half the engineering ones. All other components are free of stress. Further keywords (``more``)
are those of :meth:`History.from_segments`: ``start``, ``initial``, ``constant``. All raise
:class:`ValueError` for numbers that do not fit together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from neml2.drivers.histories.compose import lead
from neml2.drivers.histories.history import History
from neml2.drivers.histories.segments import HOLD, Along, FollowUp, Segment, logarithmic, number, positive
from neml2.registry import did_you_mean, listing


def monotonic(
    to: Any, rate: Any, *, component: str = "xx", control: str = "strain", rows: int = 100, **more: Any
) -> History:
    """Tension, compression (a negative ``to``) or shear at a constant rate, from zero to a strain.

    With ``control="stress"`` both are those of the stress. The sign of the rate does not matter.
    """
    _choice(control, ("strain", "stress"), "control")
    segment = Segment(rows=rows, rate={component: rate}, **_aim(control, component, to), name="load")
    return History.from_segments([segment], **more)


def cyclic(
    amplitude: Any,
    cycles: int,
    *,
    rate: Any = None,
    period: Any = None,
    R: Any = None,
    mean: Any = None,
    wave: str = "triangle",
    hold: Any = None,
    hold_valley: Any = None,
    hold_control: str | None = None,
    component: str = "xx",
    control: str = "strain",
    rows: int = 40,
    hold_rows: int = 10,
    **more: Any,
) -> History:
    r"""Strain- or stress-controlled cycles between the peak :math:`m + a` and the valley :math:`m - a`.

    amplitude, cycles
        :math:`a`, half the range, and how many cycles; each goes from the mean :math:`m` to the peak, the
        valley and back. Before the first, the test goes from zero to the mean.
    rate, period
        How fast the controlled value moves (on average, in a sine), or the time of a cycle without its
        holds; give one of them.
    R, mean
        The ratio of valley to peak, so that :math:`m = a (1 + R) / (1 - R)`, or :math:`m` itself; zero mean
        by default.
    wave
        ``"triangle"``; ``"sine"``; or ``"trapezoid"``, which holds at the peak for ``hold`` and at the valley
        for ``hold_valley``. One of the two may be left out.
    hold_control
        ``"stress"`` or ``"strain"``: what is kept during holds; by default what controls the test.
    rows, hold_rows
        Rows of a cycle without its holds, a multiple of four, and of each hold.
    """
    _choice(control, ("strain", "stress"), "control")
    _choice(wave, ("triangle", "sine", "trapezoid"), "wave")
    _choice(hold_control or control, ("strain", "stress"), "hold_control")
    if (wave == "trapezoid") != (hold is not None or hold_valley is not None):
        raise ValueError(f"a {wave} is given hold={hold!r}; holds make a trapezoid, give both or neither")
    a = positive(amplitude, "amplitude")
    m = _mean(a, R, mean)
    quarter = _quarter(a, rate, period)

    def leg(name: str, duration: Any, value: Any, rows: int, cycle: int) -> Segment:
        return Segment(duration, rows, **_aim(control, component, value), cycle=cycle, name=name)

    def dwell(duration: Any, cycle: int) -> list[Segment]:
        if duration is None:
            return []
        kept = _aim(hold_control or control, component, HOLD)
        return [Segment(duration, hold_rows, **kept, cycle=cycle, name="hold")]

    def one(cycle: int) -> list[Segment]:
        if wave == "sine":
            sine = Along(lambda x: m + a * lead(_sine(x), a.ndim))
            return [leg("cycle", 4 * quarter, sine, rows, cycle)]
        return [
            leg("up", quarter, m + a, rows // 4, cycle),
            *dwell(hold, cycle),
            leg("down", 2 * quarter, m - a, rows // 2, cycle),
            *dwell(hold_valley, cycle),
            leg("up", quarter, m, rows // 4, cycle),
        ]

    _check_counts(cycles, rows)
    way = torch.where(m == 0, 1.0, (m / a).abs())  # points without a mean wait for the others
    first = [leg("mean", quarter * way, m, rows // 4, 1)] if (m != 0).any() else []
    return History.from_segments([*first, *(s for c in range(1, cycles + 1) for s in one(c))], **more)


def pulsating(
    strain: Any,
    cycles: int,
    *,
    period: Any,
    stress: Any = 0.0,
    component: str = "xx",
    rows: int = 40,
    **more: Any,
) -> History:
    """Mixed control: up to a strain in half the period, down to a *stress* in the other half."""
    _check_counts(cycles, rows)
    half = positive(period, "period") / 2
    up = {**_aim("strain", component, strain), "name": "up"}
    down = {**_aim("stress", component, stress), "name": "down"}
    segments = [Segment(half, rows // 2, **way, cycle=c) for c in range(1, cycles + 1) for way in (up, down)]
    return History.from_segments(segments, **more)


def creep(
    stress: Any,
    time: Any,
    *,
    load_time: Any = None,
    rate: Any = None,
    component: str = "xx",
    rows: int = 100,
    load_rows: int = 20,
    decades: float = 4.0,
    **more: Any,
) -> History:
    """Load to a stress in ``load_time`` or at a stress rate, then keep it for ``time``.

    The rows of the hold are evenly spaced on a logarithmic axis over so many ``decades``; 0 for even spacing.
    """
    load = _load("stress", component, stress, load_time, rate, load_rows)
    hold = Segment(time, rows, stress={component: stress}, spacing=_spacing(rows, decades), name="creep")
    return History.from_segments([load, hold], **more)


def relaxation(
    strain: Any,
    time: Any,
    *,
    load_time: Any = None,
    rate: Any = None,
    component: str = "xx",
    rows: int = 100,
    load_rows: int = 20,
    decades: float = 4.0,
    **more: Any,
) -> History:
    """Load to a strain in ``load_time`` or at a strain rate, then keep it for ``time``.

    The rows of the hold are evenly spaced on a logarithmic axis over so many ``decades``; 0 for even spacing.
    """
    load = _load("strain", component, strain, load_time, rate, load_rows)
    hold = Segment(time, rows, strain={component: strain}, spacing=_spacing(rows, decades), name="relaxation")
    return History.from_segments([load, hold], **more)


def follow_up(
    strain: Any,
    time: Any,
    *,
    factor: Any,
    modulus: Any,
    load_time: Any = None,
    rate: Any = None,
    component: str = "xx",
    rows: int = 100,
    load_rows: int = 20,
    decades: float = 4.0,
    **more: Any,
) -> History:
    r"""Relaxation with elastic follow-up: load to a strain, then keep :math:`\sigma / K + \varepsilon`.

    factor
        :math:`Z \ge 1`: an elastic strain that is lost adds :math:`Z` times as much inelastic strain, so
        that :math:`K = E / (Z - 1)`. With 1 the strain is kept, and large ones come close to creep. (Elastic
        follow-up factor as in the R5 procedure for high-temperature assessment.)
    modulus
        Young's modulus :math:`E`, in units of stress.
    """
    Z = number(factor, "factor")
    if not (Z >= 1).all():
        raise ValueError(f"the elastic follow-up factor is {float(Z.min()):g}; it is 1 (relaxation) or more")
    spring = FollowUp(positive(modulus, "modulus") / (Z - 1))
    load = _load("strain", component, strain, load_time, rate, load_rows)
    hold = Segment(
        time, rows, follow_up={component: spring}, spacing=_spacing(rows, decades), name="follow-up"
    )
    return History.from_segments([load, hold], **more)


def rate_jumps(
    jumps: Sequence[tuple[Any, Any]],
    *,
    component: str = "xx",
    control: str = "strain",
    rows: int = 40,
    **more: Any,
) -> History:
    """To one strain after the other, each at a rate of its own: ``[(0.01, 1e-4), (0.02, 1e-2), ...]``.

    With ``control="stress"`` both are those of the stress; ``rows`` are those of every jump.
    """
    _choice(control, ("strain", "stress"), "control")
    segments = [
        Segment(rows=rows, rate={component: rate}, **_aim(control, component, to), name=f"rate {i}")
        for i, (to, rate) in enumerate(jumps, 1)
    ]
    return History.from_segments(segments, **more)


def thermomechanical(
    strain: Any,
    temperature: tuple[Any, Any],
    cycles: int,
    *,
    period: Any,
    phase: float = 0.0,
    mean: Any = None,
    R: Any = None,
    wave: str = "triangle",
    force: str = "T",
    component: str = "xx",
    control: str = "strain",
    rows: int = 40,
    **more: Any,
) -> History:
    """Cycles of strain and temperature of the same period.

    strain
        The amplitude. It is the strain that the model reads: whether thermal strains are part of it is a
        matter of the model.
    temperature
        The lowest and the highest, of the prescribed variable ``force``.
    phase
        By how many degrees the temperature is behind: 0 in phase (hottest at the peak), 180 out of phase, 90
        and -90 for diamonds.
    wave
        ``"triangle"`` or ``"sine"``, of both. ``mean``, ``R``, ``control`` and ``rows`` as in
        :func:`cyclic`; a mean is gone to first, at the temperature at which the cycles begin.
    """
    _choice(control, ("strain", "stress"), "control")
    shape = {"triangle": _triangle, "sine": _sine}[_choice(wave, ("triangle", "sine"), "wave")]
    _check_counts(cycles, rows)
    a = positive(strain, "the amplitude")
    m = _mean(a, R, mean)
    low, high = (number(t, "temperature") for t in temperature)
    middle, swing = (high + low) / 2, (high - low) / 2
    duration = positive(period, "period")

    def heat(x: torch.Tensor) -> torch.Tensor:
        return middle + swing * lead(shape(x - phase / 360.0), swing.ndim)

    def load(x: torch.Tensor) -> torch.Tensor:
        return m + a * lead(shape(x), a.ndim)

    segments = [
        Segment(duration, rows, **_aim(control, component, Along(load)), forces={force: Along(heat)}, cycle=c)
        for c in range(1, cycles + 1)
    ]
    if (m != 0).any():
        segments.insert(0, Segment(duration / 4, rows // 4, **_aim(control, component, m), cycle=1))
    begin = heat(torch.zeros(1, dtype=torch.float64))[0]
    return History.from_segments(segments, **{**more, "start": {force: begin, **more.get("start", {})}})


def isochronous(
    stresses: Any,
    times: Sequence[float],
    *,
    load_time: float,
    component: str = "xx",
    rows: int = 100,
    load_rows: int = 20,
    decades: float = 4.0,
    **more: Any,
) -> History:
    """Creep tests at several ``stresses`` ``(batch)``, with rows at all the ``times`` since their beginning.

    :func:`neml2.drivers.results.isochrones.isochronous_curves` reads the curves off the trajectory.
    """
    ends = positive(times, "times").reshape(-1) - positive(load_time, "load_time")
    if not (ends > 0).all():
        raise ValueError(
            f"a time of {float(min(times)):g} lies within the loading ({load_time:g}); load faster"
        )
    duration = ends.max()
    grid = Segment(1.0, rows, spacing=_spacing(rows, decades)).fractions()
    spacing = torch.unique(torch.cat([grid, ends / duration]))
    load = _load("stress", component, stresses, load_time, None, load_rows)
    hold = Segment(duration, len(spacing), stress={component: stresses}, spacing=spacing, name="creep")
    return History.from_segments([load, hold], **more)


def _load(control: str, component: str, to: Any, time: Any, rate: Any, rows: int) -> Segment:
    if (time is None) == (rate is None):
        raise ValueError(f"how fast the {control} is applied is not clear; give either load_time or rate")
    speed = {"duration": time} if rate is None else {"rate": {component: rate}}
    return Segment(rows=rows, **speed, **_aim(control, component, to), name="load")


def _aim(control: str, component: str, value: Any) -> dict[str, Any]:
    return {control: {component: value}}


def _mean(a: torch.Tensor, R: Any, mean: Any) -> torch.Tensor:
    if R is not None and mean is not None:
        raise ValueError("cycles have a ratio R and a mean; give one of them")
    if R is None:
        return number(0.0 if mean is None else mean, "mean")
    ratio = number(R, "R")
    if not (ratio < 1).all():
        raise ValueError(
            f"the ratio R of valley to peak is {float(ratio.max()):g}; give one below 1, or a mean"
        )
    return a * (1 + ratio) / (1 - ratio)


def _quarter(a: torch.Tensor, rate: Any, period: Any) -> torch.Tensor:
    if (rate is None) == (period is None):
        raise ValueError("how fast the cycles are is not clear; give either rate or period")
    return a / positive(rate, "rate") if period is None else positive(period, "period") / 4


def _check_counts(cycles: Any, rows: Any) -> None:
    if isinstance(cycles, bool) or not isinstance(cycles, int) or cycles < 1:
        raise ValueError(f"there are cycles={cycles!r}; give a whole number from 1 on")
    if not isinstance(rows, int) or rows < 4 or rows % 4:
        raise ValueError(f"a cycle has rows={rows!r}; give a multiple of 4, so that peak and valley are rows")


def _spacing(rows: int, decades: float) -> torch.Tensor | None:
    return logarithmic(rows, decades) if decades else None


def _choice(word: Any, known: Sequence[str], what: str) -> str:
    if word not in known:
        raise ValueError(f"{what} is {word!r}{did_you_mean(str(word), known)}; give one of {listing(known)}")
    return str(word)


def _sine(x: torch.Tensor) -> torch.Tensor:
    """1 at a quarter of a cycle, -1 at three quarters."""
    return torch.sin(2 * torch.pi * x)


def _triangle(x: torch.Tensor) -> torch.Tensor:
    """1 at a quarter of a cycle, -1 at three quarters, straight between."""
    return 4 * (torch.remainder(x - 0.25, 1.0) - 0.5).abs() - 1
