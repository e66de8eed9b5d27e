"""The transient driver of input files: a driver together with its history, and where the result goes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from neml2.drivers.control.control import Control
from neml2.drivers.engines.memory import result_size
from neml2.drivers.files.formats import check_place, save
from neml2.drivers.histories.history import History
from neml2.drivers.trajectory import Path, Trajectory
from neml2.drivers.transient import TransientDriver
from neml2.fields import Dependency, Field, FileField, Option, ValueField
from neml2.lags import split
from neml2.model import Model
from neml2.registry import listing, register
from neml2.types import MRP, R2, SR2, SSR4, WR2, MillerIndex, Scalar, TensorWrapper, Vec

if TYPE_CHECKING:
    from neml2.hit.settings import Settings

KINDS: tuple[type[TensorWrapper], ...] = (Scalar, Vec, SR2, WR2, R2, MRP, SSR4, MillerIndex)


def declare(fields: Mapping[str, tuple[Any, Field]]) -> dict[str, Field]:
    """Declarations by attribute from ``{attribute: (type, declaration)}``."""
    named: dict[str, Field] = {}
    for attr, (kind, f) in fields.items():
        named[attr] = f.named(attr, kind, named)
    return named


def value_fields(
    prefix: str, what: str, kinds: Iterable[type[TensorWrapper]] = KINDS
) -> dict[str, tuple[Any, Field]]:
    """The options ``<prefix><T>_names`` and ``<prefix><T>_values`` for every tensor type T."""
    found: dict[str, tuple[Any, Field]] = {}
    for kind in kinds:
        t = kind.__name__
        found[f"{prefix}{t}_names"] = (str, Option(f"Names of {what} of type {t}", default=[], many=True))
        values = ValueField(
            f"Their values, in the same order: names of [Tensors] of type {t}", default=[], many=True
        )
        found[f"{prefix}{t}_values"] = (kind, values)
    return found


class Pairs:
    """Values by variable name, from ``<prefix><T>_names`` and ``<prefix><T>_values``, and their options.

    Raises :class:`ValueError` for lists of unequal lengths and for names that are given twice.
    """

    def __init__(
        self, options: Mapping[str, Any], prefix: str, kinds: Iterable[type[TensorWrapper]] = KINDS
    ) -> None:
        self.values: dict[str, Any] = {}
        self.options: dict[str, str] = {}
        self.kinds: dict[str, type[TensorWrapper]] = {}
        for kind in kinds:
            option = f"{prefix}{kind.__name__}_values"
            names = list(options.get(f"{prefix}{kind.__name__}_names", ()))
            values = list(options.get(option, ()))
            if len(names) != len(values):
                raise ValueError(
                    f"{option} has {len(values)} values for the {len(names)} names in"
                    f" {prefix}{kind.__name__}_names"
                )
            for name, value in zip(names, values, strict=True):
                if name in self.values:
                    raise ValueError(
                        f"{prefix}{kind.__name__}_names: '{name}' is given twice; keep one of them"
                    )
                self.values[name], self.options[name], self.kinds[name] = value, option, kind


_CONTROL = {
    "stress_weight": "weights of the stress, (n, ..., 6) or (n, ..., 9)",
    "strain_weight": "weights of the strain",
    "target": "what the weighted sum shall be",
    "carry": "how much of its value at the row 'anchor' is added; none by default",
    "anchor": "the rows at which that value is taken, (n), with 'control_carry'",
}


class PrescribedTransient:
    """Drive a model along the history of an input file: ``file.get_driver(name).run() -> Trajectory``.

    ``driver`` is the :class:`TransientDriver`, ``history`` the :class:`History`. Raises what
    :meth:`History.bind` raises when the two do not fit. Scripts written for NEML2 find the last run in
    ``trajectory``, and in :meth:`result`, ``result_in``, ``result_out`` and ``nsteps``.
    """

    trajectory: Trajectory | None = None  # of the last run

    SECTION: ClassVar[str] = "Drivers"
    FIELDS: ClassVar[dict[str, Field]] = declare(
        {
            "model": (Model, Dependency("Models", "The model to drive")),
            "prescribed_time": (Scalar, ValueField("The time of every step")),
            "time": (str, Option("The variable that receives the time", default="t")),
            **value_fields("prescribed_", "prescribed variables"),
            **value_fields("ic_", "initial values"),
            **{
                f"control_{n}": (Scalar, ValueField(f"Control by component: {doc}", default=None))
                for n, doc in _CONTROL.items()
            },
            "lengths": (Scalar, ValueField("How many rows count, of every point", default=None)),
            "cycle": (Scalar, ValueField("The number of the cycle of every row", default=None)),
            "save_as": (str, Option("File for the result: .h5, .hdf5, .nc or .pt", default="")),
            "on_failure": (
                str,
                Option(
                    "What to do when points fail",
                    default=["raise"],
                    many=True,
                    choices=("raise", "freeze", "substep"),
                ),
            ),
            "max_substeps": (
                int,
                Option("How often an increment may be halved", default=8, within="[1, 20]"),
            ),
            "settings": (object, FileField("The [Settings] of the file")),
            "text": (str, FileField("The input text")),
        }
    )

    def __init__(
        self,
        model: Model,
        prescribed_time: Any,
        time: str = "t",
        save_as: Path = "",
        on_failure: str | Iterable[str] = "raise",
        max_substeps: int = 8,
        settings: Settings | None = None,
        text: str | None = None,
        name: str = "",
        **values: Any,
    ) -> None:
        unknown = [n for n in values if n not in self.FIELDS]
        if unknown:
            raise TypeError(f"PrescribedTransient has no option '{unknown[0]}'")
        self.driver = TransientDriver(
            model, time, on_failure, max_substeps, settings=settings, input_text=text or ""
        )
        self.driver.sections = {"model": f"Models/{model.name}", "driver": f"Drivers/{name}"}
        self.save_as = save_as
        forces, initial = Pairs(values, "prescribed_"), Pairs(values, "ic_")
        self._options = {**initial.options, **forces.options, "the time": "prescribed_time"}
        numbers = {n: v for n, v in forces.values.items() if isinstance(v, int | float)}
        series = {n: v for n, v in forces.values.items() if n not in numbers}
        try:
            if settings is not None:
                update = self.driver.update
                known = [*model.input_spec, *update.outputs, *update.forces, *update.states]
                settings.resolve([split(n)[0] for n in known], known)
            self.history = History(
                prescribed_time, series, initial=initial.values, constant=numbers, **_control(values)
            )
            self.driver.bind(self.history)
        except (ValueError, TypeError) as error:
            raise self._at_option(error) from None

    @property
    def model(self) -> Model:
        """The model that is driven."""
        return self.driver.model

    def to(self, *args: Any, **kwargs: Any) -> PrescribedTransient:
        """Convert the model and the history, in place, as :meth:`torch.nn.Module.to` does."""
        self.driver.model.to(*args, **kwargs)
        self.history = self.history.to(*args, **kwargs)
        return self

    def run(
        self,
        on_failure: str | Iterable[str] | None = None,
        progress: bool | None = None,
        save_as: Path | None = None,
        **options: Any,
    ) -> Trajectory:
        """Drive the model and return the trajectory; with ``save_as`` it is also written to that file.

        The file's place, and the room there, are checked before the first step. ``options`` are those of
        :meth:`TransientDriver.run`, such as ``output`` for a file that grows with the run.
        """
        path = self.save_as if save_as is None else save_as
        if path:
            check_place(path, result_size(self.driver.update, self.driver.bind(self.history)))
        trajectory = self.trajectory = self.driver.run(self.history, on_failure, progress, **options)
        if path:
            save(trajectory, path)
        return trajectory

    @property
    def nsteps(self) -> int:
        """Number of steps, the initial state included."""
        return len(self.history)

    def result(self) -> dict[str, torch.Tensor]:
        """The last run as NEML2's flat dictionary, see :meth:`Trajectory.to_dict`."""
        return self._last().to_dict()

    @property
    def result_in(self) -> list[dict[str, TensorWrapper]]:
        """The inputs of every step of the last run, lagged ones included."""
        return self._rows("input")

    @property
    def result_out(self) -> list[dict[str, TensorWrapper]]:
        """The outputs of every step of the last run; step 0 has the initial values that were given."""
        return self._rows("output")

    def _last(self) -> Trajectory:
        if self.trajectory is None:
            raise RuntimeError("this driver has not run yet; call run() first")
        return self.trajectory

    def _rows(self, kind: str) -> list[dict[str, TensorWrapper]]:
        last = self._last()
        inputs, outputs = last.records()
        return [
            {n: type(last[split(n)[0]])(v, last[split(n)[0]].sub_batch_ndim) for n, v in row.items()}
            for row in (inputs if kind == "input" else outputs)
        ]

    def _at_option(self, error: Exception) -> Exception:
        """The error with the option that its variable comes from, so that it can be located in the file."""
        message = str(error)
        if hasattr(error, "where"):
            return error
        for word in re.findall(r"'([^']+)'|(the time)", message):
            option = self._options.get(word[0] or word[1])
            if option is not None:
                if not re.match(
                    "(prescribed|initial|constant) '|the ", message
                ):  # about a name, not its value
                    option = option.replace("_values", "_names")
                return type(error)(f"{option}: {message}")
        return error


def _control(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the options say of control by component, of lengths and cycles, as a history takes it."""
    given = {n: values[f"control_{n}"] for n in _CONTROL if values.get(f"control_{n}") is not None}
    found: dict[str, Any] = {}
    if given:
        carried = {"carry", "anchor"} if given.keys() & {"carry", "anchor"} else set()
        missing = [f"control_{n}" for n in _CONTROL.keys() - {"carry", "anchor"} | carried if n not in given]
        if missing:
            raise ValueError(f"control by component lacks {listing(sorted(missing))}")
        for n, v in given.items():
            if not isinstance(v, TensorWrapper):
                raise ValueError(f"control_{n} is a number; give a tensor with a row for every time")
        arrays = {n: v.data for n, v in given.items()}
        carry = arrays.get("carry", torch.zeros_like(arrays["target"]))
        anchor = arrays.get("anchor", torch.zeros(len(carry))).to(torch.int64)
        found["control"] = Control(**{**arrays, "carry": carry, "anchor": anchor})
    for n in ("lengths", "cycle"):
        if values.get(n) is not None:
            found[n] = values[n].data.to(torch.int64)
    return found


register(PrescribedTransient, "TransientDriver")
