import re
import xml.etree.ElementTree as xml

import numpy as np

from neml2.drivers.pictures.html_trajectory import html
from tests.drivers.trajectories import made, saw, scalar, uniaxial


def page_of(thing):
    return xml.fromstring(thing._repr_html_())


def lines_of(page):
    return [e.get("points").split() for e in page.iter("{http://www.w3.org/2000/svg}polyline")]


def texts(page):
    return [" ".join("".join(e.itertext()).split()) for e in page.iter("div")]


def test_the_summary_is_a_table_with_units():
    loops = made(np.arange(17.0), strain=uniaxial(saw(2)), stress=uniaxial(100 * saw(2)))
    page = page_of(loops)
    assert "Trajectory 17 steps, one point, t from 0 to 16" in texts(page)
    rows = [["".join(c.itertext()) for c in row] for row in page.iter("tr")]
    assert rows[0] == ["", "", "min", "max", "unit"]
    assert ["stress", "SR2", "-100", "100", "MPa"] in rows
    assert [c.get("class") for c in page.find(".//tr")] == [None, None, "number", "number", None]


def test_the_curve_is_the_loop():
    loops = made(np.arange(17.0), strain=uniaxial(saw(2)), stress=uniaxial(100 * saw(2)))
    page = page_of(loops)
    (line,) = lines_of(page)
    assert len(line) == 17 and "stress.xx over strain.xx" in texts(page)
    assert len({tuple(line[i : i + 9]) for i in (0, 8)}) == 1  # both cycles are the same


def test_without_stress_and_strain_what_changes_over_time():
    page = page_of(made([0.0, 1.0, 2.0], still=scalar([1.0, 1, 1]), x=scalar([0.0, 1, 4])))
    assert "x over time" in texts(page) and len(lines_of(page)) == 1
    assert not lines_of(page_of(made([0.0, 1.0], still=scalar([1.0, 1.0]))))


def test_of_many_points_a_few_lines_which_end_where_they_fail():
    x = np.outer(np.arange(6.0), np.arange(1, 1001)).reshape(6, 10, 100)
    page = page_of(made(range(6), (10, 100), failed={(0, 0): 4, (3, 3): 2}, x=scalar(x)))
    assert [len(line) for line in lines_of(page)] == [4, 6, 6, 6]
    told = " ".join(texts(page))
    assert "2 of 1000 points failed" in told
    assert "point (0, 0), step 4: the residual was still too large after the last iteration" in told


def test_clocks_and_values_that_some_points_share():
    shared = made(np.outer(range(3), [1.0, 2.0]), (2,), x=scalar([[0.0], [1.0], [2.0]]))
    assert len(lines_of(page_of(shared))) == 2
    assert lines_of(page_of(made([0.0, 1.0], (0,), x=scalar(np.zeros((2, 0)))))) == []


def test_names_are_escaped_and_nothing_is_loaded():
    name = "<script>alert('x')</script>"
    text = html(made([0.0, 1.0], **{name: scalar([0.0, 1.0])}))
    assert "<script" not in text and "&lt;script&gt;" in text
    xml.fromstring(text)
    assert not re.search(r"(src|href|url)\s*[=(]", text)
