import torch

from neml2.solvers import Solution, Status


def solution(status, residual, names=("a_residual", "b_residual")):
    n = len(status)
    return Solution(
        [torch.zeros(n, 2)],
        torch.tensor(status, dtype=torch.int8),
        torch.full((n,), 25, dtype=torch.int32),
        torch.tensor(residual),
        torch.ones(n),
        torch.ones(n, dtype=torch.int64),
        names,
    )


def test_values_are_part_of_the_file_format():
    assert [(s.name, s.value) for s in Status] == [
        ("CONVERGED", 0),
        ("MAX_ITERATIONS", 1),
        ("NOT_FINITE", 2),
        ("SINGULAR", 3),
        ("FROZEN", 4),
        ("NOT_SOLVED", 5),
        ("ENDED", 6),
    ]
    assert all(s.meaning for s in Status)


def test_the_worst_point_is_described():
    text = solution([0, 1, 1], [1e-12, 1e-3, 2e-3]).describe()
    assert text == (
        "Newton did not converge for 2 of 3 points (worst residual 2.0e-03, in b_residual, after 25"
        " iterations: the residual was still too large after the last iteration)"
    )


def test_nan_is_worse_than_any_number():
    assert "worst residual nan" in solution([1, 2], [1e9, float("nan")]).describe()


def test_a_single_point():
    assert solution([3], [1.0]).describe().startswith("Newton did not converge for the point (")
    assert solution([0], [1e-12]).succeeded
