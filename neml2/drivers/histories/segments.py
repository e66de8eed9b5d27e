"""A test is a list of segments: stretches over which prescribed values go from where they are to others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from neml2.drivers.control.control import LABELS
from neml2.drivers.histories.given import as_data
from neml2.registry import did_you_mean, listing


class _Hold:
    """What :data:`HOLD` is."""

    def __repr__(self) -> str:
        return "HOLD"


HOLD = _Hold()  # as a value: a component stays at whatever it is when the segment begins


@dataclass(frozen=True, eq=False)
class Along:
    """A value that follows a given course instead of a straight line.

    course
        The value at every row of the segment, ``(rows, *batch)``, or a function that returns them from the
        parts of the duration that have passed, ``(rows,)`` in (0, 1]: ``Along(lambda x: 0.01 * torch.sin(2 *
        torch.pi * x))``.
    """

    course: Any

    def at(self, fractions: torch.Tensor, what: str) -> torch.Tensor:
        """The values at the rows; :class:`ValueError` unless there is one for each."""
        course = self.course(fractions) if callable(self.course) else self.course
        values = number(course, what)
        if values.ndim == 0 or values.shape[0] != len(fractions):
            raise ValueError(
                f"{what} follows a course of shape {tuple(values.shape)} in a segment of {len(fractions)}"
                " rows; give one value for every row, (rows, *batch)"
            )
        return values


@dataclass(frozen=True, eq=False)
class FollowUp:
    r"""A component that is strained through a spring: :math:`\sigma / K + \varepsilon` is prescribed.

    stiffness
        :math:`K`, in units of stress, ``(*batch)``; infinite for strain control.
    to
        Where the far end of the spring moves, as a strain; it is held where it is by default.
    """

    stiffness: Any
    to: Any = HOLD


@dataclass(frozen=True)
class Stretch:
    """Rows ``first`` to ``last`` of a history, which belong together; ``until`` may end them early.

    ``held`` are the components that stay at whatever they were when it began.
    """

    first: int
    last: int
    name: str = ""
    until: Any = None
    held: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Segment:
    """A stretch of a test, over which prescribed values go from where they are to given ones.

    duration
        How long it takes, ``(*batch)``; or leave it out and give ``rate``.
    rows
        How many rows it has.
    strain, stress
        Where components go, ``{"xx": 0.01, "yy": HOLD}``: numbers or ``(*batch)`` for a straight line,
        :class:`Along` for any other course, :data:`HOLD`. Shear strains are tensor components, half the
        engineering ones.
    deformation_gradient
        Instead of ``strain``: components ``xx``, ``xy``, ..., ``zz`` of the deformation gradient; ``stress``
        is then the Cauchy stress.
    follow_up
        Components that are strained through a spring: its stiffness, or a :class:`FollowUp`.
    forces
        Where other prescribed variables go, by name, such as ``{"T": 900.0}``.
    rate
        One component or force and its rate, such as ``{"xx": 1e-3}``; the duration follows.
    spacing
        Where the rows lie, as parts of the duration in (0, 1] that increase to 1, ``(rows,)``; evenly spaced
        by default. See :func:`logarithmic`.
    until
        A condition that ends the segment early, such as ``"stress.xx > 300"``.
    cycle, name
        The number of the cycle, for pictures and events, and a name for tables.

    A component that nothing is said about stays under the control that it was under, where it is; before
    anything is said of it, its stress is zero. Of two components of a deformation gradient such as xy and yx
    only one can be free: the one that nothing is said about is held, and without a word about either it is
    yx, zx and zy that are held and the shear stress that is zero.

    Units are your own: those of the model. Raises :class:`ValueError` for names, numbers and combinations
    that cannot be.
    """

    duration: Any = None
    rows: int = 20
    strain: Mapping[str, Any] = field(default_factory=dict)
    stress: Mapping[str, Any] = field(default_factory=dict)
    deformation_gradient: Mapping[str, Any] = field(default_factory=dict)
    follow_up: Mapping[str, Any] = field(default_factory=dict)
    forces: Mapping[str, Any] = field(default_factory=dict)
    rate: Mapping[str, Any] = field(default_factory=dict)
    spacing: Any = None
    until: Any = None
    cycle: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.rows, bool) or not isinstance(self.rows, int) or self.rows < 1:
            raise ValueError(f"a segment has rows={self.rows!r}; give a whole number from 1 on")
        if self.strain and self.deformation_gradient:
            raise ValueError(
                "a segment prescribes strain and deformation_gradient; give the one that the model is driven"
                " by"
            )
        labels = LABELS[9 if self.deformation_gradient else 6]
        taken: dict[str, str] = {}
        for what in ("strain", "deformation_gradient", "stress", "follow_up"):
            for component in _mapping(getattr(self, what), what):
                # whether nine components make sense is known once all segments are
                check_component(component, what, LABELS[9] if what == "stress" else labels)
                if component in taken:
                    raise ValueError(
                        f"component {component} has both {taken[component]} and {what} in one segment;"
                        " prescribe one of them"
                    )
                taken[component] = what
        _mapping(self.forces, "forces")
        if (self.duration is None) == (not _mapping(self.rate, "rate")):
            raise ValueError("a segment needs a duration or a rate; give one of them")
        if len(self.rate) > 1:
            raise ValueError(
                f"a segment has rates of {listing(self.rate)}; one rate gives the duration, leave out the"
                " others"
            )
        if self.duration is not None:
            positive(self.duration, "the duration of a segment")
        _ = self.fractions()

    def fractions(self) -> torch.Tensor:
        """Where the rows lie, as parts of the duration, ``(rows,)``."""
        if self.spacing is None:
            return torch.arange(1, self.rows + 1, dtype=torch.float64) / self.rows
        given = number(self.spacing, "spacing")
        if given.shape != (self.rows,):
            raise ValueError(
                f"spacing has shape {tuple(given.shape)} in a segment of {self.rows} rows; give one part of"
                " the duration for each"
            )
        if given[0] <= 0 or (given[1:] <= given[:-1]).any() or given[-1] != 1:
            raise ValueError(
                f"spacing goes from {float(given[0]):g} to {float(given[-1]):g}; it must increase from above"
                " 0 to 1"
            )
        return given


def logarithmic(rows: int, decades: float = 4.0) -> torch.Tensor:
    """A ``spacing`` of rows that lie evenly on a logarithmic axis: ``(rows,)``, the first at 10^-decades.

    Raises :class:`ValueError` for ``decades`` that are not positive.
    """
    if not decades > 0:
        raise ValueError(
            f"decades={decades} is not positive; give the decades between the first row and the last"
        )
    exponents = torch.linspace(-decades, 0.0, rows, dtype=torch.float64) if rows > 1 else torch.zeros(1)
    return 10.0 ** exponents.to(torch.float64)


def check_component(name: Any, what: str, labels: Iterable[str]) -> None:
    """:class:`ValueError` unless ``name`` is one of the components ``labels``."""
    labels = tuple(labels)
    if name not in labels:
        mirrored = name[::-1] if isinstance(name, str) and name[::-1] in labels else None
        near = f"; did you mean '{mirrored}'?" if mirrored else did_you_mean(str(name), labels)
        raise ValueError(f"{what} has no component {name!r}{near} (there are {listing(labels)})")


def number(value: Any, what: str) -> torch.Tensor:
    """A number, list, array or tensor in double precision; :class:`TypeError` for anything else."""
    if isinstance(value, bool | str) or value is None:
        raise TypeError(f"{what} is {value!r}; give a number, or one for every point of the batch")
    data = as_data(value, what).to(torch.float64)
    if not data.detach().isfinite().all():
        raise ValueError(f"{what} is not finite; give numbers that are")
    return data


def positive(value: Any, what: str) -> torch.Tensor:
    """As :func:`number`; :class:`ValueError` unless all are positive."""
    data = number(value, what)
    if not (data > 0).all():
        raise ValueError(f"{what} is {float(data.min()):g}; it must be positive")
    return data


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{what} of a segment is a {type(value).__name__}; give a dict by component or name, such as"
            " {'xx': 0.01}"
        )
    return value
