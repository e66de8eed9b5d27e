"""Which force of a model is its strain, and which output the stress, where nobody says so."""

from __future__ import annotations

from neml2.drivers.results.declared import declarations
from neml2.model import Model
from neml2.registry import did_you_mean, listing
from neml2.types import R2, SR2

_STRAINS = ("strain", "E", "total_strain")
_GRADIENTS = ("deformation_gradient", "F")
_STRESSES = ("stress", "S", "cauchy_stress")


def chosen_strain(model: Model, name: str | None) -> str:
    """The force that is the strain, an ``SR2`` or a deformation gradient; raises as :func:`controlled`."""
    forces = {n: k for n, k in model.input_spec.items() if "~" not in n and n not in model.output_spec}
    if name is not None:
        if name not in forces:
            raise ValueError(
                f"{model} has no force '{name}'{did_you_mean(name, forces)} (forces: {listing(forces)})"
            )
        if forces[name] not in (SR2, R2):
            raise TypeError(
                f"{model}: the strain '{name}' is a {forces[name].__name__}; it must be an SR2, or an R2 as a"
                f" deformation gradient is"
            )
        return name
    symmetric = [n for n, k in forces.items() if k is SR2]
    gradients = [n for n, k in forces.items() if k is R2]
    usual = [n for n in symmetric if n in _STRAINS] or [n for n in gradients if n in _GRADIENTS]
    for found in (usual, symmetric, [] if symmetric else gradients):
        if len(found) == 1:
            return found[0]
    candidates = symmetric + gradients
    said = f"its symmetric forces are {listing(candidates)}" if candidates else "it has no symmetric force"
    raise ValueError(f"{model}: cannot tell which force is the strain ({said}); name it with strain='...'")


def chosen_stress(model: Model, name: str | None) -> str:
    """The output that is the stress; raises as :func:`controlled`."""
    outputs = model.output_spec
    if name is not None:
        if name not in outputs:
            raise ValueError(
                f"{model} has no output '{name}'{did_you_mean(name, outputs)} (outputs: {listing(outputs)})"
            )
        if outputs[name] not in (SR2, R2):
            raise TypeError(f"{model}: the stress '{name}' is a {outputs[name].__name__}; it must be an SR2")
        return name
    tensors = [n for n, k in outputs.items() if k is SR2]
    units = declarations(model)
    for found in ([n for n in tensors if n in _STRESSES], [n for n in tensors if units[n].unit == "stress"]):
        if len(found) == 1:
            return found[0]
    said = f"its symmetric outputs are {listing(tensors)}" if tensors else "it has none that is symmetric"
    raise ValueError(f"{model}: cannot tell which output is the stress ({said}); name it with stress='...'")
