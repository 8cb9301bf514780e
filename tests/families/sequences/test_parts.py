"""Records of which some steps are given where they stand: what is learned of them, and what is told."""

import numpy as np
import pytest
import torch

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, Batch, Discrete, Mixed, Ragged, Span, concatenate
from ensample.families import TABLE, Markov, Ngram, SequenceAutoregressive
from ensample.families.base import refusal
from ensample.kinds.sequences import Sequences
from ensample.kinds.windows import Windows
from ensample.run import Run
from ensample.train import learn

EVENT = Ragged(Mixed((Span("token", Discrete(5)),)), 9, partly=True)
SMALL = {"width": 8, "layers": 1, "context": 8, "batch_size": 64, "dropout": 0.0}


def records_of(count=30, seed=0, lengths=None):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 14, count) if lengths is None else np.array(lengths)
    steps = lengths.clip(min=0).sum()
    scored = rng.random(steps + len(lengths)) < 0.5
    return Sequences(EVENT, rng.integers(0, 5, (steps, 1)), lengths=lengths, scored=scored)


def fit(family, records, budget="5 steps"):
    return learn(family, records, 0, Run(Clock(Budget.parse(budget))))


@pytest.fixture(scope="module", params=["ngram", "transformer", "lstm"])
def model(request):
    family = Ngram(order=3) if request.param == "ngram" else SequenceAutoregressive(network=request.param, **SMALL)
    return fit(family, records_of(200, seed=9))


def test_only_steps_that_count_are_told_each_given_all_before_it(model):
    """Step by step through the continuation, which knows nothing of what counts."""
    batch = records_of(12).batch()
    for row in range(len(batch)):
        one = batch.take(slice(row, row + 1))
        length, total = int(one.lengths[0]), 0.0
        for step in range(length + 1):
            before = Batch(one.cells[:, :step], one.mask[:, :step], lengths=torch.tensor([step]))
            log_p = model.continuation(before).logits().double().log_softmax(1)[0]
            symbol = 5 if step == length else int(one.cells[0, step, 0])
            total += float(log_p[symbol]) * bool(one.scored[0, step])
        assert float(model.log_prob(one)[0]) == pytest.approx(total, abs=2e-4)


def test_parts_add_up_to_the_whole(model):
    batch = records_of(25, seed=1).batch()
    whole = Batch(batch.cells, batch.mask, lengths=batch.lengths)
    others = Batch(batch.cells, batch.mask, lengths=batch.lengths, scored=~batch.scored)
    assert torch.allclose(model.log_prob(batch) + model.log_prob(others), model.log_prob(whole), rtol=0, atol=1e-6)


def test_missing_records_are_no_evidence_and_unset_steps_are_refused(model):
    empty = torch.zeros(1, 0, 1, dtype=torch.int64)
    gone = Batch(empty, empty.bool(), lengths=torch.tensor([MISSING_LENGTH]), scored=torch.ones(1, 1, dtype=torch.bool))
    assert float(model.log_prob(gone)) == 0.0
    batch = records_of(lengths=[3]).batch()
    batch.mask[0, 1] = False
    with pytest.raises(InputError):
        model.log_prob(batch)


def test_batches_keep_what_counts():
    records = records_of(lengths=[3, -1, 0, 5, 2])
    whole, starts = records.batch(), [0, 4, 5, 6, 12]
    for row, (length, start) in enumerate(zip(records.lengths, starts, strict=True)):
        own = records.scored[start : start + max(length, 0) + 1] if length >= 0 else np.zeros(0, bool)
        assert whole.scored[row, : len(own)].tolist() == own.tolist() and not whole.scored[row, len(own) :].any()
    chosen = np.array([4, 0, 3])
    picked = records.select(chosen).batch()
    assert torch.equal(picked.scored, whole.scored[chosen][:, : picked.scored.shape[1]])
    both = concatenate([whole.take(slice(0, 1)).padded(4), whole.take(slice(3, 4)).repeat(2)])
    assert both.scored[:1, :4].equal(whole.scored[:1, :4]) and both.scored[1].equal(whole.scored[3])


@pytest.mark.parametrize("given", [False, True])
def test_windows_show_what_counts(given):
    records = records_of(lengths=[3, -1, 0, 21, 2])
    if given:
        beside = Mixed((Span("author", Discrete(9)),))
        records = Sequences(
            EVENT, records.table, beside, np.arange(5)[:, None], lengths=records.lengths, scored=records.scored
        )
    windows = Windows.of(records, 8)
    places = np.concatenate([[False], np.delete(records.scored, 4)])  # by hand: the flag of the missing record is out
    batch = windows.batch()
    for row, (first, length) in enumerate(zip(windows.first, windows.lengths, strict=True)):
        assert batch.scored[row, :length].tolist() == places[first : first + length].tolist()
        assert not batch.scored[row, length:].any()
    assert windows.event.partly and batch.scored.shape[1] == batch.cells.shape[1] + 1


def test_the_loss_is_that_of_the_steps_that_count():
    family = SequenceAutoregressive(**SMALL)
    records = records_of(40, seed=3)
    module = fit(family, records)
    windows = family.prepared(records)
    batch = windows.batch()
    (player,) = family.players(module)
    with torch.no_grad():
        log_p = module.net(batch.cells[:, :-1, 0], torch.zeros(len(batch), 0)).log_softmax(2)
        held = float(family.validate(module, batch, torch.Generator()).mean())
    nats = -log_p.gather(2, batch.cells[:, 1:])[:, :, 0]
    counts = batch.scored[:, 1:-1] & batch.mask[:, 1:, 0]
    mean = float(nats[counts].mean())
    assert player.loss(batch, torch.Generator()).item() == pytest.approx(mean, abs=1e-5)
    assert held == pytest.approx(mean, abs=1e-4)
    nothing = Batch(batch.cells, batch.mask, lengths=batch.lengths, scored=torch.zeros_like(batch.scored))
    assert player.loss(nothing, torch.Generator()).item() == 0.0


def test_what_is_given_is_not_learned():
    """What is said is noise and the reply repeats it: the reply is learned, the noise costs nothing."""
    rng = np.random.default_rng(0)
    said = rng.integers(0, 5, 400)
    table = np.stack([said, said], 1).reshape(-1, 1)
    scored = np.tile([False, True, True], 400)
    records = Sequences(EVENT, table, lengths=np.full(400, 2), scored=scored)
    model = fit(SequenceAutoregressive(**SMALL | {"learning_rate": 2e-2}), records, "80 steps")
    assert float(model.log_prob(records.batch()).mean()) > -0.3  # the noise alone would cost log 5


def test_families_that_cannot_tell_parts_refuse():
    able = [name for name, family in TABLE.items() if refusal(family(), EVENT, None) is None]
    assert {"ngram", "sequence-autoregressive", "pretrained"} <= set(able) and "markov" not in able
    assert "some steps are given" in str(refusal(Markov(), EVENT, None))
