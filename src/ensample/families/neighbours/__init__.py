"""Baselines made of training rows: kernel density estimates, and interpolation between neighbours (SMOTE)."""

from ensample.families.neighbours.kernels import Kernels
from ensample.families.neighbours.smote import Smote

__all__ = ["Kernels", "Smote"]
