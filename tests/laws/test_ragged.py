"""The laws of DESIGN section 6 for families over sequences."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from ensample.events import MISSING_LENGTH, UNKNOWN_LENGTH, Batch, concatenate, unknown
from ensample.families import TABLE
from ensample.families.abilities import Continues, Draws, Lengthens
from ensample.families.base import GivenSequences, LearnsSequences, ScoresParts, SummaryFamily, refusal
from ensample.families.training import Training
from ensample.infer.impute import fill
from ensample.kinds.records import ABSENT
from ensample.kinds.sequences import Sequences
from tests.laws.cases import toy_event
from tests.laws.ragged import (
    LETTERS,
    MIXED,
    REACH,
    RaggedCase,
    chance_of_length,
    chance_of_more,
    every_sequence,
    every_step,
    fitted,
    gather,
    generator,
    law_of_lengths,
    most_steps,
)

FALSE_ALARM = 1e-4
CASES = gather()


def can(case: RaggedCase, ability: type) -> bool:
    return issubclass(TABLE[case.name].distribution, ability)


def tells_ends(case: RaggedCase) -> bool:
    return can(case, Continues) or hasattr(TABLE[case.name].distribution, "log_ends")


def draws_exactly(case: RaggedCase) -> bool:
    return can(case, Draws) and TABLE[case.name].distribution.guarantees.get("draw", "exact") == "exact"


def bound(case: RaggedCase) -> bool:
    return TABLE[case.name].distribution.guarantees["log_prob"] == "bound"


each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
weighed = pytest.mark.parametrize("case", [c for c in CASES if not bound(c)], ids=lambda c: c.id)
bounded = pytest.mark.parametrize("case", [c for c in CASES if bound(c)], ids=lambda c: c.id)
lettered = pytest.mark.parametrize("case", [c for c in CASES if c.truth.event is LETTERS], ids=lambda c: c.id)
mixed = pytest.mark.parametrize("case", [c for c in CASES if c.truth.event is MIXED], ids=lambda c: c.id)
ending = pytest.mark.parametrize(
    "case", [c for c in CASES if tells_ends(c) and c.truth.event is LETTERS], ids=lambda c: c.id
)
summed = pytest.mark.parametrize(
    "case", [c for c in CASES if isinstance(c.family(), SummaryFamily)], ids=lambda c: c.id
)
lengthening = pytest.mark.parametrize("case", [c for c in CASES if can(c, Lengthens)], ids=lambda c: c.id)


def flat(batch: Batch) -> list[tuple]:
    """Each record as (length, cells...), absent cells -1."""
    table = torch.where(batch.mask, batch.cells, -1).flatten(1).tolist()
    width = batch.cells.shape[2]
    return [(n, *row[: max(n, 0) * width]) for n, row in zip(batch.lengths.tolist(), table, strict=True)]


def same(seen: np.ndarray, expected: np.ndarray) -> float:
    """p-value of a chi-square test of counts against expected counts, small cells pooled."""
    order = np.argsort(expected)
    group = np.unique(np.cumsum(expected[order]) // 8, return_inverse=True)[1]
    pooled = [np.bincount(group, weights=v[order]) for v in (seen, expected)]
    return float(stats.chisquare(pooled[0], pooled[1] * pooled[0].sum() / pooled[1].sum()).pvalue)


def drawn_against(distribution: object, made: Batch, possible: Batch) -> float:
    """p-value of draws against the probabilities of all records that are possible; amounts outside to the nearest."""
    inside = made.cells.clone()
    if distribution.event is MIXED:
        inside[..., 2] = torch.where(made.mask[..., 2], made.cells[..., 2].clamp(-2, 7), 0)
    place = {key: i for i, key in enumerate(flat(possible))}
    seen = np.zeros(len(place))
    np.add.at(seen, [place[key] for key in flat(replace(made, cells=inside))], 1)
    p = distribution.log_prob(possible).exp().numpy()
    return same(seen, p / p.sum() * seen.sum())


def test_families_that_learn_tables_refuse_sequences_and_the_other_way_round():
    for name, family in TABLE.items():
        given = LETTERS if isinstance(family(), GivenSequences) else None
        said = [refusal(family(), dataclasses.replace(LETTERS, fixed=fixed), given) for fixed in (False, True)]
        assert (None in said) == isinstance(family(), LearnsSequences), name
        if None in said:
            assert re.search("sequences|series|texts", str(refusal(family(), toy_event(), None)))


@ending
def test_law_3_probabilities_of_all_records_sum_to_one(case):
    distribution = fitted(case.id)
    total = chance_of_length(distribution, case.truth.event, 6).sum()
    assert total + chance_of_more(distribution, case.truth.event, 6) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.truth.event is LETTERS and can(c, Lengthens) and not tells_ends(c)],
    ids=lambda c: c.id,
)
def test_law_3_probabilities_sum_to_those_of_lengths(case):
    distribution = fitted(case.id)
    total = [float(distribution.log_prob(every_sequence(case.truth.event, n)).exp().sum()) for n in range(7)]
    lengths = law_of_lengths(distribution).log_prob(torch.arange(2_000)).exp()
    assert torch.allclose(torch.tensor(total), lengths[:7].float(), rtol=1e-6)
    assert float(lengths.sum()) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("case", [c for c in CASES if isinstance(c.family(), ScoresParts)], ids=lambda c: c.id)
def test_law_3_probabilities_given_some_steps_sum_to_one(case):
    """Given the first step: p(up to 3 steps) and p(more), the latter by steps of which the end does not count."""
    total = torch.zeros(3, dtype=torch.float64)
    for length in range(1, 5):
        batch = every_sequence(case.truth.event, length)
        scored = torch.ones(len(batch), length + 1, dtype=torch.bool)
        scored[:, 0], scored[:, -1] = False, length < 4
        p = fitted(case.id).log_prob(replace(batch, scored=scored)).exp()
        total.index_add_(0, batch.cells[:, 0, 0], p)
    assert total.tolist() == pytest.approx([1.0] * 3, abs=1e-5)


@mixed
def test_law_3_probabilities_of_mixed_steps_sum_to_one(case):
    distribution = fitted(case.id)
    total = torch.tensor(
        [
            float(distribution.log_prob(every_sequence(case.truth.event, n, reach)).exp().sum())
            for n, reach in enumerate(REACH)
        ]
    )
    if tells_ends(case):
        more = chance_of_more(distribution, case.truth.event, len(REACH) - 1)
        assert float(total.sum()) + more == pytest.approx(1.0, rel=1e-3)
        return
    expected = distribution.parameters.lengths.log_prob(torch.arange(len(REACH))).exp()
    assert torch.allclose(total, expected.float(), rtol=1e-3)


@bounded
def test_law_3_bounds_of_all_records_sum_to_at_most_one(case):
    distribution = fitted(case.id)
    total = [float(distribution.log_prob(every_sequence(case.truth.event, n)).exp().sum()) for n in range(7)]
    assert 1.0 - 2 * case.close <= sum(total) <= 1.0


@weighed
def test_law_4_samples_follow_the_density(case):
    distribution = fitted(case.id)
    made = distribution.sample(20_000, generator(1))
    short = made.take((made.lengths <= (3 if case.truth.event is LETTERS else 2)).nonzero()[:, 0])
    longest = 3 if case.truth.event is LETTERS else 2
    possible = concatenate([every_sequence(case.truth.event, n, 2) for n in range(longest + 1)])
    assert drawn_against(distribution, short, possible) > FALSE_ALARM
    most = most_steps(distribution, case.truth.event)
    p = chance_of_length(distribution, case.truth.event, most)
    seen = np.bincount(made.lengths.numpy().clip(max=most + 1), minlength=most + 2)
    assert same(seen, np.append(p, 1 - p.sum()) * 20_000) > FALSE_ALARM


@each
def test_law_4_samples_have_values_exactly_where_they_exist(case):
    made = fitted(case.id).sample(300, generator(2))
    there = made.steps()
    assert torch.equal(made.mask[..., 0], there)
    assert not made.cells[~made.mask].any()
    if case.truth.event is MIXED:
        assert torch.equal(made.mask[..., 2], there & (made.cells[..., 1] == 1))


@each
def test_law_5_learns_a_known_chain(case):
    fresh = case.truth.records(4_000, seed=9)
    gap = case.truth.log_prob(fresh) - fitted(case.id).log_prob(fresh.batch()).numpy()
    assert -4 * gap.std() / math.sqrt(4_000) < gap.mean() <= case.close


@summed
def test_law_6_em_never_lowers_the_objective_and_statistics_add(case):
    family, records = case.family(), case.truth.records(400)
    assert isinstance(family, SummaryFamily)
    current, last, batch = family.start(records, 0), -math.inf, records.batch()
    for _ in range(12):
        whole = family.summarize(current, batch)
        halves = [family.summarize(current, batch.take(part)) for part in (slice(0, 150), slice(150, None))]
        for name, value in whole.items():
            assert torch.allclose(value, halves[0][name] + halves[1][name], rtol=1e-8, atol=1e-8), name
        objective = float(whole["log_prob"]) + family.log_prior(current)
        assert objective >= last - 1e-7
        last, current = objective, family.update(current, whole)


@each
def test_law_7_learns_back_what_it_made(case):
    first = fitted(case.id)
    made = first.sample(4_000, generator(3))
    there = made.steps()
    table = torch.where(made.mask, made.cells, ABSENT)[there].numpy()
    second = case.fit(Sequences(case.truth.event, table, lengths=made.lengths.numpy()), seed=1)
    fresh = first.sample(4_000, generator(4))
    gap = first.log_prob(fresh) - second.log_prob(fresh)
    assert float(gap.mean()) <= case.close


@lettered
def test_missing_records_are_learned_and_made(case):
    records = case.truth.records(600)
    lengths = np.where(np.arange(600) < 0, 0, records.lengths)
    gone = np.concatenate([lengths, np.full(200, MISSING_LENGTH)])
    event = dataclasses.replace(LETTERS, missing=True)
    distribution = case.fit(Sequences(event, records.table, lengths=gone))
    empty = torch.zeros(1, 0, 1, dtype=torch.int64)
    score = [
        float(distribution.log_prob(Batch(empty, empty.bool(), lengths=torch.tensor([n]))))
        for n in (MISSING_LENGTH, UNKNOWN_LENGTH)
    ]
    assert score == pytest.approx([math.log(0.25), 0.0])
    made = distribution.sample(4_000, generator(0))
    assert stats.binomtest(int((made.lengths == MISSING_LENGTH).sum()), 4_000, 0.25).pvalue > FALSE_ALARM
    if can(case, Lengthens):
        assert bool((fill(distribution, unknown(500, event), [], generator(1)).lengths >= 0).all())


@each
def test_law_9_every_knob_changes_something(case):
    names = {f.name for f in dataclasses.fields(TABLE[case.name])}
    if issubclass(TABLE[case.name], Training):  # what the engine does with its options: tests/train
        names -= {f.name for f in dataclasses.fields(Training)} - {"batch_size"}
    assert names == {name for other in CASES if other.name == case.name for name in other.knobs}
    records, plain = case.truth.records(100), None
    for name, value in case.knobs.items():
        base = dict(case.knob_options.get(name, {}))
        if base or plain is None:
            before = learned(case.fit(records, budget=case.knob_budget, **base))
            plain = plain if base else before
        else:
            before = plain
        changed = case.fit(records, budget=case.knob_budget, **{**base, name: value})
        assert before != learned(changed), f"{name} changes nothing"


def learned(distribution: object) -> dict:
    return {name: str(tensor.tolist()) for name, tensor in distribution.arrays().items()}


@each
@pytest.mark.parametrize("awkward", ["constant", "one class", "two records", "one step each", "all empty but one"])
def test_law_10_awkward_records_are_learned(case, awkward):
    records = case.truth.records(40)
    table, lengths = records.table.copy(), records.lengths.copy()
    if awkward == "constant":
        table[:] = table[0]
    elif awkward == "one class":
        table[:, 0] = 1
    elif awkward == "two records":
        table, lengths = table[:5], np.array([2, 3])
    elif awkward == "one step each":
        lengths = np.ones(len(table), dtype=np.int64)
    else:
        table, lengths = table[:2], np.array([0, 0, 2, 0])
    distribution = case.fit(Sequences(case.truth.event, table, lengths=lengths))
    score = distribution.log_prob(distribution.sample(20, generator(8)))
    assert len(score) == 20 and not torch.isnan(score).any() and bool((score <= 1e-6).all())


@mixed
def test_law_10_extremes_are_scored_without_nan(case):
    far = every_sequence(MIXED, 1).take(slice(1, 2)).repeat(3)
    far.cells[:, 0, 2] = torch.tensor([10**9, -(10**9), 3])
    score = fitted(case.id).log_prob(far)
    assert not torch.isnan(score).any() and float(score[2]) > -50


@each
def test_law_11_seeds(case):
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    records = case.truth.records(150)
    once, again = case.fit(records, seed=3), case.fit(records, seed=3)
    assert learned(once) == learned(again)
    one, two, three = (flat(once.sample(50, generator(seed))) for seed in (1, 1, 2))
    assert one == two and one != three
    after = torch.random.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    assert torch.equal(before[0], after[0]) and np.array_equal(before[1], after[1])


@each
def test_law_11_batch_size_order_and_padding_do_not_change_log_prob(case):
    distribution, batch = fitted(case.id), case.truth.records(60, seed=8).batch()
    whole = distribution.log_prob(batch)
    single = torch.cat([distribution.log_prob(batch.take(slice(i, i + 1))) for i in range(len(batch))])
    padded = batch.padded(batch.cells.shape[1] + 3)
    padded.cells[:, -3:], padded.mask[:, -3:] = 1, True  # nobody looks behind the end
    turned = distribution.log_prob(batch.take(torch.arange(len(batch)).flip(0))).flip(0)
    for other in (single, distribution.log_prob(padded), turned):
        assert torch.allclose(whole, other, rtol=0, atol=1e-9)


@each
def test_law_12_restored_state_is_the_same_model(case):
    first, batch = fitted(case.id), case.truth.records(50).batch()
    second = case.restored(first)
    assert flat(first.sample(100, generator(9))) == flat(second.sample(100, generator(9)))
    assert torch.equal(first.log_prob(batch), second.log_prob(batch))


@each
def test_step_records_of_the_toys_have_probability_one(case):
    assert np.allclose(case.truth.odds.sum(1), 1.0) and len(case.truth.steps) == len(every_step(case.truth.event, 0))
