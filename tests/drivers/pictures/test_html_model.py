import xml.etree.ElementTree as xml

import pytest

import neml2
from neml2.fields import Input, Output, Parameter
from neml2.model import Model
from neml2.types import Scalar
from tests.drivers.materials import decay


class Spring(Model):
    """A *linear* spring, see :class:`~neml2.Scalar` for ``F``. More is said here.

    And here.
    """

    x: Scalar = Input("Its extension, a < b", unit="length")
    F: Scalar = Output("Its force", unit="force")
    k: Scalar = Parameter("k", "Its stiffness", unit="force/length")

    def forward(self, x, k):
        return k * x


def page_of(model):
    return xml.fromstring(model._repr_html_())


def rows_of(page):
    return [["".join(c.itertext()) for c in row] for row in page.iter("tr")]


def test_a_leaf_by_what_it_declares():
    page = page_of(Spring(k=3.0, name="spring"))
    assert rows_of(page) == [
        ["inputs", "", "", ""],
        ["x", "Scalar", "length", "Its extension, a < b"],
        ["outputs", "", "", ""],
        ["F", "Scalar", "force", "Its force"],
        ["parameters", "", "", ""],
        ["k", "3", "force/length", "Its stiffness"],
    ]
    lines = ["".join(d.itertext()) for d in page.findall("div")]
    assert lines == ["spring Spring", "A *linear* spring, see neml2.Scalar for F."]
    assert page.find(".//details") is None


def test_the_models_in_a_model_are_a_tree():
    page = page_of(decay())
    names = [s.find(".//b").text for s in page.iter("summary")]
    assert names == ["update", "residual", "rate", "step", "rate"]
    update = page.find("details")
    assert "solves for x" in "".join(update.find("summary").itertext())
    assert [d.find("summary//b").text for d in update.findall("details")] == ["residual"]
    assert not any(d.get("open") for d in page.iter("details"))
    rows = rows_of(page)
    assert any(row[0].endswith("rate.k") and row[1:] == ["2", "1/time", "Rate constant"] for row in rows)
    assert ["x~1", "Scalar", "length", "What decays, 1 step before"] in rows


def test_names_are_escaped():
    text = Spring(k=1.0, name="<i>")._repr_html_()
    assert "<i>" not in text and "&lt;i&gt;" in text and "a &lt; b" in text


@pytest.mark.parametrize("name", ["VoceIsotropicHardening", "LinearIsotropicElasticity"])
def test_models_of_the_catalogue(name):
    parameters = {
        "VoceIsotropicHardening": {"saturated_hardening": 1.0, "saturation_rate": 1.0},
        "LinearIsotropicElasticity": {
            "coefficients": [1.0, 0.3],
            "coefficient_types": ["YOUNGS_MODULUS", "POISSONS_RATIO"],
        },
    }
    page = page_of(getattr(neml2.models, name)(**parameters[name]))
    assert name in "".join(page.find("div").itertext())


def test_long_tables_end():
    springs = [Spring(k=1.0, x=f"x{i}", F=f"x{i + 1}", name=f"s{i}") for i in range(40)]
    page = page_of(neml2.ComposedModel(springs, additional_outputs=[f"x{i}" for i in range(1, 40)]))
    assert [d.text for d in page.findall("div")].count("... and 10 more") == 2  # outputs, parameters
