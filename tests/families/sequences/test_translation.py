"""An encoder with a decoder: it learns what is copied and turned round, and writes as it scores."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, Batch, Discrete, Mixed, Ragged, Span
from ensample.families import SequenceToSequence
from ensample.families.base import refusal
from ensample.kinds.sequences import Sequences
from ensample.kinds.windows import Windows
from ensample.run import Run
from ensample.train import learn

LETTERS = 3
TARGETS = Ragged(Mixed((Span("letter", Discrete(LETTERS)),)), 4)
SOURCES = Ragged(Mixed((Span("sign", Discrete(LETTERS + 2)),)), 5)
COPY = LETTERS  # the first class of a source says what to do with the others; one more means: the other way round


def packed(event: Ragged, rows: list[list[int]]) -> Sequences:
    flat = np.array(list(itertools.chain(*rows)), np.int64)
    return Sequences(event, flat[:, None], lengths=np.array([len(row) for row in rows], np.int64))


def tasks(count: int, seed: int = 0) -> Sequences:
    """Letters to copy, or to turn round."""
    rng = np.random.default_rng(seed)
    words = [rng.integers(0, LETTERS, n).tolist() for n in rng.integers(0, 5, count)]
    ways = rng.integers(0, 2, count).tolist()
    made = [word[::-1] if way else word for word, way in zip(words, ways, strict=True)]
    sources = packed(SOURCES, [[COPY + way, *word] for word, way in zip(words, ways, strict=True)])
    return replace(packed(TARGETS, made), given=SOURCES, sources=sources)


@pytest.fixture(scope="module")
def model():
    family = SequenceToSequence(width=16, layers=1, dropout=0.0, batch_size=256, learning_rate=0.04, holdout=0.0)
    return learn(family, tasks(3_000), 0, Run(Clock(Budget.parse("90 steps"))))


def written(batch: Batch) -> list[list[int]]:
    return [row[:n].tolist() for row, n in zip(batch.cells[:, :, 0], batch.lengths.tolist(), strict=True)]


def test_copying_and_turning_round_are_learned_to_near_zero_nats(model):
    batch = tasks(100, seed=1).batch()
    nats = -model.log_prob(batch)
    assert float(nats.mean()) < 0.05
    made = model.sample(100, torch.Generator().manual_seed(0), batch.cond)
    right = np.mean([one == other for one, other in zip(written(made), written(batch), strict=True)])
    assert right > 0.95


def test_with_the_source_of_another_the_same_words_are_improbable(model):
    batch = tasks(100, seed=2).batch()
    turned = replace(batch, cond=batch.cond.take(torch.arange(100).roll(1)))
    assert float(model.log_prob(turned).mean()) < float(model.log_prob(batch).mean()) - 3.0


@pytest.mark.parametrize("source", [[], [COPY + 1, 0, 2]])
def test_law_3_the_probabilities_of_all_records_sum_to_one_for_each_source(model, source):
    rows = [list(row) for steps in range(4) for row in itertools.product(range(LETTERS), repeat=steps)]
    batch = packed(TARGETS, rows).batch()
    batch = replace(batch, cond=packed(SOURCES, [source]).batch().repeat(len(rows)))
    score, longest = model.log_prob(batch).exp(), batch.lengths == 3
    ends = model.continuation(batch).logits().double().softmax(1)[:, -1]
    more = (score / ends * (1 - ends))[longest].sum()  # what begins with three letters and goes on
    assert float(score.sum() + more) == pytest.approx(1.0, abs=1e-6)


def test_law_15_what_comes_later_changes_nothing_before_and_the_source_changes_all(model):
    tokens = torch.randint(0, LETTERS, (3, 6), generator=torch.Generator().manual_seed(0))
    cond = torch.tensor([[COPY, 0, 1, 5], [COPY, 1, 0, 5], [COPY + 1, 0, 2, 5]])
    with torch.no_grad():
        before = model.net(tokens, cond)
        later = tokens.clone()
        later[:, 4] = (later[:, 4] + 1) % LETTERS
        after, other = model.net(later, cond), model.net(tokens, cond.roll(1, 0))
    assert torch.equal(before[:, :4], after[:, :4]) and not torch.equal(before[:, 4:], after[:, 4:])
    assert not torch.isclose(before[:, 0], other[:, 0]).all(1).any()


def test_company_and_padding_of_sources_change_nothing(model):
    batch = tasks(40, seed=4).batch()
    whole = model.log_prob(batch)
    alone = torch.cat([model.log_prob(batch.take(slice(i, i + 1))) for i in range(3)])
    padded = batch.cond.padded(9)
    padded.cells[:, -4:], padded.mask[:, -4:] = 1, True  # nobody looks behind the end
    long = packed(SOURCES, [[COPY] * 40]).batch()
    beside = replace(batch, cond=Batch(torch.cat([padded.padded(40).cells[:-1], long.cells]),
                                       torch.cat([padded.padded(40).mask[:-1], long.mask]),
                                       lengths=torch.cat([padded.lengths[:-1], long.lengths])))  # fmt: skip
    assert torch.equal(whole[:3], alone) and torch.equal(whole, model.log_prob(replace(batch, cond=padded)))
    assert torch.equal(whole[:-1], model.log_prob(beside)[:-1])


def test_writing_on_follows_what_is_scored_through_windows_that_slide(model):
    """Records longer than the context, of unequal lengths, taken apart and put together on the way."""
    rows = [[0, 1, 2] * 7, [2] * 17, [1, 0] * 9]
    batch = replace(packed(TARGETS, rows).batch(), cond=packed(SOURCES, [[COPY, 0], [COPY + 1], []]).batch())
    begun = Batch(batch.cells[:, :2], batch.mask[:, :2], batch.cond, lengths=torch.tensor([2, 1, 0]))
    going, total = model.continuation(begun).take(torch.tensor([2, 0, 1, 0])), torch.zeros(4, dtype=torch.float64)
    order = [2, 0, 1, 0]
    place = begun.lengths[order].clone()
    for _ in range(max(map(len, rows)) + 1):
        told = going.logits().double().log_softmax(1)
        wanted = [
            rows[row][at] if at < len(rows[row]) else LETTERS for row, at in zip(order, place.tolist(), strict=True)
        ]
        counts = torch.tensor([at <= len(rows[row]) for row, at in zip(order, place.tolist(), strict=True)])
        total += torch.where(counts, told.gather(1, torch.tensor(wanted)[:, None])[:, 0], 0.0)
        going.append(torch.tensor(wanted).clamp(max=LETTERS - 1))
        place += 1
    first = model.log_prob(Batch(begun.cells, begun.mask, batch.cond, lengths=begun.lengths))
    ends = model.continuation(begun).logits().double().log_softmax(1)[:, -1]
    assert torch.allclose(total + (first - ends)[order], model.log_prob(batch)[order], atol=1e-4)


def test_windows_carry_the_source_of_their_record():
    records = tasks(30)
    windows = Windows.of(records, 2)
    batch = windows.batch()
    record = np.searchsorted(windows.borders, windows.first, side="right") - 1
    assert np.array_equal(batch.cond.lengths.numpy(), records.sources.lengths[record])
    assert int((batch.cells[:, :, 0] == windows.mark).sum(1).max()) <= 2  # its own beginning and end
    chosen = windows.select(np.array([3, 1])).batch()
    assert torch.equal(chosen.cond.lengths, batch.cond.lengths[[3, 1]])


def test_selected_and_split_records_keep_their_sources():
    records = tasks(50)
    some = records.select(np.array([4, 1, 7]))
    assert written(some.batch().cond) == [written(records.batch().cond)[row] for row in (4, 1, 7)]
    for part in records.split(0.3, seed=0):
        for own, source in zip(written(part.batch()), written(part.batch().cond), strict=True):
            assert own == (source[1:][::-1] if source[0] == COPY + 1 else source[1:])


def test_gradients_reach_every_parameter():
    family = SequenceToSequence(width=8, layers=2, dropout=0.1, label_smoothing=0.1)
    records = tasks(40)
    module = family.build(records, 0).train()
    with torch.no_grad():
        for weight in module.parameters():  # what starts at 0 lets no gradient through at first
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    (player,) = family.players(module)
    found = torch.autograd.grad(player.loss(family.prepared(records).batch(), torch.Generator()), player.parameters)
    assert all(bool(g.abs().sum() > 0) and bool(torch.isfinite(g).all()) for g in found)


def test_shared_vectors_are_one_table_and_need_one_vocabulary():
    event = replace(SOURCES, max_length=4)
    shared, apart = SequenceToSequence(shared=True), SequenceToSequence()
    assert "one vocabulary" in refusal(shared, TARGETS, SOURCES)
    assert refusal(shared, event, SOURCES) is None and refusal(apart, TARGETS, SOURCES) is None
    assert "no source" in refusal(apart, TARGETS, None)
    words = packed(event, [[0, 1], [2]])
    pairs = replace(words, given=SOURCES, sources=words)
    sizes = [
        sum(p.numel() for p in replace(f, width=8, layers=1).build(pairs, 0).parameters()) for f in (shared, apart)
    ]
    assert sizes[1] - sizes[0] == 8 * (LETTERS + 3)


def test_a_source_that_is_not_known_is_refused(model):
    batch = tasks(2, seed=5).batch()
    gone = replace(batch.cond, lengths=torch.tensor([MISSING_LENGTH, 1]))
    for broken in (replace(batch, cond=None), replace(batch, cond=gone)):
        with pytest.raises(InputError, match="needs the whole"):
            model.log_prob(broken)


def test_a_fresh_network_finds_all_classes_equally_likely():
    module = SequenceToSequence(width=8, layers=1).build(tasks(20), 0).eval()
    batch = tasks(20, seed=6).batch()
    assert torch.allclose(-module.log_prob(batch), (batch.lengths + 1).double() * math.log(LETTERS + 1))
