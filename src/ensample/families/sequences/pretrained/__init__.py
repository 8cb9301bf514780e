"""Causal language models of Hugging Face's `transformers`."""

from ensample.families.sequences.pretrained.family import Pretrained

__all__ = ["Pretrained"]
