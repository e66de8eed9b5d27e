import pytest
import torch

from neml2.es import (
    AssembledVector,
    AxisLayout,
    ModelNonlinearSystem,
    NonlinearResult,
    RetCode,
    SparseMatrix,
    SparseVector,
)
from neml2.solvers import Newton, NewtonWithLineSearch, SchurComplement
from neml2.system import NonlinearSystem
from neml2.types import Scalar, Vec
from tests.small_models import F64, Coupled, Sites, Spring


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def coupled():
    system = ModelNonlinearSystem(Coupled(), "v s")
    system.initialize(u={"v": random(4, 3), "s": random(4)}, g={"g": random(3, seed=2)})
    return system


def sites(structure=("block", "dense")):
    system = ModelNonlinearSystem(NonlinearSystem(Sites(), "x v; y", structure=list(structure)))
    system.initialize(
        u={"x": Scalar(random(2, 5), 1), "v": Vec(random(2, 5, 3), 1), "y": random(2)},
        g={"f": Scalar(random(5), 1)},
    )
    return system


def test_names_and_layouts():
    system = coupled()
    assert (system.unknown_names, system.residual_names) == (("v", "s"), ("v_residual", "s_residual"))
    assert (system.given_names, system.unknown_groups) == (("g",), (("v", "s"),))
    assert system.ulayout.variables == ("v", "s") and system.ulayout.groups[0].size == 4
    assert system.blayout.variables == ("v_residual", "s_residual")
    assert system.glayout.groups[0].size == 3


@pytest.mark.parametrize("make", [coupled, sites, lambda: sites(("dense", "dense"))])
def test_signs_and_derivatives(make):
    """Of b = -r: A and B against differences."""
    system = make()
    A, B, b = system.A_and_B_and_b()
    named = {**system.u().disassemble().values, **system.g().disassemble().values}
    outputs = system.model.call_by_name(named)
    for name, value in b.disassemble().values.items():
        torch.testing.assert_close(value.data, -outputs[name].data.detach())
    flat, step = system.u().to_flat(), 1e-6
    for j in range(flat.shape[-1]):
        moved = make()
        ahead = flat.clone()
        ahead[..., j] += step
        moved.set_u(AssembledVector.from_flat(system.ulayout, ahead))
        slope = -(moved.b() - b).to_flat() / step
        torch.testing.assert_close(A.to_flat()[..., j], slope, rtol=1e-4, atol=1e-4)
    given = system.g().to_flat()
    for j in range(given.shape[-1]):
        moved = make()
        ahead = given.clone()
        ahead[..., j] += step
        moved.set_g(AssembledVector.from_flat(system.glayout, ahead))
        slope = -(moved.b() - b).to_flat() / step
        torch.testing.assert_close(B.to_flat()[..., j], slope, rtol=1e-4, atol=1e-4)


def test_only_what_is_needed():
    system = coupled()
    assert [x is None for x in system.assemble(False, False, True)] == [True, True, False]
    assert [x is None for x in system.assemble(True, False, False)] == [False, True, True]
    assert torch.equal(system.A().to_flat(), system.A_and_b()[0].to_flat())
    assert torch.equal(system.B().to_flat(), system.A_and_B()[1].to_flat())


def test_shapes_of_groups():
    A, B, b = sites().A_and_B_and_b()
    assert A.group(0, 0).shape == (2, 5, 4, 4) and A.group(0, 1).shape == (2, 5, 4, 1)
    assert A.group(1, 0).shape == (2, 5, 1, 4) and A.group(1, 1).shape == (2, 1, 1)
    assert A.to_flat().shape == (2, 21, 21) and B.to_flat().shape == (2, 21, 5)
    assert b.group(0).shape == (2, 5, 4) and b.group(1).shape == (2, 1)


def test_a_newton_step_by_hand():
    system = sites()
    for _ in range(12):
        A, b = system.A_and_b()
        du = torch.linalg.solve(A.to_flat(), b.to_flat())
        system.set_u(system.u() + AssembledVector.from_flat(system.ulayout, du))
    assert float(system.b().norm().max()) < 1e-12


@pytest.mark.parametrize("solver", [Newton, NewtonWithLineSearch])
def test_solve(solver):
    system = sites()
    result = solver(linear_solver=SchurComplement()).solve(system)
    assert isinstance(result, NonlinearResult) and result.ret == RetCode.SUCCESS and result.iterations > 1
    assert float(system.b().norm().max()) < 1e-10
    assert Newton(linear_solver=SchurComplement()).solve(system).iterations == 0


def test_sensitivity_of_the_solution():
    system = coupled()
    Newton().solve(system)
    A, B = system.A_and_B()
    slope = -torch.linalg.solve(A.to_flat(), B.to_flat())
    moved = coupled()
    moved.set_g({"g": random(3, seed=2) + torch.tensor([1e-6, 0.0, 0.0], dtype=F64)})
    Newton().solve(moved)
    difference = (moved.u() - system.u()).to_flat() / 1e-6
    torch.testing.assert_close(slope[..., 0], difference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("f", "options", "ret"),
    [(3.0, {}, RetCode.SUCCESS), (1e6, {"max_its": 3}, RetCode.MAXITER), (torch.nan, {}, RetCode.FAILURE)],
)
def test_failure_is_a_value(f, options, ret):
    system = ModelNonlinearSystem(Spring(k=2.0), "x")
    system.initialize(u={"x": 0.0}, g={"f": f})
    result = Newton(**options).solve(system)
    assert result.ret == ret and result.solution is not None and len(result.log) == 1


def test_vectors():
    layout = AxisLayout(
        [["x", "v"], ["y"]], {"x": Scalar, "v": Vec, "y": Scalar}, {"x": (5,), "v": (5,)}, ["block", "dense"]
    )
    values = {"x": Scalar(random(2, 5), 1), "v": Vec(random(2, 5, 3), 1), "y": Scalar(random(2))}
    sparse = SparseVector(layout, dict(values))
    flat = sparse.to_flat()
    assert flat.shape == (2, 21)
    for n, v in SparseVector.from_flat(layout, flat).values.items():
        assert torch.equal(v.data, values[n].data) and v.sub_batch_ndim == values[n].sub_batch_ndim
    torch.testing.assert_close(sparse.norm(), flat.norm(dim=-1))
    assert sparse.group(1).layout.variables == ("y",) and list(sparse.group(0).values) == ["x", "v"]
    partly = SparseVector.from_dict(layout, {"y": values["y"], "other": 1.0}).to_flat()
    assert torch.equal(partly[:, :20], torch.zeros(2, 20, dtype=F64)) and torch.equal(
        partly[:, 20], values["y"].data
    )
    torch.testing.assert_close((-sparse.assemble()).to_flat(), -flat)


def test_matrices_by_name():
    A = sites().A()
    by_name = A.disassemble()
    assert by_name.values["x_residual"]["v"].shape == (2, 5, 1, 3)
    assert by_name.values["y_residual"]["v"].shape == (2, 5, 1, 3)
    assert torch.equal(by_name.assemble().to_flat(), A.to_flat())
    del by_name.values["y_residual"]["y"]
    holed = SparseMatrix(by_name.row_layout, by_name.col_layout, by_name.values).assemble()
    assert holed.group(1, 1).abs().max() == 0 and holed.group(1, 1).shape == (2, 1, 1)


def test_raw_tensors_with_sub_batches():
    system = ModelNonlinearSystem(NonlinearSystem(Sites(), "x v y"))
    u, g = system.to_sparse(
        {"x": random(2, 5), "v": random(2, 5, 3), "y": random(2)},
        {"f": random(5)},
        {"x": 1, "v": 1, "f": 1},
    )
    system.initialize(u=u, g=g)
    assert Newton().solve(system).ret == RetCode.SUCCESS
    assert system.u().disassemble().values["v"].data.shape == (2, 5, 3)


def test_refusals():
    system = ModelNonlinearSystem(Spring(k=2.0), "x")
    with pytest.raises(KeyError, match=r"no value for the unknown x; call initialize\(u=..., g=...\)"):
        system.b()
    with pytest.raises(KeyError, match="'ff' is none of f; did you mean 'f'"):
        system.set_g({"ff": 1.0})
    with pytest.raises(KeyError, match="no input 'xx'; did you mean 'x'"):
        system.to_sparse({"xx": 1.0}, {})
    with pytest.raises(TypeError, match="'x' is a Vec, but a Scalar is expected"):
        system.set_u({"x": Vec(torch.zeros(3))})
    with pytest.raises(KeyError, match="no type is given for b"):
        AxisLayout([["a", "b"]], {"a": Scalar})
    with pytest.raises(KeyError, match="'z' is not in the layout"):
        SparseVector(AxisLayout([["a"]], {"a": Scalar}), {"z": Scalar(1.0)})
