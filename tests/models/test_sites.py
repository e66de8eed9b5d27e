"""Slip systems, grains and cells: every model with one more sub-batch axis gives what each site gives alone.

The new axis comes first: the sites of the cases are then those of every grain. Sub-batches are aligned from
the right, as batches are. Fields over cells have the cells first, so there the new axis comes last.
"""

from __future__ import annotations

import pytest
import torch

from neml2.types import TensorWrapper
from tests.models.cases import Case, all_cases
from tests.models.probe import Probe, like

CELLS_FIRST = {
    "FiniteVolumeAppendBoundaryCondition",
    "FiniteVolumeGradient",
    "FiniteVolumeUpwindedAdvectiveFlux",
}
AXIS_ADDED = {  # inputs without the axis of slip systems or cells, which the model gives them
    ("FiniteVolumeAppendBoundaryCondition", "inflow"),
    ("PlasticDeformationRate", "orientation_matrix"),
    ("PlasticSpatialVelocityGradient", "orientation_matrix"),
    ("PlasticVorticity", "orientation_matrix"),
}
ONE_AXIS = {
    "CoordinateDescentPredictor": "the last two axes are the rows and columns of the coupling",
    "DumpInSmallestBin": "its cells are the only axis; several sources are a batch",
    "LinearlyInterpolateToCellEdges": "the format gives its mesh one axis; several fields are a batch",
    "RateCondensation": "makes the coupling of the sites, with an axis more than they have",
}
CASES = [c for c in all_cases() if c.pointwise and c.inputs]


def test_exceptions_are_models_of_the_catalogue():
    assert not (CELLS_FIRST | {kind for kind, _ in AXIS_ADDED} | set(ONE_AXIS)) - {c.type for c in CASES}


def test_every_model_with_inputs_is_tried_with_sites():
    tried = {c.type for c in CASES if c.type not in ONE_AXIS and not meshed(c)}
    assert {c.type for c in CASES} - tried == set(ONE_AXIS)


@pytest.mark.parametrize("case", [c for c in CASES if c.type not in ONE_AXIS], ids=str)
def test_sites_do_not_see_one_another(case):
    """Bit for bit in values, and to round-off in derivatives."""
    if meshed(case):
        pytest.skip("its mesh has the axis of the cells alone")
    probe = Probe(case)
    batch = probe.batch((2,), seed=7)
    alone = [{n: like(probe.point[n], v.data[i]) for n, v in batch.items()} for i in (0, 1)]
    sites = sited(probe, batch)
    generator = torch.Generator().manual_seed(8)
    along = {
        n: like(v, torch.rand(v.data.shape, dtype=v.dtype, generator=generator)) for n, v in batch.items()
    }
    values = probe.model.call_by_name(sites)
    _, slopes = probe.model.jvp(sites, sited(probe, along))
    for i in (0, 1):
        expected = probe.model.call_by_name(alone[i])
        _, steep = probe.model.jvp(alone[i], {n: like(probe.point[n], v.data[i]) for n, v in along.items()})
        for name in expected:
            found, exact = (picked(case, values[name], i), expected[name].data)
            assert found.numel() == exact.numel(), f"{name} has the shape {found.shape} for {exact.shape}"
            assert torch.equal(found.reshape(exact.shape), exact), f"{name} of site {i}: {found - exact}"
            found, exact = picked(case, slopes[name], i), steep[name].data
            scale = float(exact.abs().max())
            torch.testing.assert_close(found.reshape(exact.shape), exact, rtol=1e-12, atol=1e-13 * scale)


@pytest.mark.parametrize("kind", ONE_AXIS)
def test_models_of_one_axis_refuse_another(kind):
    for case in (c for c in CASES if c.type == kind):
        probe = Probe(case)
        sites = sited(probe, probe.batch((2,), seed=7))
        if kind == "RateCondensation":
            assert all(o.data.shape[:1] == (2,) for o in probe.model.call_by_name(sites).values())
            continue
        with pytest.raises(ValueError, match="sub-batch|values for"):
            probe.model.call_by_name(sites)


def meshed(case: Case) -> bool:
    """Whether a parameter has a value per cell, which the fields of the case share."""
    return case.type in CELLS_FIRST and ranks(Probe(case))[1] > 0


def ranks(probe: Probe) -> tuple[int, int]:
    """The largest sub-batch rank of the inputs, and of the parameters."""
    own = [getattr(probe.model, a).sub_batch_ndim for a in probe.parameters if a in probe.model._kinds]
    return max(rank(probe.case, n, v) for n, v in probe.point.items()), max(own, default=0)


def rank(case: Case, name: str, value: TensorWrapper) -> int:
    return value.sub_batch_ndim + ((case.type, name) in AXIS_ADDED)


def trailing(case: Case) -> bool:
    """Whether the new axis comes last."""
    return case.type in CELLS_FIRST or (case.type == "SR2IntermediateDiff" and case.options["dim"] == 0)


def sited(probe: Probe, batch: dict[str, TensorWrapper]) -> dict[str, TensorWrapper]:
    """The points of the batch as sites of one point."""
    case, most = probe.case, max(ranks(probe))
    found = {}
    for name, value in batch.items():
        missing = most - rank(case, name, probe.point[name])
        own = probe.point[name].sub_batch_ndim
        data = value.data.movedim(0, own) if trailing(case) else value.data
        at = own if trailing(case) else 1
        data = data.reshape(*data.shape[:at], *(1,) * missing, *data.shape[at:])
        found[name] = type(value)(data, own + missing + 1)
    return found


def picked(case: Case, output: TensorWrapper, site: int) -> torch.Tensor:
    """One site of an output; one that has no sites is the same for all."""
    axis = output.sub_batch_ndim - 1 if trailing(case) else 0
    data = output.data
    if output.sub_batch_ndim == 0 and case.type not in {"SR2IntermediateMean", "SR2IntermediateSum"}:
        return data
    return data.select(axis, site if data.shape[axis] == 2 else 0)
