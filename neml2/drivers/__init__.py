"""Load histories: what is prescribed, the step loop, what came out, and the checks of input files."""

from neml2.drivers.checks import (
    Comparison,
    TransientRegression,
    Verification,
)
from neml2.drivers.files import check_place, save
from neml2.drivers.from_file import PrescribedTransient
from neml2.drivers.history import History
from neml2.drivers.native import NotNative
from neml2.drivers.trajectory import Trajectory
from neml2.drivers.transient import TransientDriver
from neml2.drivers.unit_test import ModelUnitTest, ModelUnitTestReport

__all__ = [
    "Comparison",
    "History",
    "ModelUnitTest",
    "ModelUnitTestReport",
    "NotNative",
    "PrescribedTransient",
    "Trajectory",
    "TransientDriver",
    "TransientRegression",
    "Verification",
    "check_place",
    "save",
]
