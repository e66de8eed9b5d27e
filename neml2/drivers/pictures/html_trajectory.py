"""How a trajectory looks in a notebook: its summary as a table, and a curve."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from neml2.drivers.pictures.curves import curves, drawable, rows_that_count
from neml2.drivers.pictures.cycles import loop, spread
from neml2.drivers.pictures.drawing import at_equal_distances
from neml2.drivers.pictures.summary import sentences, variables
from neml2.drivers.trajectory import Trajectory
from neml2.html import Markup, card, element, sparkline, table
from neml2.types import TensorWrapper

_MOST_POINTS = 4  # of a drawing without a legend


def html(trajectory: Trajectory) -> Markup:
    """See :meth:`Trajectory._repr_html_`."""
    first, *others = sentences(trajectory)
    head, *rows = variables(trajectory) or [()]
    numbers = [i for i, word in enumerate(head) if word not in ("", "unit")]
    return card(
        element("div", element("b", "Trajectory"), " ", first),
        *[element("div", line, class_="quiet") for line in others],
        *_curve(_some_points(trajectory)),
        table(rows, head, numbers),
    )


def _curve(trajectory: Trajectory) -> list[Markup]:
    """Stress over strain or, without them, over time what changes; nothing where nothing does."""
    pair = loop(trajectory)
    if pair is None:
        of_results = [
            n for n in drawable(trajectory) if n.partition(".")[0] in trajectory.outputs and "(" not in n
        ]
        lively = (n for n in of_results if spread(trajectory, n) > 0)
        name = next(lively, None)
        if name is None:
            return []
        pair = ("time", name)
    across, up = (curves(trajectory, n).values[..., 0] for n in pair)  # (row, point)
    counts = rows_that_count(trajectory)
    pieces = [(across[counts[:, i], i], up[counts[:, i], i]) for i in range(up.shape[1])]
    caption = f"{pair[1]} over {pair[0]}"
    drawn = sparkline(pieces, caption, width=240, height=110)
    return [element("div", caption, class_="quiet"), drawn] if drawn else []


def _some_points(trajectory: Trajectory) -> Trajectory:
    """A few points of the batch, so that a drawing of millions costs no more than one of these."""
    batch = tuple(trajectory.batch)
    if not batch:
        return trajectory
    flat = np.array(at_equal_distances(trajectory.batch.numel(), _MOST_POINTS), dtype=int)
    index: Any = (slice(None), *map(torch.as_tensor, np.unravel_index(flat, batch)))

    def of(value: TensorWrapper) -> TensorWrapper:
        return type(value)._new(value.data[index], value.sub_batch_ndim)

    return replace(
        trajectory,
        time=trajectory.time if trajectory.time.ndim == 1 else trajectory.time[index],
        status=trajectory.status[index],
        iterations=trajectory.iterations[index],
        outputs={n: of(trajectory[n]) for n in trajectory.outputs},
        forces={n: of(trajectory[n]) for n in trajectory.forces if n not in trajectory.outputs},
    )
