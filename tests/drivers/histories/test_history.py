import numpy as np
import pandas
import pytest
import torch
import xarray

from neml2.drivers import History, TransientDriver
from neml2.errors import MissingVariable
from neml2.hit.settings import Settings
from neml2.step import StateUpdate
from neml2.types import SR2, Scalar, Vec
from tests.drivers.materials import decay, strain, strainer, times


def bind(history, model=None, **kwargs):
    return history.bind(StateUpdate(model or strainer()), **kwargs)


def test_values_may_be_tensors_arrays_lists_and_typed():
    E, T = strain(4), [1.0, 1.1, 1.2, 1.3]
    for given in (E, E.numpy(), E.tolist(), SR2(E)):
        for temperature in (T, np.array(T), torch.tensor(T, dtype=torch.float64), Scalar(T)):
            loading = bind(History(times(4), {"E": given, "T": temperature}))
            assert isinstance(loading.forces["E"], SR2)
            assert torch.equal(loading.forces["E"].data, E)
            assert loading.forces["T"].data.tolist() == T
    assert loading.at(2)["E"].shape == (6,)


def test_constants_and_only_constants_have_no_step_axis():
    loading = bind(History(times(4), {"E": strain(4)}, constant={"T": 300}))
    assert loading.forces["T"].data.tolist() == [300.0] * 4
    with pytest.raises(ValueError, match=r"'T' is the number 300; .* constant=\{'T': 300\}"):
        bind(History(times(4), {"E": strain(4), "T": 300}))
    with pytest.raises(ValueError, match=r"prescribed 'E' has no step axis .*constant"):
        bind(History(times(4), {"E": SR2(strain(4)[0])}, constant={"T": 1.0}))
    with pytest.raises(ValueError, match="both in prescribed and in constant"):
        History(times(4), {"T": [1.0] * 4}, constant={"T": 1.0})


def test_time_may_differ_from_specimen_to_specimen():
    t = times(4)[:, None] * torch.tensor([1.0, 10.0], dtype=torch.float64)
    loading = bind(History(t, {"E": strain(4)}, constant={"T": 1.0}))
    assert loading.forces["t"].shape == (4, 2)


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ([0.0, 1.0, 1.0, 2.0], r"does not increase at step 2: 1 after 1"),
        ([0.0, 2.0, 1.0, 3.0], r"does not increase at step 2: 1 after 2"),
        ([[0.0, 0.0], [1.0, 1.0], [2.0, 0.5], [3.0, 3.0]], r"at step 2, point 1: 0.5 after 1"),
        ([0.0, float("nan"), 1.0, 2.0], r"time is nan at step 1"),
        (3.0, r"time of every step"),
        ([], r"time of every step"),
    ],
)
def test_the_time_increases(time, message):
    with pytest.raises(ValueError, match=message):
        History(time)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_located(bad):
    E = strain(5, 3)
    E[2, 1, 5] = bad
    with pytest.raises(
        ValueError, match=rf"prescribed 'E' is {bad:g} at step 2 \(t = 0.5\), point 1, component xy"
    ):
        bind(History(times(5), {"E": E}, constant={"T": 1.0}))
    S = torch.zeros(3, 6, dtype=torch.float64)
    S[2, 0] = bad
    with pytest.raises(ValueError, match=rf"initial 'S' is {bad:g}, point 2, component xx"):
        bind(History(times(5), {"E": strain(5)}, constant={"T": 1.0}, initial={"S": S}))
    with pytest.raises(ValueError, match=rf"prescribed 'T' is {bad:g} at step 0"):
        bind(History(times(5), {"E": strain(5)}, constant={"T": bad}))


def test_names_are_checked_with_the_nearest_spelling():
    E, T = strain(4), torch.ones(4, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"reads no 'temp'.*needs t, E, T|reads no 'temp'"):
        bind(History(times(4), {"E": E, "T": T, "temp": T}))
    with pytest.raises(ValueError, match=r"reads no 'laod'; did you mean 'load'\?"):
        bind(History(times(4), {"laod": T}), decay())
    with pytest.raises(MissingVariable, match=r"needs 'T' \(Scalar\): prescribe 'T'"):
        bind(History(times(4), {"E": E}))
    with pytest.raises(ValueError, match=r"'S' is computed .* initial=\{'S'"):
        bind(History(times(4), {"E": E, "T": T, "S": E}))
    with pytest.raises(ValueError, match=r"'t' is the time"):
        bind(History(times(4), {"E": E, "T": T, "t": T}))
    with pytest.raises(ValueError, match=r"'t~1' follows from 't'"):
        bind(History(times(4), {"E": E, "T": T, "t~1": T}))
    with pytest.raises(ValueError, match=r"no variable 'SS' to start from; did you mean 'S'\?"):
        bind(History(times(4), {"E": E, "T": T}, initial={"SS": E[0]}))
    with pytest.raises(ValueError, match=r"nothing computes 'T', .* constant=\{'T'"):
        bind(History(times(4), {"E": E}, initial={"T": 1.0}))
    with pytest.raises(MissingVariable, match=r"TransientDriver\(model, time='t'\)"):
        bind(History(times(4), {"E": E, "T": T}), time="clock")


def test_types_and_shapes_are_checked():
    one = {"T": 1.0}
    with pytest.raises(TypeError, match=r"prescribed 'E' is a Vec, but the model needs a SR2"):
        bind(History(times(4), {"E": Vec(torch.zeros(4, 3, dtype=torch.float64))}, constant=one))
    with pytest.raises(ValueError, match=r"'E' has shape \(4, 3\); a SR2 needs \(4, \*batch, 6\)"):
        bind(History(times(4), {"E": np.zeros((4, 3))}, constant=one))
    with pytest.raises(ValueError, match=r"'E' has 5 steps but the time has 4"):
        bind(History(times(4), {"E": strain(5)}, constant=one))
    with pytest.raises(TypeError, match=r"prescribed 'E' is a str"):
        bind(History(times(4), {"E": "ramp"}, constant=one))
    with pytest.raises(ValueError, match=r"batch \(3,\) of 'T' does not fit the batch \(2,\) of 'E'"):
        bind(History(times(4), {"E": strain(4, 2), "T": np.ones((4, 3))}))
    with pytest.raises(ValueError, match=r"batch \(3,\) of initial 'S' does not fit"):
        bind(History(times(4), {"E": strain(4, 2)}, constant=one, initial={"S": np.zeros((3, 6))}))
    with pytest.raises(ValueError, match=r"parameter 'rate.c'"):
        bind(
            History(times(4), {"E": strain(4, 2)}, constant=one), strainer(torch.ones(3, dtype=torch.float64))
        )


def test_mixed_dtypes_are_named_and_can_be_converted():
    history = History(times(4), {"E": strain(4)}, constant={"T": 1})
    single = strainer().to(torch.float32)
    with pytest.raises(
        TypeError, match=r"the time is torch.float64 but parameter .* torch.float32; .*history.to"
    ):
        bind(history, single)
    loading = bind(history.to(torch.float32), single)
    assert {v.dtype for v in loading.forces.values()} == {torch.float32}
    assert (
        bind(History([0, 1], {"E": [[1] * 6] * 2}, constant={"T": 1}), single).forces["E"].dtype
        == torch.float32
    )


def test_sub_batches_follow_the_settings():
    settings = Settings({"S": "(2; 3)"})
    history = History(times(4), {"E": strain(4)}, constant={"T": 1.0})
    loading = bind(history, settings=settings)
    assert loading.zeros["S"].shape == (3, 6)
    assert loading.zeros["S"].sub_batch_ndim == 1
    start = History(times(4), {"E": strain(4)}, constant={"T": 1.0}, initial={"S": np.ones(6)})
    assert bind(start, settings=settings).initial["S"].sub_batch_shape == (3,)
    unmarked = History(times(4), {"E": strain(4)}, constant={"T": 1.0}, initial={"S": np.ones((3, 6))})
    with pytest.raises(ValueError, match=r"unmarked batch axes \(3,\).*sub_batch_ndim=1"):
        bind(unmarked, settings=settings)
    wrong = SR2(torch.ones(4, 6, dtype=torch.float64), 1)
    with pytest.raises(ValueError, match=r"'S' has sub-batch \(4,\) but .* \(3,\)"):
        bind(
            History(times(4), {"E": strain(4)}, constant={"T": 1.0}, initial={"S": wrong}), settings=settings
        )
    trajectory = TransientDriver(strainer(), settings=settings).run(history)
    assert trajectory["S"].shape == (4, 3, 6)
    assert trajectory["S"].sub_batch_ndim == 1


def test_a_dict_is_a_history():
    loading = TransientDriver(strainer()).bind({"t": times(4), "E": strain(4), "T": np.ones(4)})
    assert len(loading) == 4
    with pytest.raises(MissingVariable, match="no time 't'; did you mean 'T'"):
        TransientDriver(strainer()).run({"E": strain(4), "T": np.ones(4)})
    with pytest.raises(TypeError, match="not a list"):
        TransientDriver(strainer()).run([1.0])


def test_looks():
    history = History(times(4), {"E": strain(4)}, constant={"T": 1.0}, initial={"S": np.ones(6)})
    assert repr(history) == "History(4 steps of E, T (constant), initial S)"
    assert len(history) == 4


def test_masked_values_are_missing():
    E = np.ma.masked_array(strain(4).numpy(), mask=np.zeros((4, 6)))
    E[2, 0] = np.ma.masked
    with pytest.raises(ValueError, match="prescribed 'E' is nan at step 2 .*component xx"):
        bind(History(times(4), {"E": E}, constant={"T": 1.0}))
    whole = np.ma.masked_array(strain(4).numpy())
    assert torch.equal(bind(History(times(4), {"E": whole}, constant={"T": 1.0})).forces["E"].data, strain(4))


@pytest.mark.parametrize("dtype", [">f8", "longdouble", "u2", "u8", ">i4"])
def test_kinds_of_numbers_that_torch_has_not(dtype):
    time = np.arange(4).astype(dtype)
    loading = bind(History(time, {"E": strain(4), "T": time + 300}))
    assert loading.time.tolist() == [0.0, 1.0, 2.0, 3.0]
    assert loading.forces["T"].data.dtype == torch.float64


def test_named_components_are_not_taken_for_stored_ones():
    array = xarray.DataArray(strain(4).numpy(), dims=("step", "component"))
    with pytest.raises(TypeError, match=r"'E' is an xarray DataArray of components; .*History.from_xarray"):
        bind(History(times(4), {"E": array}, constant={"T": 1.0}))
    with pytest.raises(TypeError, match=r"'E' is a pandas DataFrame; .*History.from_pandas"):
        bind(History(times(4), {"E": pandas.DataFrame(strain(4).numpy())}, constant={"T": 1.0}))
    time = xarray.DataArray(times(4).numpy(), dims="step")
    assert bind(History(time, {"E": strain(4)}, constant={"T": 1.0})).time.tolist() == times(4).tolist()


def test_values_come_by_name():
    with pytest.raises(TypeError, match="prescribed is a list; give a dict"):
        History(times(4), [strain(4)])


def test_a_batch_without_points_is_refused():
    driver = TransientDriver(decay())
    with pytest.raises(ValueError, match=r"batch \(0,\), which has no points"):
        driver.run(History(times(3), {"load": torch.zeros(3, 0, dtype=torch.float64)}))


def test_parts_are_replaced_by_name():
    history = History(times(2), {"T": [1.0, 2.0]})
    assert history.replace(constant={"c": 1.0}).constant == {"c": 1.0}
    with pytest.raises(TypeError, match="no part 'tiem'; did you mean 'time'"):
        history.replace(tiem=1)
