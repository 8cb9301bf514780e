"""Mixtures of Gaussians over patches of pictures, and what is restored with them."""

from ensample.families.images.patches.family import ImagePatches

__all__ = ["ImagePatches"]
