"""A nonlinear system as the residual of a history that pyzag solves and differentiates."""
# mypy: disable-error-code="import-untyped,import-not-found"

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from pyzag.nonlinear import NonlinearFunctionOperatorFactory

from neml2.implicit import ImplicitUpdate
from neml2.model import Model
from neml2.parameters import HoldsParameters
from neml2.recurrent.assembly import Assembly
from neml2.recurrent.checks import Place, expect_finite, watched
from neml2.recurrent.pyzag_blocks import Chunk, ChunkJacobian, Wrapper
from neml2.recurrent.residuals import Residuals, Times, force_names
from neml2.registry import did_you_mean, listing
from neml2.system import NonlinearSystem

WAYS = ("raise", "nan")
_TIMES = ("t", "time")  # the force that messages quote


class PyzagModel(torch.nn.Module, NonlinearFunctionOperatorFactory):
    r"""The residual :math:`R_k = r(x_k, x_{k-1}; u_k, u_{k-1}; p)` of a system, for pyzag's solver.

    States :math:`x` are the unknowns, ``(time, batch, ns)``, forces :math:`u` the other inputs, ``(time,
    batch, nf)``; an input ``name~1`` is the value of the time before. :meth:`assemble_state` and
    :meth:`assemble_forces` pack them. The residual and both its Jacobian blocks of a whole chunk of times
    come from one call of a compiled kernel, or from the eager models.

    Parameters of the models appear as parameters of this module called ``<block>_<parameter>``, copies whose
    values every evaluation uses: optimisers, ``pyzag.reparametrization`` and Pyro act on them. Their shape
    may become ``(batch, *shape)``: a value for each specimen.

    What is not finite is refused: forces and initial states (:class:`ValueError`), residuals of solutions
    (:class:`~neml2.errors.ConvergenceError`) and gradients
    (:class:`~neml2.recurrent.checks.GradientError`), with step, specimen and variable. The gradient with
    respect to the initial state is exact.
    """

    def __init__(
        self,
        sys: Any,
        *,
        exclude_parameters: Sequence[str] | None = None,
        include_parameters: Sequence[str] | None = None,
        engine: str = "auto",
        on_failure: str = "raise",
    ) -> None:
        """``sys`` is a nonlinear system, or an implicit update (or a model that contains one and no more).

        ``exclude_parameters`` or ``include_parameters`` choose parameters, all by default; ``engine`` is
        ``"auto"``, ``"native"`` or ``"eager"``. With ``on_failure="nan"`` a specimen that fails is NaN from
        that chunk on, with no part in gradients, as ``pyzag.stochastic`` with ``update_mask`` expects.

        Raises :class:`TypeError` for another object, and :class:`ValueError` for an unknown parameter name
        and for a system that reads older values than those of the time before.
        """
        super().__init__()
        if on_failure not in WAYS:
            raise ValueError(
                f"on_failure is '{on_failure}'{did_you_mean(on_failure, WAYS)}; give one of {listing(WAYS)}"
            )
        self.on_failure = on_failure
        system = _system(sys)
        model, kinds = system.model, system.model.input_spec
        self.state = Assembly("state", system.unknown_groups, kinds, system.structures, system.settings)
        self.forces = Assembly("force", [force_names(system)], kinds, ["dense"], system.settings)
        self.residuals = Residuals(system, self.state, self.forces, engine)
        self.residuals.check_names()
        self.chunk: Chunk | None = None
        held = _parameters(model)
        self.mirrored = {n: held[n] for n in _chosen(held, include_parameters, exclude_parameters)}
        self.parameter_names = list(self.mirrored)
        for name, path in self.mirrored.items():
            if name in dir(self):
                raise ValueError(
                    f"the parameter '{path}' would be called '{name}', which is something else here; rename"
                    f" its block"
                )
            copy = model.get_parameter(path).detach().clone()
            self.register_parameter(name, torch.nn.Parameter(copy))

    # ------------------------------------------------------------------ what it consists of

    @property
    def system(self) -> NonlinearSystem:
        """The system that is solved."""
        return self.residuals.system

    @property
    def svars(self) -> tuple[str, ...]:
        """Names of the state variables, in order."""
        return self.state.names

    @property
    def fvars(self) -> tuple[str, ...]:
        """Names of the force variables, in order."""
        return self.forces.names

    @property
    def nstate(self) -> int:
        """Numbers in a state, sub-batches not counted."""
        return self.state.base_width

    @property
    def nforce(self) -> int:
        """Numbers in the forces of one time, sub-batches not counted."""
        return self.forces.base_width

    @property
    def lookback(self) -> int:
        """How many older states the residual reads: 1."""
        return 1

    @lookback.setter
    def lookback(self, value: int) -> None:
        if value != 1:
            raise ValueError(f"lookback is {value}; the residual reads one older state, so leave it at 1")

    @property
    def wrapper(self) -> Wrapper:
        """Raw tensors as pyzag's blocks."""
        return Wrapper(self)

    # ------------------------------------------------------------------ packing

    def assemble_state(self, values: Mapping[str, Any], dynamic_dim: int = 1) -> torch.Tensor:
        """Unknowns by name, each ``(batch, *sub_batch, *base)``, as one tensor ``(batch, ns)``.

        The sub-batches become those of the states of later solves. Raises
        :class:`~neml2.errors.MissingVariable` (a ``KeyError``) and :class:`ValueError` for shapes.
        """
        return self.state.assemble(values, dynamic_dim)

    def assemble_forces(self, values: Mapping[str, Any], dynamic_dim: int = 2) -> torch.Tensor:
        """Forces by name, each ``(time, batch, *sub_batch, *base)``, as one tensor ``(time, batch, nf)``.

        Raises as :meth:`assemble_state`.
        """
        return self.forces.assemble(values, dynamic_dim)

    def unpack_state(self, packed: torch.Tensor) -> dict[str, Any]:
        """States ``(*batch, ns)``, such as a solution ``(time, batch, ns)``, as typed values by name."""
        return dict(self.state.unpack(packed))

    # ------------------------------------------------------------------ what pyzag calls

    def make_operator(
        self, prev_solution: torch.Tensor, forces: Sequence[torch.Tensor], inverse_operator: Callable
    ) -> Chunk:
        """The residual of a chunk after ``prev_solution`` ``(1, batch, ns)``, with ``forces`` ``(m + 1,
        batch, nf_i)``.

        Raises :class:`ValueError` where one of these is not finite.
        """
        return self.start(prev_solution, forces, inverse_operator)

    def start(
        self,
        previous: torch.Tensor,
        forces: Sequence[torch.Tensor],
        inverse_operator: Callable,
        first: int | None = None,
    ) -> Chunk:
        """The same, with the number ``first`` of the chunk's first step, for messages."""
        joined = self.joined(previous, forces)
        place = self.place(joined, None if first is None else first - 1)
        if self.on_failure == "raise":
            remedy = "remove the specimen, or fill the gap"
            before = place.rows(0, 1)
            expect_finite(previous, "the initial value of", self.state, before, remedy, ValueError)
            expect_finite(joined, "the force", self.forces, place, remedy, ValueError)
        self.chunk = Chunk(self, previous, joined, inverse_operator, place.rows(1, len(joined)))
        return self.chunk

    def evaluate_raw(
        self, x_full: torch.Tensor, forces: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, ChunkJacobian]:
        """Residual ``(m, batch, ns)`` and Jacobian blocks of states ``(m + 1, batch, ns)``, the one before
        the chunk included; both are part of the autograd graph of the parameters.
        """
        return self.evaluate(x_full, forces, self.natural())

    def evaluate(
        self,
        x_full: torch.Tensor,
        forces: Sequence[torch.Tensor],
        parameters: Mapping[str, torch.Tensor],
        first: int | None = None,
        graph_of_blocks: bool = True,
    ) -> tuple[torch.Tensor, ChunkJacobian]:
        """The same with ``parameters`` by the names they have here, and the step ``first`` for messages."""
        joined = self.joined(x_full, forces)
        given = {self.mirrored[n]: watched(t, n) for n, t in parameters.items()}
        times = Times.of(x_full, joined)
        place = self.place(times.forces, first)
        if self.on_failure == "nan":
            good = times.finite()
            if not bool(good.all()):
                return self._part(times, good, given, place, graph_of_blocks)
        return self._jacobian(*self.residuals(times, given, graph_of_blocks), place)

    def _part(
        self,
        times: Times,
        good: torch.Tensor,
        given: Mapping[str, torch.Tensor],
        place: Place,
        graph_of_blocks: bool,
    ) -> tuple[torch.Tensor, ChunkJacobian]:
        """Residuals that are NaN where times are not ``good``, with no part in any gradient."""
        r, diagonal, below = self.residuals(times.mended(good), given, graph_of_blocks)
        keep = good[..., None, None]
        one = torch.eye(r.shape[-1], dtype=r.dtype, device=r.device)
        r = torch.where(good.unsqueeze(-1), r, torch.nan)
        return self._jacobian(r, torch.where(keep, diagonal, one), torch.where(keep, below, 0.0), place)

    def _jacobian(
        self, r: torch.Tensor, diagonal: torch.Tensor, below: torch.Tensor, place: Place
    ) -> tuple[torch.Tensor, ChunkJacobian]:
        return r, ChunkJacobian(diagonal, below, self, place)

    def natural(self) -> dict[str, torch.Tensor]:
        """The parameters by name, as parametrizations and samplers show them."""
        return {n: getattr(self, n) for n in self.parameter_names}

    def joined(self, x: torch.Tensor, forces: Sequence[torch.Tensor]) -> torch.Tensor:
        """Several force tensors as one ``(time, batch, nf)``, beside states ``x``."""
        if not forces:
            return x.new_zeros(*x.shape[:-1], 0)
        return forces[0] if len(forces) == 1 else torch.cat(list(forces), -1)

    def place(self, forces: torch.Tensor, first: int | None) -> Place:
        """Where the times of ``forces`` ``(m, batch, nf)`` lie, the first being step ``first``."""
        time = None
        named = [n for n in _TIMES if n in self.forces.names]
        if named and forces.shape[-1] == self.forces.width:
            data = self.forces.unpack(forces.detach())[named[0]].data
            time = data if data.ndim == 2 else None
        return Place(first, time)

    # ------------------------------------------------------------------ as a module

    def _apply(self, fn: Callable, recurse: bool = True) -> PyzagModel:
        super()._apply(fn, recurse)
        self.system.model._apply(fn)  # constants go where the parameters go
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "chunk": None}  # a solve that is under way stays with its model

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.system.model}; states {listing(self.svars)}; forces"
            f" {listing(self.fvars)}; parameters {listing(self.parameter_names)})"
        )


def _system(given: Any) -> NonlinearSystem:
    """The nonlinear system of a system, of one with a state, or of an implicit model."""
    found = getattr(given, "system", given)
    if isinstance(found, NonlinearSystem):
        return found
    if isinstance(given, Model):
        updates = {id(m): m for m in given.modules() if isinstance(m, ImplicitUpdate)}
        if len(updates) == 1:
            (update,) = updates.values()
            system = update.equation_system
            made = {n for m in given.modules() if isinstance(m, Model) for n in m.output_spec}
            inner = {n for m in system.model.modules() if isinstance(m, Model) for n in m.output_spec}
            fed = [n for n in system.given_names if n in made - inner - set(system.unknown_names)]
            if not fed:
                return system
            raise TypeError(
                f"{given} computes {listing(fed)} outside of {update}; put that model into the residual, and"
                f" give the NonlinearSystem"
            )
        raise TypeError(
            f"{given} contains {len(updates) or 'no'} implicit updates; give a NonlinearSystem, as from"
            f" neml2.load_nonlinear_system(path, name)"
        )
    raise TypeError(
        f"a history needs a nonlinear system, not a {type(given).__name__}; give what"
        f" neml2.load_nonlinear_system(path, name) returns"
    )


def _parameters(model: Model) -> dict[str, str]:
    """Qualified names by ``<block>_<parameter>``, in the order of execution; of equal names the first."""
    found: dict[str, str] = {}
    for path, _ in model.named_parameters():
        holder = model.get_submodule(path.rpartition(".")[0])
        attr = path.rpartition(".")[2]
        if isinstance(holder, HoldsParameters) and attr in holder._kinds:
            block = getattr(holder, "name", "") or path.split(".")[-2]
            found.setdefault(f"{block}_{attr}", path)
    return found


def _chosen(
    known: Mapping[str, str], include: Sequence[str] | None, exclude: Sequence[str] | None
) -> list[str]:
    if include is not None and exclude is not None:
        raise ValueError("give include_parameters or exclude_parameters, not both")
    if include is None:
        return [n for n in known if n not in (exclude or ())]
    for name in include:
        if name not in known:
            raise ValueError(
                f"there is no parameter '{name}'{did_you_mean(name, known)} (parameters:"
                f" {listing(known, most=len(known))})"
            )
    return [n for n in known if n in include]
