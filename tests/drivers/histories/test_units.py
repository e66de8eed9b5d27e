import pytest

from neml2.drivers.histories.units import UNITS, convert, from_header


@pytest.mark.parametrize(
    ("value", "given", "wanted", "expected"),
    [
        (1.5, "%", "1", 0.015),
        (2.0, "mm/mm", "%", 200.0),
        (1200.0, "microstrain", "1", 1.2e-3),
        (2.0, "min", "s", 120.0),
        (1.5, "h", "min", 90.0),
        (1.0, "day", "h", 24.0),
        (0.2, "GPa", "MPa", 200.0),
        (1.0, "ksi", "MPa", 6.894757293168361),
        (1.0, "psi", "Pa", 6894.757293168361),
        (20.0, "degC", "K", 293.15),
        (293.15, "K", "°C", 20.0),
        (212.0, "degF", "degC", 100.0),
        (0.0, "degC", "degF", 32.0),
    ],
)
def test_conversions(value, given, wanted, expected):
    assert convert(value, given, wanted, "x") == pytest.approx(expected, rel=1e-12)


def test_there_and_back():
    for name, unit in UNITS.items():
        for other in (n for n, u in UNITS.items() if u.quantity == unit.quantity):
            assert convert(convert(7.0, name, other, "x"), other, name, "x") == pytest.approx(7.0, rel=1e-9)
    assert convert(0.1, "s", "sec", "x") == 0.1


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="column 'a' has the unknown unit 'Mpa'; did you mean 'MPa'"):
        convert(1.0, "Mpa", "Pa", "column 'a'")
    with pytest.raises(ValueError, match="x is in s, a unit of time, but is wanted in MPa, a unit of stress"):
        convert(1.0, "s", "MPa", "x")


def test_units_in_headers():
    assert from_header("Strain [%]") == "%"
    assert from_header("Time (s) ") == "s"
    assert from_header("Stress [true] [MPa]") == "MPa"
    assert from_header("T") is None
    assert from_header("a [b] c") is None
