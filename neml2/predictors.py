"""Initial guesses for implicit updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from neml2.context import DEFAULT, Context
from neml2.derivatives import flat, jacobian_rows
from neml2.fields import Dependency, Field, Input, InputField, Option, Output, OutputField
from neml2.model import Model
from neml2.registry import did_you_mean, listing
from neml2.types import MRP, R2, SR2, Scalar, TensorWrapper, abs, lt, where
from neml2.types.shapes import broadcast_shapes

_KINDS: tuple[type[TensorWrapper], ...] = (SR2, Scalar, MRP, R2)


class _Extrapolation(Model, abstract=True):
    """Lists of unknowns by type, and the variables that replace a history where there is none."""

    unknowns_SR2: list[str] = Option("Unknowns that are symmetric tensors", default=[], many=True)
    unknowns_Scalar: list[str] = Option("Unknowns that are scalars", default=[], many=True)
    unknowns_MRP: list[str] = Option("Unknowns that are orientations", default=[], many=True)
    unknowns_R2: list[str] = Option("Unknowns that are second-order tensors", default=[], many=True)
    cold: list[str] = Option(
        "Pairs unknown:variable; without history the variable is the guess for the unknown",
        default=[],
        many=True,
    )
    time: str = Option("Name of the time", default="t")

    RETURNS_TUPLE = True

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        kinds = {u: kind for kind in _KINDS for u in getattr(self, f"unknowns_{kind.__name__}")}
        if len(kinds) < sum(len(getattr(self, f"unknowns_{kind.__name__}")) for kind in _KINDS):
            raise ValueError(f"{self._label()}: an unknown is listed twice")
        self.cold_variables = self._pairs(kinds)
        names = self._histories(kinds)
        names |= {v: kinds[u] for u, v in self.cold_variables.items()}
        for name, kind in names.items():
            fields[f"input {name}"] = InputField("An input", attr=f"input {name}", type=kind, default=name)
        for u, kind in kinds.items():
            fields[f"output {u}"] = OutputField("A guess", attr=f"output {u}", type=kind, default=u)
        return fields

    def _histories(self, kinds: Mapping[str, type[TensorWrapper]]) -> dict[str, type[TensorWrapper]]:
        """The inputs before the cold variables."""
        raise NotImplementedError

    def _pairs(self, kinds: Mapping[str, type[TensorWrapper]]) -> dict[str, str]:
        pairs: dict[str, str] = {}
        for pair in self.cold:
            unknown, colon, variable = pair.partition(":")
            if not (unknown and colon and variable) or ":" in variable:
                raise ValueError(f"{self._label()}: cold has '{pair}'; write unknown:variable")
            if unknown not in kinds:
                raise ValueError(
                    f"{self._label()}: cold names '{unknown}', which is in no list of unknowns"
                    f"{did_you_mean(unknown, kinds)} ({listing(kinds)})"
                )
            if unknown in pairs:
                raise ValueError(f"{self._label()}: cold names '{unknown}' twice")
            pairs[unknown] = variable
        return {u: pairs[u] for u in kinds if u in pairs}  # in the order of the outputs

    def forward(self, *inputs):
        values: dict[str, Any] = dict(zip(self.input_spec, inputs, strict=True))
        guesses = {u: values[f"{u}~1"] for u in self.output_spec}
        if f"{self.time}~1" not in values:
            return tuple(guesses.values())
        t, t_1, t_2 = (values[f"{self.time}{lag}"] for lag in ("", "~1", "~2"))
        first = lt(abs(t_1 - t_2), torch.finfo(t_1.dtype).eps)  # no history yet
        factor = (t - t_1) / where(first, Scalar.zeros_like(t_1) + 1.0, t_1 - t_2)
        for u, old in guesses.items():
            older, cold = values.get(f"{u}~2"), values.get(self.cold_variables.get(u, ""))
            ahead = old if older is None else old + (old - older) * factor
            guesses[u] = where(first, old if cold is None else cold, ahead)
        return tuple(guesses.values())


class ConstantExtrapolationPredictor(_Extrapolation):
    r"""Guesses that the unknowns keep their old values.

    A *cold* variable supplies the guess for its unknown on steps without history, where
    :math:`t_{n-1} = t_n` to machine epsilon.

    .. math:: u_{n+1} = u_n
    """

    def _histories(self, kinds: Mapping[str, type[TensorWrapper]]) -> dict[str, type[TensorWrapper]]:
        names = {f"{u}~1": kind for u, kind in kinds.items()}
        return names | (
            {f"{self.time}{lag}": Scalar for lag in ("", "~1", "~2")} if self.cold_variables else {}
        )


class LinearExtrapolationPredictor(_Extrapolation):
    r"""Guesses that the unknowns go on at the rate of the previous step.

    .. math:: u_{n+1} = u_n + (u_n - u_{n-1}) \frac{t_{n+1} - t_n}{t_n - t_{n-1}}

    Without history, where :math:`t_{n-1} = t_n` to machine epsilon, the guess is the *cold* variable of the
    unknown or, if it has none, the old value.
    """

    def _histories(self, kinds: Mapping[str, type[TensorWrapper]]) -> dict[str, type[TensorWrapper]]:
        names = {f"{u}~1": kind for u, kind in kinds.items()}
        names |= {f"{self.time}{lag}": Scalar for lag in ("", "~1", "~2")}
        return names | {f"{u}~2": kind for u, kind in kinds.items()}


class RateCondensation(Model):
    r"""Linearises the return path of a step, from a rate to a driving force, about zero rate.

    .. math:: A = -\left.\frac{\partial f}{\partial \dot g}\right|_{\dot g = 0}, \qquad b = f|_{\dot g = 0}

    The rate has the sub-batch of the driving force, ``(m,)``, and the coupling then has ``(m, m)``.
    """

    model: Model = Dependency("Models", "The return path: a model that maps the rate to the driving force")
    rate: str = Option("Name of its input that is the rate")
    driving_force: str = Option("Name of its output that is the driving force")
    coupling: Scalar = Output("Loss of driving force per unit of rate")
    trial_driving_force: Scalar = Output("Driving force at zero rate")

    RETURNS_TUPLE = True

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        path = self.model
        _check_name(self, "rate", self.rate, path.input_spec, "an input")
        _check_name(self, "driving_force", self.driving_force, path.output_spec, "an output")
        for name, spec in ((self.rate, path.input_spec), (self.driving_force, path.output_spec)):
            if spec[name] is not Scalar:
                raise ValueError(f"{self._label()}: '{name}' is a {spec[name].__name__}; it must be a Scalar")
        if len(path.input_spec) < 2:
            raise ValueError(
                f"{self._label()}: {path} has no input but the rate; give a path that depends on more"
            )
        return fields | _inputs_of(path, without=self.rate)

    def evaluate(
        self, values: Mapping[str, TensorWrapper], context: Context = DEFAULT
    ) -> dict[str, TensorWrapper]:
        wanted = torch.is_grad_enabled()
        with torch.enable_grad():
            first = next(iter(values[n] for n in self.input_spec))
            start = Scalar(torch.zeros((), dtype=first.dtype, device=first.device))
            shape = self._force(values, start, context)
            rate = Scalar(torch.zeros_like(shape.data).requires_grad_(True), shape.sub_batch_ndim)
            b = self._force(values, rate, context)
            (row,) = jacobian_rows(flat(b), [rate.data], create_graph=wanted)  # (m, *batch, *sub_batch)
            if row is None:
                row = torch.zeros(flat(b).shape[-1:] + rate.data.shape, dtype=b.dtype, device=b.device)
            batch = b.dynamic_batch_shape
            A = -row.movedim(0, len(batch)).reshape((*batch, *b.sub_batch_shape, *rate.sub_batch_shape))
        outputs = [Scalar(A, 2 * b.sub_batch_ndim), b]
        if not wanted:
            outputs = [Scalar(o.data.detach(), o.sub_batch_ndim) for o in outputs]
        return dict(zip(self.output_spec, outputs, strict=True))

    def _force(self, values: Mapping[str, TensorWrapper], rate: Scalar, context: Context) -> Scalar:
        found = self.model.evaluate({**values, self.rate: rate}, context)[self.driving_force]
        assert isinstance(found, Scalar)
        return found


class CoordinateDescentPredictor(Model):
    r"""Approximate rates of a separable problem, one component after the other (Gauss-Seidel).

    .. math:: w_i + \sum_j A_{ij}\, \varphi(w_j) = b_i, \qquad g_i = \varphi(w_i)

    Each component is bracketed between zero and its driving force, bisected, and polished by Newton's method.
    The guesses are plain numbers: nothing is differentiated through them.
    """

    rate_law: Model = Dependency(
        "Models", "The explicit law from driving force to rate, with a single output"
    )
    driving_force_input: str = Option("Name of its input that is the driving force")
    coupling: Scalar = Input(
        "Loss of driving force per unit of rate, sub-batch (m, m), or none for one component"
    )
    trial_driving_force: Scalar = Input(
        "Driving force at zero rate, sub-batch (m,), or none for one component"
    )
    rate: Scalar = Output("The guessed rates, with the sub-batch of the trial driving force")
    sweeps: int = Option("Sweeps over the components", default=16, within="[1, inf)")
    bisections: int = Option("Bisections per component and sweep", default=16, within="[0, inf)")
    polish: int = Option("Newton steps per component and sweep", default=3, within="[0, inf)")

    def arrange(self, fields: dict[str, Field], given: dict[str, Any]) -> dict[str, Field]:
        law = self.rate_law
        _check_name(self, "driving_force_input", self.driving_force_input, law.input_spec, "an input")
        if len(law.output_spec) != 1:
            raise ValueError(
                f"{self._label()}: {law} has the outputs {listing(law.output_spec)}; a rate law has one"
            )
        if not law.input_spec[self.driving_force_input] is next(iter(law.output_spec.values())) is Scalar:
            raise ValueError(f"{self._label()}: {law} must map a Scalar to a Scalar")
        return fields | _inputs_of(law, without=self.driving_force_input)

    def evaluate(
        self, values: Mapping[str, TensorWrapper], context: Context = DEFAULT
    ) -> dict[str, TensorWrapper]:
        A, b = values[self.variables["coupling"]], values[self.variables["trial_driving_force"]]
        ranks, m = (b.sub_batch_ndim, A.sub_batch_ndim), b.sub_batch_shape
        if ranks not in [(1, 2), (0, 0)] or A.sub_batch_shape != (*m, *m):
            raise ValueError(
                f"{self._label()}: the driving force has the sub-batch {tuple(m)} and the coupling"
                f" {tuple(A.sub_batch_shape)}; they must be (m,) and (m, m), or both ()"
            )
        columns = b.data.detach().unsqueeze(-1) if ranks == (0, 0) else b.data.detach()
        matrix = A.data.detach().reshape(*A.dynamic_batch_shape, columns.shape[-1], columns.shape[-1])
        rates = self._sweep(matrix, columns, values, context)
        data = torch.stack(rates, -1) if ranks == (1, 2) else rates[0]
        return {next(iter(self.output_spec)): Scalar(data, b.sub_batch_ndim)}

    def _sweep(
        self, A: torch.Tensor, b: torch.Tensor, values: Mapping[str, TensorWrapper], context: Context
    ) -> list[torch.Tensor]:
        """Rates by component, after all sweeps; ``A`` is ``(*batch, m, m)`` and ``b`` ``(*batch, m)``."""
        m = b.shape[-1]
        others = [n for n in self.rate_law.input_spec if n != self.driving_force_input]
        laws = [_Law(self, {n: _component(values[n], i, m) for n in others}, context) for i in range(m)]
        batch = broadcast_shapes(A.shape[:-2], b.shape[:-1], *(law.batch_shape() for law in laws))
        rates = [b.new_zeros(batch) for _ in range(m)]
        for _ in range(self.sweeps):
            for i, law in enumerate(laws):
                c = b[..., i].expand(batch)
                for j in range(m):
                    if j != i:
                        c = c - A[..., i, j] * rates[j]
                rates[i] = law.value(self._solve(law, A[..., i, i], c))
        return rates

    def _solve(self, law: _Law, a: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        """The driving force ``w`` between 0 and ``c`` with ``w + a phi(w) = c``."""
        low, high = torch.zeros_like(c), torch.ones_like(c)
        sign = torch.where(c >= 0, 1.0, -1.0).to(c)
        for _ in range(self.bisections):
            middle = (low + high) / 2
            w = middle * c
            beyond = sign * (w + a * law.value(w) - c) > 0
            low, high = torch.where(beyond, low, middle), torch.where(beyond, middle, high)
        w = (low + high) / 2 * c
        for _ in range(self.polish):
            phi, slope = law.value_and_slope(w)
            w = w - (w + a * phi - c) / (1 + a * slope)
        return w


class _Law:
    """The rate law of one component as a function of raw tensors."""

    def __init__(self, owner: CoordinateDescentPredictor, others: dict[str, TensorWrapper], context: Context):
        self.owner, self.others, self.context = owner, others, context

    def batch_shape(self) -> Sequence[int]:
        return self.owner.rate_law.batch_shape(self.others, self.context)

    def value(self, w: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self._evaluate(w)

    def value_and_slope(self, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.enable_grad():
            w = w.detach().requires_grad_(True)
            phi = self._evaluate(w)
            if not phi.requires_grad:
                return phi, torch.zeros_like(phi)
            (slope,) = torch.autograd.grad(phi.sum(), w, allow_unused=True)
        return phi.detach(), torch.zeros_like(w) if slope is None else slope

    def _evaluate(self, w: torch.Tensor) -> torch.Tensor:
        law = self.owner.rate_law
        values = {**self.others, self.owner.driving_force_input: Scalar(w)}
        (phi,) = law.evaluate(values, self.context).values()
        if phi.sub_batch_ndim:
            raise ValueError(
                f"{self.owner._label()}: {law} returns the sub-batch {tuple(phi.sub_batch_shape)} for one"
                f" component; its parameters must be the same for all components"
            )
        return phi.data


def _component(value: TensorWrapper, i: int, m: int) -> TensorWrapper:
    """The part of a pass-through that belongs to component ``i``, or all of it when it is shared."""
    if value.sub_batch_shape != (m,):
        return type(value)(value.data.detach(), value.sub_batch_ndim)
    return type(value)(value.data.detach().select(len(value.dynamic_batch_shape), i))


def _inputs_of(model: Model, without: str) -> dict[str, Field]:
    return {
        f"input {n}": InputField("An input of the given model", attr=f"input {n}", type=kind, default=n)
        for n, kind in model.input_spec.items()
        if n != without
    }


def _check_name(model: Model, option: str, name: str, known: Mapping[str, Any], what: str) -> None:
    if name not in known:
        raise ValueError(
            f"{model._label()}: {option} is '{name}', which is not {what} of its model"
            f"{did_you_mean(name, known)} ({listing(known)})"
        )
