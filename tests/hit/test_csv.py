import pytest
import torch

from neml2.hit.csv import read_csv
from neml2.hit.errors import InputError
from neml2.types import SR2, WR2, Scalar, Vec


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "data.csv"
        path.write_text(text)
        return path

    return write


def test_scalar_column(table):
    value = read_csv(Scalar, table("t, x\n0,1.5\n1,-2e3\n\n"), variable="x")
    assert torch.equal(value.data, torch.tensor([1.5, -2000.0], dtype=torch.float64))


@pytest.mark.parametrize(
    ("kind", "suffixes"),
    [(Vec, "x y z"), (SR2, "xx yy zz yz xz xy"), (WR2, "zy xz yx")],
)
def test_components_by_prefix_or_by_name_are_stored_as_they_are(table, kind, suffixes):
    columns = [f"v_{s}" for s in suffixes.split()]
    rows = [[float(i + 10 * j) for i in range(len(columns))] for j in range(3)]
    text = "\n".join([",".join(["t", *columns]), *(",".join(map(str, [9, *row])) for row in rows)])
    expected = torch.tensor(rows, dtype=torch.float64)
    assert torch.equal(read_csv(kind, table(text), variable="v").data, expected)
    reordered = read_csv(kind, table(text), column_names=columns[::-1])
    assert torch.equal(reordered.data, expected.flip(-1))
    assert reordered.dynamic_batch_shape == (3,)


@pytest.mark.parametrize(
    ("text", "given", "error", "message"),
    [
        ("a\n1\n", {}, ValueError, "either 'variable' or 'column_names'"),
        (
            "a\n1\n",
            {"variable": "a", "column_names": ["a"]},
            ValueError,
            "either 'variable' or 'column_names'",
        ),
        (
            "a,b\n1,2\n",
            {"column_names": ["a", "b"]},
            ValueError,
            "column_names has 2 columns, a Scalar needs 1",
        ),
        (
            "strain,b\n1,2\n",
            {"variable": "strian"},
            KeyError,
            "did you mean 'strain'? (its columns: strain, b)",
        ),
        (
            "a,b\n1,2\n3\n",
            {"variable": "a"},
            ValueError,
            "data.csv:3:1: this row has 1 cells, the header has 2",
        ),
        (
            "a,b\n1,2\n3,x\n",
            {"variable": "a"},
            ValueError,
            "data.csv:3:1: 'x' in column 'b' is not a finite number",
        ),
        (
            "a\nnan\n",
            {"variable": "a"},
            ValueError,
            "data.csv:2:1: 'nan' in column 'a' is not a finite number",
        ),
        ("a\n1e999\n", {"variable": "a"}, ValueError, "'1e999' in column 'a' is not a finite number"),
        ("a\n1_0\n", {"variable": "a"}, ValueError, "'1_0' in column 'a' is not a finite number"),
        ("a,a\n1,2\n", {"variable": "a"}, ValueError, "data.csv:1:1: the column 'a' appears twice"),
        ("a\n", {"variable": "a"}, ValueError, "the table has no rows"),
        ('a\n"1\n', {"variable": "a"}, ValueError, "not a CSV table"),
    ],
)
def test_bad_tables(table, text, given, error, message):
    with pytest.raises(error) as caught:
        read_csv(Scalar, table(text), where="input.i:3:5", **given)
    assert isinstance(caught.value, InputError)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="cannot open csv_file"):
        read_csv(Scalar, tmp_path / "none.csv", variable="x", where="input.i:3:5")
