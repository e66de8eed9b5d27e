"""The options of the solvers as input files write them."""

import pytest

import neml2
from neml2.solvers import (
    GMRES,
    BiCGStab,
    BlockJacobiPreconditioner,
    DenseLU,
    FullPreconditioner,
    JacobiPreconditioner,
    Newton,
    NewtonWithLineSearch,
    NoPreconditioner,
    SchurComplement,
)

TEXT = """
[Solvers]
  [lu]
    type = DenseLU
  []
  [none]
    type = NoPreconditioner
  []
  [jacobi]
    type = JacobiPreconditioner
  []
  [blockwise]
    type = BlockJacobiPreconditioner
  []
  [full]
    type = FullPreconditioner
  []
  [gmres]
    type = GMRES
    restart = 20
    max_its = 50
    abs_tol = 1e-12
    rel_tol = 1e-6
    preconditioner = full
    cache_strategy = max_its
    cache_max_its = 5
  []
  [bicgstab]
    type = BiCGStab
    max_its = 50
    preconditioner = blockwise
    cache_strategy = chord
  []
  [plain]
    type = BiCGStab
  []
  [schur]
    type = SchurComplement
    residual_primary_group = 1
    unknown_primary_group = 1
    primary_solver = lu
    schur_solver = gmres
  []
  [newton]
    type = Newton
    linear_solver = gmres
    abs_tol = 1e-8
    rel_tol = 1e-6
    max_its = 100
    substep_del_tol = 1e-5
  []
  [search]
    type = NewtonWithLineSearch
    linear_solver = schur
    linesearch_type = STRONG_WOLFE
    max_linesearch_iterations = 5
    linesearch_cutback = 3
    linesearch_stopping_criteria = 1e-2
    check_negative_criterion = true
  []
[]
"""

GMRES_OF_FILE = GMRES(20, 50, 1e-12, 1e-6, FullPreconditioner(), "max_its", 5)
EXPECTED = {
    "lu": DenseLU(),
    "none": NoPreconditioner(),
    "jacobi": JacobiPreconditioner(),
    "blockwise": BlockJacobiPreconditioner(),
    "full": FullPreconditioner(),
    "gmres": GMRES_OF_FILE,
    "bicgstab": BiCGStab(max_its=50, preconditioner=BlockJacobiPreconditioner(), cache_strategy="chord"),
    "plain": BiCGStab(),
    "schur": SchurComplement(1, 1, DenseLU(), GMRES_OF_FILE),
    "newton": Newton(GMRES_OF_FILE, 1e-8, 1e-6, 100, 1e-5),
    "search": NewtonWithLineSearch(
        SchurComplement(1, 1, DenseLU(), GMRES_OF_FILE),
        linesearch_type="STRONG_WOLFE",
        max_linesearch_iterations=5,
        linesearch_cutback=3.0,
        linesearch_stopping_criteria=1e-2,
        check_negative_criterion=True,
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_options(name):
    assert neml2.load_string(TEXT).get_solver(name) == EXPECTED[name]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cache_strategy = chord", "cache_strategy = cord", "cache_strategy"),
        ("rel_tol = 1e-6\n    max_its", "rel_tol = 2\n    max_its", "rel_tol"),
        ("residual_primary_group = 1", "residual_primary_group = 2", "residual_primary_group"),
        ("linesearch_type = STRONG_WOLFE", "linesearch_type = WOLFE", "linesearch_type"),
        ("primary_solver = lu", "primary_solver = luu", "did you mean 'lu'"),
    ],
)
def test_wrong_options_are_named(old, new, message):
    assert TEXT.count(old) == 1
    with pytest.raises(neml2.InputError, match=message):
        file = neml2.load_string(TEXT.replace(old, new))
        for name in EXPECTED:
            file.get_solver(name)


def test_solvers_are_records():
    assert {EXPECTED["gmres"], GMRES_OF_FILE} == {GMRES_OF_FILE}
    with pytest.raises(AttributeError):
        EXPECTED["newton"].max_its = 3
