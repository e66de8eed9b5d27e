import pytest
import torch

import neml2
from neml2.drivers import History, TransientDriver
from neml2.drivers import laboratory as lab
from neml2.drivers.histories.segments import HOLD, Segment
from neml2.types import SR2, Scalar
from tests.drivers.materials import strain, times

MODEL = """
[Models]
  [model]
    type = LinearIsotropicElasticity
    coefficients = '1e5 0.3'
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
    strain = 'E'
  []
[]
"""


def same_values(a, b):
    assert list(a) == list(b)
    for n, x in a.items():
        y = b[n]
        assert type(x) is type(y)
        assert x == y if isinstance(x, float) else torch.equal(x.data, y.data)


def test_round_trip_to_the_bit(tmp_path):
    T = Scalar(torch.tensor([0.1, 1 / 3, 1e-300, -2.5e17], dtype=torch.float64))
    history = History(
        times(4) / 3,
        {"E": SR2(strain(4, 2)), "T": T, "low": Scalar(times(4).to(torch.float32))},
        initial={"S": SR2(strain(2)[0]), "x": Scalar(torch.tensor(1 / 7, dtype=torch.float64))},
        constant={"c": 1 / 3},
    )
    path = tmp_path / "x.i"
    path.write_text(MODEL + history.to_input())
    again = History.from_input(path)
    assert torch.equal(again.time, history.time)
    same_values(again.prescribed, history.prescribed)
    same_values(again.initial, history.initial)
    assert again.constant == history.constant


def test_the_driver_of_the_file_has_the_same_history():
    history = History(times(4), {"E": SR2(strain(4, 2))})
    file = neml2.load_string(MODEL + history.to_input(driver="mine"))
    driver = file.get_driver("mine")
    assert torch.equal(driver.history.prescribed["E"].data, history.prescribed["E"].data)
    direct = TransientDriver(file.get_model("model")).run(history)
    name = next(n for n in direct.names if n not in ("E", "t"))
    assert torch.equal(driver.run()[name].data, direct[name].data)


@pytest.mark.parametrize(
    "history",
    [
        lab.cyclic([0.01, 0.02], 2, rate=[0.1, 0.3], rows=4),
        History.from_segments(
            [Segment(1.0, 3, deformation_gradient={"xx": 1.1}), Segment(1.0, 1, stress={"xx": HOLD})]
        ),
        History.batch(
            [lab.monotonic(0.01, 0.3, rows=2), lab.creep(1.0, 2.0, load_time=0.3, rows=3, load_rows=1)]
        ),
    ],
    ids=["batch", "deformation gradient", "padded"],
)
def test_control_round_trip(history):
    again = History.from_input(neml2.load_string(MODEL + history.to_input()), "driver")
    for name, x in history.control.arrays().items():
        assert torch.equal(again.control.arrays()[name], x)
    assert torch.equal(again.control.anchor, history.control.anchor)
    assert torch.equal(again.time, history.time)
    for part in ("lengths", "cycle"):
        a, b = getattr(again, part), getattr(history, part)
        assert (a is None) == (b is None)
        assert a is None or torch.equal(a, b)


def test_constants_that_are_tensors_are_written_for_all_rows():
    history = History(times(3), constant={"E": SR2(strain(1)[0])})
    again = History.from_input(neml2.load_string(MODEL + history.to_input()))
    assert torch.equal(again.prescribed["E"].data, history.constant["E"].data.expand(3, 6))


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="'E' is a plain array, of which the type is not known"):
        History(times(4), {"E": strain(4)}).to_input()
    with pytest.raises(ValueError, match="ends with a condition"):
        History.from_segments([Segment(1.0, 2, until="time > 1")]).to_input()
    with pytest.raises(ValueError, match="more than an input file can hold"):
        History(times(4), {"E": SR2(torch.zeros(4, 10_000, 6))}).to_input()
    file = neml2.load_string(MODEL + History(times(4)).to_input())
    with pytest.raises(ValueError, match=r"no \[Drivers/diver\]; did you mean 'driver'"):
        History.from_input(file, "diver")
