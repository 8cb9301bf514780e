"""Encoder and decoder: a sequence of classes told from another."""

from ensample.families.sequences.translation.family import SequenceToSequence

__all__ = ["SequenceToSequence"]
