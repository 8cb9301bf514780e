"""A tiny Marian checkpoint, made on the spot: two models of SentencePiece, written by hand, one vocabulary."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import struct
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from transformers import MarianConfig, MarianMTModel

from ensample.nets.random import seeded

PLACES = 40
COMMON = ("the", "mouse", "clock", "ran", "up", "us", "ck", "\u2581the", "\u2581mo", "\u2581ran", "\u2581a", "\u2581")
SIDES = {"source": (*COMMON, "\u2581clock", *"themousranupclk"), "target": (*COMMON, "\u2581ou", *"themousranupclk.")}
SCORES = {side: {piece: -1.0 - 0.37 * n for n, piece in enumerate(dict.fromkeys(SIDES[side]))} for side in SIDES}
"""Pieces and their scores; of several ways to cut a text that of the highest sum is taken."""


def varint(value: int) -> bytes:
    parts = []
    while True:
        parts.append((value & 127) | (128 if value > 127 else 0))
        value >>= 7
        if not value:
            return bytes(parts)


def field(number: int, value: Any) -> bytes:
    """One field of a message of protocol buffers."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def spm(side: str, **changes: Any) -> bytes:
    """A file of SentencePiece; `changes` are fields of its trainer (`t3=2`) and of its normaliser (`n4=0`)."""
    pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3), *((p, s, 1) for p, s in SCORES[side].items())]
    made = b"".join(field(1, field(1, p.encode()) + field(2, s) + field(3, sort)) for p, s, sort in pieces)
    parts = {2: {3: 1}, 3: {1: b"identity"}}
    for name, value in changes.items():
        parts[2 if name[0] == "t" else 3][int(name[1:])] = value
    return made + b"".join(field(n, b"".join(field(k, v) for k, v in part.items())) for n, part in parts.items())


def vocabulary() -> dict[str, int]:
    """Both sides, but for a piece of the target that has no number."""
    found = ["</s>", "<unk>", *SCORES["target"], *SCORES["source"], ">>fra<<", "<pad>"]
    return {piece: number for number, piece in enumerate(dict.fromkeys(p for p in found if p != "\u2581ou"))}


@functools.cache
def checkpoint() -> Path:
    """A folder as `save_pretrained` writes it; not to be changed."""
    folder = Path(mkdtemp()) / "marian"
    atexit.register(shutil.rmtree, folder.parent)
    numbers = vocabulary()
    pad = numbers["<pad>"]
    sizes = {f"{side}_{part}": size for side in ("encoder", "decoder")
             for part, size in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 32))}  # fmt: skip
    config = MarianConfig(vocab_size=len(numbers), d_model=32, max_position_embeddings=PLACES, eos_token_id=0,
                          pad_token_id=pad, decoder_start_token_id=pad, forced_eos_token_id=None, **sizes)  # fmt: skip
    with seeded(torch.Generator().manual_seed(3)):
        network = MarianMTModel(config)
        for name, weight in network.named_parameters():
            if "embed_positions" not in name:
                torch.nn.init.normal_(weight, std=0.3)
        network.final_logits_bias.normal_()
    network.save_pretrained(folder)
    for side in SIDES:
        (folder / f"{side}.spm").write_bytes(spm(side))
    (folder / "vocab.json").write_text(json.dumps(numbers))
    (folder / "tokenizer_config.json").write_text(json.dumps({"source_lang": "en", "separate_vocabs": False}))
    told = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**told, "bad_words_ids": [[pad]]}))
    return folder


@functools.cache
def reference() -> Any:
    """The network as `transformers` opens it."""
    return MarianMTModel.from_pretrained(checkpoint(), dtype=torch.float32).eval()
