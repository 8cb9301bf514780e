"""Tokenizers: texts as classes, and back."""

from __future__ import annotations

from ensample.kinds.tokens.base import Corpus, LearnedTokenizer, Tokenizer, blocks
from ensample.kinds.tokens.characters import Characters
from ensample.kinds.tokens.marian import Marian
from ensample.kinds.tokens.octets import Bytes
from ensample.kinds.tokens.pretrained import Pretrained
from ensample.kinds.tokens.subwords import BPE, Unigram
from ensample.kinds.tokens.words import Words

TOKENIZERS: dict[str, type[LearnedTokenizer]] = {t.name: t for t in (Characters, Bytes, BPE, Unigram, Words)}
"""Name of a tokenizer that learns its vocabulary -> its class."""

READ: dict[str, type[Tokenizer]] = {**TOKENIZERS, Pretrained.name: Pretrained, Marian.name: Marian}
"""Name of a tokenizer, also one that is not learned -> its class."""

__all__ = [
    "BPE",
    "READ",
    "TOKENIZERS",
    "Bytes",
    "Characters",
    "Corpus",
    "LearnedTokenizer",
    "Marian",
    "Pretrained",
    "Tokenizer",
    "Unigram",
    "Words",
    "blocks",
]
