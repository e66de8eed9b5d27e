"""Load histories: what is prescribed, the step loop, what came out, and the checks of input files."""

from neml2.drivers import laboratory
from neml2.drivers.checks import (
    Comparison,
    TransientRegression,
    Verification,
)
from neml2.drivers.control import Control
from neml2.drivers.controlled import controlled
from neml2.drivers.events import Event
from neml2.drivers.files import check_place, save
from neml2.drivers.from_file import PrescribedTransient
from neml2.drivers.history import History
from neml2.drivers.increments import Increments
from neml2.drivers.isochrones import isochronous_curves
from neml2.drivers.native import NotNative
from neml2.drivers.opening import open_run, open_runs
from neml2.drivers.replay import Replay
from neml2.drivers.saving import Save
from neml2.drivers.segments import HOLD, Along, FollowUp, Segment, Stretch, logarithmic
from neml2.drivers.trajectory import Trajectory, concatenate
from neml2.drivers.transient import TransientDriver
from neml2.drivers.unit_test import ModelUnitTest, ModelUnitTestReport
from neml2.drivers.writer import Unfinished, Writer

__all__ = [
    "Along",
    "Comparison",
    "Control",
    "Event",
    "FollowUp",
    "HOLD",
    "History",
    "Increments",
    "ModelUnitTest",
    "ModelUnitTestReport",
    "NotNative",
    "PrescribedTransient",
    "Replay",
    "Save",
    "Segment",
    "Stretch",
    "Trajectory",
    "TransientDriver",
    "TransientRegression",
    "Unfinished",
    "Verification",
    "Writer",
    "check_place",
    "concatenate",
    "controlled",
    "isochronous_curves",
    "laboratory",
    "logarithmic",
    "open_run",
    "open_runs",
    "save",
]
