"""How far a model is from the measurements, and its derivatives: all tests of a kind in one run."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from neml2 import log
from neml2.drivers.control.conjugates import chosen_strain
from neml2.drivers.engines.run import NotNative
from neml2.drivers.histories.history import History
from neml2.drivers.trajectory import Trajectory
from neml2.drivers.transient import TransientDriver
from neml2.model import Model
from neml2.recurrent.checks import GradientError
from neml2.recurrent.experiment import Experiment, Response
from neml2.recurrent.predictions import Compared, compared, quantity
from neml2.recurrent.spare_drivers import lent, structure
from neml2.recurrent.transforms import Space
from neml2.types import TensorWrapper


class Failed(Exception):
    """The model could not be evaluated with some parameters; the message says which test stopped where."""


@dataclass(frozen=True, eq=False)
class Group:
    """Tests that run as one batch, in this order, and what is compared of them."""

    numbers: tuple[int, ...]
    history: History
    compared: tuple[Compared, ...]


class Misfit:
    """The residuals of a model with respect to experiments, as functions of the coordinates of a fit.

    Their order is that of the groups, of the responses in each, of the tests, and of the points. The model is
    a copy: the one that was given keeps its parameters. Runs are made by a twin that keeps its kernels for
    the next fit of a model of this structure.
    """

    def __init__(
        self,
        model: Model | TransientDriver,
        experiments: Experiment | Iterable[Experiment],
        parameters: Mapping[str, Any] | Iterable[str],
    ) -> None:
        self.experiments = _several(experiments)
        driver = model if isinstance(model, TransientDriver) else TransientDriver(model)
        self.driver = copy.deepcopy(driver)
        self.driver.on_failure = (*(w for w in driver.on_failure if w == "substep"), "freeze")
        self.space = Space(self.driver.model, parameters)
        free = set(self.space.paths.values())
        for path, p in self.driver.model.named_parameters():
            p.requires_grad_(path in free)
        self._structure = structure(self.driver)
        self.absolute = _one_way_of_noise(self.experiments)
        self.groups = self._groups()
        self.runs = 0

    @property
    def points(self) -> int:
        """How many measured values have a weight."""
        return sum(int((c.scale > 0).sum()) for g in self.groups for c in g.compared)

    def size(self) -> float:
        """The norm of the measured values, each in its unit of the residuals."""
        return float(torch.cat([c.measured * c.scale for g in self.groups for c in g.compared]).norm())

    # ------------------------------------------------------------------ evaluations

    def run(self, u: np.ndarray) -> list[Trajectory]:
        """The trajectories of all groups.

        Raises :class:`Failed` where one of the tests did not come to its end.
        """
        with self._at(u) as driver, torch.no_grad():
            return self._runs(driver)

    def residuals(self, u: np.ndarray) -> np.ndarray:
        """The weighted differences of model and measurement, those of priors last, ``(m,)``.

        Raises :class:`Failed` where the model stops or is not finite.
        """
        found = self._differences(self.run(u)).numpy()
        return np.concatenate([found, self.space.prior_residuals(u)[0]])

    def loss(self, u: np.ndarray) -> float:
        """Half the sum of the squares of the residuals."""
        return 0.5 * float(np.square(self.residuals(u)).sum())

    def loss_and_gradient(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss and its derivatives by the coordinates, ``(p,)``, by the discrete adjoint.

        Raises :class:`Failed`, or :class:`~neml2.recurrent.GradientError` for a gradient that is not finite.
        """
        by = np.zeros(len(self.space))
        with self._at(u) as driver, torch.enable_grad():
            loss = 0.5 * self._differences(self._runs(driver)).square().sum()
            loss.backward()
            for i, e in enumerate(self.space.entries):
                grad = driver.model.get_parameter(e.path).grad
                by[i] = 0.0 if grad is None else float(grad.reshape(-1)[e.index])
                _expect_finite(by[i], e.label)
        prior, slopes = self.space.prior_residuals(u)
        by += slopes.T @ prior
        return float(loss.detach()) + 0.5 * float(prior @ prior), by * self.space.slopes(u)

    def jacobian(self, u: np.ndarray) -> np.ndarray:
        """The derivatives of the residuals by the coordinates of the fit, ``(m, p)``."""
        from neml2.recurrent.jacobian import slopes

        with self._at(u) as driver:
            parts = [slopes(driver, g.history, g.compared, self.space) for g in self.groups]
        found = torch.cat(parts).numpy()
        for i, label in enumerate(self.space.labels):
            _expect_finite(float(found[:, i].sum()), label)
        prior = self.space.prior_residuals(u)[1]
        return np.concatenate([found, prior]) * self.space.slopes(u)

    def at(self, u: np.ndarray) -> TransientDriver:
        """The driver, its model with these parameters."""
        self._set(u)
        return self.driver

    def trajectories(self, u: np.ndarray) -> dict[str, Trajectory]:
        """What the model makes of every test, alone, by its name or number."""
        with self._at(u) as driver, torch.no_grad():
            return {e.name or str(i): self._run(driver, e.history) for i, e in enumerate(self.experiments)}

    def compared_points(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Test, response, time, measured and predicted value of every measured point, ``(k,)`` each."""
        columns: dict[str, list[np.ndarray]] = {
            n: [] for n in ("test", "response", "time", "measured", "predicted")
        }
        for group, trajectory in zip(self.groups, self.run(u)):
            names = np.array([self.experiments[i].name or str(i) for i in group.numbers])
            time = trajectory.time.reshape(len(trajectory), -1).expand(-1, len(group.numbers))
            for c in group.compared:
                columns["test"].append(names[c.point.numpy()])
                columns["response"].append(np.full(len(c), c.quantity.text))
                columns["time"].append(c.at(time).numpy())
                columns["measured"].append(c.measured.numpy())
                columns["predicted"].append(c.predicted(trajectory).detach().numpy())
        return {n: np.concatenate(v) for n, v in columns.items()}

    # ------------------------------------------------------------------ parts

    def weights(self) -> np.ndarray:
        """The weights of all residuals, those of priors one, ``(m,)``."""
        found = [c.weight.numpy() for g in self.groups for c in g.compared]
        priors = sum(e.prior is not None for e in self.space.entries)
        return np.concatenate([*found, np.ones(priors)])

    def _differences(self, trajectories: Sequence[Trajectory]) -> torch.Tensor:
        parts = []
        for group, trajectory in zip(self.groups, trajectories):
            for c in group.compared:
                difference = torch.where(
                    c.scale > 0, (c.predicted(trajectory).double() - c.measured) * c.scale, 0.0
                )
                bad = (~difference.isfinite()).nonzero()
                if len(bad):
                    i = int(bad[0])
                    test = self._called(group.numbers[int(c.point[i])])
                    raise Failed(f"{test} gives no finite {c.quantity.text} at row {int(c.left[i]) + 1}")
                parts.append(difference)
        return torch.cat(parts)

    @contextlib.contextmanager
    def _at(self, u: np.ndarray) -> Iterator[TransientDriver]:
        """The driver that makes the runs, its model with these parameters."""
        self._set(u)
        with lent(self.driver, self._structure) as driver:
            yield driver

    def _runs(self, driver: TransientDriver) -> list[Trajectory]:
        self.runs += 1
        found = [self._run(driver, group.history) for group in self.groups]
        for group, trajectory in zip(self.groups, found):
            if trajectory.failures:
                point, row, status = min(trajectory.failures, key=lambda f: f[1])
                more = len({p for p, _, _ in trajectory.failures}) - 1
                others = f", and {more} more tests do" if more else ""
                test = self._called(group.numbers[point[0] if point else 0])
                raise Failed(f"{test} stops at row {row} ({status.name.lower().replace('_', ' ')}){others}")
        return found

    def _run(self, driver: TransientDriver, history: History) -> Trajectory:
        """In a kernel where that is possible: a fit makes many runs, however short they are."""
        if driver.engine == "auto":
            try:
                driver.engine = "native"
                return driver.run(history, progress=False)
            except NotNative as reason:
                log.emit("driver", log.WARNING, f"the fit is done in the eager engine: {reason}")
                driver.engine = "eager"
            finally:
                self.driver.engine = driver.engine
        return driver.run(history, progress=False)

    def _set(self, u: np.ndarray) -> None:
        known = dict(self.driver.model.named_parameters())
        with torch.no_grad():
            for path, value in self.space.tensors(u, self.driver.model).items():
                known[path].copy_(value)

    def _called(self, number: int) -> str:
        name = self.experiments[number].name
        return f"test '{name}'" if name else f"test {number}"

    def _groups(self) -> list[Group]:
        units = _units(self.experiments)
        members: dict[Any, list[int]] = {}
        for i, e in enumerate(self.experiments):
            members.setdefault(_signature(e.history), []).append(i)
        made = []
        for numbers in members.values():
            tests = [self.experiments[i] for i in numbers]
            history = History.batch([e.history for e in tests])
            kinds = self._computed(history)
            parts: dict[str, list[tuple[int, Experiment, Response]]] = {}
            for at, e in enumerate(tests):
                for name, response in e.responses.items():
                    parts.setdefault(name, []).append((at, e, response))
            found = [compared(quantity(self.driver, n, kinds), p, units[n]) for n, p in parts.items()]
            made.append(Group(tuple(numbers), history, tuple(found)))
        return made

    def _computed(self, history: History) -> dict[str, type[TensorWrapper]]:
        """The types of what comes out of a run: the strain as well, unless all of it is prescribed."""
        model, control = self.driver.model, history.control
        found = dict(model.output_spec)
        if control is not None and bool(control.stress_weight.any()):
            strain = chosen_strain(model, self.driver.strain)
            found[strain] = model.input_spec[strain]
        return found


def _several(experiments: Experiment | Iterable[Experiment]) -> list[Experiment]:
    found = [experiments] if isinstance(experiments, Experiment) else list(experiments)
    for e in found:
        if not isinstance(e, Experiment):
            raise TypeError(
                f"a fit takes experiments, not a {type(e).__name__}; make one with Experiment(...)"
            )
    if not found:
        raise ValueError("there are no experiments to fit; give one at least")
    names = [e.name for e in found if e.name]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise ValueError(f"two experiments are called '{twice}'; give them names of their own")
    return found


def _one_way_of_noise(experiments: Sequence[Experiment]) -> bool:
    """Whether all responses have standard deviations; :class:`ValueError` if only some have."""
    known = {
        (e.name or str(i), n): r.sigma for i, e in enumerate(experiments) for n, r in e.responses.items()
    }
    lacking = [key for key, s in known.items() if s is None]
    if lacking and len(lacking) < len(known):
        test, name = lacking[0]
        raise ValueError(
            f"'{name}' of test '{test}' has no standard deviation, but other responses have; give sigma for"
            " all or for none"
        )
    return not lacking


def _units(experiments: Sequence[Experiment]) -> dict[str, float]:
    """The size of every response over all tests: the unit of its differences where no sigma is given."""
    values: dict[str, list[np.ndarray]] = {}
    for e in experiments:
        for n, r in e.responses.items():
            values.setdefault(n, []).append(r.values)
    sizes = {n: float(np.sqrt(np.mean(np.square(np.concatenate(v))))) for n, v in values.items()}
    return {n: size or 1.0 for n, size in sizes.items()}


def _signature(history: History) -> Any:
    """What histories must share to run as one batch."""
    control = history.control
    moving: tuple[int, ...] = ()
    if control is not None:
        carried = (control.carry != 0).flatten(1).any(1)
        moving = tuple(torch.where(carried, control.anchor, -1).tolist()) if bool(carried.any()) else ()
    names = tuple(sorted({*history.prescribed, *history.constant}))
    return (None if control is None else control.components, moving, names, tuple(sorted(history.initial)))


def _expect_finite(slope: float, label: str) -> None:
    if not np.isfinite(slope):
        raise GradientError(
            f"the derivative of the residuals by '{label}' is not finite; it does not exist there (a power or"
            f" a norm of zero, for instance): start from another value, or leave it out"
        )
