"""Language models of Hugging Face's `transformers`."""

from ensample.families.sequences.pretrained.family import Pretrained
from ensample.families.sequences.pretrained.sourced import PretrainedTranslation

__all__ = ["Pretrained", "PretrainedTranslation"]
