"""Probabilistic circuits: a hidden tree over groups of columns, exact for every query."""

from ensample.families.circuit.family import Circuit

__all__ = ["Circuit"]
