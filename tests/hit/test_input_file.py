import threading
import time

import nmhit
import pytest
import torch

from neml2.hit import InputErrors, load_string
from neml2.types import SR2, Scalar

TENSORS = """
[Tensors]
  [a]
    type = Python
    expr = 'Scalar(b.data + 1.0)'
  []
  [b]
    type = Python
    expr = '''
      c = torch.tensor([1.0, 2.0])
      result = Scalar(c)
    '''
  []
  [bad]
    type = Python
    expr = 'Scalar(worse)'
  []
  [worse]
    type = Python
    expr = 'Scalar(nothing)'
  []
  [x]
    type = Python
    expr = 'Scalar(y)'
  []
  [y]
    type = Python
    expr = 'Scalar(z)'
  []
  [z]
    type = Python
    expr = 'Scalar(x)'
  []
[]
"""
VOCE = "type = VoceIsotropicHardening saturated_hardening = 100 saturation_rate = 10"


def test_objects_are_built_once_and_on_request():
    file = load_string(
        f"[Models]\n[a]\n{VOCE}\n[]\n[b]\ntype = Nonsense\n[]\n[]\n[Models]\n[c]\n{VOCE}\n[]\n[]"
    )
    assert file.get_model("a") is file.get_model("a")
    assert file.get_model("c") is not file.get_model("a")
    assert file.names("Models") == ["a", "b", "c"]
    assert file.has_model("b")
    assert not file.has_model("d")
    assert "3 in [Models]" in repr(file)
    with pytest.raises(KeyError, match="unknown type 'Nonsense'"):
        file.get_model("b")


def test_a_block_that_is_used_twice_is_one_model():
    text = f"""
    [Models]
      [v] {VOCE} []
      [one] type = ComposedModel models = 'v' []
      [two] type = ComposedModel models = 'v' []
    []
    """
    file = load_string(text)
    assert file.get_model("one").v is file.get_model("two").v is file.get_model("v")
    assert [n for n, _ in file.get_model("two").named_parameters()] == ["v.R", "v.d"]


def test_the_same_answers_from_two_threads():
    file = load_string(TENSORS.replace("nothing", "b").replace("Scalar(x)", "b"))
    found = []
    threads = [threading.Thread(target=lambda: found.append(file.get_tensor("x"))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len({id(v) for v in found}) == 1


@pytest.mark.parametrize("getter", ["model", "solver", "equation_system", "data", "driver", "tensor"])
def test_what_does_not_exist(getter):
    file = load_string("")
    with pytest.raises(KeyError) as caught:
        getattr(file, f"get_{getter}")("x")
    assert isinstance(caught.value, ValueError)
    assert "/x] found in <string>" in str(caught.value)


def test_the_nearest_block_is_suggested():
    with pytest.raises(
        KeyError, match=r"No \[Models/elastcity\] found in <string>; did you mean 'elasticity'\?"
    ):
        load_string(f"[Models/elasticity]\n{VOCE}\n[]").get_model("elastcity")


def test_missing_type_and_keywords_of_python():
    with pytest.raises(nmhit.Error, match=r"<string>:1:1: \[Models/a\] has no parameter 'type'"):
        load_string("[Models/a]\n[]").get_model("a")
    with pytest.raises(ValueError, match="'yield' is a keyword of Python; give the block another name"):
        load_string(f"[Models/yield]\n{VOCE}\n[]").get_model("yield")
    assert (
        load_string("[Tensors/lambda]\ntype = Python expr = 'Scalar(1.0)'\n[]").get_tensor("lambda").data
        == 1.0
    )


def test_reading_finds_blocks_given_twice_and_strange_sections():
    with pytest.raises(InputErrors) as caught:
        load_string("[Models]\n[a]\n[]\n[a]\n[]\n[]\n[Modles]\n[a]\ntype = X\n[]\n[]")
    assert str(caught.value).split("\n") == [
        "<string>:4:1: [Models/a] is defined twice, first at <string>:2:1;"
        " remove one or give it another name",
        "<string>:7:1: no section 'Modles'; did you mean 'Models'?",
    ]


def test_models_that_contain_themselves():
    text = """
    [Models]
      [a] type = ComposedModel models = 'b' []
      [b] type = ComposedModel models = 'c' []
      [c] type = ComposedModel models = 'a' []
    []
    """
    file = load_string(text)
    with pytest.raises(RecursionError, match=r"\[Models/a\] contains itself: a -> b -> c -> a; remove one"):
        file.get_model("a")
    with pytest.raises(InputErrors) as caught:
        file.check()
    assert "contains itself" in str(caught.value)


def test_tensors_use_one_another():
    file = load_string(TENSORS)
    assert torch.equal(file.get_tensor("a").data, torch.tensor([2.0, 3.0], dtype=torch.float64))
    assert file.get_tensor("b") is file.get_tensor("b")


def test_the_innermost_failing_tensor_is_named():
    with pytest.raises(
        ValueError, match=r"<string>:20:5: \[Tensors/worse\] expr raised NameError: name 'nothing'"
    ):
        load_string(TENSORS).get_tensor("bad")


def test_tensors_that_refer_to_themselves():
    with pytest.raises(RecursionError, match=r"\[Tensors/x\] refers to itself: x -> y -> z -> x"):
        load_string(TENSORS).get_tensor("x")


def test_tensors_from_csv(tmp_path, monkeypatch):
    (tmp_path / "data.csv").write_text("e_xx,e_yy,e_zz,e_yz,e_xz,e_xy,t\n1,2,3,4,5,6,0\n1,2,3,4,5,6,1\n")
    monkeypatch.chdir(tmp_path)
    text = "[Tensors/{n}]\n type = {k}\n csv_file = 'data.csv'\n {o}\n[]\n"
    file = load_string(
        text.format(n="e", k="CSVSR2", o="variable = e")
        + text.format(n="t", k="CSVScalar", o="column_names = t")
    )
    assert isinstance(file.get_tensor("e"), SR2)
    assert file.get_tensor("e").data[1].tolist() == [1, 2, 3, 4, 5, 6]
    assert isinstance(file.get_tensor("t"), Scalar)
    with pytest.raises(FileNotFoundError, match="did you mean 'data.csv'"):
        load_string(text.format(n="e", k="CSVSR2", o="variable = e").replace("data.", "daat.")).get_tensor(
            "e"
        )


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            "type = Python\nexp = 'Scalar(1.0)'",
            "<string>:3:1: [Tensors/x] has no option 'exp'; did you mean 'expr'?",
        ),
        ("type = Python", "<string>:1:1: [Tensors/x] needs the option 'expr' (Python)"),
        ("type = CSVScalar", "<string>:1:1: [Tensors/x] needs the option 'csv_file' (CSVScalar)"),
        (
            "type = Pyton\nexpr = 1",
            "<string>:2:1: [Tensors/x] has the unknown type 'Pyton'; did you mean 'Python'?",
        ),
        ("type = FullScalar", "<string>:2:1: [Tensors/x] has the unknown type 'FullScalar'; "),
        ("type = SR2", "[Tensors/x] has the unknown type 'SR2'; write 'type = Python' and an 'expr'"),
        ("type = Qqq", "write 'type = Python' and an 'expr', such as Scalar(1.0)"),
        (
            "type = Python\nexpr = '1.0'",
            "<string>:3:1: [Tensors/x] expr gives a float, not a tensor; wrap it",
        ),
        ("type = Python\nexpr = '${y}'", "<string>:3:1: '${y}': no value 'y' in this input"),
    ],
)
def test_bad_tensor_blocks(complaints, block, message):
    (line,) = complaints(f"[Tensors/x]\n{block}\n[]")
    assert message in line


def test_settings_are_checked_too(complaints):
    assert complaints("[Settings]\n example_batch_shape = '2'\n[]")[0].startswith(
        "<string>:2:2: example_batch_shape"
    )


def test_up_to_twenty_errors_in_one_pass_in_the_order_of_the_file(complaints):
    blocks = "\n".join(f"[m{i}]\ntype = VoceIsotropicHardenin\n[]" for i in range(30))
    lines = complaints(f"[Models]\n{blocks}\n[]")
    assert len(lines) == 21
    assert lines[0].startswith("<string>:3:1: [Models/m0]")
    assert lines[-1] == "... and 10 more"


def test_a_file_of_a_thousand_blocks_is_quick():
    blocks = "\n".join(f"[m{i}]\n{VOCE}\n[]" for i in range(1000))
    began = time.perf_counter()
    load_string(f"[Models]\n{blocks}\n[]")
    assert time.perf_counter() - began < 5


def test_deep_chains_of_references_are_refused(complaints):
    models = "\n".join(f"[m{i}]\ntype = ComposedModel models = 'm{i + 1}'\n[]" for i in range(2000))
    lines = complaints(f"[Models]\n{models}\n[]")
    assert any("lies more than 50 references deep; flatten it" in line for line in lines)
    tensors = "\n".join(f"[m{i}]\ntype = Python expr = 'Scalar(m{i + 1})'\n[]" for i in range(2000))
    lines = complaints(f"[Tensors]\n{tensors}\n[]")
    assert any("lies more than 50 references deep; flatten it" in line for line in lines)


def test_endless_words_are_neither_compared_nor_printed(complaints):
    word = "a" * 100_000
    (line,) = complaints(
        f"[Models]\n[{word}b]\n{VOCE}\n[]\n[m]\ntype = ComposedModel models = '{word}'\n[]\n[]"
    )
    assert len(line) < 1200
