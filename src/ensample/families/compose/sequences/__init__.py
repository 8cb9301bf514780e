"""Blends of families over sequences of classes, class by class."""

from ensample.families.compose.sequences.family import SequenceBlend

__all__ = ["SequenceBlend"]
