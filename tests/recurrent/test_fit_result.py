import copy
from pathlib import Path

import numpy as np
import pytest

import neml2
from neml2.recurrent import Free, calibrate
from tests.drivers.materials import decay
from tests.recurrent.fits import bar, decaying, pulled

STRESS = np.array([0.0, 2.2, 3.8, 6.1, 8.2, 9.7])


@pytest.fixture(scope="module")
def result():
    tests = [
        decaying(noise=0.05, name="first"),
        decaying(rows=11, load=3.0, noise=0.05, seed=1, name="second"),
    ]
    return calibrate(decay(0.5), tests, {"rate.k": (0.1, 50.0)})


def test_values_and_errors_go_by_the_names_of_the_user(result):
    assert result.names == ["rate.k"] and result["rate.k"] == result.values["rate.k"]
    assert set(result.errors) == set(result.intervals()) == {"rate.k"}
    with pytest.raises(KeyError, match="did you mean 'rate.k'"):
        result["rate.kk"]


def test_intervals_of_logarithms_are_symmetric_in_the_logarithm(result):
    low, high = result.intervals()["rate.k"]
    assert low * high == pytest.approx(result["rate.k"] ** 2, rel=1e-12)
    wide = result.intervals(0.99)["rate.k"]
    assert wide[0] < low < high < wide[1]
    with pytest.raises(ValueError, match="between 0 and 1"):
        result.intervals(95)


def test_predictions_are_those_of_the_fitted_model(result):
    assert set(result.predictions) == {"first", "second"}
    again = neml2.TransientDriver(result.model, engine="eager").run(result.misfit.experiments[1].history)
    np.testing.assert_allclose(
        result.predictions["second"]["x"].data, again["x"].data.detach(), rtol=1e-9, atol=1e-12
    )


def test_the_summary_is_a_table_with_sentences(result):
    lines = result.summary().splitlines()
    assert lines[0].startswith("1 parameters, 30 measured values of 2 tests: converged in")
    assert lines[3].split() == ["value", "std.", "error", "95", "%", "from", "to", "relative"]
    assert lines[4].split()[0] == "rate.k" and len(lines[4].split()) == 7
    assert str(result) == result.summary() and "rate.k = " in repr(result)
    assert "<table" in result._repr_html_() and "<svg" in result._repr_html_()


def test_a_dataset_holds_everything(result):
    data = result.to_xarray()
    assert data["value"].sel(parameter="rate.k").item() == result["rate.k"]
    assert data["covariance"].item() == pytest.approx(result.errors["rate.k"] ** 2)
    assert data.sizes["evaluation"] == len(result.history) and data.sizes["point"] == 30
    rest = data["predicted"] - data["measured"]
    assert float((rest**2).sum() / 29) == pytest.approx(_variance(result), rel=1e-9)
    assert all(isinstance(v, str | int | float) for v in data.attrs.values())


def test_a_dataset_is_read_back_from_a_file(result, tmp_path):
    import xarray

    data = result.to_xarray()
    data.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "fit.nc", engine="h5netcdf") as again:
        xarray.testing.assert_equal(again.load(), data)
        assert again.attrs == data.attrs


def _variance(result):
    unit = np.sqrt(np.mean(np.concatenate([e.responses["x"].values for e in result.misfit.experiments]) ** 2))
    return result.uncertainty.variance * unit**2


def test_the_picture_has_a_panel_for_every_test(result, tmp_path):
    figure = result.plot(tmp_path / "fit.png")
    assert (tmp_path / "fit.png").stat().st_size > 10_000
    assert [axes.get_title() for axes in figure.axes] == ["first", "second"]
    points, line = figure.axes[1].lines
    assert points.get_xydata().shape == (10, 2) and line.get_xydata().shape == (11, 2)
    np.testing.assert_array_equal(points.get_ydata(), result.misfit.experiments[1].responses["x"].values)


def test_a_bar_is_drawn_over_its_strain():
    figure = calibrate(bar(), pulled(STRESS, name="a"), {"E": (10, 1000)}).plot()
    assert "strain" in figure.axes[0].get_xlabel() and "stress" in figure.axes[0].get_ylabel()
    assert figure.axes[0].lines[0].get_xdata().max() == pytest.approx(0.1)


def test_the_fit_can_be_copied(result):
    twin = copy.deepcopy(result)
    assert twin.values == result.values
    assert twin.model.rate.k.data.item() == result["rate.k"]


def test_a_fit_that_did_not_converge_says_so():
    short = calibrate(decay(0.5), decaying(), {"k": (0.1, 50.0)}, max_evaluations=2)
    assert not short.converged and short.warnings[0].startswith("the fit has not converged")
    assert "!" in short.summary()


# ---------------------------------------------------------------------- input files

TEXT = """# a bar
[Models]
  [elasticity]
    type = LinearIsotropicElasticity
    strain = 'strain'   # what is prescribed
    coefficients = '100.0 0.3'  # MPa, -
    coefficient_types = 'YOUNGS_MODULUS POISSONS_RATIO'
  []
[]
"""


def fitted(text):
    model = neml2.load_string(text).get_model("elasticity")
    return calibrate(model, pulled(STRESS), {"elasticity.E": Free(10, 1000)})


def test_only_the_number_changes_in_an_input_file(tmp_path):
    result = fitted(TEXT)
    written = result.to_input(TEXT, tmp_path / "fitted.i")
    assert written == TEXT.replace("100.0", f"{result['elasticity.E']:.8g}")
    again = neml2.load_model(tmp_path / "fitted.i", "elasticity")
    assert again.E.data.item() == pytest.approx(result["elasticity.E"], rel=1e-7)


def test_a_file_is_read_and_values_over_several_lines_are_found(tmp_path):
    text = TEXT.replace("'100.0 0.3'", "'100.0\n                    0.3'")
    (tmp_path / "bar.i").write_text(text)
    result = fitted(text)
    assert result.to_input(tmp_path / "bar.i") == text.replace("100.0", f"{result['elasticity.E']:.8g}")


def test_what_is_no_plain_number_is_refused():
    text = TEXT.replace("'100.0 0.3'", "'${E} 0.3'").replace("# a bar", "E = 100.0")
    with pytest.raises(ValueError, match=r"coefficients is '\$\{E\} 0.3', not a plain number"):
        fitted(text).to_input(text)
    with pytest.raises(ValueError, match=r"no \[Models/elasticity\]"):
        fitted(TEXT).to_input(TEXT.replace("[elasticity]", "[other]"))


def test_a_file_that_is_included_is_named(tmp_path):
    (tmp_path / "part.i").write_text(TEXT)
    (tmp_path / "whole.i").write_text("!include part.i\n")
    with pytest.raises(ValueError, match="coefficients is in .*part.i; give that file"):
        fitted(TEXT).to_input(tmp_path / "whole.i")


def test_the_whole_example_is_written_back():
    text = (Path(__file__).parents[2] / "examples/calibrate_viscoplastic/model.i").read_text()
    model = neml2.load_string(text).get_model("model")
    from neml2.recurrent.misfit import Misfit
    from neml2.recurrent.written_back import to_input

    names = ["yield_function.yield_stress", "flow_rate.eta", "elasticity.E", "X_rate.g"]
    misfit = Misfit(model, pulled(STRESS), {n: Free(start=7.0) for n in names})

    class End:
        u = misfit.space.start

    End.misfit = misfit
    written = to_input(End, text, None)
    changed = [b for a, b in zip(text.splitlines(), written.splitlines(), strict=True) if a != b]
    assert [line.split("#")[0].split() for line in changed] == [
        ["yield_stress", "=", "7"],
        ["reference_stress", "=", "7"],
        ["g", "=", "7"],
        ["coefficients", "=", "'7", "0.3'"],
    ]
