"""Encoders with a decoder of `transformers`, built anew: what they refuse, learn, and how options matter."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from tests.laws.cases import toy_event

import ensample as en
from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Discrete, Mixed, Ragged, Span
from ensample.families import PretrainedTranslation
from ensample.families.base import refusal
from ensample.families.training import Training
from ensample.kinds.sequences import Sequences
from ensample.run import Run
from ensample.train import learn

LETTERS = Ragged(Mixed((Span("letter", Discrete(3)),)), 3)
TINY = json.dumps(
    {"model_type": "bart", "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 32}
    | {"decoder_ffn_dim": 32, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "dropout": 0.0}
    | {"max_position_embeddings": 16, "init_std": 0.1}
)
FAMILY = PretrainedTranslation(config=TINY, context=8, learning_rate=1e-2, batch_size=128)


def copies(rows: int, seed: int) -> Sequences:
    """Words of one to three letters, given the same word."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 4, rows)
    words = Sequences(LETTERS, rng.integers(0, 3, (int(lengths.sum()), 1)), lengths=lengths)
    return dataclasses.replace(words, given=LETTERS, sources=words)


def learned(budget: str, seed: int = 0, **changes: object) -> object:
    return learn(dataclasses.replace(FAMILY, **changes), copies(400, 0), seed, Run(Clock(Budget.parse(budget))))


def test_refusals():
    two = Ragged(Mixed((Span("sign", Discrete(2)),)), 3)
    pair = Ragged(Mixed((Span("a", Discrete(3)), Span("b", Discrete(3)))), 3)
    assert "tables" in FAMILY.refuses(toy_event(), None)
    assert "no source" in refusal(FAMILY, LETTERS, None)
    assert "2 and 3 classes" in refusal(FAMILY, LETTERS, two)
    assert "one class" in refusal(FAMILY, LETTERS, pair)
    assert "no order" in refusal(FAMILY, dataclasses.replace(LETTERS, ordered=False), LETTERS)
    assert refusal(FAMILY, LETTERS, LETTERS) is None
    assert "plain given fields" in refusal(en.families.Pretrained(), LETTERS, LETTERS)
    for wrong in ({"label_smoothing": 1.0}, {"context": 1}):
        with pytest.raises(InputError):
            dataclasses.replace(FAMILY, **wrong)
    with pytest.raises(InputError, match="say context=16"):
        learned("1 steps", context=20)


def test_learns_to_copy_and_draws_what_it_learned():
    model, fresh = learned("90 steps"), copies(200, 1).batch()
    without = -np.log([1 / 3]).item() + 2 * -np.log(1 / 3) + np.log(3)  # nats of a word whose source is not looked at
    assert -float(model.log_prob(fresh).mean()) < without / 4
    made = model.sample(200, torch.Generator().manual_seed(0), fresh.cond)
    same = [a[:n].tolist() == b[:n].tolist() for a, b, n in zip(
        made.cells, torch.nn.functional.pad(fresh.cells, (0, 0, 0, 64)), fresh.lengths.tolist(), strict=True
    )]  # fmt: skip
    assert np.mean(same) > 0.8
    again = FAMILY.restore(LETTERS, LETTERS, model.arrays(), model.facts())
    assert torch.equal(again.log_prob(fresh), model.log_prob(fresh))


def test_every_option_matters():
    """What the engine does with its own options: tests/train."""
    first = learned("2 steps")
    kept = {name: weight.clone() for name, weight in first.arrays().items()}
    other = {
        "context": 2,
        "longest": 5,
        "config": TINY.replace('"encoder_ffn_dim": 32', '"encoder_ffn_dim": 24'),
        "label_smoothing": 0.2,
        "batch_size": 16,
    }
    names = {f.name for f in dataclasses.fields(FAMILY)} - {f.name for f in dataclasses.fields(Training)}
    assert names | {"batch_size"} == set(other)
    for name, value in other.items():
        arrays = learned("2 steps", **{name: value}).arrays()
        assert any(a.shape != kept[n].shape or not torch.equal(a, kept[n]) for n, a in arrays.items()), name
    again = learned("2 steps").arrays()
    assert all(torch.equal(again[name], weight) for name, weight in kept.items())
