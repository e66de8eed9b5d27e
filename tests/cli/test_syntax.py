import io
import json

import pytest

from neml2.cli import facts, syntax
from neml2.hit.input_file import load_catalogue
from neml2.registry import entries


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_listing_has_every_type_with_its_sentence(capsys):
    assert syntax.main([]) == 0
    shown = lines(capsys)
    assert "[Models]" in shown and "[Drivers]" in shown and "[Tensors]" in shown
    words = [line.split()[0] for line in shown if line.startswith("  ")]
    assert set(words) >= {
        "VoceIsotropicHardening",
        "Newton",
        "TransientDriver",
        "NonlinearSystem",
        "CSVScalar",
    }
    assert all(len(line.split()) > 2 for line in shown if line.startswith("  ") and "_" not in line)


def test_section_and_summary(capsys):
    assert syntax.main(["--section", "Solvers"]) == 0
    shown = capsys.readouterr().out
    assert "DenseLU" in shown and "VoceIsotropicHardening" not in shown
    assert syntax.main(["--summary"]) == 0
    counts = dict(line.split() for line in lines(capsys))
    assert int(counts["total"]) == sum(int(n) for s, n in counts.items() if s != "total") > 100


def test_page_of_a_type(capsys):
    assert syntax.main(["--type", "PerzynaPlasticFlowRate"]) == 0
    page = capsys.readouterr().out
    for words in (
        "neml2/models/solid_mechanics/flow_rules.py",
        r".. math:: \dot\gamma",
        "reference_stress  Scalar  required",
        "unit: stress; in (0, inf)",
        "type = PerzynaPlasticFlowRate",
    ):
        assert words in page


def test_name_of_a_type_alone_gives_its_page(capsys):
    assert syntax.main(["--type", "PerzynaPlasticFlowRate"]) == 0
    page = capsys.readouterr().out
    assert syntax.main(["PerzynaPlasticFlowRate"]) == 0
    assert capsys.readouterr().out == page
    assert syntax.main(["PerzynaFlowRate"]) == 2
    assert "did you mean 'PerzynaPlasticFlowRate'?" in capsys.readouterr().err


def test_options_that_differ_by_their_tensor_type_are_one_line(capsys):
    assert syntax.main(["TransientDriver"]) == 0
    page = capsys.readouterr().out
    assert page.count("prescribed_T_names") == 1 and "prescribed_SR2_names" not in page
    assert "T is one of Scalar, Vec, SR2, WR2, R2, MRP, SSR4, MillerIndex." in page


def test_block_to_start_from_is_complete(capsys):
    assert syntax.main(["--type", "LinearIsotropicElasticity"]) == 0
    page = capsys.readouterr().out
    assert "coefficients = ...\n      coefficient_types = ..." in page
    assert "one by one, as E, nu, K, G, lam, M" in page


def test_page_names_derived_variables(capsys):
    assert syntax.main(["--type", "SR2BackwardEulerTimeIntegration"]) == 0
    page = capsys.readouterr().out
    assert "<variable>~1" in page and "= <variable>_residual" in page


def test_every_type_has_a_page_and_json():
    load_catalogue()
    for entry in entries():
        assert entry.name in syntax.page(entry)
        json.dumps(facts.described(entry))


@pytest.mark.parametrize(
    ("flag", "word", "near"),
    [
        ("--type", "VoceIsotropicHardning", "VoceIsotropicHardening"),
        ("--type", "Perzyna", "PerzynaPlasticFlowRate"),
        ("--section", "Solver", "Solvers"),
    ],
)
def test_nearest_spelling(flag, word, near, capsys):
    assert syntax.main([flag, word]) == 2
    assert f"did you mean '{near}'?" in capsys.readouterr().err


def test_type_of_another_section(capsys):
    assert syntax.main(["--section", "Solvers", "--type", "YieldFunction"]) == 2
    assert "it is one of Models" in capsys.readouterr().err


def test_json_on_standard_output(capsys):
    assert syntax.main(["--json", "-"]) == 0
    text = capsys.readouterr().out
    found = json.loads(text)
    assert text.startswith('[\n  {\n    "type"')
    assert [t["type"] for t in found] == sorted(t["type"] for t in found)
    assert all({"type", "section", "doc", "source_path", "class_name", "options"} == set(t) for t in found)
    assert all(t["class_name"] == "" and not t["source_path"].startswith("/") for t in found)
    options = [o for t in found for o in t["options"]]
    assert {o["ftype"] for o in options} == {"INPUT", "OUTPUT", "PARAMETER", "NONE"}
    assert all({"name", "doc", "ftype", "required", "type", "value"} <= set(o) for o in options)
    assert all(o["doc"] and o["doc"].isascii() for o in options)


def test_json_of_one_type(capsys):
    assert syntax.main(["--json", "-", "--type", "YieldFunction"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    stress = next(o for o in found["options"] if o["name"] == "yield_stress")
    assert stress["ftype"] == "PARAMETER" and stress["required"] and stress["type"] == "Scalar"


def test_json_into_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert syntax.main(["--json"]) == 0
    assert json.loads((tmp_path / "syntax.json").read_text())
    assert capsys.readouterr().out.startswith("syntax.json: ")
    assert syntax.main(["--json", "no/such/folder.json"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def ask(monkeypatch, capsys, *requests):
    text = "\n".join(r if isinstance(r, str) else json.dumps(r) for r in requests)
    monkeypatch.setattr("sys.stdin", io.StringIO(text + "\n"))
    assert syntax.main(["--server"]) == 0
    return [json.loads(line) for line in lines(capsys)]


def test_server(monkeypatch, capsys):
    replies = ask(
        monkeypatch,
        capsys,
        {"id": 1, "method": "list_sections"},
        {"id": 2, "method": "list_types", "section": "Solvers"},
        {"id": 3, "method": "get_options", "type": "Newton"},
        {"id": 4, "method": "get_options", "type": "Newtn"},
        {"id": 5, "method": "list_types", "params": {"section": "EquationSystems"}},
        {"id": "six", "method": "sing"},
        "{ not json",
        "[]",
    )
    assert [r["id"] for r in replies] == [1, 2, 3, 4, 5, "six", None, None]
    assert "Models" in replies[0]["result"]
    assert "Newton" in replies[1]["result"]
    assert "max_its" in [o["name"] for o in replies[2]["result"]]
    assert replies[3]["result"] is None
    assert replies[4]["result"] == ["NonlinearSystem"]
    assert [r["error"] for r in replies[5:]] == ["unknown method", "parse error", "parse error"]


def test_server_stands_alone(capsys):
    assert syntax.main(["--server", "--summary"]) == 1
    assert "cannot be combined" in capsys.readouterr().err


def test_extension(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        "from neml2 import Model, Input, Output, Scalar\n"
        "class TwiceOfMine(Model):\n"
        '    """Twice a number."""\n'
        '    x: Scalar = Input("A number")\n'
        '    y: Scalar = Output("Twice that")\n'
        "    def forward(self, x):\n"
        "        return 2 * x\n"
    )
    assert syntax.main(["--load", str(tmp_path / "mine.py"), "--json", "-", "--type", "TwiceOfMine"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["source_path"] == "mine.py" and found["doc"] == "Twice a number."


def test_version(capsys):
    assert syntax.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("neml2 ")
