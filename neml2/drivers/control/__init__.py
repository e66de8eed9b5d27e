"""Stress and strain by component, as an unknown strain in the implicit system of the model."""
