"""Signals wait until a step is complete; a second one does not wait."""

import os
import signal
import threading

import pytest

from neml2.drivers.engines.interrupts import Patience


def send(number=signal.SIGINT):
    os.kill(os.getpid(), number)


def test_a_signal_waits_until_it_is_asked_for():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Patience() as patience:
        patience.check()
        send()
        assert patience.number == signal.SIGINT  # nothing was raised
        patience.check()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_after_the_last_step_is_not_lost():
    with pytest.raises(KeyboardInterrupt), Patience():
        send()


@pytest.mark.parametrize("more", [0, 1])
def test_a_second_signal_acts_at_once_with_what_its_exception_carries(more):
    with pytest.raises(KeyboardInterrupt) as stop, Patience():
        send()
        try:
            send()
            pytest.fail("it should have acted")
        except KeyboardInterrupt as first:
            first.trajectory = "rows"
            for _ in range(more):
                with pytest.raises(KeyboardInterrupt):
                    send()
            raise
    assert stop.value.trajectory == "rows"


def test_termination_without_a_handler_is_an_exit():
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    with pytest.raises(SystemExit) as stop, Patience():
        send(signal.SIGTERM)
    assert stop.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_signal_that_the_caller_ignores_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Patience() as patience:
            send()
            patience.check()
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_leave_signals_alone():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with Patience():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
