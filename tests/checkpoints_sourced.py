"""Tiny checkpoints of encoders with a decoder, made on the spot: T5, whose vocabulary lacks bytes, and BART."""

from __future__ import annotations

import atexit
import functools
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForSeq2SeqLM, PreTrainedTokenizerFast

from ensample.nets.random import seeded
from tests.checkpoints import byte_level

PLACES = 40


def unigram() -> Tokenizer:
    """As T5 has it: pieces with a score, one of which stands for what is not known; an end behind each text."""
    pieces = [
        "<pad>",
        "</s>",
        "<unk>",
        *"\u2581Tthemousranupclk.ODid",
        "\u2581the",
        "\u2581mo",
        "us",
        "ck",
        "\u2581ran",
    ]
    found = {piece: 0.0 if number < 3 else -2.0 - number / 9 for number, piece in enumerate(dict.fromkeys(pieces))}
    made = Tokenizer(models.Unigram(list(found.items()), unk_id=2))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    made.decoder = decoders.Metaspace(prepend_scheme="always")
    made.add_special_tokens(["<pad>", "</s>", "<unk>"])
    made.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return made


def t5() -> tuple[Tokenizer, dict[str, Any]]:
    tokens = unigram()
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "vocab_size": 40}
    marks = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "is_encoder_decoder": True}
    return tokens, {"model_type": "t5", **sizes, **marks}


def bart() -> tuple[Tokenizer, dict[str, Any]]:
    tokens = byte_level()
    tokens.add_special_tokens(["<s>", "</s>", "<pad>"])
    begin, end, pad = (tokens.token_to_id(mark) for mark in ("<s>", "</s>", "<pad>"))
    tokens.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", begin), ("</s>", end)])
    sizes = {"d_model": 32, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "encoder_layers": 2, "decoder_layers": 2}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": PLACES}
    marks = {"pad_token_id": pad, "bos_token_id": begin, "eos_token_id": end, "decoder_start_token_id": end}
    more = {"forced_bos_token_id": begin, "forced_eos_token_id": None, "is_encoder_decoder": True}
    return tokens, {"model_type": "bart", **sizes, **heads, **marks, **more, "vocab_size": tokens.get_vocab_size()}


SORTS = {"t5": t5, "bart": bart}


@functools.cache
def checkpoint(sort: str) -> Path:
    """A folder as `save_pretrained` writes it; not to be changed."""
    folder = Path(mkdtemp()) / sort
    atexit.register(shutil.rmtree, folder.parent)
    tokens, config = SORTS[sort]()
    with seeded(torch.Generator().manual_seed(1)):
        network = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(config.pop("model_type"), **config))
        for weight in network.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    network.save_pretrained(folder)
    marks = {"eos_token": tokens.id_to_token(config["eos_token_id"]), "pad_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=tokens, **marks).save_pretrained(folder)
    return folder


@functools.cache
def reference(sort: str) -> tuple[Any, Any]:
    """The network and the tokenizer as `transformers` opens them."""
    network = AutoModelForSeq2SeqLM.from_pretrained(checkpoint(sort), dtype=torch.float32)
    return network.eval(), PreTrainedTokenizerFast.from_pretrained(checkpoint(sort))
