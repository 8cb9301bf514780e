"""Autoregressive networks over sequences: the chain rule over any length, writing on, what is learned of windows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Ragged, Span
from ensample.families import TABLE, SequenceAutoregressive
from ensample.families.base import LearnsSequences, refusal
from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.kinds.sequences import Sequences
from ensample.nets.sequences.sizes import context_for, size_for
from ensample.run import Run
from ensample.solvers.continuation import Continuation
from ensample.train import learn

CLASSES = 4
EVENT = Ragged(Mixed((Span("letter", Discrete(CLASSES)),)), 40)
GIVEN = Mixed((Span("kind", Discrete(2)),))
NETWORKS = ("transformer", "mingru", "lstm", "gru", "wavenet")
every = pytest.mark.parametrize("network", NETWORKS)


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def records_of(lengths, seed=0, given=None):
    """Random classes; with `given` [records] a given field."""
    rng = np.random.default_rng(seed)
    table = rng.integers(0, CLASSES, (int(np.clip(lengths, 0, None).sum()), 1))
    more = (GIVEN, np.asarray(given)[:, None]) if given is not None else ()
    return Sequences(EVENT, table, *more, lengths=np.asarray(lengths))


def made(network="transformer", given=None, **options):
    """A model away from its start, where nothing is known yet."""
    family = SequenceAutoregressive(network=network, **{"width": 8, "layers": 2, "context": 7, **options})
    module = family.build(records_of([3, 5], given=given), seed=0)
    g = gen(1)
    for weight in module.parameters():
        weight.data += 0.3 * torch.randn(weight.shape, generator=g)
    return module.eval()


def fit(family, records, budget="60 steps", seed=0):
    return learn(family, records, seed, Run(Clock(Budget.parse(budget))))


@every
def test_a_record_of_any_length_is_told_class_after_class_from_its_window(network):
    model, lengths = made(network), [0, 1, 6, 7, 8, 9, 13, 25]
    batch = records_of(lengths).batch()
    scores = model.log_prob(batch)
    for row, length in enumerate(lengths):
        classes = batch.cells[row, :length, 0]
        inputs, targets = torch.cat([torch.tensor([CLASSES]), classes]), [*classes.tolist(), CLASSES]
        total = 0.0
        for t, target in enumerate(targets):
            first = 0 if t < 7 else 3 * ((t - 7) // 3 + 1)
            logits = model.net(inputs[None, first : t + 1], torch.zeros(1, 0))[0, -1]
            total += logits.double().log_softmax(0)[target].item()
        assert float(scores[row]) == pytest.approx(total, abs=2e-5)


@every
@pytest.mark.parametrize("given", [None, [0, 1]])
def test_writing_on_has_the_conditionals_of_the_score(network, given):
    model = made(network, given)
    batch = records_of([24, 26, 14, 31], given=None if given is None else [0, 1, 1, 0]).batch()
    begun = torch.tensor([2, 11, 0, 8])
    prompts = Batch(batch.cells, batch.mask, batch.cond, lengths=begun)
    written = model.continuation(prompts)
    assert isinstance(written, Continuation)
    rows = torch.arange(4)
    for step in range(13):
        ahead = Batch(batch.cells, batch.mask, batch.cond, lengths=begun[rows] + step)
        told = written.logits().double().log_softmax(1)
        upto = Batch(ahead.cells[rows], ahead.mask[rows], None if given is None else batch.cond.take(rows),
                     lengths=begun[rows] + step)  # fmt: skip
        ends = model.log_prob(upto)
        classes = batch.cells[rows, begun[rows] + step, 0]
        more = model.log_prob(Batch(upto.cells, upto.mask, upto.cond, lengths=upto.lengths + 1))
        after = written.take(torch.arange(len(rows)))
        after.append(classes)
        end_after = after.logits().double().log_softmax(1)[:, -1]
        assert torch.allclose(more - ends, told[torch.arange(len(rows)), classes] - told[:, -1] + end_after, atol=3e-5)
        written.append(classes)
        if step == 5:
            rows = rows[[3, 1, 1]]
            written = written.take(torch.tensor([3, 1, 1]))


@every
def test_a_row_is_continued_among_others_as_it_is_alone(network):
    model, batch = made(network), records_of([2, 5, 0, 30]).batch()
    together = model.continuation(batch)
    alone = [model.continuation(batch.take(slice(i, i + 1))) for i in range(4)]
    for step in range(16):
        for row, one in enumerate(alone):
            assert torch.allclose(together.logits()[row], one.logits()[0], atol=1e-5)
            one.append(torch.tensor([(step + row) % CLASSES]))
        together.append((torch.arange(4) + step) % CLASSES)


@every
def test_law_15_a_later_class_changes_nothing_before_it_to_the_bit(network):
    model, records = made(network), records_of([28])
    windows = SequenceAutoregressive(context=7).prepared(records).batch(slice(0, 4))
    plain = model.log_p(windows)[0]
    for place in range(1, 8):
        moved = Batch(windows.cells.clone(), windows.mask, lengths=windows.lengths)
        moved.cells[:, place] = (moved.cells[:, place] + 1) % CLASSES
        assert torch.equal(plain[:, :place], model.log_p(moved)[0][:, :place])


def test_learning_looks_at_targets_alone_that_are_there():
    model, family = made(), SequenceAutoregressive(context=7)
    windows = family.prepared(records_of([5, 2]))
    batch = windows.batch()
    log_p, targets = model.log_p(batch)
    assert targets[0].tolist() == [*batch.cells[0, 1:, 0].tolist()] and (targets[-1] == -1).any()
    (player,) = family.players(model)
    log_p = log_p.detach()
    told = [
        float(row[t])
        for rows, ts in zip(log_p, targets, strict=True)
        for row, t in zip(rows, ts, strict=True)
        if t >= 0
    ]
    assert player.loss(batch, gen()).item() == pytest.approx(-np.mean(told), abs=1e-5)
    smooth = SequenceAutoregressive(context=7, label_smoothing=0.3).players(model)[0].loss(batch, gen())
    flat = float(log_p[targets >= 0].mean())
    assert smooth.item() == pytest.approx(0.7 * -np.mean(told) - 0.3 * flat, abs=1e-5)
    whole = family.validate(model, batch, gen())
    assert whole.mean().item() == pytest.approx(-np.mean(told), abs=1e-5)  # all classes weigh alike
    assert len(whole) == len(batch) and len(set(whole.tolist())) > 1


def test_steps_hold_about_so_many_classes():
    family = SequenceAutoregressive(context=64, batch_size=2048)
    assert family.rows_of_step(family.prepared(records_of([5000]))) == 32
    assert SequenceAutoregressive(batch_size=10).rows_of_step(family.prepared(records_of([5000]))) == 1


def test_the_transformer_learns_what_lies_farther_back_than_a_few_classes():
    first = np.random.default_rng(0).integers(0, CLASSES, (600, 6))
    table = np.concatenate([first, first], 1).reshape(-1, 1)  # six random classes, and the same once more
    records = Sequences(EVENT, table, lengths=np.full(600, 12))
    family = SequenceAutoregressive(context=32, width=32, layers=2, batch_size=512, holdout=0)
    model = fit(family, records.select(slice(0, 500)), "200 steps")
    nats = -model.log_prob(records.select(slice(500, 600)).batch()).mean()
    assert float(nats) < 6 * math.log(CLASSES) * 1.2  # half of a record is told by the other, 8.3 nats of 16.6


@every
def test_every_network_learns_a_chain(network):
    table, rng = np.zeros((300, 9), np.int64), np.random.default_rng(0)
    table[:, :2] = rng.integers(0, CLASSES, (300, 2))
    for t in range(2, 9):
        table[:, t] = (table[:, t - 2] + 1) % CLASSES
    records = Sequences(EVENT, table.reshape(-1, 1), lengths=np.full(300, 9))
    model = fit(
        SequenceAutoregressive(network=network, width=24, layers=3, learning_rate=1.5e-2, batch_size=512, holdout=0),
        records,
        "120 steps",
    )
    assert float(-model.log_prob(records.batch()).mean()) < 2 * math.log(CLASSES) + 2.0


def test_learning_goes_on_from_a_fitted_model_with_other_records():
    family, short = SequenceAutoregressive(width=8, layers=1, batch_size=256), records_of([3] * 60)
    first = fit(family, short)
    long = Sequences(EVENT, np.zeros((600, 1), np.int64), lengths=np.full(10, 60))
    before = float(first.log_prob(long.batch()).mean())
    second = learn(family, long, 0, Run(Clock(Budget.parse("30 steps"))), first)
    assert second.sliding == first.sliding == Sliding(16)  # what it looks back on stays
    assert float(second.log_prob(long.batch()).mean()) > before + 10.0


def test_given_fields_say_which_text():
    kinds = np.arange(200) % 2
    table = np.where(np.arange(200)[:, None] % 2 == 0, 0, 2) + np.random.default_rng(0).integers(0, 2, (200, 6))
    records = Sequences(EVENT, table.reshape(-1, 1), GIVEN, kinds[:, None], lengths=np.full(200, 6))
    model = fit(SequenceAutoregressive(width=16, layers=1, batch_size=256, holdout=0), records, "200 steps")
    batch = records.batch()
    other = Batch(batch.cells, batch.mask, Batch(1 - batch.cond.cells, batch.cond.mask), lengths=batch.lengths)
    assert float(model.log_prob(batch).mean()) > -6 * math.log(2) - 0.5
    assert float((model.log_prob(batch) - model.log_prob(other)).min()) > 5.0
    drawn = model.sample(400, gen(), records.given_batch(np.arange(400) % 200))
    assert float(((drawn.cells[:, 0, 0] >= 2) == (torch.arange(400) % 2 == 1)).double().mean()) > 0.95


def test_drawn_records_end_or_are_cut():
    model = made(longest=5)
    drawn = model.sample(300, gen())
    assert int(drawn.lengths.max()) == 5 and int(drawn.lengths.min()) < 5
    assert drawn.cells.shape == (300, 5, 1) and torch.equal(drawn.mask[:, :, 0], drawn.steps())
    model.longest.fill_(30)
    assert int(model.sample(300, gen()).lengths.max()) > 5
    same = model.sample(5, gen(3)), model.sample(5, gen(3)), model.sample(5, gen(4))
    assert torch.equal(same[0].cells, same[1].cells) and not torch.equal(same[0].lengths, same[2].lengths)


def test_windows_slide_by_half_a_context():
    sliding = Sliding(8)
    record, first = sliding.windows(torch.tensor([0, 7, 8, 13]))
    assert record.tolist() == [0, 1, 2, 2, 3, 3, 3] and first.tolist() == [0, 0, 0, 4, 0, 4, 8]
    for t in range(40):
        start = int(sliding.start(torch.tensor(t)))
        assert start <= t and t - start < 8 and (t < 8 or t - start >= 4)
    blocks = list(sliding.blocks(torch.tensor([3, 30, 5]), 24))
    assert sorted(b.first.tolist() for b in blocks)[0][0] == 0 and all(b.steps == 8 and b.rows == 3 for b in blocks)
    assert sum(len(b.record) for b in blocks) == 2 + 7


def test_a_long_record_is_scored_in_little_memory(monkeypatch):
    model, most = made(context=16), [0]
    plain = model.net.forward

    def watched(tokens, cond):
        most[0] = max(most[0], tokens.numel())
        return plain(tokens, cond)

    monkeypatch.setattr(model.net, "forward", watched)
    model.log_prob(records_of([20_000]).batch())
    assert 0 < most[0] <= 2048


def test_one_table_says_how_large_a_network_is():
    assert size_for("transformer", 65, 10**6).width < size_for("transformer", 65, 10**8).width
    assert size_for("transformer", 30, 10_000).width < size_for("transformer", 8_000, 10_000).width
    assert context_for(np.array([3, 4, -1])) == 32 and context_for(np.array([10**6])) == 128
    family = SequenceAutoregressive()
    assert family.build(records_of([9] * 9), 0).sliding.context == family.prepared(records_of([9] * 9)).context == 64


def test_what_it_cannot_learn_is_said():
    family = SequenceAutoregressive()
    assert isinstance(family, LearnsSequences) and refusal(family, EVENT, GIVEN) is None
    numbers = Ragged(Mixed((Span("size", Continuous(Lattice(0, 9))),)), 3)
    assert "one class" in str(refusal(family, numbers, None))
    assert "order" in str(refusal(family, Ragged(EVENT.element, 3, ordered=False), None))
    with pytest.raises(InputError, match="missing"):
        family.build(Sequences(EVENT, np.zeros((0, 1), np.int64), lengths=np.array([-1, -1])), 0)
    for wrong in ({"dropout": 1.0}, {"label_smoothing": -0.1}, {"width": 12, "attention_heads": 4}, {"context": 1},
                  {"network": "perceptron"}, {"mlp": "gelu"}, {"key_value_heads": 2},
                  {"attention_heads": 4, "key_value_heads": 3}):  # fmt: skip
        with pytest.raises(InputError):
            TABLE["sequence-autoregressive"](**wrong)


def test_empty_records_are_learned_and_made():
    model = fit(SequenceAutoregressive(width=8, layers=1, batch_size=64), records_of([0] * 30), "60 steps")
    assert float(model.log_prob(records_of([0]).batch())) > -0.1
    assert int((model.sample(50, gen()).lengths == 0).sum()) > 40
    assert len(model.sample(0, gen())) == 0
