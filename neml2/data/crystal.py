"""The slip systems of a crystal, from families of Miller indices and the symmetry of its class."""

from __future__ import annotations

import math

import torch

from neml2.types import R2, SR2, WR2, MillerIndex, skew, sym

_SAME = 1e-5  # relative to the lengths of the vectors


class CrystalGeometry(torch.nn.Module):
    r"""Lattice and slip systems of a crystal.

    A direction ``[u v w]`` is :math:`\sum_j u_j a_j` and the normal of a plane ``(h k l)`` is
    :math:`\sum_j h_j b_j`, with the lattice vectors :math:`a_j` and the reciprocal ones,
    :math:`b_i \cdot a_j = \delta_{ij}`. The systems of a family are all pairs of symmetry images of its
    direction and its plane in which the direction lies in the plane; a vector and its opposite count once.

    sym_ops
        Proper rotations of the crystal class, an `R2` with one sub-batch axis, as from
        :func:`neml2.types.symmetry.symmetry`.
    lattice_vectors
        ``(3, 3)``, one vector a row, in any unit of length.
    slip_directions, slip_planes
        One family, ``(3,)``, or several, ``(n, 3)``; both of one shape.

    Tensors: ``lattice_vectors``, ``reciprocal_lattice_vectors`` ``(3, 3)``; ``cartesian_slip_directions`` and
    ``cartesian_slip_planes``, unit vectors ``(nslip, 3)``; ``burgers`` ``(nslip,)``, the lengths of the
    directions; ``slip_offsets``, the systems before each family and, at the end, their number. They move
    with ``.to(...)``.

    Raises :class:`TypeError` for indices that are no `MillerIndex`, :class:`ValueError` for shapes or indices
    that do not do, :class:`RuntimeError` for a family without a slip system.
    """

    lattice_vectors: torch.Tensor
    reciprocal_lattice_vectors: torch.Tensor
    cartesian_slip_directions: torch.Tensor
    cartesian_slip_planes: torch.Tensor
    burgers: torch.Tensor
    _A: torch.Tensor
    _M: torch.Tensor
    _W: torch.Tensor
    _sym_ops: torch.Tensor
    _slip_directions: torch.Tensor
    _slip_planes: torch.Tensor

    def __init__(
        self,
        *,
        sym_ops: R2,
        lattice_vectors: torch.Tensor,
        slip_directions: MillerIndex,
        slip_planes: MillerIndex,
    ) -> None:
        super().__init__()
        for name, kind, given in (
            ("sym_ops", R2, sym_ops),
            ("slip_directions", MillerIndex, slip_directions),
            ("slip_planes", MillerIndex, slip_planes),
        ):
            if type(given) is not kind:
                got = type(given).__name__
                raise TypeError(f"{name} is a {got}; give a {kind.__name__}, as in {kind.__name__}(tensor)")
        if slip_directions.shape != slip_planes.shape or slip_directions.ndim > 2:
            raise ValueError(
                f"slip_directions has the shape {tuple(slip_directions.shape)} and slip_planes"
                f" {tuple(slip_planes.shape)}; give both the shape (3,), or (n, 3) for n families"
            )
        lattice = lattice_vectors.detach().double()
        if lattice.shape != (3, 3) or not abs(float(torch.linalg.det(lattice))) > 0:
            raise ValueError("lattice_vectors must be three independent vectors, a tensor of shape (3, 3)")
        reciprocal = torch.linalg.inv(lattice).mT
        operators = sym_ops.data.detach().to(lattice)
        directions, planes = _whole(slip_directions, "slip_directions"), _whole(slip_planes, "slip_planes")
        pairs = [
            _family(operators, u @ lattice, h @ reciprocal, f"[{_text(u)}]({_text(h)})")
            for u, h in zip(directions.to(lattice), planes.to(lattice), strict=True)
        ]
        self.slip_offsets = [0]
        for d, _ in pairs:
            self.slip_offsets.append(self.slip_offsets[-1] + len(d))
        d, n = (torch.cat(vectors) for vectors in zip(*pairs, strict=True))
        length = torch.linalg.vector_norm(d, dim=-1)
        d, n = d / length[:, None], n / torch.linalg.vector_norm(n, dim=-1)[:, None]
        self._hold("lattice_vectors", lattice, lattice_vectors)
        self._hold("reciprocal_lattice_vectors", reciprocal, lattice_vectors)
        self._hold("cartesian_slip_directions", d, lattice_vectors)
        self._hold("cartesian_slip_planes", n, lattice_vectors)
        self._hold("burgers", length, lattice_vectors)
        schmid = R2(d[:, :, None] * n[:, None, :], 1)
        typed = {"_A": schmid, "_M": sym(schmid), "_W": skew(schmid), "_sym_ops": sym_ops}
        for name, tensor in typed.items():
            self._hold(name, tensor.data, lattice_vectors)
        self._hold("_slip_directions", slip_directions.data, lattice_vectors)
        self._hold("_slip_planes", slip_planes.data, lattice_vectors)

    def _hold(self, name: str, tensor: torch.Tensor, like: torch.Tensor) -> None:
        # what a crystal is follows from how it was made: it is no state to be loaded
        self.register_buffer(name, tensor.detach().clone().to(like), persistent=False)

    @property
    def A(self) -> R2:
        r"""Direction times normal of every system, :math:`d_s \otimes n_s`, sub-batch ``(nslip,)``."""
        return R2(self._A, 1)

    @property
    def M(self) -> SR2:
        """The symmetric Schmid tensors, sub-batch ``(nslip,)``."""
        return SR2(self._M, 1)

    @property
    def W(self) -> WR2:
        """The skew parts of ``A``, sub-batch ``(nslip,)``."""
        return WR2(self._W, 1)

    @property
    def sym_ops(self) -> R2:
        """The rotations of the crystal class, with one sub-batch axis."""
        return R2(self._sym_ops, 1)

    @property
    def slip_directions(self) -> MillerIndex:
        """The given directions, one a family."""
        return MillerIndex(self._slip_directions)

    @property
    def slip_planes(self) -> MillerIndex:
        """The given planes, one a family."""
        return MillerIndex(self._slip_planes)

    @property
    def nslip(self) -> int:
        """Number of slip systems."""
        return self.slip_offsets[-1]

    @property
    def nslip_groups(self) -> int:
        """Number of families."""
        return len(self.slip_offsets) - 1

    def nslip_in_group(self, i: int) -> int:
        """Number of slip systems of family ``i``; :class:`IndexError` if there is none."""
        if not 0 <= i < self.nslip_groups:
            raise IndexError(f"there is no family {i}; the crystal has {self.nslip_groups}, counted from 0")
        return self.slip_offsets[i + 1] - self.slip_offsets[i]

    def extra_repr(self) -> str:
        return f"nslip={self.nslip}, nslip_groups={self.nslip_groups}"


def _whole(indices: MillerIndex, name: str) -> torch.Tensor:
    """The families (n, 3) as integers without common factors."""
    data = indices.data.detach().reshape(-1, 3).double().cpu()
    whole = torch.round(data).long()
    if not torch.equal(whole.double(), data) or bool((whole == 0).all(-1).any()):
        raise ValueError(f"{name} is {data.tolist()}; Miller indices are integers that are not all zero")
    return whole // torch.tensor([[math.gcd(*row)] for row in whole.tolist()])


def _family(
    operators: torch.Tensor, direction: torch.Tensor, plane: torch.Tensor, name: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Directions and normals ``(nslip, 3)`` of the systems of one family, not normalised."""
    found = [
        (d, n)
        for d in _images(operators, direction)
        for n in _images(operators, plane)
        if abs(float(d @ n)) <= _SAME * float(d.norm() * n.norm())
    ]
    if not found:
        raise RuntimeError(f"the family {name} has no slip system: no direction lies in one of its planes")
    directions, normals = zip(*found, strict=True)
    return torch.stack(directions), torch.stack(normals)


def _images(operators: torch.Tensor, vector: torch.Tensor) -> list[torch.Tensor]:
    """The distinct images of a vector, one of each pair of opposites, in the order of the operators."""
    kept: list[torch.Tensor] = []
    tolerance = _SAME * float(vector.norm())
    for image in (operators * vector).sum(-1):
        if not any(min(float((image - k).norm()), float((image + k).norm())) <= tolerance for k in kept):
            kept.append(image)
    return kept


def _text(indices: torch.Tensor) -> str:
    return " ".join(str(int(i)) for i in indices.tolist())
