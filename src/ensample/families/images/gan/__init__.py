"""Generative adversarial networks over pictures."""

from ensample.families.images.gan.family import ImageGan

__all__ = ["ImageGan"]
