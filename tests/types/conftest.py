"""Lets the test files of this folder import the table `point_functions`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
