import json
from pathlib import Path

import pytest

from neml2.cli import inspect

GOOD = str(Path(__file__).parents[1] / "bad_input" / "good.i")


def test_model_as_text(capsys):
    assert inspect.main([GOOD, "elasticity"]) == 0
    assert capsys.readouterr().out == (
        "Model: LinearIsotropicElasticity\n"
        "\n"
        "Inputs (1):\n"
        "  elastic_strain: type=SR2\n"
        "\n"
        "Outputs (1):\n"
        "  stress: type=SR2\n"
        "\n"
        "Parameters (2):\n"
        "  E: dtype=torch.float64, device=cpu, shape=[]\n"
        "  nu: dtype=torch.float64, device=cpu, shape=[]\n"
        "\n"
        "Buffers (0):\n"
    )


def test_order_of_execution(capsys):
    assert inspect.main([GOOD, "model"]) == 0
    _, _, order = capsys.readouterr().out.partition("Order of execution:\n")
    names = [line.split()[0] for line in order.splitlines()]
    assert names[:3] == ["update", "residual", "elastic_strain"] and names[-1] == "elasticity"
    assert (
        names.index("flow_rate")
        < names.index("plastic_strain_rate")
        < names.index("integrate_plastic_strain")
    )
    assert "solves for plastic_strain, equivalent_plastic_strain" in order
    assert "mandel_stress -> effective_stress" in order


def test_sub_batch_of_settings(tmp_path, capsys):
    path = tmp_path / "input.i"
    path.write_text("[Settings]\n  example_batch_shape = '(2; 12)'\n[]\n" + Path(GOOD).read_text())
    assert inspect.main([str(path), "elasticity"]) == 0
    assert "  stress: type=SR2, sub_batch=[12]\n" in capsys.readouterr().out


def test_model_as_json(capsys):
    assert inspect.main([GOOD, "elasticity", "--json"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found = json.loads(out)
    assert found["name"] == "elasticity" and found["retcode"] == 0
    assert found["inputs"] == {"elastic_strain": {"type": "SR2"}}
    assert found["parameters"]["E"] == {"dtype": "torch.float64", "device": "cpu", "shape": []}
    assert found["buffers"] == {}


def test_override(capsys):
    override = "Models/elasticity/coefficients:='1 2'"
    assert inspect.main([GOOD, "elasticity", override]) == 2
    assert "outside its range" in capsys.readouterr().err
    assert inspect.main([GOOD, "Models/elasticity/coefficients:='1 0.2'", "elasticity", "--json"]) == 0


def test_whole_file(capsys):
    assert inspect.main([GOOD]) == 0
    out = capsys.readouterr().out
    for line in (
        "  times    Python  Scalar (6,)",
        "  driver  TransientDriver  6 steps, t from 0 to 1; drives ComposedModel 'model'",
        "  newton  Newton",
    ):
        assert line in out.splitlines()
    assert out.splitlines()[-1].startswith(f"{GOOD}: no errors (15 blocks in [Models], ")


def test_whole_file_as_json(capsys):
    assert inspect.main([GOOD, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["retcode"] == 0
    assert found["sections"]["Solvers"] == {
        "newton": {"type": "Newton", "about": ""},
        "lu": {"type": "DenseLU", "about": ""},
    }


@pytest.mark.parametrize("words", [["modle"], ["modle", "--json"], ["/no/such/file.i", "--json"]])
def test_errors(words, capsys):
    given = words if words[0].startswith("/") else [GOOD, *words]
    assert inspect.main(given) == 2
    out, err = capsys.readouterr()
    if "--json" in words:
        answer = json.loads(out)
        assert answer["retcode"] == 2 and answer["error"] and err == ""
    else:
        assert "did you mean 'model'?" in err and out == ""


def test_library_without_drivers(tmp_path, capsys):
    path = tmp_path / "library.i"
    path.write_text(
        "[Models]\n  [h]\n    type = LinearIsotropicHardening\n    hardening_modulus = H\n  []\n[]\n"
    )
    assert inspect.main([str(path)]) == 0
    assert "equivalent_plastic_strain, H -> isotropic_hardening" in capsys.readouterr().out


def test_reference_file_that_is_not_there(tmp_path, capsys):
    block = (
        "[Drivers]\n  [check]\n    type = TransientRegression\n    driver = 'driver'\n"
        "    reference = 'gold.pt'\n  []\n[]\n"
    )
    path = tmp_path / "input.i"
    path.write_text(Path(GOOD).read_text() + block)
    assert inspect.main([str(path)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "gold.pt" in err and f"{path}:127:" in err


# ---------------------------------------------------------------------- kernels


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NEML2_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("words", [[], ["driver"], ["model"]])
def test_kernel_along_the_history_of_the_driver(cache, words, capsys):
    assert inspect.main([GOOD, *words, "--compiled"]) == 0
    out = capsys.readouterr().out
    assert "pivots        chosen with the history of 'driver'" in out
    assert "  unknowns    7: plastic_strain (6), equivalent_plastic_strain" in out
    assert f"  source      {cache}" in out and out.count("not built yet") == 2
    assert not list(cache.iterdir())


def test_kernel_of_a_model_without_a_driver(cache, capsys):
    assert inspect.main([GOOD, "elasticity", "--compiled", "--graph", "--source"]) == 0
    out = capsys.readouterr().out
    assert "chosen with values made up, for want of a history" in out
    assert "# LinearIsotropicElasticity 'elasticity'\n" in out
    assert "FN void block(const Arguments &a" in out


def test_kernel_as_json(cache, capsys):
    assert inspect.main([GOOD, "driver", "--compiled", "--graph", "--source", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["retcode"] == 0 and found["solves"][0]["name"] == "update"
    assert "stress_0" in found["graph"] and "block(" in found["source"]


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_model_that_cannot_be_compiled(cache, more, capsys):
    assert inspect.main([GOOD, "model", "--compiled", "Solvers/lu/type:=GMRES", *more]) == 1
    out, err = capsys.readouterr()
    text = json.loads(out)["error"] if more else err.strip()
    assert text.endswith("'model' cannot be compiled: the linear solver of 'update' is not DenseLU")


def test_options_that_need_compiled(capsys):
    assert inspect.main([GOOD, "model", "--graph"]) == 2
    assert "--graph needs --compiled" in capsys.readouterr().err


def test_kernel_of_what_does_not_exist(cache, tmp_path, capsys):
    assert inspect.main([GOOD, "modle", "--compiled"]) == 2
    assert "did you mean 'model'?" in capsys.readouterr().err
    path = tmp_path / "library.i"
    path.write_text(
        "[Models]\n  [h]\n    type = LinearIsotropicHardening\n    hardening_modulus = 1\n  []\n[]\n"
    )
    assert inspect.main([str(path), "--compiled"]) == 2
    assert "--compiled needs the name of a model or a driver: h" in capsys.readouterr().err
    assert inspect.main([str(path), "h", "--compiled"]) == 0
