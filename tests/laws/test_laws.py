"""The laws of DESIGN section 6, each over the whole table."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import stats

from ensample.events import Batch, Limit, unknown
from ensample.families import TABLE
from ensample.families.abilities import Draws, Scores
from ensample.families.base import GradientFamily, SummaryFamily
from ensample.families.chain import Chain
from ensample.families.training import Training
from ensample.infer.condition import draw_where
from ensample.infer.impute import fill
from ensample.infer.likelihood import cell_log_prob
from ensample.kinds.records import ABSENT, Records
from ensample.train.summaries import Penalised
from tests.laws.cases import everything, fitted, gather, generator, given_records, toy_joint, toy_records

CASES = gather()

FALSE_ALARM = 1e-4
"""Probability that a correct family fails a statistical law; seeds are fixed, so it fails always or never."""

each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
scored = pytest.mark.parametrize(
    "case", [c for c in CASES if issubclass(TABLE[c.name].distribution, Scores)], ids=lambda c: c.id
)
drawing = pytest.mark.parametrize(
    "case", [c for c in CASES if issubclass(TABLE[c.name].distribution, Draws)], ids=lambda c: c.id
)


def truth() -> torch.Tensor:
    return torch.tensor(list(toy_joint().values()), dtype=torch.float64)


def records_of_truth() -> Batch:
    table = np.array(list(toy_joint()), dtype=np.int64)
    table[table == -1] = ABSENT
    return Records(toy_records(2).event, table).batch()


def counts(batch: Batch) -> np.ndarray:
    """How often each record of the toy joint occurs; amounts outside go to the nearest."""
    place = {key: i for i, key in enumerate(toy_joint())}
    cells = torch.where(batch.mask, batch.cells, -1)
    cells[:, 2] = torch.where(batch.mask[:, 2], cells[:, 2].clamp(0, 5), -1)
    out = np.zeros(len(place))
    np.add.at(out, [place[tuple(row)] for row in cells.tolist()], 1)
    return out


def same(a: np.ndarray, expected: np.ndarray) -> float:
    """p-value of a chi-square test of counts against expected counts, small cells pooled."""
    if a[expected == 0].any():
        return 0.0
    a, expected = a[expected > 0], expected[expected > 0]
    order = np.argsort(expected)
    group = np.cumsum(expected[order]) // 8
    pooled = [np.bincount(np.unique(group, return_inverse=True)[1], weights=v[order]) for v in (a, expected)]
    return float(stats.chisquare(pooled[0], pooled[1] * pooled[0].sum() / pooled[1].sum()).pvalue)


def cell_probabilities(distribution: object) -> np.ndarray:
    """p of each record of the toy joint under the model, amounts outside folded into the nearest one inside."""
    batch = everything(reach=40)
    out = np.zeros(len(toy_joint()))
    place = {key: i for i, key in enumerate(toy_joint())}
    probabilities = cell_log_prob(distribution, batch).exp().tolist()
    for row, known, p in zip(batch.cells.tolist(), batch.mask.tolist(), probabilities, strict=True):
        amount = min(max(row[2], 0), 5) if known[2] else -1
        out[place[row[0], row[1], amount, row[3]]] += p
    return out


@scored
def test_law_3_probabilities_sum_to_one(case):
    total = float(cell_log_prob(fitted(case.id), everything(case.reach)).exp().sum())
    assert total == pytest.approx(1.0, abs=case.total)


@scored
def test_law_4_samples_follow_the_density(case):
    distribution = fitted(case.id)
    made = distribution.sample(20_000, generator(1))
    assert same(counts(made), cell_probabilities(distribution) * 20_000) > FALSE_ALARM


@each
def test_law_4_samples_have_values_exactly_where_they_exist(case):
    made = fitted(case.id).sample(500, generator(2))
    assert torch.equal(made.mask[:, 2], made.cells[:, 1] == 1)
    assert made.mask[:, [0, 1, 3]].all()


@scored
def test_law_5_learns_a_known_joint(case):
    p = truth()
    divergence = float((p * (p.log() - cell_log_prob(fitted(case.id), records_of_truth()))).sum())
    assert -1e-9 <= divergence <= case.close


@scored
def test_law_7_learns_back_what_it_made(case):
    first = fitted(case.id)
    made = first.sample(8_000, generator(3))
    table = torch.where(made.mask, made.cells, ABSENT).numpy()
    second = case.fit(Records(toy_records(2).event, table), seed=1)
    p = torch.tensor(cell_probabilities(first))
    q = torch.tensor(cell_probabilities(second))
    assert float((p * (p.log() - q.log())).sum()) <= max(0.02, case.close)


@drawing
def test_law_8_filled_rows_keep_what_is_known(case):
    batch = toy_records(200, seed=5).batch()
    holes = torch.rand(batch.mask.shape, generator=generator(4)) < 0.4
    holes[:, 2] |= holes[:, 1]
    broken = Batch(torch.where(holes, 0, batch.cells), batch.mask & ~holes)
    filled = fill(fitted(case.id), broken, [], generator(5))
    assert torch.equal(filled.cells[broken.mask], broken.cells[broken.mask])
    assert bool((filled.mask | ~broken.mask).all())
    assert torch.equal(filled.mask[:, 2], filled.cells[:, 1] == 1)


@drawing
@pytest.mark.parametrize("known", [{0: 2}, {3: 1}, {1: 1, 2: 4}])
def test_law_8_conditionals_are_those_of_the_joint(case, known):
    distribution = fitted(case.id)
    n = 4_000
    row = unknown(n, distribution.event)
    for column, cell in known.items():
        row.cells[:, column], row.mask[:, column] = cell, True
    made = counts(fill(distribution, row, [], generator(6)))
    keys = np.array(list(toy_joint()))
    fits = np.all([keys[:, c] == v for c, v in known.items()], axis=0)
    assert made[~fits].sum() == 0
    expected = counts_expected(distribution, fits, n)
    if case.consistent:
        assert 0.5 * np.abs(made[fits] - expected).sum() / n < case.consistent
    else:
        assert same(made[fits], expected) > FALSE_ALARM


def counts_expected(distribution: object, fits: np.ndarray, n: int) -> np.ndarray:
    if isinstance(distribution, Scores):
        p = cell_probabilities(distribution)[fits]
    elif isinstance(distribution, Draws):  # the training rows themselves
        p = counts(toy_records().batch())[fits]
    else:  # it only samples: conditions are met by rejection
        p = counts(distribution.sample(100_000, generator(10)))[fits]
    return p / p.sum() * n


@each
def test_law_8_conditions_are_met_exactly_and_in_proportion(case):
    distribution = fitted(case.id)
    limits = [Limit(0, ((0, 1),)), Limit(1, ((1, 1),)), Limit(2, ((1, 2), (4, 4)))]
    made = draw_where(distribution, 3_000, limits, generator(7), None)
    assert len(made) == 3_000
    assert all(bool(limit.contains(made.cells[:, limit.column]).all()) for limit in limits)
    keys = np.array(list(toy_joint()))
    fits = (keys[:, 0] <= 1) & np.isin(keys[:, 2], [1, 2, 4])
    expected = counts_expected(distribution, fits, 3_000)
    if case.consistent:
        assert 0.5 * np.abs(counts(made)[fits] - expected).sum() / 3_000 < case.consistent
    else:
        assert same(counts(made)[fits], expected) > FALSE_ALARM


@each
def test_law_9_every_knob_changes_something(case):
    names = {f.name for f in dataclasses.fields(TABLE[case.name])}
    assert set(case.knobs) <= names
    listed = {name for other in CASES if other.name == case.name for name in other.knobs}
    if issubclass(TABLE[case.name], Training):  # what the engine does with its options: tests/train
        names -= {f.name for f in dataclasses.fields(Training)}
    assert names <= listed, f"knobs without a law: {names - listed}"
    for name, value in case.knobs.items():
        records = given_records(600) if name in case.knobs_of_given else toy_records(600)
        base = dict(case.knob_options.get(name, {}))
        before = behaviour(case.fit(records, budget=case.knob_budget, **base), records)
        after = behaviour(case.fit(records, budget=case.knob_budget, **{**base, name: value}), records)
        assert before != after, f"{name} changes nothing"


def behaviour(distribution: object, records: Records) -> dict:
    """What was learned and, where an option changes only how that is used, what is drawn and scored."""
    some = records.select(slice(0, 50)).batch()
    state = learned_state(distribution)
    state["drawn"] = distribution.sample(50, generator(0), some.cond).cells.tolist()
    if isinstance(distribution, Scores):
        state["scored"] = str(distribution.log_prob(some).tolist())
    return state


def learned_state(distribution: object) -> dict:
    if not distribution.storable:
        return {"sample": distribution.sample(50, generator(0)).cells.tolist()}
    return {name: str(tensor.tolist()) for name, tensor in distribution.arrays().items()}  # text: NaN equals NaN


@scored
def test_law_10_extremes_are_scored_without_nan(case):
    far = torch.tensor([[0, 1, 10**9, 0], [2, 1, -(10**9), 1], [0, 1, 3, 0]])
    score = cell_log_prob(fitted(case.id), Batch(far, torch.ones_like(far, dtype=torch.bool)))
    assert not torch.isnan(score).any() and float(score[2]) > -50
    assert not torch.isnan(cell_log_prob(fitted(case.id), everything().take(slice(0, 1)))).any()


@each
@pytest.mark.parametrize("awkward", ["constant", "one class", "all absent", "two rows"])
def test_law_10_awkward_columns_are_learned(case, awkward):
    records = toy_records(60)
    table = records.table.copy()
    if awkward == "constant":
        table[:, 2] = np.where(table[:, 1] == 1, 3, ABSENT)
    elif awkward == "one class":
        table[:, 0] = 1
    elif awkward == "all absent":
        table[:, 1], table[:, 2] = 0, ABSENT
    else:
        table = table[:2]
    distribution = case.fit(Records(records.event, table), budget=case.knob_budget)
    made = distribution.sample(20, generator(8))
    assert len(made) == 20
    if isinstance(distribution, Scores):
        score = cell_log_prob(distribution, made)
        assert not torch.isnan(score).any() and bool((score <= 1e-6).all())


@pytest.mark.parametrize("case", [c for c in CASES if isinstance(TABLE[c.name](), GradientFamily)], ids=lambda c: c.id)
def test_law_10_gradients_reach_every_parameter(case):
    family, records = case.family(), toy_records(400)
    module = family.build(records, 0)
    for player in family.players(module):
        loss = player.loss(records.batch(), generator(0)).mean()
        loss.backward()
        idle = [i for i, p in enumerate(player.parameters) if p.grad is None or not bool((p.grad != 0).any())]
        assert not idle, f"{player.name}: parameters {idle} get no gradient"


@each
def test_law_11_seeds(case):
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    records = toy_records(400)
    once, again = (case.fit(records, seed=3, budget=case.knob_budget) for _ in range(2))
    assert learned_state(once) == learned_state(again)
    one, two, three = (once.sample(50, generator(seed)).cells for seed in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, three)
    after = torch.random.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    assert torch.equal(before[0], after[0]) and np.array_equal(before[1], after[1])


@scored
def test_law_11_batch_size_does_not_change_log_prob(case):
    distribution, batch = fitted(case.id), everything()
    whole = cell_log_prob(distribution, batch)
    single = torch.cat([cell_log_prob(distribution, batch.take(slice(i, i + 1))) for i in range(len(batch))])
    assert torch.allclose(whole, single, rtol=0, atol=1e-5)


@each
def test_law_12_restored_state_is_the_same_model(case):
    first = fitted(case.id)
    if not first.storable:
        pytest.skip("holds training rows: never stored")
    second = case.family().restore(first.event, first.given, first.arrays(), first.facts())
    assert torch.equal(first.sample(100, generator(9)).cells, second.sample(100, generator(9)).cells)
    if isinstance(first, Scores):
        assert torch.equal(first.log_prob(everything()), second.log_prob(everything()))


@pytest.mark.parametrize(
    "case", [c for c in CASES if issubclass(TABLE[c.name].distribution, Chain)], ids=lambda c: c.id
)
def test_law_15_nothing_later_is_looked_at(case):
    """A term of the product rule may not change when a later coordinate does: prefixes decide it, to the bit."""
    distribution, batch = fitted(case.id), everything()
    for length in range(1, len(distribution.event)):
        mask = batch.mask.clone()
        mask[:, length:] = False
        changed = batch.cells.clone()
        changed[:, length:] = 0
        assert torch.equal(distribution.log_prob(Batch(changed, mask)), distribution.log_prob(Batch(batch.cells, mask)))
    parts = torch.stack([prefix_score(distribution, batch, length) for length in range(1, 5)])
    moved = batch.cells.clone()
    moved[:, 3] = 1 - moved[:, 3]
    other = torch.stack([prefix_score(distribution, Batch(moved, batch.mask), length) for length in range(1, 5)])
    assert torch.equal(parts[:3], other[:3]) and math.isfinite(float(parts.sum()))


def prefix_score(distribution: object, batch: Batch, length: int) -> torch.Tensor:
    mask = batch.mask.clone()
    mask[:, length:] = False
    return distribution.log_prob(Batch(batch.cells, mask))


@pytest.mark.parametrize("case", [c for c in CASES if isinstance(TABLE[c.name](), SummaryFamily)], ids=lambda c: c.id)
def test_law_6_em_never_lowers_the_likelihood_and_statistics_add(case):
    family, records = case.family(), toy_records(1_000)
    current, last = family.start(records, 0), -math.inf
    batch = records.batch()
    for _ in range(12):
        whole = family.summarize(current, batch)
        halves = (
            family.summarize(current, batch.take(slice(0, 400))),
            family.summarize(current, batch.take(slice(400, None))),
        )
        for name, value in whole.items():
            assert torch.allclose(value, halves[0][name] + halves[1][name], rtol=1e-6, atol=1e-6), name
        prior = family.log_prior(current) if isinstance(family, Penalised) else 0.0
        mean = (float(whole["log_prob"]) + prior) / float(whole["rows"])
        assert mean >= last - 1e-9
        last, current = mean, family.update(current, whole)
