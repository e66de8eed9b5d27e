"""Models and materials against closed forms, at the order of their discretisation."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import pytest

from tests.models.closed_forms.form import EXACT, ClosedForm

FAMILIES = sorted(
    p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("test_") and p.stem != "form"
)
FORMS = [
    form for name in FAMILIES for form in importlib.import_module(f"tests.models.closed_forms.{name}").FORMS
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_closed_form(form):
    if form.order == EXACT:
        assert form.error(form.sizes[0]) < 1e-9
        return
    errors = [form.error(n) for n in form.sizes]
    orders = [math.log2(a / b) for a, b in zip(errors, errors[1:], strict=False)]
    assert errors[-1] < 0.05, errors
    assert all(abs(order - form.order) < 0.15 for order in orders), (errors, orders)


@pytest.mark.parametrize(
    ("order", "power"),
    [(1, 2), (2, 1), (1, 0), (EXACT, 1)],
    ids=["too good", "too slow", "stuck", "not exact"],
)
def test_another_order_is_found(order, power):
    with pytest.raises(AssertionError):
        test_closed_form(ClosedForm("sample", "0", order, lambda n: 0.3 * n**-power))


def test_there_are_many_and_each_has_a_name_of_its_own():
    names = [form.name for form in FORMS]
    assert len(set(names)) == len(names)
    assert len(names) >= 40
