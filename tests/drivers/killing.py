"""Kill a process that writes runs, at random moments, and look at what it leaves: ``python killing.py 200``.

A worker writes one run after another to the same file, as fast as it can, in blocks of random size. After
each kill, every row that was reported as written must be there, the checkpoint must be that of the row where
the run stopped, the last complete result must be whole, and the run must go on from there. Rows of tensors go
around the page cache, counts of iterations through it.
"""

import mmap
import os
import random
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import torch
import xarray

from neml2.drivers.files import direct, hdf5
from neml2.drivers.files.writer import Unfinished, Writer
from neml2.drivers.results.saving import Save
from neml2.drivers.trajectory import Origin, Trajectory
from neml2.types import SR2, Scalar

STEPS, POINTS = 60, 512
hdf5._CHUNK = 2**17  # bytes, so that a run has many chunks
hdf5.LARGE = direct.LARGE = direct.PAGE  # so that they need not be large to go around the page cache


def truth(generation, first, last):
    """Every number says which run, row and point it belongs to."""
    rows = torch.arange(first, last, dtype=torch.float64)[:, None] + 1000.0 * generation
    x = rows + torch.arange(POINTS, dtype=torch.float64) / 4096
    return x, x.unsqueeze(-1) * torch.tensor([1.0, 2.0, 4.0, 0.0, 0.0, 0.0])


def block(generation, first, last):
    x, s = truth(generation, first, last)
    return Trajectory(
        time=torch.arange(first, last, dtype=torch.float64),
        status=torch.zeros(last - first, POINTS, dtype=torch.int8),
        iterations=torch.full((last - first, POINTS), generation, dtype=torch.int32),
        outputs={"s": SR2(s), "x": Scalar(x)},
        forces={},
    )


def fill(writer, generation, row, report, generator):
    """Append blocks from ``row`` on and finish; ``report`` says how far it is."""
    while row < STEPS:
        last = min(row + generator.randint(1, 9), STEPS)
        part = block(generation, row, last)
        writer.events([row], [last - 1], [float(row)], [0])
        writer.append(writer.save.select(part, row, STEPS), row, {"state": part["x"].data[-1]})
        report(generation, last)
        row = last
    writer.finish()
    report(generation + 1, 0)


def new_writer(path, generation):
    history = {"time": torch.arange(STEPS, dtype=torch.float64), "generation": generation}
    save = Save(derived=("trace(s)", "energy(s, s)"))
    return Writer(
        path,
        Origin(),
        batch=(POINTS,),
        steps=STEPS,
        save=save,
        history=history,
        events=("e",),
        overwrite=True,
    )


def work(path, generation, report, seed):
    generator = random.Random(seed)
    while True:
        report(generation, 0)
        fill(new_writer(path, generation), generation, 0, report, generator)
        generation += 1


def check_rows(trajectory, generation, rows):
    assert len(trajectory) == rows, (len(trajectory), rows)
    x, s = truth(generation, 0, rows)
    assert torch.equal(trajectory["x"].data, x)
    assert torch.equal(trajectory["s"].data, s)
    assert torch.equal(trajectory["trace(s)"].data, s.sum(-1))
    assert bool((trajectory.iterations == generation).all())


def check(path, reported, row):
    """What a killed worker has left, given the run and the row that it reported last."""
    growing = path.with_name("run.partial.h5")
    made = -1
    if path.exists():  # the result of an earlier run, whole
        whole = Trajectory.from_hdf5(path)
        made = int(whole.iterations[0, 0])
        check_rows(whole, made, STEPS)
        with h5py.File(path) as file:
            assert file["provenance"].attrs["complete"] == 1
    if not growing.exists():
        assert row == 0 or made == reported, "a run is lost"
        return made, False
    with xarray.open_dataset(growing) as dataset:  # not cut: whatever it shows must be readable
        dataset.load()
    found = Unfinished.read(path)
    generation = found.history["generation"]
    assert generation == reported or row == 0
    assert made < generation
    partial = Trajectory.from_hdf5(growing)
    if generation == reported:
        assert len(partial) >= row, f"{row} rows were committed, {len(partial)} are there"
    check_rows(partial, generation, found.rows)
    assert found.row == found.rows
    if found.row:
        last = truth(generation, found.row - 1, found.row)[0]
        assert torch.equal(found.checkpoint["state"], last[0])
        energy = partial["energy(s, s)"].data[-1].numpy()
        np.testing.assert_array_equal(found.save.memory()["total energy(s, s)"].numpy(), energy)
    return generation, True


def go_on(path, generation):
    """Finish the run that was killed: the same file as if nothing had happened, but for the blocks."""
    found = Unfinished.read(path)
    fill(found.writer(), generation, found.row, lambda *a: None, random.Random(1))
    whole = Trajectory.from_hdf5(path)
    check_rows(whole, generation, STEPS)
    change = truth(generation, 0, STEPS)[1].diff(dim=0)
    energy = truth(generation, 0, STEPS)[1]
    energy = (0.5 * (energy[1:] + energy[:-1]) * change).sum(-1).cumsum(0)
    torch.testing.assert_close(whole["energy(s, s)"].data[1:], energy, rtol=1e-12, atol=1e-9)
    with h5py.File(path) as file:
        rows = file["events/row"][...]
        assert (np.diff(rows) > 0).all()
        assert rows[-1] == STEPS - 1


def progress(shared, generation):
    """How many rows a worker has reported since it began with the run ``generation``."""
    run, row = struct.unpack("<qq", shared[:])
    return (run - generation) * STEPS + row


def main(kills, folder, longest=0.01):
    """Kill ``kills`` times; prints and returns in how many cases there was a run to go on with."""
    path, partials = Path(folder) / "run.h5", 0
    shared = mmap.mmap(-1, 16)
    generator = random.Random(kills)
    generation = 0
    for k in range(kills):
        shared[:] = struct.pack("<qq", generation, 0)
        worker = os.fork()
        if worker == 0:

            def report(*numbers):
                shared[:] = struct.pack("<qq", *numbers)

            work(path, generation, report, k)
        target, deadline = generator.randrange(-1, 2 * STEPS), time.monotonic() + 5.0
        while progress(shared, generation) < target and time.monotonic() < deadline:
            time.sleep(1e-4)
        time.sleep(generator.uniform(0.0, longest))
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        reported, row = struct.unpack("<qq", shared[:])
        generation, left = check(path, reported, row)
        partials += left
        if left and k % 4 == 0:
            go_on(path, generation)
        generation += 1
    print(f"{kills} kills, {partials} with a partial run, all whole; {generation} runs were begun")
    return partials


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        main(int(sys.argv[1]), scratch)
