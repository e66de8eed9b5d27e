"""Tensor methods."""
