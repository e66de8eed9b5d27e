"""`Plan`: the options of a run, as they are kept in its file so that it can go on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from neml2.drivers.histories.given import as_data
from neml2.drivers.histories.history import History
from neml2.drivers.histories.segments import Stretch
from neml2.drivers.increments.events import Event
from neml2.drivers.increments.increments import Increments
from neml2.registry import listing
from neml2.types import TensorWrapper

if TYPE_CHECKING:
    from neml2.model import Model


@dataclass
class Plan:
    """How a run is made: see :class:`~neml2.drivers.TransientDriver` for the options."""

    ways: tuple[str, ...]
    max_substeps: int
    time: str
    engine: str
    increments: Increments | None
    events: tuple[Event, ...]
    pivots: torch.Tensor | None = (
        None  # at which the pivots of a kernel were tried: the same make the same bits
    )

    def record(self) -> dict[str, Any]:
        """The plan as numbers and texts; an event that is a function is kept by its name alone."""
        return {
            **vars(self),
            "increments": None if self.increments is None else asdict(self.increments),
            "events": [
                {**asdict(e), "condition": e.condition if isinstance(e.condition, str) else None}
                for e in self.events
            ],
        }

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Plan:
        """The plan of a :meth:`record`. Raises :class:`ValueError` where an event was a function."""
        functions = [e["name"] for e in record["events"] if e["condition"] is None]
        if functions:
            raise ValueError(
                f"the run has events that are functions ({listing(functions)}), which no file can hold; give"
                " events as texts, such as 'stress.xx > 300', in runs that are to be resumed"
            )
        more = record["increments"]
        if more is not None:
            more = Increments(**{**more, "on": tuple(more["on"])})
        events = tuple(Event(**e) for e in record["events"])
        return cls(**{**record, "ways": tuple(record["ways"]), "increments": more, "events": events})


def as_events(given: Event | str | Iterable[Event | str]) -> tuple[Event, ...]:
    """What a user means by ``events=``: one or several :class:`Event`, or their texts."""
    several = (given,) if isinstance(given, Event | str) else tuple(given)
    return tuple(e if isinstance(e, Event) else Event(e) for e in several)


def record_history(history: History) -> dict[str, Any]:
    """Everything a history says, as tensors, numbers and texts."""

    def plain(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            n: v if isinstance(v, TensorWrapper | int | float) else as_data(v, n) for n, v in values.items()
        }

    found: dict[str, Any] = {
        "time": history.time,
        "prescribed": plain(history.prescribed),
        "constant": plain(history.constant),
        "initial": plain(history.initial),
        "segments": [{**vars(s), "until": _condition(s.until)} for s in history.segments],
    }
    for name in ("control", "lengths", "cycle"):
        if getattr(history, name) is not None:
            found[name] = getattr(history, name)
    return found


def _condition(until: Any) -> str | None:
    """The text of what ends a segment; the name of a function is no condition, and is refused when read."""
    given = until.condition if isinstance(until, Event) else until
    return given if given is None or isinstance(given, str) else f"{getattr(given, '__name__', given)}"


def read_history(record: Mapping[str, Any]) -> History:
    """The history of a :func:`record_history`."""
    return History(
        record["time"],
        record.get("prescribed"),
        initial=record.get("initial"),
        constant=record.get("constant"),
        control=record.get("control"),
        lengths=record.get("lengths"),
        cycle=record.get("cycle"),
        segments=[Stretch(**s) for s in record["segments"]],
    )


def check_parameters(model: Model, were: Mapping[str, torch.Tensor]) -> None:
    """:class:`ValueError` unless the parameters of ``model`` are what they were."""
    now = dict(model.named_parameters())
    odd = sorted(now.keys() ^ were.keys())
    if odd:
        raise ValueError(f"the run was made with another model: only one of the two has {listing(odd)}")
    for name, value in were.items():
        if not torch.equal(now[name].detach().cpu(), value.cpu()):
            raise ValueError(
                f"the parameter '{name}' is not what it was when the run began; give a model like that one"
            )
