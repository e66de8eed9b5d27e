"""Steps whose sites are looped over: the same as the eager engine, whatever the number of sites."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from neml2 import SR2, Scalar, load_input
from neml2.compiler.lower import Unsupported
from neml2.compiler.site_kernel import SiteKernel
from neml2.compiler.sites import lower_sites, site_count
from neml2.composed import ComposedModel
from neml2.drivers import History, TransientDriver
from neml2.drivers.engines.run import NotNative
from neml2.errors import ConvergenceError
from neml2.fields import Input, Output, Parameter
from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.models.common.reductions import SR2IntermediateMean, SR2IntermediateSum
from neml2.solvers import DenseLU, Newton, NewtonWithLineSearch, SchurComplement
from neml2.solvers.status import Status
from neml2.step import StateUpdate
from neml2.system import NonlinearSystem
from neml2.types import inner
from neml2.types.regions import sum_sub_batch

SCENARIO = Path(__file__).parents[1] / "scenarios/cp_taylor_uniaxial/model.i"
F64 = torch.float64


class Branch(Model):
    """A Maxwell branch that hardens: ``e' = D - c k e (1 + b |e|^2)``."""

    e: SR2 = Input("Strain of the spring")
    e_n: SR2 = Input("The old one", of="e", suffix="~1")
    D: SR2 = Input("Rate of all branches")
    k: Scalar = Input("Rate of relaxation of the branch")
    t: Scalar = Input("Time", default="t")
    t_n: Scalar = Input("Old time", of="t", suffix="~1")
    r: SR2 = Output("Residual", of="e", suffix="_residual")
    s: SR2 = Output("Stress")
    c: Scalar = Parameter("c", "Factor of all rates", default=1.0)
    b: Scalar = Parameter("b", "Hardening", default=5.0)

    def forward(self, e, e_n, D, k, t, t_n, c, b):
        return e - e_n - (t - t_n) * (D - e * (c * k * (1.0 + b * inner(e, e)))), e * 3.0


class Balance(Model):
    """The mean stress and a viscous one carry a load."""

    m: SR2 = Input("Mean stress")
    D: SR2 = Input("Rate")
    load: SR2 = Input("Load")
    r: SR2 = Output("Residual", of="D", suffix="_residual")
    eta: Scalar = Parameter("eta", "Viscosity", default=0.4)

    def forward(self, m, D, load, eta):
        return m + D * eta - load


class Neighbours(Model):
    """A mean that the compiler does not know."""

    s: SR2 = Input("Stresses")
    m: SR2 = Output("Their mean")

    def forward(self, s):
        return sum_sub_batch(s) / 3.0


def material(solver=None, reduction=SR2IntermediateMean, groups="e; D", after=()):
    mean = (
        reduction(x="s", y="m", reduces="branch", name="mean")
        if reduction is not Neighbours
        else Neighbours()
    )
    residual = ComposedModel([Branch(), mean, Balance()], name="residual")
    structure = ["block", "dense"] if ";" in groups else ["block"]
    system = NonlinearSystem(residual, groups, structure=structure)
    solver = solver or Newton(linear_solver=SchurComplement())
    update = ImplicitUpdate(system, solver=solver, name="update")
    return ComposedModel([update, *after], name="model", additional_outputs=["e", "D"])


def history(sites, points=2, steps=12, scale=1.0):
    t = torch.linspace(0, 2, steps, dtype=F64)
    generator = torch.Generator().manual_seed(sites)
    k = 0.3 + torch.rand(points, sites, generator=generator, dtype=F64)
    load = torch.tensor([1.0, -0.4, 0.2, 0.3, 0.0, 0.5], dtype=F64) * torch.sin(3 * t).reshape(-1, 1, 1)
    load = load * (scale * torch.linspace(0.5, 1.0, points, dtype=F64)[:, None])
    zero = SR2(torch.zeros(points, sites, 6, dtype=F64), sub_batch_ndim=1)
    prescribed = {"load": SR2(load), "k": Scalar(k.expand(steps, -1, -1), sub_batch_ndim=1)}
    return History(t, prescribed, initial={"e": zero})


def both(model, h):
    with torch.no_grad():
        native = TransientDriver(model, engine="native")
        return native.run(h), TransientDriver(model, engine="eager").run(h), native


def check(found, expected):
    assert torch.equal(found.status, expected.status)
    assert torch.equal(found.iterations, expected.iterations)
    for name, value in expected.outputs.items():
        torch.testing.assert_close(found[name].data, value.data, rtol=1e-11, atol=1e-13, equal_nan=True)


@pytest.mark.parametrize("sites", [1, 2, 21])
def test_native_is_eager(sites):
    found, expected, driver = both(material(), history(sites))
    check(found, expected)
    assert found["e"].data.shape == (12, 2, sites, 6)
    assert bool((found["e"].data[-1].std(dim=1, correction=0) > 1e-3).any()) == (sites > 1), (
        "sites must differ"
    )
    assert isinstance(driver._engine.kernel, SiteKernel)


def test_sums_and_line_search():
    solver = NewtonWithLineSearch(linear_solver=SchurComplement(), linesearch_stopping_criteria=0.3)
    found, expected, _ = both(material(solver, SR2IntermediateSum), history(5))
    check(found, expected)


def test_the_mean_is_an_output_as_well():
    model = material(after=[Branch(name="again"), SR2IntermediateMean(x="s", y="m", reduces="branch")])
    found, expected, _ = both(model, history(5))
    check(found, expected)
    torch.testing.assert_close(found["m"].data[1:], 3.0 * found["e"].data[1:].mean(dim=2))


def test_sites_that_share_nothing():
    """Too many unknowns to unroll, in one block group: only the test of convergence is common to them."""
    model = ComposedModel([Branch()], name="residual")
    update = ImplicitUpdate(NonlinearSystem(model, "e", structure=["block"]), name="update")
    h = history(80)
    rate = SR2(0.1 * h.prescribed["load"].data)
    driven = History(h.time, {"D": rate, "k": h.prescribed["k"]}, initial=h.initial)
    found, expected, driver = both(update, driven)
    check(found, expected)
    assert isinstance(driver._engine.kernel, SiteKernel)


def test_one_point_whose_sites_are_shared_out_has_the_same_bits():
    h = history(300, points=1)
    driver = TransientDriver(material(), engine="native")
    before = torch.get_num_threads()
    try:
        with torch.no_grad():
            torch.set_num_threads(1)
            one = driver.run(h)
            torch.set_num_threads(2)
            two = driver.run(h)
    finally:
        torch.set_num_threads(before)
    for name in ("e", "D"):
        assert torch.equal(one[name].data[1:], two[name].data[1:])


@pytest.mark.parametrize("way", ["substep", "freeze"])
def test_a_point_that_fails_goes_through_the_eager_engine_and_comes_back(way):
    """Three iterations are too few for some steps of the larger load; half a step is not."""
    model = material(Newton(linear_solver=SchurComplement(), max_its=3))
    h = history(4, scale=3.0)
    with torch.no_grad():
        native = TransientDriver(model, engine="native", on_failure=way).run(h)
        eager = TransientDriver(model, engine="eager", on_failure=way).run(h)
    check(native, eager)
    assert int(eager.iterations.max()) > 3 if way == "substep" else (eager.status == Status.FROZEN).any()
    with torch.no_grad(), pytest.raises(ConvergenceError, match="did not converge"):
        TransientDriver(model, engine="native").run(h)


def test_a_run_with_gradients_goes_eager():
    model = material()
    h = history(3, steps=4)
    run = TransientDriver(model).run(h)
    run["e"].data.sum().backward()
    (parameter,) = [p for n, p in model.named_parameters() if n.endswith("eta")]
    assert float(parameter.grad.abs()) > 0
    with pytest.raises(NotNative, match="no derivatives where it loops over sites, here 3"):
        TransientDriver(model, engine="native").run(h)


def test_what_couples_sites_in_other_ways_is_refused():
    update = StateUpdate(material(reduction=Neighbours))
    with pytest.raises(Unsupported, match="depends on single ones; use engine='eager'"):
        lower_sites(update, {"e": torch.Size((4,)), "k": torch.Size((4,))}, 4)


def test_where_sites_are_looped_over():
    model = material()
    assert site_count(model, {"e": torch.Size((4,)), "load": torch.Size(())}) == 4
    assert site_count(model, {"e": torch.Size((4, 2))}) is None
    assert site_count(model, {"e": torch.Size((4,)), "k": torch.Size((3,))}) is None
    assert site_count(material(Newton(linear_solver=DenseLU())), {"e": torch.Size((4,))}) is None


@pytest.mark.slow
def test_a_taylor_polycrystal():
    given = load_input(SCENARIO).get_driver("driver")
    found, expected, _ = both(given.driver.model, given.history)
    check(found, expected)


class Handed(Model):
    """A variable that is the old value of another, as it is."""

    first_n: SR2 = Input("Old value of the first", option="first~1")
    second_n: SR2 = Input("Old value of the second", option="second~1")
    first: SR2 = Output("Halved in every step")
    second: SR2 = Output("The first of a step before")
    third: SR2 = Output("The first of two steps before")

    def forward(self, first_n, second_n):
        return first_n * 0.5, first_n, second_n


def test_a_state_may_be_the_old_value_of_another():
    h = history(3)
    start = SR2(torch.arange(1.0, 13.0, dtype=F64).reshape(2, 6))
    h = History(h.time, h.prescribed, initial={**h.initial, "first": start, "second": start * 3.0})
    found, expected, _ = both(material(after=[Handed(name="handed")]), h)
    check(found, expected)
    torch.testing.assert_close(found["third"].data[3:], 4.0 * found["first"].data[3:])
