import xml.etree.ElementTree as xml

import numpy as np

from neml2.html import Markup, card, details, element, escaped, sparkline, table


def corners(svg):
    lines = xml.fromstring(svg).iter("{http://www.w3.org/2000/svg}polyline")
    return [[tuple(map(float, c.split(","))) for c in line.get("points").split()] for line in lines]


def test_texts_are_escaped_and_markup_is_not():
    assert escaped('<a href="x">&') == "&lt;a href=&quot;x&quot;&gt;&amp;"
    bold = element("b", "1 < 2")
    assert bold == "<b>1 &lt; 2</b>"
    assert element("p", bold, None, 3, class_='"quoted"') == (
        '<p class="&quot;quoted&quot;"><b>1 &lt; 2</b>3</p>'
    )
    assert isinstance(element("p"), Markup)


def test_a_table_leaves_out_what_nobody_fills():
    made = table([("a", "", 1), ("<b>", "", 2)], head=("name", "unit", "value"), numbers=[2])
    rows = list(xml.fromstring(made).iter("tr"))
    assert [[c.text for c in row] for row in rows] == [["name", "value"], ["a", "1"], ["<b>", "2"]]
    assert [c.get("class") for c in rows[1]] == [None, "number"]
    xml.fromstring(table([]))


def test_details_and_card_are_well_formed():
    page = xml.fromstring(card(details("more & more", "text", opened=True)))
    assert page.get("class") == "neml2"
    assert page.find("details").get("open") and page.find("details/summary").text == "more & more"
    assert "open" not in details("closed")


def test_a_sparkline_spans_its_frame_upside_up():
    (line,) = corners(sparkline([([0, 1, 2], [0, 5, 10])], title="a < b", width=104, height=54))
    assert line == [(2, 52), (52, 27), (102, 2)]
    assert "a &lt; b" in sparkline([([0, 1], [0, 1])], title="a < b")


def test_a_sparkline_has_gaps_where_there_is_no_number():
    assert [len(c) for c in corners(sparkline([(range(5), [0, 1, np.nan, 3, 4])]))] == [2, 2]
    assert sparkline([([0, 1], [np.nan, np.inf])]) == "" and sparkline([]) == ""


def test_a_constant_lies_in_the_middle():
    (line,) = corners(sparkline([([0, 1], [7, 7 * (1 + 1e-15)])], height=50))
    assert {y for _, y in line} == {25}


def test_a_long_line_keeps_its_peaks():
    x = np.linspace(0, 1, 100_000)
    y = np.sin(20 * np.pi * x)
    y[54_321] = 3.0
    (line,) = corners(sparkline([(x, y)], height=50))
    assert len(line) <= 800 and min(b for _, b in line) == 2


def test_of_many_loops_the_first_and_the_last():
    turn = np.linspace(0, 200 * np.pi, 10_001)  # a hundred turns
    first, last = corners(sparkline([(np.cos(turn), np.sin(turn))], width=104, height=104))
    assert len(first) == len(last) == 400
    for x, y in [*first, *last]:
        assert abs(np.hypot(x - 52, y - 52) - 50) < 0.1  # no corner is cut
