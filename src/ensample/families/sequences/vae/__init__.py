"""Variational autoencoders of sequences of classes."""

from ensample.families.sequences.vae.family import SequenceVae

__all__ = ["SequenceVae"]
