"""Variational autoencoders."""

from ensample.families.vae.family import Vae

__all__ = ["Vae"]
