"""Composites: families made of families, which obey the contract of their parts."""

from ensample.families.compose.blend import Blend
from ensample.families.compose.ensemble import Ensemble
from ensample.families.compose.flat import Flat
from ensample.families.compose.latent import Latent
from ensample.families.compose.perclass import PerClass

__all__ = ["Blend", "Ensemble", "Flat", "Latent", "PerClass"]
