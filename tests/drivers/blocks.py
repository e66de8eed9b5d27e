"""A run with known numbers, cut into blocks as an engine would give them."""

from dataclasses import replace

import torch

from neml2.drivers import History, TransientDriver
from neml2.drivers.files.writer import Writer
from tests.drivers.materials import strain, strainer, times

MANY = 2560  # points, whose rows are whole pages and large pieces


def whole(steps=20, points=3):
    history = History(times(steps), {"E": strain(steps, points)}, constant={"T": 2.0})
    return TransientDriver(strainer(), input_text="# text").run(history).detach()


def cut(trajectory, first, last):
    """The rows of a trajectory from ``first`` to before ``last``."""

    def part(values):
        return {n: type(v)._new(v.data[first:last], v.sub_batch_ndim) for n, v in values.items()}

    return replace(
        trajectory,
        time=trajectory.time[first:last],
        status=trajectory.status[first:last],
        iterations=trajectory.iterations[first:last],
        outputs=part(trajectory.outputs),
        forces=part(trajectory.forces),
    )


def new_writer(path, trajectory, save=None, **options):
    history = {"time": trajectory.time, "prescribed": dict(trajectory.forces), **options.pop("history", {})}
    return Writer(
        path,
        trajectory.origin,
        batch=trajectory.batch,
        steps=len(trajectory),
        save=save,
        history=history,
        **options,
    )


def append(writer, trajectory, first, last, size=4):
    """Append rows in blocks of ``size``."""
    for k in range(first, last, size):
        end = min(k + size, last)
        part = cut(trajectory, k, end)
        state = {"S": trajectory["S"].data[end - 1]}
        writer.append(writer.save.select(part, k, len(trajectory)), k, state, done=end)


def same(read, run):
    """Both are one run; shear components may differ in the last bit."""
    assert set(read.names) == set(run.names)
    for name in run.names:
        torch.testing.assert_close(read[name].data, run[name].data, rtol=1e-15, atol=0.0)
    assert torch.equal(read.status, run.status)
    assert torch.equal(read.iterations, run.iterations)
    assert torch.equal(read.time, run.time)
