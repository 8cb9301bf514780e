"""Autoregressive networks over sequences of classes."""

from ensample.families.sequences.autoregressive.family import SequenceAutoregressive

__all__ = ["SequenceAutoregressive"]
