"""The ways in: load a file, a text, a model of a file, or a user's own code."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from neml2.es import ModelNonlinearSystem
from neml2.hit.document import read_file, read_string
from neml2.hit.input_file import InputFile
from neml2.model import Model


def load_input(
    path: str | Path,
    *,
    pre: Sequence[str] = (),
    post: Sequence[str] = (),
    additional_args: Sequence[str] = (),
    device: Any = None,
    dtype: Any = None,
    trust_input: bool = False,
) -> InputFile:
    """The contents of an input file.

    ``pre`` and ``post`` are pieces of input put before and after the text, ``additional_args`` after those
    (``"Models/el/E:=2e5"``). With ``trust_input`` the expressions of ``[Tensors]`` run as ordinary Python,
    and includes may lie anywhere. ``device`` and ``dtype`` are accepted for scripts written for NEML2; move a
    model with ``.to(...)``.

    Raises :class:`~neml2.hit.errors.InputError`, which says file, line and column.
    """
    del device, dtype
    return InputFile(read_file(path, pre, [*post, *additional_args], trust_input), trust_input)


def load_string(
    text: str,
    *,
    pre: Sequence[str] = (),
    post: Sequence[str] = (),
    additional_args: Sequence[str] = (),
    device: Any = None,
    dtype: Any = None,
    trust_input: bool = False,
) -> InputFile:
    """The contents of an input text; as :func:`load_input`, with paths relative to the working directory."""
    del device, dtype
    return InputFile(read_string(text, pre, [*post, *additional_args], trust_input), trust_input)


def load_model(
    path: str | Path, model_name: str, *, device: Any = None, dtype: Any = None, trust_input: bool = False
) -> Model:
    """The model ``[Models/model_name]`` of an input file."""
    return load_input(path, device=device, dtype=dtype, trust_input=trust_input).get_model(model_name)


def load_nonlinear_system(path: str | Path, name: str, *, trust_input: bool = False) -> ModelNonlinearSystem:
    """The system ``[EquationSystems/name]`` of an input file, ready to be given values."""
    return ModelNonlinearSystem(load_input(path, trust_input=trust_input).get_equation_system(name))


def load_extension(path: str) -> ModuleType:
    """Import a user's code, so that its types are known: a ``.py`` file, a package folder or a module name.

    Raises :class:`ImportError` that says the three forms when ``path`` is none of them.
    """
    place = Path(path)
    if place.is_file() and place.suffix == ".py":
        source, name, inside = place, place.stem, None
    elif place.is_dir() and (place / "__init__.py").is_file():
        source, name, inside = place / "__init__.py", place.resolve().name, [str(place.resolve())]
    else:
        return _import_module(path)
    folder = str(place.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    full = f"_neml2_ext_{name}"
    spec = importlib.util.spec_from_file_location(full, source, submodule_search_locations=inside)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[full] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[full]
        raise
    return module


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (ImportError, ValueError, TypeError) as error:
        if isinstance(error, ImportError) and error.name and not name.startswith(error.name):
            raise  # the module is there, but something that it needs is not
        raise ImportError(
            f"cannot load '{name}': give a .py file, a folder with an __init__.py,"
            " or the dotted name of a module"
        ) from error
