import pytest

from neml2.hit.literals import flag, integer, looks_like_a_number, number, why_no_number


@pytest.mark.parametrize(
    ("word", "value"),
    [("1", 1.0), ("-2.5", -2.5), ("+.5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("1.5E-3", 1.5e-3)],
)
def test_numbers(word, value):
    assert number(word) == value


@pytest.mark.parametrize(
    "word",
    [
        "nan",
        "inf",
        "-inf",
        "Infinity",
        "1e999",
        "1_000",
        "1e3MPa",
        "1,2",
        "1O0",
        "0x10",
        "1e",
        ".",
        "--1",
        "1d3",
        "١",
    ],
)
def test_what_is_no_number_but_looks_like_one(word):
    assert number(word) is None
    assert looks_like_a_number(word) or word in (".", "--1", "١")


def test_words_are_not_taken_for_numbers():
    assert not any(looks_like_a_number(w) for w in ("fast", "e5", "x1", "infinite", "nano", "_1"))


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("1e3MPa", "is not a number; write 1e3 without a unit"),
        ("20%", "is not a number; write 20 without a unit"),
        ("1,2", "is not a number; separate numbers with blanks"),
        ("1O0", "is not a number; did you mean '100'?"),
        ("nan", "is not a finite number"),
        ("1e999", "is not a finite number"),
        ("1_000", "is not a number"),
    ],
)
def test_reasons(word, reason):
    assert why_no_number(word) == reason


def test_integers_and_flags():
    assert [integer(w) for w in ("12", "-3", "2.0", "1e3", "9" * 30, "")] == [12, -3, None, None, None, None]
    assert [flag(w) for w in ("true", "false", "True", "1")] == [True, False, None, None]
