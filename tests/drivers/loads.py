"""Pieces of tests, and whether two histories control the same."""

import torch

from neml2.drivers.histories.segments import HOLD, Segment

LOAD = [Segment(10.0, 5, strain={"xx": 0.01}, cycle=1), Segment(10.0, 2, strain={"xx": HOLD}, cycle=1)]
UNLOAD = [Segment(2.0, 4, stress={"xx": 0.0}, cycle=2), Segment(1.0, 2, strain={"xx": -0.01}, cycle=2)]
FURTHER = [Segment(5.0, 3, strain={"xx": 0.03}), Segment(1.0, 1, stress={"xx": HOLD})]


def same_control(a, b):
    for name, x in a.control.arrays().items():
        y = b.control.arrays()[name]
        torch.testing.assert_close(*torch.broadcast_tensors(x, y), rtol=1e-13, atol=1e-15, msg=name)
    moving = (a.control.carry != 0).flatten(1).any(1)
    assert a.control.anchor[moving].tolist() == b.control.anchor[moving].tolist()
    torch.testing.assert_close(a.time, b.time)
