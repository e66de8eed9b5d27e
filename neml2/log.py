"""Messages of the solvers and drivers, in channels with levels.

Channels are ``newton linear substep model tensor driver``; levels ``silent < warning < info < debug``
(also ``off none warn`` and ``0`` to ``3``). Warnings are shown unless something else is asked for:

* ``NEML2_LOGS="newton=info,linear=debug"`` in the environment (``all=debug`` for every channel), or
* :func:`set_default_level`; the environment wins.

Informative lines go to standard output, warnings and debug lines to standard error, or all of them to a
function of yours, see :func:`set_sink`. A message that costs something to make is made only when
:func:`enabled` says so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TextIO

from neml2.registry import did_you_mean

SILENT, WARNING, INFO, DEBUG = range(4)
LEVELS = {
    "silent": SILENT,
    "off": SILENT,
    "none": SILENT,
    "0": SILENT,
    "warning": WARNING,
    "warn": WARNING,
    "1": WARNING,
    "info": INFO,
    "2": INFO,
    "debug": DEBUG,
    "3": DEBUG,
}
CHANNELS = ("newton", "linear", "substep", "model", "tensor", "driver")

_TAGS = ("slnt", "warn", "info", "dbg")
_VARIABLE = "NEML2_LOGS"

Sink = Callable[[int, str], None]


class _State:
    environment: dict[str, int] = {}
    chosen: dict[str, int] = {}
    out: TextIO | None = None  # None: whatever sys.stdout is at the time of the message
    err: TextIO | None = None
    sink: Sink | None = None


def enabled(channel: str, level: int | str) -> bool:
    """Whether a message of that level is shown on that channel."""
    return SILENT < _level(level) <= effective_level(channel)


def effective_level(channel: str) -> int:
    """The level in force on a channel. Raises :class:`ValueError` for a channel that does not exist."""
    name = _channel(channel)
    for settings in (_State.environment, _State.chosen):
        for key in (name, "all"):
            if key in settings:
                return settings[key]
    return WARNING


def emit(channel: str, level: int | str, message: str) -> None:
    """Show ``message`` if its level is enabled on its channel."""
    number = _level(level)
    if not enabled(channel, number):
        return
    line = f"[neml2:{channel:<7}][{_TAGS[number]:<4}] {message}"
    if _State.sink is not None:
        _State.sink(number, line)
        return
    stream = (_State.out or sys.stdout) if number == INFO else (_State.err or sys.stderr)
    stream.write(line + "\n")
    stream.flush()


def set_default_level(channel: str, level: int | str) -> None:
    """Set the level of a channel, or of ``"all"``; the environment takes precedence."""
    _State.chosen[_channel(channel, everything=True)] = _level(level)


def reset_defaults() -> None:
    """Forget what :func:`set_default_level` has set."""
    _State.chosen.clear()


def reload() -> None:
    """Read ``NEML2_LOGS`` again. Raises :class:`ValueError` for unknown channels and levels."""
    found = {}
    for entry in os.environ.get(_VARIABLE, "").split(","):
        channel, equals, level = entry.partition("=")
        if equals:
            found[_channel(channel.strip(), everything=True)] = _level(level.strip())
    _State.environment = found


def set_stream(stream: TextIO | None) -> None:
    """Write every message to ``stream``; ``None`` goes back to standard output and standard error."""
    set_streams(stream, stream)


def set_streams(out: TextIO | None, err: TextIO | None) -> None:
    """Write informative messages to ``out`` and all others to ``err``."""
    _State.out, _State.err = out, err


def set_sink(sink: Sink | None) -> None:
    """Give every line to ``sink(level, line)`` instead of writing it; ``None`` goes back to the streams."""
    _State.sink = sink


def reset_sink() -> None:
    """Go back to the streams."""
    _State.sink = None


def _channel(name: str, everything: bool = False) -> str:
    known = (*CHANNELS, "all") if everything else CHANNELS
    if name not in known:
        raise ValueError(f"no log channel '{name}'{did_you_mean(name, known)} (channels: {', '.join(known)})")
    return name


def _level(level: int | str) -> int:
    if isinstance(level, str):
        if level.lower() not in LEVELS:
            raise ValueError(
                f"no log level '{level}'{did_you_mean(level, LEVELS)} (levels: {', '.join(LEVELS)})"
            )
        return LEVELS[level.lower()]
    if level not in range(len(_TAGS)):
        raise ValueError(f"no log level {level} (levels: 0 silent, 1 warning, 2 info, 3 debug)")
    return level


try:
    reload()
except ValueError as error:  # a misspelt word must not keep the library from being imported
    sys.stderr.write(f"neml2: {_VARIABLE} is ignored: {error}\n")
