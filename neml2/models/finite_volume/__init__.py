"""Transport along one axis by finite volumes; the cells are a sub-batch axis."""

from neml2.models.finite_volume import boundaries, coordinates, fluxes, sources

__all__ = ["boundaries", "coordinates", "fluxes", "sources"]
