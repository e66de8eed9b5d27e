"""The door for input files: HIT text in, models, solvers and drivers out."""

from neml2.hit.errors import InputError, InputErrors
from neml2.hit.input_file import InputFile
from neml2.hit.loading import load_extension, load_input, load_model, load_nonlinear_system, load_string
from neml2.hit.settings import Settings

__all__ = [
    "InputError",
    "InputErrors",
    "InputFile",
    "Settings",
    "load_extension",
    "load_input",
    "load_model",
    "load_nonlinear_system",
    "load_string",
]
