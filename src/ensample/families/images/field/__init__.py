"""Diffusion, flow-matching and few-step models of pictures: one vector-field family."""

from ensample.families.images.field.family import ImageField

__all__ = ["ImageField"]
