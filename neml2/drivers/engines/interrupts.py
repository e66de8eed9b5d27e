"""Ctrl-C and SIGTERM during a run: they wait until the step is complete and stored."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TERMINATED = 128 + signal.SIGTERM  # the exit code that shells give


class Patience:
    """Holds a signal back until :meth:`check` is called; a second one acts at once.

    Only the main thread can do that; elsewhere it does nothing. SIGTERM without a handler of the caller
    becomes a :class:`SystemExit` with the exit code of that signal.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Patience:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                if callable(before) or (number == signal.SIGTERM and before == signal.SIG_DFL):
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        stopping = kind is not None and issubclass(kind, KeyboardInterrupt | SystemExit)
        if not stopping:  # a signal after the last step; the exception of an earlier one stands
            self.check()

    def _note(self, number: int, frame: FrameType | None) -> None:
        first, self.number = self.number is None, number
        if not first:
            self._act(number, frame)

    def check(self) -> None:
        """Let a signal that has come take effect: by default, raise :class:`KeyboardInterrupt`."""
        if self.number is not None:
            number, self.number = self.number, None
            self._act(number, None)

    def _act(self, number: int, frame: FrameType | None) -> None:
        before: Callable[[int, FrameType | None], Any] | Any = self._before[number]
        if callable(before):
            before(number, frame)
        else:
            raise SystemExit(_TERMINATED)
