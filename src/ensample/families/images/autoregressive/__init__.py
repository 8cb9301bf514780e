"""Autoregressive networks over the pixels of pictures."""

from ensample.families.images.autoregressive.family import ImageAutoregressive

__all__ = ["ImageAutoregressive"]
