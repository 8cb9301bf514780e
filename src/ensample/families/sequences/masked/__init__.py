"""Masked diffusion over sequences of classes."""

from ensample.families.sequences.masked.family import SequenceField

__all__ = ["SequenceField"]
