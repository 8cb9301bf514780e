"""Blends of sequences: mixtures at every step, what is held out, the weights, and what they gain."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import ensample as en
from ensample.budget import Budget, Clock
from ensample.events import Batch, Discrete, Mixed, Ragged, Span
from ensample.families import Markov, Ngram, SequenceAutoregressive, SequenceBlend
from ensample.families.base import refusal
from ensample.families.compose.sequences.gate import Gate, constant, learned, mixed
from ensample.families.compose.sequences.held import LEAD, apart
from ensample.families.compose.sequences.model import told
from ensample.families.options import from_plain, to_plain
from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.kinds.sequences import Sequences
from ensample.run import Run
from ensample.train import learn

EVENT = Ragged(Mixed((Span("letter", Discrete(5)),)), 400)
SMALL = SequenceAutoregressive(width=16, layers=1, context=16, learning_rate=2e-2, batch_size=256, dropout=0.0)


def chains(count: int, seed: int, length: int = 30) -> Sequences:
    """Each class follows from the one before or the one three before, by a coin that the fifth class stands for."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 4, (count, length))
    for t in range(3, length):
        kept = rng.random(count) < 0.85
        rows[:, t] = np.where(kept, (rows[:, t - 1] + rows[:, t - 3]) % 4, rows[:, t])
    return Sequences(EVENT, rows.reshape(-1, 1), lengths=np.full(count, length))


def fit(family: SequenceBlend, records: Sequences, budget: str = "30 steps", start: object = None) -> object:
    return learn(family, records, 0, Run(Clock(Budget.parse(budget))), start)


@pytest.fixture(scope="module")
def blend():
    return fit(SequenceBlend((Ngram(order=3), SMALL)), chains(120, 0))


def test_a_step_is_the_mixture_of_what_its_parts_say(blend):
    batch = chains(2, 1).batch()
    log_p, clues = told(blend.parts, batch)
    weights = blend.gate.log_weights(clues).exp()
    assert torch.allclose(weights.sum(2), torch.ones(2, 31).double(), atol=1e-12)
    assert torch.allclose((log_p.exp() * weights).sum(2).log().sum(1), blend.log_prob(batch), atol=1e-9)
    for part, own in zip(blend.parts, log_p.unbind(2), strict=True):
        assert torch.allclose(own.sum(1), part.log_prob(batch), atol=1e-6)


def test_writing_on_has_the_distribution_of_scoring(blend):
    """Longer than the context of the network, so that its windows slide."""
    batch = chains(3, 2).batch()
    log_p, clues = told(blend.parts, batch)
    expected = mixed(blend.gate, log_p, clues)
    begun = blend.continuation(first(batch, 0))
    for step in range(30):
        following = begun.logits().double()
        assert torch.allclose(following.exp().sum(1), torch.ones(3).double(), atol=1e-5)
        number = batch.cells[:, step, 0]
        assert torch.allclose(following.gather(1, number[:, None])[:, 0], expected[:, step], atol=1e-4)
        begun.append(number)
    assert torch.allclose(begun.logits()[:, -1].double(), expected[:, -1], atol=1e-4)
    again = begun.take(torch.tensor([2, 0]))
    assert torch.allclose(again.logits(), begun.logits()[[2, 0]], atol=1e-5)


def first(batch: Batch, steps: int) -> Batch:
    """The first steps of records."""
    return Batch(batch.cells[:, :steps], batch.mask[:, :steps], lengths=torch.full((len(batch),), steps))


def test_it_tells_more_than_its_parts(blend):
    held = chains(60, 3).batch()
    best = max(float(part.log_prob(held).mean()) for part in blend.parts)
    assert float(blend.log_prob(held).mean()) > best


@pytest.mark.parametrize("lengths", [[400], [3, 0, 5, 200, 0, 1], [7] * 40], ids=str)
def test_what_is_held_out_is_nowhere_learned(lengths):
    table = np.arange(sum(lengths))[:, None]
    records = Sequences(EVENT, table, lengths=np.array(lengths))
    rest, held = apart(records, 30, seed=1)
    shown = {int(cell) for batch, counts, _ in held.batches() for cell in batch.cells[..., 0][counts[:, :-1]]}
    left = rest.table[:][:, 0].tolist()
    assert sorted([*shown, *left]) == list(range(sum(lengths))) and 0 < held.steps <= 30 + 20
    assert int(rest.lengths.sum()) == len(left) and left == sorted(left)
    ends = sum(int(counts.sum()) for _, counts, _ in held.batches()) - held.steps
    assert 0 <= len(lengths) - len(rest) <= ends
    for batch, counts, half in held.batches():
        assert bool((counts.sum(1) > 0).all()) and bool((half <= counts).all())
        inside = batch.cells[:, 1:, 0] - batch.cells[:, :-1, 0]
        assert bool((inside[batch.steps()[:, 1:]] == 1).all())  # what leads to a stretch stands before it


def test_parts_see_what_leads_to_a_stretch_as_in_the_text():
    assert Sliding(128).context < LEAD


def test_what_does_not_count_in_a_dialogue_is_not_held_out():
    scored = np.tile([False, True, True, False, True], 40)
    event = dataclasses.replace(EVENT, partly=True)
    records = Sequences(event, np.arange(160)[:, None] % 5, lengths=np.full(40, 4), scored=scored)
    rest, held = apart(records, 30, seed=0)
    assert rest.scored.tolist() == np.tile([False, True, True, False, True], len(rest)).tolist()
    for _, counts, _ in held.batches():
        assert counts.tolist() == [[False, True, True, False, True]] * len(counts)


def test_scored_steps_count_alone(blend):
    batch = chains(2, 4).batch()
    scored = torch.rand(2, 31, generator=torch.Generator().manual_seed(0)) < 0.5
    log_p, clues = told(blend.parts, batch)
    expected = torch.where(scored, mixed(blend.gate, log_p, clues), 0.0).sum(1)
    assert torch.allclose(blend.log_prob(dataclasses.replace(batch, scored=scored)), expected, atol=1e-9)


def test_weights_without_clues_are_those_of_em():
    rng = np.random.default_rng(0)
    right = rng.random(20_000) < 0.7
    log_p = torch.from_numpy(np.log(np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])))
    assert constant(log_p).bias.exp()[0] == pytest.approx(0.75, abs=0.02)  # then the mixture says 0.7
    assert constant(torch.zeros(0, 2)).bias.exp().tolist() == pytest.approx([0.5, 0.5])


def test_a_gate_learns_whom_to_trust_and_few_steps_teach_none():
    rng = np.random.default_rng(1)
    clue = rng.normal(size=(4_000, 1))
    sure = 1 / (1 + np.exp(-3 * clue[:, 0]))
    right = rng.random(4_000) < sure
    log_p = torch.from_numpy(np.log(np.where(right[:, None], [0.9, 0.01], [0.01, 0.9])))
    clues, fold = torch.from_numpy(clue), torch.arange(4_000) % 2 == 0
    gate = learned(log_p, clues, fold, seed=0)
    weight = gate.log_weights(torch.tensor([[-2.0], [0.0], [2.0]])).exp()[:, 0]
    assert weight[0] < 0.1 and abs(weight[1] - 0.5) < 0.1 and weight[2] > 0.9
    assert torch.allclose(gate.log_weights(clues).exp().sum(1), torch.ones(4_000).double(), atol=1e-12)
    assert not learned(log_p[:100], clues[:100], fold[:100], seed=0).layers
    blind = learned(log_p, torch.from_numpy(rng.normal(size=(4_000, 1))), fold, seed=0)
    assert float((blind.log_weights(clues).exp()[:, 0] - 0.5).abs().mean()) < 0.05
    assert torch.equal(Gate.of(gate.arrays()).log_weights(clues), gate.log_weights(clues))


def test_parts_that_cannot_look_at_what_is_given_learn_without(tmp_path):
    table = {"word": ["ab", "ba"] * 60, "sort": ["x", "y"] * 60}
    data = en.read(table, kinds={"word": "text"})
    model = en.fit(data, SequenceBlend((Ngram(order=3), SMALL)), given="sort", budget="40 steps", seed=0)
    score = model.log_prob(
        en.read({"word": ["ab", "ab"], "sort": ["x", "y"]}, kinds={"word": "text", "sort": "category"})
    )
    assert score[0] > score[1] + math.log(1.5)
    assert model.sample(3, where={"sort": "x"}, seed=0).names == ["word", "sort"]
    model.save(tmp_path / "words.ens")
    again = en.load(tmp_path / "words.ens")
    assert again.generate("a", n=3, tokens=5, where={"sort": "x"}, seed=1) == model.generate(
        "a", n=3, tokens=5, where={"sort": "x"}, seed=1
    )


def test_it_refuses_what_no_part_can_do():
    given = Mixed((Span("sort", Discrete(2)),))
    assert "no part looks" in str(refusal(SequenceBlend((Ngram(),)), EVENT, given))
    assert "tells whole records" in str(refusal(SequenceBlend((Ngram(), Markov())), EVENT, None))
    assert refusal(SequenceBlend(), EVENT, given) is None
    with pytest.raises(en.errors.InputError, match="has parts"):
        SequenceBlend(())


def test_it_goes_on_from_a_fitted_blend(blend):
    other = fit(SequenceBlend((Ngram(order=3), SMALL)), chains(120, 0), "1 steps", start=blend)
    fresh = fit(SequenceBlend((Ngram(order=3), SMALL)), chains(120, 0), "1 steps")
    held = chains(40, 3).batch()
    told_by = [float(model.parts[1].log_prob(held).mean()) for model in (blend, other, fresh)]
    assert told_by[1] > told_by[2] + 0.5 * (told_by[0] - told_by[2])


def test_options_of_parts_are_plain_values():
    family = SequenceBlend((Ngram(order=4), SMALL), held=500)
    assert from_plain(SequenceBlend, to_plain(family)) == family
