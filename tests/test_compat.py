import pytest

import neml2
from neml2.aoti import ConvergenceError


@pytest.mark.parametrize("allow", [neml2.allow_autograd, neml2.allow_einsum])
def test_permissions_are_contexts_and_decorators(allow):
    with allow("a test"):
        pass

    @allow("a test")
    def double(x):
        return 2 * x

    assert double(2) == 4
    with pytest.raises(ValueError, match="give the reason"):
        allow(" ")


def test_the_error_of_a_solve_is_found_where_scripts_look():
    assert ConvergenceError is neml2.ConvergenceError
    assert neml2.ConvergenceError("no").converged_mask is None
