"""Variational autoencoders of pictures."""

from ensample.families.images.vae.family import ImageVae

__all__ = ["ImageVae"]
