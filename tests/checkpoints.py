"""Tiny checkpoints of Hugging Face, made on the spot: random weights, and a tokenizer learned from a few lines."""

from __future__ import annotations

import atexit
import functools
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from ensample.nets.random import seeded

LINES = ["Once upon a time there was a mouse.", "The mouse ran up the clock.", "Hickory, dickory, dock!", "Nañ → 猫"]

PLACES = 48


def byte_level() -> Tokenizer:
    """As GPT-2 has it; the end is the last token, and begins a text, too."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        LINES, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=[], show_progress=False)
    )
    made.add_special_tokens(["<|endoftext|>"])
    return made


def with_bytes() -> Tokenizer:
    """As Llama 2 has it: blanks become a letter, one is put before a text, and bytes are tokens of their own."""
    marks = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces = ["\u2581", *"Onceuptimhrawsfodlk.", "\u2581t", "he", "\u2581the", "mo", "\u2581mo"]
    vocabulary = {piece: number for number, piece in enumerate([*marks, *pieces])}
    merges = [("\u2581", "t"), ("h", "e"), ("\u2581t", "he"), ("m", "o"), ("\u2581", "mo")]
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    made.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    return made


def gpt2() -> tuple[Tokenizer, dict[str, Any]]:
    tokens = byte_level()
    size = tokens.get_vocab_size()
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": PLACES, "vocab_size": size}
    return tokens, {"model_type": "gpt2", **sizes, "bos_token_id": size - 1, "eos_token_id": size - 1}


def llama() -> tuple[Tokenizer, dict[str, Any]]:
    tokens = with_bytes()
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    more = {"num_key_value_heads": 2, "max_position_embeddings": PLACES, "bos_token_id": 1, "eos_token_id": 2}
    return tokens, {"model_type": "llama", **sizes, **more, "vocab_size": tokens.get_vocab_size() + 3}


SORTS = {"gpt2": gpt2, "llama": llama}


@functools.cache
def checkpoint(sort: str) -> Path:
    """A folder as `save_pretrained` writes it; not to be changed."""
    folder = Path(mkdtemp()) / sort
    atexit.register(shutil.rmtree, folder.parent)
    tokens, config = SORTS[sort]()
    with seeded(torch.Generator().manual_seed(1)):
        network = AutoModelForCausalLM.from_config(AutoConfig.for_model(config.pop("model_type"), **config))
        for weight in network.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    network.save_pretrained(folder)
    begin, end = (tokens.id_to_token(config[name]) for name in ("bos_token_id", "eos_token_id"))
    PreTrainedTokenizerFast(tokenizer_object=tokens, bos_token=begin, eos_token=end).save_pretrained(folder)
    return folder


@functools.cache
def reference(sort: str) -> tuple[Any, Any]:
    """The network and the tokenizer as `transformers` opens them."""
    network = AutoModelForCausalLM.from_pretrained(checkpoint(sort), dtype=torch.float32)
    return network.eval(), PreTrainedTokenizerFast.from_pretrained(checkpoint(sort))
