"""Input files for the tools: a good one, variants of it, and a batch of oscillators."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "bad_input"
GOOD = str(FOLDER / "good.i")

OSCILLATOR = """
[Tensors]
  [times]
    type = Python
    expr = 'Scalar(torch.linspace(0, 10, 51))'
  []
  [rates]
    type = Python
    expr = 'Scalar(torch.cos(torch.linspace(0, 10, 51)).unsqueeze(-1) * torch.linspace(1, 2, 12))'
  []
[]
[Drivers]
  [driver]
    type = TransientDriver
    model = 'integral'
    prescribed_time = 'times'
    prescribed_Scalar_names = 'x_rate'
    prescribed_Scalar_values = 'rates'
  []
[]
[Models]
  [integral]
    type = ScalarForwardEulerTimeIntegration
    variable = 'x'
  []
[]
"""


def variant(folder, *edits, more=""):
    """A copy of the good input with edits, and with more text after it."""
    text = Path(GOOD).read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    (folder / "input.i").write_text(text + more)
    return "input.i"
