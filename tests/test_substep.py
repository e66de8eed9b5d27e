import torch

from neml2.solvers import Status
from neml2.substep import Outcome, refine
from neml2.types import Scalar
from tests.small_models import F64, scalar


def stepper(limit, seen):
    """``u = u~1 + (t - t~1) f``, which fails where ``t - t~1`` is above ``limit``."""

    def evaluate(values, which):
        step = values["t"].data - values["t~1"].data
        u = values["u~1"].data + step * values["f"].data
        limits = limit[which] if limit.ndim else limit
        status = torch.where(step > limits, int(Status.MAX_ITERATIONS), 0).expand(which.shape)
        for i, a, b in zip(
            which.tolist(),
            values["t~1"].data.expand(which.shape),
            values["t"].data.expand(which.shape),
            strict=True,
        ):
            seen.append((i, round(float(a), 6), round(float(b), 6)))
        return Outcome(
            {"u": Scalar(u.expand(which.shape))}, status, torch.ones(which.shape, dtype=torch.int32)
        )

    return evaluate


def run(limit, levels):
    values = {"t": scalar(1.0), "t~1": scalar(0.0), "u~1": scalar(1.0, 2.0, 3.0), "f": scalar(10.0)}
    seen = []
    evaluate = stepper(torch.as_tensor(limit, dtype=F64), seen)
    whole = evaluate(values, torch.arange(3))
    seen.clear()
    return refine(evaluate, values, torch.Size((3,)), whole, levels), seen


def test_only_the_failing_points_are_cut():
    out, seen = run([2.0, 0.5, 0.25], 3)
    assert out.status.tolist() == [0, 0, 0]
    assert out.outputs["u"].data.tolist() == [11.0, 12.0, 13.0]
    assert out.iterations.tolist() == [1, 3, 7]
    assert [s for s in seen if s[0] == 0] == []
    assert [s[1:] for s in seen if s[0] == 1] == [(0.0, 0.5), (0.5, 1.0)]
    pieces = [(0.0, 0.5), (0.0, 0.25), (0.25, 0.5), (0.5, 1.0), (0.5, 0.75), (0.75, 1.0)]
    assert [s[1:] for s in seen if s[0] == 2] == pieces


def test_the_depth_is_limited():
    out, _ = run([2.0, 0.5, 0.1], 2)
    assert out.status.tolist() == [0, 0, int(Status.MAX_ITERATIONS)]
    assert out.outputs["u"].data.tolist()[:2] == [11.0, 12.0]


def test_all_points_fail():
    out, _ = run(0.3, 2)
    assert out.status.tolist() == [0, 0, 0] and out.outputs["u"].data.tolist() == [11.0, 12.0, 13.0]
