"""Tokenizers: texts as classes, and back."""

from __future__ import annotations

from ensample.kinds.tokens.base import Corpus, Tokenizer, blocks
from ensample.kinds.tokens.characters import Characters
from ensample.kinds.tokens.octets import Bytes
from ensample.kinds.tokens.subwords import BPE, Unigram
from ensample.kinds.tokens.words import Words

TOKENIZERS: dict[str, type[Tokenizer]] = {t.name: t for t in (Characters, Bytes, BPE, Unigram, Words)}
"""Name of a tokenizer -> its class."""

__all__ = ["BPE", "TOKENIZERS", "Bytes", "Characters", "Corpus", "Tokenizer", "Unigram", "Words", "blocks"]
