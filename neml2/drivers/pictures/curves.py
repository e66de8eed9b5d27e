"""What can be drawn of a trajectory, by name: variables, components and quantities, as labelled numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import torch

from neml2.drivers.results.derived import QUANTITIES, Derived, parse
from neml2.drivers.results.layout import to_disk
from neml2.drivers.trajectory import Trajectory
from neml2.errors import MissingVariable
from neml2.registry import did_you_mean, listing
from neml2.solvers.status import Status
from neml2.types import SR2, Scalar, TensorWrapper

_CALL = re.compile(r"(\w+)\((.+)\)(?:\.(\w+))?")


@dataclass(frozen=True)
class Curves:
    """One number per row, point and site, ``(rows, points, sites)``, and what to write beside its axis."""

    name: str
    values: np.ndarray
    words: str
    unit: str = ""

    @property
    def label(self) -> str:
        """The words, and the unit unless it only repeats one of them."""
        plain = re.findall(r"[a-z0-9]+", re.sub(r"\$.*?\$", "", self.words.lower()))
        known = not self.unit or self.unit in plain or self.unit in ("-", "1")
        return self.words if known else f"{self.words} ({self.unit})"


def curves(trajectory: Trajectory, name: str) -> Curves:
    """A variable, a component or a quantity, physical components throughout.

    ``time``, a Scalar's name, ``stress.xx`` (or ``stress_xx``), one of
    :data:`~neml2.drivers.results.derived.QUANTITIES` such as ``von_mises(stress)``, ``principal(stress).1``
    (the largest), or ``rate(...)`` of any of these: the change since the row before over that of the time.

    Raises :class:`~neml2.errors.MissingVariable` with the nearest spelling, or :class:`ValueError` where a
    component has to be chosen, or a quantity does not exist for a type of tensor.
    """
    name = name.strip()
    if name == "time" and name not in trajectory:
        return _time(trajectory)
    if name in trajectory:
        value = trajectory[name]
        if not isinstance(value, Scalar):
            first = f"{name}.{value.COMPONENTS[0]}"
            raise ValueError(f"'{name}' is a {type(value).__name__}; say which component, such as '{first}'")
        return Curves(name, _sites(trajectory, name), _words(name), _unit(trajectory, name))
    call = _CALL.fullmatch(name)
    if call is not None:
        return _quantity(trajectory, name, *call.groups())
    base, component = _split(trajectory, name)
    values = _sites(trajectory, base)[..., trajectory[base].COMPONENTS.index(component)]
    return Curves(name, values, _indexed(_words(base), component), _unit(trajectory, base))


def drawable(trajectory: Trajectory) -> list[str]:
    """The names of everything that can be drawn, except for rates."""
    found = ["time"]
    for name in trajectory.names:
        value = trajectory[name]
        if name == trajectory.time_name:
            continue
        if isinstance(value, Scalar):
            found.append(name)
        else:
            found += [f"{name}.{c}" for c in value.COMPONENTS]
        for function, quantity in QUANTITIES.items():
            if quantity.arguments == 1 and isinstance(value, quantity.kinds):
                parts = [f".{p}" for p in _PRINCIPAL] if function == "principal" else [""]
                found += [f"{function}({name}){p}" for p in parts]
    return found


def rows_that_count(trajectory: Trajectory) -> np.ndarray:
    """Which rows of a point are drawn, booleans ``(rows, points)``: not those after its end or failure."""
    status = trajectory.status.detach().cpu().numpy().reshape(len(trajectory), -1)
    own = (status == Status.CONVERGED) | (status == Status.NOT_SOLVED)
    # a segment that ends early repeats its last row until the next one begins
    goes_on = np.maximum.accumulate(own[::-1], axis=0)[::-1]
    return own | ((status == Status.ENDED) & goes_on)


def point_name(trajectory: Trajectory, i: int) -> str:
    """``point 3`` or ``point 1, 2``: the place of a flat index in the batch."""
    index = np.unravel_index(i, tuple(trajectory.batch)) if trajectory.batch else (i,)
    return f"point {', '.join(str(int(k)) for k in index)}"


# ---------------------------------------------------------------------- variables


def _time(trajectory: Trajectory) -> Curves:
    time = trajectory.time.detach().cpu().numpy()
    spread = np.broadcast_to(
        time.reshape(*time.shape, *(1,) * (len(trajectory.batch) + 1 - time.ndim)),
        (len(trajectory), *trajectory.batch),
    )
    values = spread.reshape(len(trajectory), -1, 1)
    return Curves("time", values, "time", _unit(trajectory, trajectory.time_name))


def _sites(trajectory: Trajectory, name: str) -> np.ndarray:
    """Physical components ``(rows, points, sites[, components])``."""
    value = trajectory[name]
    data = to_disk(value).cpu().numpy()
    inner = data.shape[-1:] if value.BASE_NDIM else ()
    points = trajectory.batch.numel()
    sites = int(np.prod(tuple(value.sub_batch_shape), dtype=int))
    return data.reshape(len(trajectory), points, sites, *inner)


def _split(trajectory: Trajectory, name: str) -> tuple[str, str]:
    """``stress.xx`` or ``stress_xx`` as a variable and one of its components."""
    for mark in (".", "_"):
        base, _, component = name.rpartition(mark)
        if base in trajectory:
            labels = trajectory[base].COMPONENTS
            if component[::-1] in labels and isinstance(trajectory[base], SR2):
                component = component if component in labels else component[::-1]  # yx is xy
            if component and component in labels:
                return base, component
    known = drawable(trajectory)
    raise MissingVariable(
        f"there is no '{name}' to draw{did_you_mean(name, known)}; there are {listing(known, 30)}"
    )


def _words(name: str) -> str:
    return name.replace("_", " ").replace("$", r"\$")


def _indexed(words: str, component: str) -> str:
    return rf"{words}$_{{\mathrm{{{component}}}}}$"


def _unit(trajectory: Trajectory, name: str) -> str:
    declared = trajectory.origin.declared.get(name)
    return declared.unit if declared else ""


# ---------------------------------------------------------------------- quantities

_WORDS = {  # of an axis; others are "trace of stress"
    "von_mises": "von Mises {}",
    "equivalent_strain": "equivalent {}",
    "principal": "principal {}",
    "hydrostatic": "hydrostatic {}",
}
_PRINCIPAL = ("1", "2", "3")


def _quantity(trajectory: Trajectory, name: str, function: str, inside: str, part: str | None) -> Curves:
    if function == "rate" and part is None:
        return _rate(trajectory, name, inside.strip())
    if function not in QUANTITIES:
        known = [*QUANTITIES, "rate"]
        raise MissingVariable(
            f"there is no quantity '{function}'{did_you_mean(function, known)}; there are {listing(known)}"
        )
    derived = parse(f"{function}({inside})")
    values = [_argument(trajectory, name, derived, v) for v in derived.variables]
    parts = _PRINCIPAL if function == "principal" else ()
    if (part or "") not in (parts or ("",)):
        forms = [f"{derived.text}.{p}" for p in parts] or [derived.text]
        raise ValueError(f"'{name}' is not one number; write {listing(forms)}")
    of = _WORDS.get(function, f"{function} of {{}}").format
    words = of(" and ".join(_words(v) for v in derived.variables))
    if derived.quantity.accumulates:
        result = _accumulated(derived, *values)
    else:
        result = derived.quantity.function(*values)
    numbers = result.data.detach().cpu().numpy().reshape(len(trajectory), trajectory.batch.numel(), -1)
    if part:
        numbers = numbers[..., parts.index(part) :: len(parts)]  # the values of a site are side by side
        words = _indexed(words, part)
    return Curves(name, numbers, words, derived.declared(trajectory.origin.declared).unit)


def _argument(trajectory: Trajectory, name: str, derived: Derived, variable: str) -> TensorWrapper:
    if variable not in trajectory:
        raise MissingVariable(
            f"{name}: there is no '{variable}'{did_you_mean(variable, trajectory.names)}; there are"
            f" {listing(trajectory.names, 30)}"
        )
    value = trajectory[variable]
    if not isinstance(value, derived.quantity.kinds):
        wanted = listing(k.__name__ for k in derived.quantity.kinds)
        raise ValueError(f"{name}: '{variable}' is a {type(value).__name__}; it has to be one of {wanted}")
    return value.detach()


def _accumulated(derived: Derived, a: TensorWrapper, b: TensorWrapper) -> TensorWrapper:
    """The sum of the increments from row to row; zero at the first."""

    def before(v: TensorWrapper) -> TensorWrapper:
        return type(v)._new(torch.cat([v.data[:1], v.data[:-1]]), v.sub_batch_ndim)

    change = derived.quantity.function(a, before(a), b, before(b))
    return type(change)._new(change.data.cumsum(0), change.sub_batch_ndim)


def _rate(trajectory: Trajectory, name: str, argument: str) -> Curves:
    """Backward differences, as backward Euler has them; NaN at the first row."""
    inner = curves(trajectory, argument)
    values = np.full_like(inner.values, np.nan, dtype=float)
    dt = np.diff(_time(trajectory).values, axis=0)
    change = np.diff(inner.values, axis=0)
    values[1:] = np.divide(change, dt, out=np.full(change.shape, np.nan), where=dt > 0)
    time = _unit(trajectory, trajectory.time_name) or "time"
    above = "1" if inner.unit in ("", "-", "1", "strain") else inner.unit
    return Curves(name, values, f"{inner.words} rate", f"{above}/{time}")
