"""Normalising flows of pictures."""

from ensample.families.images.flow.family import ImageFlow

__all__ = ["ImageFlow"]
