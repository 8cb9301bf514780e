"""Processors against plain loops over one row at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ensample.solvers.decoding import MinP, NoRepeat, RepetitionPenalty, Temperature, TopK, TopP, Typical

ROWS, CLASSES = 40, 23


def made(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (ROWS, CLASSES + 1)).astype(np.float32)
    logits[rng.random(logits.shape) < 0.1] = -math.inf
    logits[:, 0] = 0.5  # something is left in every row
    past = rng.integers(0, CLASSES, (ROWS, 30))
    for row, missing in enumerate(rng.integers(0, 31, ROWS)):
        past[row, :missing] = CLASSES
    return logits, past


def softmax(row: np.ndarray) -> np.ndarray:
    p = np.exp(row.astype(np.float64) - row.max())
    return p / p.sum()


def fewest(p: np.ndarray, rank: np.ndarray, mass: float) -> set[int]:
    kept, total = set(), 0.0
    for number in sorted(range(len(p)), key=lambda j: rank[j]):
        if kept and total >= mass:
            break
        kept.add(number)
        total += p[number]
    return kept


def only(row: np.ndarray, kept: set[int]) -> np.ndarray:
    return np.array([value if j in kept else -math.inf for j, value in enumerate(row)])


def penalised(row: np.ndarray, past: np.ndarray) -> np.ndarray:
    out = row.copy()
    for number in set(past.tolist()) - {CLASSES}:
        out[number] = row[number] / 1.3 if row[number] > 0 else row[number] * 1.3
    return out


def not_again(size: int):
    def plain(row: np.ndarray, past: np.ndarray) -> np.ndarray:
        text = [number for number in past.tolist() if number != CLASSES]
        last = text[len(text) - size + 1 :] if size > 1 else []
        if len(last) < size - 1:
            return row
        runs = [text[j : j + size] for j in range(len(text) - size + 1)]
        banned = {run[-1] for run in runs if run[:-1] == last}
        out = only(row, set(range(len(row))) - banned)
        return out if out.max() > -math.inf else row

    return plain


def typical(row: np.ndarray, past: np.ndarray) -> np.ndarray:
    p = softmax(row)
    there = p > 0
    surprise = np.full(len(p), math.inf)
    surprise[there] = -np.log(p[there])
    entropy = float((p[there] * surprise[there]).sum())
    return only(row, fewest(p, np.abs(surprise - entropy), 0.6))


PLAIN = [
    (RepetitionPenalty(1.3), penalised),
    (NoRepeat(1), not_again(1)),
    (NoRepeat(2), not_again(2)),
    (NoRepeat(3), not_again(3)),
    (Temperature(0.7), lambda row, past: row / np.float32(0.7)),
    (TopK(5), lambda row, past: only(row, set(np.argsort(-row)[:5].tolist()))),
    (TopK(99), lambda row, past: row),
    (TopP(0.8), lambda row, past: only(row, fewest(softmax(row), -row, 0.8))),
    (TopP(1e-9), lambda row, past: only(row, {int(row.argmax())})),
    (MinP(0.1), lambda row, past: only(row, {j for j, p in enumerate(softmax(row)) if p >= 0.1 * softmax(row).max()})),
    (Typical(0.6), typical),
]


@pytest.mark.parametrize(("processor", "plain"), PLAIN, ids=[repr(processor) for processor, _ in PLAIN])
def test_processors_do_what_a_loop_does(processor, plain):
    logits, past = made(1)
    got = processor(torch.from_numpy(logits), torch.from_numpy(past)).numpy()
    wanted = np.stack([plain(row, before) for row, before in zip(logits, past, strict=True)])
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


@pytest.mark.parametrize("spread", [0.01, 6.0])
@pytest.mark.parametrize("mass", [0.1, 0.9, 1.0])
def test_of_a_large_vocabulary_as_few_are_kept(mass, spread):
    logits = np.random.default_rng(0).normal(0, spread, (3, 3000)).astype(np.float32)
    past = torch.zeros(3, 0, dtype=torch.int64)
    for processor, rank in ((TopP(mass), lambda row: -row), (Typical(mass), None)):
        got = torch.isfinite(processor(torch.from_numpy(logits), past)).sum(1).tolist()
        for row, count in zip(logits, got, strict=True):
            p = softmax(row)
            order = -row if rank else np.abs(-np.log(p) + (p * np.log(p)).sum())
            assert count == pytest.approx(len(fewest(p, order, mass)), rel=0.01)


def test_no_repeat_keeps_a_row_that_has_nothing_else():
    logits = torch.tensor([[0.0, -math.inf, -math.inf]])
    assert NoRepeat(1)(logits, torch.tensor([[0, 1]])).tolist() == logits.tolist()


def test_no_repeat_never_bans_the_end():
    assert math.isfinite(NoRepeat(2)(torch.zeros(1, 3), torch.tensor([[2, 2, 2, 0]]))[0, 2])


def test_the_cuts_of_a_peaked_row_are_those_of_their_definitions():
    p = torch.tensor([[0.6, 0.2, 0.1, 0.06, 0.04]])
    past = torch.zeros(1, 0, dtype=torch.int64)

    def kept(processor) -> list[int]:
        return torch.isfinite(processor(p.log(), past))[0].nonzero()[:, 0].tolist()

    assert kept(TopP(0.61)) == [0, 1]
    assert kept(TopP(0.59)) == [0]
    assert kept(MinP(0.15)) == [0, 1, 2]
    assert kept(TopK(3)) == [0, 1, 2]
    # entropy 1.167: the surprises 0.511, 1.609, 2.303, 2.813, 3.219 lie 0.656, 0.443, 1.136, ... away
    assert kept(Typical(0.15)) == [1]
    assert kept(Typical(0.75)) == [0, 1]
