"""The parameters of a model: stored as `torch.nn.Parameter`, seen as typed tensors, changed with checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from neml2.errors import MissingVariable
from neml2.fields import BufferField, Field, ParameterField
from neml2.registry import did_you_mean, listing, nearest
from neml2.types import TensorWrapper
from neml2.types.shapes import broadcast_shapes
from neml2.values import Kind, as_typed


class _Completed(type):
    """Tells an instance when its construction has ended; what is set then and unknown, is misspelt."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__call__(*args, **kwargs)
        made.__dict__["_complete"] = True
        return made


class HoldsParameters(torch.nn.Module, metaclass=_Completed):
    """A module whose parameters have a tensor type and a range.

    ``model.E`` is the typed view of a parameter, ``model.E.data`` the ``torch.nn.Parameter``; assigning to
    ``model.E`` replaces it.
    """

    FIELDS: ClassVar[dict[str, Field]] = {}
    _kinds: dict[str, Kind]

    def _label(self) -> str:
        """The type and the name, for messages."""
        raise NotImplementedError

    def _hold(self, attr: str, typed: TensorWrapper, f: ParameterField) -> None:
        data = typed.data
        if isinstance(f, BufferField):
            self.register_buffer(attr, data.detach().clone())
        else:
            shared = isinstance(data, torch.nn.Parameter)  # by whoever made it; a plain tensor is copied
            held = data if shared else torch.nn.Parameter(data.detach().clone())
            self.register_parameter(attr, held)  # type: ignore[arg-type] # a parameter either way
        self._kinds[attr] = Kind(f.type, typed.sub_batch_ndim, f.table, f.within)

    def _named(self, params: Sequence[str] | None) -> dict[str, torch.nn.Parameter]:
        known = dict(self.named_parameters())
        return known if params is None else {n: self._known(n, known) for n in params}

    def _known(self, name: str, known: Mapping[str, torch.nn.Parameter]) -> torch.nn.Parameter:
        if name not in known:
            raise MissingVariable(
                f"{self._label()} has no parameter '{name}'{did_you_mean(name, known)}"
                f" (parameters: {listing(known)})"
            )
        return known[name]

    def _owner(self, name: str) -> tuple[HoldsParameters, str]:
        self._known(name, dict(self.named_parameters()))
        path, _, attr = name.rpartition(".")
        return self.get_submodule(path), attr  # type: ignore[return-value]

    @property
    def parameter_base_shapes(self) -> dict[str, list[int]]:
        """The base shape of every parameter, by qualified name."""
        owners = {n: self._owner(n) for n, _ in self.named_parameters()}
        return {n: list(owner._kinds[attr].type.BASE_SHAPE) for n, (owner, attr) in owners.items()}

    def set_parameter(self, name: str, value: Any) -> None:
        """Change a parameter by its qualified name.

        In place, keeping the ``torch.nn.Parameter``, when the value broadcasts into its shape; otherwise the
        parameter is replaced by a new one of the value's shape with the same ``requires_grad``.

        Raises :class:`ValueError` for a value that is not finite or outside the declared range.
        """
        owner, attr = self._owner(name)
        old = owner._parameters[attr]
        assert old is not None
        typed = as_typed(value, owner._kinds[attr].type, f"parameter '{name}'")
        data = typed.data.detach().to(old)
        owner._kinds[attr].check(data, name, self._label())
        try:
            fits = broadcast_shapes(data.shape, old.shape) == old.shape
        except RuntimeError:
            fits = False
        if fits:
            with torch.no_grad():
                old.copy_(data)
        else:
            new = torch.nn.Parameter(data.clone(), requires_grad=old.requires_grad)
            for module in self.modules():
                for n, p in list(module._parameters.items()):
                    if p is old:  # a shared parameter stays shared
                        setattr(module, n, new)

    def get_parameter(self, target: str) -> torch.nn.Parameter:
        """The ``torch.nn.Parameter`` of that qualified name."""
        return self._known(target, dict(self.named_parameters(remove_duplicate=False)))

    def __getattr__(self, name: str) -> Any:
        kinds = self.__dict__.get("_kinds", {})
        if name in kinds:
            store = self._parameters if name in self._parameters else self._buffers
            return kinds[name].wrap(store[name])
        try:
            return super().__getattr__(name)
        except AttributeError:
            known = [*kinds, *self._modules, *(a for a in self.__dict__ if not a.startswith("_"))]
            raise AttributeError(
                f"{self._label()} has no attribute '{name}'{did_you_mean(name, known)}"
            ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        kinds = self.__dict__.get("_kinds", {})
        if name in kinds and not isinstance(value, torch.nn.Parameter) and name in self._parameters:
            old = self._parameters[name]
            typed = as_typed(value, kinds[name].type, f"{self._label()}.{name}").data
            if old is not None and isinstance(value, int | float):
                typed = typed.to(old)
            value = typed if isinstance(typed, torch.nn.Parameter) else torch.nn.Parameter(typed)
        if name in kinds and isinstance(value, torch.Tensor):
            kinds[name].check(value, name, self._label())
        if "_complete" in self.__dict__ and name not in kinds and not hasattr(self, name):
            self._expect_no_parameter(name, value)
        super().__setattr__(name, value)

    def _expect_no_parameter(self, name: str, value: Any) -> None:
        """Refuse a value for a parameter that does not exist: nothing would ever read it."""
        options = {
            f.option: f.attr for f in self.FIELDS.values() if isinstance(f, ParameterField) and f.option
        }
        known = dict(self.named_parameters())
        tails = {n.rpartition(".")[2]: n for n in known}
        near = options.get(name) or nearest(name, [*self._kinds, *tails])
        is_value = isinstance(value, torch.nn.Parameter | TensorWrapper)
        if is_value or (near and isinstance(value, int | float | torch.Tensor)):
            hint = f"; did you mean '{tails.get(near, near)}'?" if near else ""
            raise AttributeError(
                f"{self._label()} has no parameter '{name}'{hint} (parameters: {listing(known)})"
            )
