"""Going on with runs of input files, and taking their failed steps again: the model comes from the text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neml2.drivers.files.writer import Unfinished
from neml2.drivers.trajectory import Path, Trajectory
from neml2.drivers.transient import TransientDriver
from neml2.hit.errors import InputError
from neml2.hit.loading import load_string
from neml2.model import Model

if TYPE_CHECKING:
    from neml2.drivers.engines.replay import Replay
    from neml2.step import StepResult


def resume(
    path: Path, model: Model | TransientDriver | None = None, *, trust_input: bool = False, **options: Any
) -> Trajectory:
    """Go on with the interrupted run into the file ``path``, to the bits of a run that was not interrupted.

    model
        The model of the run, or a driver of it; left out, it is built from the input text in the file.
    options
        Those of :meth:`TransientDriver.resume`.

    Raises :class:`FileNotFoundError`, or :class:`ValueError` for a run that is complete, that was made in
    Python and is resumed without its model, or that was made with another model.
    """
    if isinstance(model, TransientDriver):
        return model.resume(path, **options)
    if model is not None:
        return TransientDriver(model).resume(path, **options)
    origin = Unfinished.read(path).origin
    driver = _driver(origin.input_text, origin.sections, f"{path}", trust_input)
    for name, value in origin.parameters.items():
        driver.model.to(dtype=value.dtype)
        driver.model.set_parameter(name, value)
    return driver.resume(path, **options)


def replay(bundle: Replay, *, trust_input: bool = False) -> StepResult:
    """Take the failed step of a run of an input file again."""
    sections = {"model": f"Models/{bundle.model}"}
    driver = _driver(bundle.input_text, sections, "the bundle", trust_input)
    for value in bundle.parameters.values():
        driver.model.to(dtype=value.dtype)
    return bundle.run(driver.model)


def _driver(text: str, sections: Any, who: str, trust_input: bool) -> TransientDriver:
    if not text or "model" not in sections:
        raise ValueError(f"the run of {who} was not that of an input file; give its model as well")
    try:
        file = load_string(text, trust_input=trust_input)
        model = file.get_model(sections["model"].rpartition("/")[2])  # not its driver: what it read is here
    except InputError as error:
        raise ValueError(
            f"the model of {who} cannot be built from the input text in it: {error}; relative paths are taken"
            " from the folder where this runs, or give the model yourself"
        ) from None
    return TransientDriver(model, settings=file.settings, input_text=text)
