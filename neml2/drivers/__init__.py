"""Load histories: what is prescribed, the step loop, what came out, and the checks of input files."""

from neml2.drivers.checks import (
    Comparison,
    TransientRegression,
    Verification,
)
from neml2.drivers.control.control import Control
from neml2.drivers.control.controlled import controlled
from neml2.drivers.engines.native import NotNative
from neml2.drivers.engines.replay import Replay
from neml2.drivers.files.formats import check_place, save
from neml2.drivers.files.opening import open_run, open_runs
from neml2.drivers.files.writer import Unfinished, Writer
from neml2.drivers.from_file import PrescribedTransient
from neml2.drivers.histories import laboratory
from neml2.drivers.histories.history import History
from neml2.drivers.histories.segments import HOLD, Along, FollowUp, Segment, Stretch, logarithmic
from neml2.drivers.increments.events import Event
from neml2.drivers.increments.increments import Increments
from neml2.drivers.results.isochrones import isochronous_curves
from neml2.drivers.results.saving import Save
from neml2.drivers.trajectory import Trajectory, concatenate
from neml2.drivers.transient import TransientDriver
from neml2.drivers.unit_test import ModelUnitTest, ModelUnitTestReport

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
