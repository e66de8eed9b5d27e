"""Cubic crystals in scripts and in input files."""

from __future__ import annotations

import pytest
import torch

import neml2
from neml2 import CubicCrystal, MillerIndex, Scalar, cubic_symmetry_operators

FILE = """
[Tensors]
  [d]
    type = Python
    expr = 'MillerIndex(torch.tensor([1, 1, 0]))'
  []
  [p]
    type = Python
    expr = 'MillerIndex(torch.tensor([1, 1, 1]))'
  []
  [s]
    type = Python
    expr = 'Scalar(2.0)'
  []
  [vector]
    type = Python
    expr = 'Vec(torch.tensor([1.0, 1.0, 1.0]))'
  []
[]
[Data]
  [crystal_geometry]
    type = CubicCrystal
    lattice_parameter = LATTICE
    slip_directions = DIRECTIONS
    slip_planes = 'p'
  []
[]
[Models]
  [shear]
    type = ResolvedShear
    crystal_geometry = CRYSTAL
  []
  [again]
    type = SingleSlipStrengthMap
    constant_strength = 10.0
  []
[]
"""


def load(lattice="2.0", directions="'d'", crystal="crystal_geometry", planes="[1, 1, 1]"):
    text = FILE.replace("LATTICE", lattice).replace("DIRECTIONS", directions).replace("CRYSTAL", crystal)
    return neml2.load_string(text.replace("[1, 1, 1]", planes))


def index(*values):
    return MillerIndex(torch.tensor(values))


@pytest.mark.parametrize(
    ("direction", "plane", "systems"),
    [
        ((1, 1, 0), (1, 1, 1), 12),
        ((1, 1, 1), (1, 1, 0), 12),
        ((1, 1, 1), (1, 1, 2), 12),
        ((1, 1, 1), (1, 2, 3), 24),
    ],
)
def test_families(direction, plane, systems):
    assert CubicCrystal(1.0, index(*direction), index(*plane)).nslip == systems


@pytest.mark.parametrize("a", [2.0, Scalar(2.0), Scalar([2.0, 7.0]), torch.tensor(2.0)])
def test_lattice_parameter(a):
    crystal = CubicCrystal(a, index(1, 1, 0), index(1, 1, 1))
    assert torch.equal(crystal.lattice_vectors, 2 * torch.eye(3, dtype=torch.float64))
    with pytest.raises(ValueError, match="lattice_parameter is -1; it must be positive"):
        CubicCrystal(-1.0, index(1, 1, 0), index(1, 1, 1))


def test_operators():
    assert cubic_symmetry_operators(dtype=torch.float32).shape == (24, 3, 3)


@pytest.mark.parametrize("lattice", ["2.0", "'s'"])
def test_all_users_of_a_name_share_one_crystal(lattice):
    file = load(lattice)
    crystal = file.get_data("crystal_geometry")
    assert file.get_model("shear").crystal_geometry is file.get_model("again").crystal_geometry is crystal
    assert crystal.nslip == 12 and crystal.M.dtype == torch.float64
    assert crystal.lattice_vectors[0, 0] == 2


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"crystal": "crystal_geometri"}, KeyError, "did you mean 'crystal_geometry'"),
        ({"directions": "'vector'"}, TypeError, "Vec, but a MillerIndex is expected"),
        ({"directions": "'1 1 0'"}, KeyError, "needs the name of a MillerIndex in .Tensors., not a number"),
        ({"directions": "'nothing'"}, KeyError, "'nothing', neither a number nor one of .Tensors."),
        ({"lattice": "-2.0"}, ValueError, "lattice_parameter is -2; it must be positive"),
    ],
)
def test_errors_in_input_files(change, error, message):
    with pytest.raises(error, match=message):
        load(**change).get_model("shear")


def test_a_missing_crystal_is_told():
    text = FILE[: FILE.index("[Data]")] + FILE[FILE.index("[Models]") :]
    with pytest.raises(KeyError, match=r"crystal_geometry: there is no \[Data/crystal_geometry\]"):
        neml2.load_string(text).get_model("again")
    with pytest.raises(TypeError, match="needs the option 'crystal_geometry': The crystal"):
        neml2.models.ResolvedShear()
    with pytest.raises(TypeError, match="crystal_geometry is 'copper'; it takes CubicCrystal"):
        neml2.models.ResolvedShear(crystal_geometry="copper")


def test_a_family_without_systems_is_told_with_its_place():
    file = load("2.0", "'p'", planes="[13, 7, 1]")
    with pytest.raises(RuntimeError, match=r":\d+:\d+: \[Data/crystal_geometry\].* has no slip system"):
        file.get_data("crystal_geometry")
