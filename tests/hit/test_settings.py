import pytest

from neml2.hit.document import read_string
from neml2.hit.settings import Settings, read_settings


def settings(text):
    return read_settings(read_string(f"[Settings]\n{text}\n[]\n").section("Settings"))


def test_defaults():
    empty = settings("")
    assert empty.example_batch_shape == {}
    assert empty.dynamic_batch is True
    assert empty.sub_batch_shape("x") is None
    assert empty.sub_batch_ndim("x") is None
    assert empty.dynamic_shape("x") == (2,)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("(2,)", None),
        ("(2; 12)", (12,)),
        ("(; 5, 3)", (5, 3)),
        ("(2; )", ()),
        ("( 2 , ; 4, )", (4,)),
        ("()", None),
    ],
)
def test_only_what_stands_behind_a_semicolon_declares_a_sub_batch(text, shape):
    assert settings(f"example_batch_shape = '{text}'").sub_batch_shape("anything") == shape


def test_a_declaration_holds_for_the_whole_family():
    found = settings("[example_batch_shape]\n x = '(2; 12)'\n y~1 = '(3; 4)'\n[]")
    assert found.sub_batch_shape("x~2") == (12,)
    assert found.sub_batch_shape("y") == (4,)
    assert found.sub_batch_ndim("y~2") == 1
    assert found.sub_batch_shape("z") is None
    assert found.dynamic_shape("y~1") == (3,)
    assert found.resolve(["x", "y", "z"]) == {"x": (12,), "y": (4,)}
    assert found.resolve(["x~1"], known=["x", "y"]) == {"x~1": (12,)}


def test_declared_but_unknown_names():
    found = settings("[example_batch_shape]\n slipp = '(2; 12)'\n[]")
    with pytest.raises(
        ValueError, match=r"<string>:3:2: .*declares 'slipp'.*did you mean 'slip'\? \(variables: slip"
    ):
        found.resolve(["slip", "stress"])


@pytest.mark.parametrize("word", ["true", "1", "yes", "on", "Yes"])
def test_dynamic_batch_on(word):
    assert settings(f"dynamic_batch = {word}").dynamic_batch is True


@pytest.mark.parametrize("word", ["false", "0", "no", "off"])
def test_dynamic_batch_off(word):
    assert settings(f"dynamic_batch = {word}").dynamic_batch is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dynamic_batch = perhaps", "<string>:2:1: dynamic_batch is 'perhaps'; give true or false"),
        ("example_batch_shape = '2, 3'", "<string>:2:1: example_batch_shape '2, 3' needs parentheses"),
        ("example_batch_shape = '(2:3)'", "is not '(sizes)' or '(sizes; sub-batch sizes)'"),
        ("example_batch_shape = '(2; 3; 4)'", "is not '(sizes)'"),
        ("example_batch_shape = '(a,)'", "is not '(sizes)'"),
        ("example_batch_shape = '(-2,)'", "is not '(sizes)'"),
        (
            "example_batch_shape = '(2,)'\n[example_batch_shape]\n x = '(2,)'\n[]",
            "given for all variables here and per",
        ),
        (
            "[example_batch_shape]\n x = '(2; 3)'\n x~1 = '(2; 4)'\n[]",
            "<string>:4:2: 'x~1' is declared with sub-batch (4,)",
        ),
        ("example_batch_shap = '(2,)'", "[Settings] has no option 'example_batch_shap'; did you mean"),
    ],
)
def test_bad_settings(text, message):
    with pytest.raises(ValueError) as caught:
        settings(text)
    assert message in str(caught.value)


def test_in_python():
    assert Settings({"*": "(2; 7)"}).sub_batch_shape("x") == (7,)
