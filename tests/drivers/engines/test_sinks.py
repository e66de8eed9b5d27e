"""Blocks on their way to a file: written beside the computing, in order, and with what goes wrong."""

import threading
from types import SimpleNamespace

import pytest
import torch

from neml2.drivers.engines.sinks import File
from tests.drivers.trajectories import made, scalar

PATIENCE = 30.0  # seconds, for a test that would hang


class Slow:
    """A writer whose disk waits for the test."""

    batch, steps, event_names = torch.Size(), 9, []

    def __init__(self):
        self.go, self.begun, self.rows = threading.Event(), threading.Event(), None
        self.seen, self.reason, self.fault = [], None, None
        self.save = SimpleNamespace(select=lambda block, first, steps: block)

    def append(self, block, first, checkpoint, done):
        self.begun.set()
        assert self.go.wait(PATIENCE)
        if self.fault is not None:
            raise self.fault
        self.seen.append((first, done, float(checkpoint["x"]), torch.is_grad_enabled()))

    def leave(self, reason):
        self.reason = reason


def block(first):
    return made([float(first), first + 1.0], (), x=scalar([0.0, 0.0]))


@pytest.fixture
def slow():
    return Slow()


def test_a_block_is_written_while_the_next_one_is_computed(slow):
    sink, state = File(slow), torch.zeros(())
    sink.take(block(0), 0, lambda: {"x": state})
    assert slow.begun.wait(PATIENCE) and not slow.seen  # it is on its way, and we are here
    state.fill_(5.0)  # the march goes on in its own memory
    slow.go.set()
    sink.take(block(2), 2, lambda: {"x": state})
    sink.leave("interrupted")
    assert slow.seen == [(0, 2, 0.0, False), (2, 4, 5.0, False)] and slow.reason == "interrupted"


def test_one_block_at_a_time_is_on_its_way(slow):
    sink = File(slow)
    sink.take(block(0), 0, lambda: {"x": torch.zeros(())})
    second = threading.Thread(target=sink.take, args=(block(2), 2, lambda: {"x": torch.ones(())}))
    second.start()
    second.join(0.05)
    assert second.is_alive() and not slow.seen  # it waits for the first one
    slow.go.set()
    second.join(PATIENCE)
    sink.leave("")
    assert [first for first, *_ in slow.seen] == [0, 2]


@pytest.mark.parametrize("then", ["take", "finish", "leave"])
def test_what_goes_wrong_with_a_block_is_raised_by_what_comes_next(slow, then):
    slow.fault = OSError("disk full")
    slow.go.set()
    sink = File(slow)
    sink.take(block(0), 0, lambda: {"x": torch.zeros(())})
    next_call = {
        "take": lambda: sink.take(block(2), 2, lambda: {"x": torch.zeros(())}),
        "finish": sink.finish,
        "leave": lambda: sink.leave("interrupted"),
    }
    with pytest.raises(OSError, match="disk full"):
        next_call[then]()
    if then != "leave":
        assert sink.leave("OSError") is None  # nothing more is to come
    assert slow.reason is not None and not slow.seen
