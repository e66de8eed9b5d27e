import pytest

from neml2 import load_input
from tests.drivers.inputs import CHECKS, TEXT


@pytest.fixture
def input_file(tmp_path):
    (tmp_path / "input.i").write_text(TEXT + CHECKS.replace("output.y_none", "output.y"))
    return load_input(tmp_path / "input.i")
