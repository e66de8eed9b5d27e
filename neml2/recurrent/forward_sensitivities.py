"""Forward sensitivities: a driven history and its derivatives by all parameters at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from neml2.drivers.engines.native import NotNative
from neml2.drivers.histories.history import History
from neml2.drivers.trajectory import Trajectory
from neml2.drivers.transient import TransientDriver
from neml2.errors import MissingVariable
from neml2.model import Model
from neml2.recurrent.native_sensitivities import natively
from neml2.recurrent.parameter_names import parameter_path
from neml2.recurrent.reverse_sensitivities import by_reverse_mode
from neml2.registry import did_you_mean, listing

Sensitivities = dict[tuple[str, str], torch.Tensor]


def sensitivities(
    driver: TransientDriver | Model,
    history: History | Mapping[str, Any],
    parameters: str | Iterable[str] | None = None,
    outputs: str | Iterable[str] | None = None,
) -> tuple[Trajectory, Sensitivities]:
    """The trajectory along ``history``, and the derivatives of ``outputs`` by ``parameters`` at all rows.

    driver
        A :class:`~neml2.drivers.TransientDriver`, or a model, which is driven with its defaults.
    parameters, outputs
        Names of parameters, as for :func:`~neml2.recurrent.calibrate`, and of results; all of them where
        nothing is said.

    The derivatives have an entry ``(output, parameter)`` of shape ``(n, *batch, *output, *parameter)``, with
    the base shapes and sub-batches of both, symmetric tensors in Mandel notation. They are those of every
    point by its own value of the parameter; by a value that all points share, the derivative of a sum over
    points is the sum of theirs. Row 0 is the initial state. Rows after the end of a point's history repeat
    its last one. All is outside of the autograd graph.

    The kernel of the native engine takes all parameters in one sweep after the run. Points that fail in it
    are taken through that step by the eager engine. All of the history is done by reverse mode, from every
    component of every row, with the eager engine, where the kernel refuses, or where a point fails under
    control that starts from where the material is; that is for short histories, and channel ``driver`` says
    so. With ``engine="native"`` a refusal is an error.

    Raises what :meth:`~neml2.drivers.TransientDriver.run` raises, and
    :class:`~neml2.errors.MissingVariable` for names that the model does not have.
    """
    if isinstance(driver, Model):
        driver = TransientDriver(driver)
    names = _parameters(driver.model, parameters)
    with torch.no_grad():
        given, engine, run = driver.prepare(history)
        found = known_outputs(run.update.outputs, outputs)
        if driver.engine != "eager":
            try:
                made = natively(engine, run, given, list(dict.fromkeys(names.values())), found)
                if made is not None:
                    return made[0], {(o, n): made[1][o, own] for o in found for n, own in names.items()}
                engine.say_once("points failed in the kernel, so all sensitivities are found in reverse mode")
            except NotNative as reason:
                if driver.engine == "native":
                    raise NotNative(f"engine='native' cannot run {driver.model}: {reason}") from None
                engine.say_once(str(reason))
    return by_reverse_mode(driver, given, run.loading.batch, names, found)


def _parameters(model: Model, wanted: str | Iterable[str] | None) -> dict[str, str]:
    """The names that are wanted, with those under which :meth:`named_parameters` lists them."""
    known = {id(p): n for n, p in model.named_parameters()}
    if wanted is None:
        return {n: n for n in known.values()}
    names = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    every = dict(model.named_parameters(remove_duplicate=False))
    return {n: known[id(every[n])] if n in every else parameter_path(model, n) for n in names}


def known_outputs(known: Mapping[str, object], wanted: str | Iterable[str] | None) -> list[str]:
    """``wanted`` as a list, all that are known if nothing is said; refuses others."""
    if wanted is None:
        return list(known)
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for n in names:
        if n not in known:
            raise MissingVariable(
                f"the model has no result '{n}'{did_you_mean(n, known)}; ask for some of {listing(known, 30)}"
            )
    return names
