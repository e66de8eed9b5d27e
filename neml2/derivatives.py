"""Derivatives of models, by reverse-mode differentiation batched over the rows of the Jacobian.

Points of a batch are independent of one another, so one backward pass with a cotangent that is the same
for all points gives one row of every point's Jacobian; the rows are a batch of such passes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from neml2.context import Context
from neml2.errors import MissingVariable
from neml2.registry import did_you_mean, listing
from neml2.types import Tensor, TensorWrapper
from neml2.values import as_typed

if TYPE_CHECKING:
    from neml2.model import Model


def jacobian_rows(
    output: torch.Tensor, inputs: Sequence[torch.Tensor], create_graph: bool = False
) -> list[torch.Tensor | None]:
    """Derivatives of ``output`` ``(*batch, n)`` with respect to each of ``inputs`` ``(*batch, *shape)``.

    Returns tensors ``(n, *batch, *shape)``; ``None`` for an input that ``output`` does not depend on.
    """
    n = output.shape[-1]
    if not output.requires_grad or n == 0 or not inputs:
        return [None] * len(inputs)
    seeds = torch.eye(n, dtype=output.dtype, device=output.device)
    seeds = seeds.reshape(n, *(1,) * (output.ndim - 1), n).expand(n, *output.shape)

    def backward(cotangent: torch.Tensor, batched: bool) -> tuple[torch.Tensor | None, ...]:
        return torch.autograd.grad(
            output,
            list(inputs),
            cotangent,
            is_grads_batched=batched,
            create_graph=create_graph,
            retain_graph=True,
            allow_unused=True,
        )

    try:
        return list(backward(seeds, True))
    except RuntimeError as error:  # a sensitivity solver that iterates cannot be batched
        if not any(word in str(error) for word in ("vmap", "Batching rule")):
            raise
    rows = [backward(seed, False) for seed in seeds]
    return [None if r[0] is None else torch.stack(r) for r in zip(*rows, strict=True)]


def _leaves(
    model: Model, values: Mapping[str, TensorWrapper], context: Context | None = None
) -> tuple[torch.Size, dict[str, TensorWrapper]]:
    """The common batch, and the inputs expanded to it, each as a leaf of a graph of its own."""
    batch = model.batch_shape(values, context or Context())
    return batch, {
        n: type(v)._new(expand_batch(v, batch).detach().requires_grad_(True), v.sub_batch_ndim)
        for n, v in values.items()
    }


def expand_batch(value: TensorWrapper, batch: Sequence[int]) -> torch.Tensor:
    """The data of ``value`` with its dynamic batch expanded to ``batch``."""
    inner = value.data.shape[len(value.dynamic_batch_shape) :]
    missing = len(batch) - len(value.dynamic_batch_shape)
    return value.data.reshape((1,) * missing + tuple(value.data.shape)).expand((*batch, *inner))


def flat(value: TensorWrapper) -> torch.Tensor:
    """The data of ``value`` with sub-batch and base flattened: ``(*batch, n)``."""
    return value.data.reshape(*value.dynamic_batch_shape, -1)


def jacobian(
    model: Model, values: Mapping[str, TensorWrapper]
) -> tuple[dict[str, TensorWrapper], dict[str, dict[str, Tensor]]]:
    """Outputs, and their derivatives with respect to every input; see :meth:`Model.jacobian`."""
    with torch.enable_grad():
        batch, leaves = _leaves(model, values)
        outputs = model.evaluate(leaves)
        blocks: dict[str, dict[str, Tensor]] = {}
        for name, out in outputs.items():
            rows = jacobian_rows(flat(out), [v.data for v in leaves.values()])
            _check_points(name, out, batch, rows)
            blocks[name] = {}
            for (variable, v), row in zip(leaves.items(), rows, strict=True):
                shape = _block_shape(batch, out, v)
                blocks[name][variable] = Tensor(
                    v.data.new_zeros(shape) if row is None else _arranged(row, batch, out, v).reshape(shape),
                    batch_ndim=len(batch),
                    sub_batch_ndim=out.sub_batch_ndim + v.sub_batch_ndim,
                )
    return {n: type(o)(o.data.detach(), o.sub_batch_ndim) for n, o in outputs.items()}, blocks


def _check_points(
    name: str, out: TensorWrapper, batch: torch.Size, rows: Sequence[torch.Tensor | None]
) -> None:
    """Refuse an output that mixes points, such as a mean over the batch: its rows would be sums over them."""
    if out.dynamic_batch_shape != batch and any(row is not None for row in rows):
        raise ValueError(
            f"'{name}' has the batch {tuple(out.dynamic_batch_shape)} at inputs of the batch {tuple(batch)},"
            f" so it combines points and has no Jacobian per point; use jvp or param_vjp, or a sub-batch axis"
        )


def _block_shape(batch: torch.Size, out: TensorWrapper, v: TensorWrapper) -> tuple[int, ...]:
    return (*batch, *out.sub_batch_shape, *v.sub_batch_shape, *out.BASE_SHAPE, *v.BASE_SHAPE)


def _arranged(row: torch.Tensor, batch: torch.Size, out: TensorWrapper, v: TensorWrapper) -> torch.Tensor:
    """From ``(out, *batch, *v_sub, *v_base)`` to ``(*batch, out_sub, v_sub, out_base, v_base)``."""
    rows, columns = math.prod(out.sub_batch_shape), math.prod(v.sub_batch_shape)
    row = row.reshape(rows, math.prod(out.BASE_SHAPE), *batch, columns, math.prod(v.BASE_SHAPE))
    nb = len(batch)
    return row.permute(*range(2, 2 + nb), 0, 2 + nb, 1, 3 + nb)


def jvp(
    model: Model, values: Mapping[str, TensorWrapper], tangents: Mapping[str, Any]
) -> tuple[dict[str, TensorWrapper], dict[str, TensorWrapper]]:
    """Directional derivative, as the derivative of the (linear) cotangent map of reverse mode."""
    _expect_names("tangent", tangents, model.input_spec)
    with torch.enable_grad():
        _, leaves = _leaves(model, values)
        outputs = model.evaluate(leaves)
        duals = {n: torch.zeros_like(o.data, requires_grad=True) for n, o in outputs.items()}
        dependent = [n for n, o in outputs.items() if o.data.requires_grad]
        directions = {
            n: _spread(as_typed(t, type(leaves[n]), f"tangent of '{n}'").data, leaves[n], f"tangent of '{n}'")
            for n, t in tangents.items()
            if n in leaves
        }
        primal = {n: type(o)(o.data.detach(), o.sub_batch_ndim) for n, o in outputs.items()}
        tangent = {n: torch.zeros_like(o.data) for n, o in primal.items()}
        if directions and dependent:
            cotangents = torch.autograd.grad(
                [outputs[n].data for n in dependent],
                [leaves[n].data for n in directions],
                [duals[n] for n in dependent],
                create_graph=True,
                allow_unused=True,
            )
            used = [(c, directions[n]) for c, n in zip(cotangents, directions, strict=True) if c is not None]
            used = [(c, d) for c, d in used if c.requires_grad]
            if used:
                found = torch.autograd.grad(
                    [c for c, _ in used],
                    [duals[n] for n in dependent],
                    [d for _, d in used],
                    allow_unused=True,
                )
                tangent |= {n: g for n, g in zip(dependent, found, strict=True) if g is not None}
    return primal, {n: type(o)(tangent[n].detach(), o.sub_batch_ndim) for n, o in primal.items()}


def param_jacobian(
    model: Model, values: Mapping[str, TensorWrapper], params: Mapping[str, torch.nn.Parameter]
) -> tuple[dict[str, torch.Tensor], dict[str, dict[str, torch.Tensor]]]:
    """Outputs, and their derivatives with respect to parameters, per point; see :meth:`Model.param_jacobian`.

    Every point gets its own copy of the parameter, so that its derivative is its own.
    """
    with torch.enable_grad():
        batch = model.batch_shape(values)
        inner = {n: _inner_shape(model, n, p) for n, p in params.items()}
        copies = {
            n: p.detach()
            .reshape((1,) * (len(batch) + len(inner[n]) - p.ndim) + p.shape)
            .expand((*batch, *inner[n]))
            .clone()
            .requires_grad_(True)
            for n, p in params.items()
        }
        context = Context(parameters={p: copies[n] for n, p in params.items()})
        expanded = {
            n: type(v)._new(expand_batch(v, batch).detach(), v.sub_batch_ndim) for n, v in values.items()
        }
        outputs = model.evaluate(expanded, context)
        blocks: dict[str, dict[str, torch.Tensor]] = {}
        for name, out in outputs.items():
            rows = jacobian_rows(flat(out), list(copies.values()))
            _check_points(name, out, batch, rows)
            inside = out.data.shape[len(out.dynamic_batch_shape) :]
            blocks[name] = {
                n: out.data.new_zeros((*batch, *inside, *inner[n]))
                if row is None
                else row.movedim(0, len(batch)).reshape((*batch, *inside, *inner[n]))
                for n, row in zip(copies, rows, strict=True)
            }
    return {n: o.data.detach() for n, o in outputs.items()}, blocks


def _inner_shape(model: Model, name: str, p: torch.nn.Parameter) -> tuple[int, ...]:
    owner, attr = model._owner(name)
    return tuple(p.shape[len(owner._kinds[attr].batch_shape(p.shape)) :])


def param_vjp(
    model: Model,
    values: Mapping[str, TensorWrapper],
    cotangents: Mapping[str, Any],
    params: Mapping[str, torch.nn.Parameter],
) -> dict[str, torch.Tensor]:
    """Gradient of the sum of ``<cotangent, output>`` by parameters; see :meth:`Model.param_vjp`."""
    _expect_names("cotangent", cotangents, model.output_spec)
    with torch.enable_grad():
        copies = {n: p.detach().requires_grad_(True) for n, p in params.items()}
        context = Context(parameters={p: copies[n] for n, p in params.items()})
        outputs = model.evaluate(
            {n: type(v)._new(v.data.detach(), v.sub_batch_ndim) for n, v in values.items()}, context
        )
        total = torch.zeros((), dtype=next(iter(outputs.values())).data.dtype)
        for name, c in cotangents.items():
            out, what = outputs[name], f"cotangent of '{name}'"
            weight = as_typed(c, type(out), what).data if isinstance(c, TensorWrapper) else torch.as_tensor(c)
            total = total.to(out.device) + (out.data * _spread(weight, out, what)).sum()
        if not total.requires_grad:
            return {n: torch.zeros_like(p) for n, p in copies.items()}
        found = torch.autograd.grad(total, list(copies.values()), allow_unused=True)
    return {
        n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(copies.items(), found, strict=True)
    }


def _expect_names(what: str, given: Iterable[str], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            raise MissingVariable(
                f"{what} of '{name}', which is no variable here{did_you_mean(name, known)} ({listing(known)})"
            )


def _spread(data: torch.Tensor, like: TensorWrapper, what: str) -> torch.Tensor:
    """``data`` expanded to the shape of ``like``: more axes than that would count points several times."""
    try:
        return data.to(like.data).expand(like.data.shape)
    except RuntimeError:
        raise ValueError(
            f"the {what} has the shape {tuple(data.shape)}, which does not broadcast to"
            f" {tuple(like.data.shape)}; give one number or as many as there are"
        ) from None
