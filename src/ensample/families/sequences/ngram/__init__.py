"""n-gram models: interpolated modified Kneser-Ney smoothing."""

from ensample.families.sequences.ngram.family import Ngram

__all__ = ["Ngram"]
