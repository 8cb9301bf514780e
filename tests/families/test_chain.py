"""Laws of chains against enumeration: a chain that looks its tables up in a joint must give back that joint."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from tests.laws.cases import generator

from ensample.events import Batch, Continuous, Discrete, Lattice, Limit, Mixed, Span, unknown
from ensample.families.bins import Bins
from ensample.families.chain import Chain, pick

FALSE_ALARM = 1e-4

EVENT = Mixed(
    (
        Span("kind", Discrete(4)),
        Span("amount?", Discrete(3)),
        Span("amount", Continuous(Lattice(0, 9)), (1, (1, 2))),
        Span("flag", Discrete(2)),
    )
)
GIVEN = Mixed((Span("sex", Discrete(2)),))
BINS = (
    Bins(torch.tensor([0, 1]), torch.tensor([0, 3]), 0.0, torch.tensor([1.0, 0.2, 0.5, 0.3], dtype=torch.float64)),
    Bins.fit(Discrete(3), np.array([0, 1, 2])),
    Bins(torch.tensor([0, 2, 7]), torch.tensor([0, 4, 9]), 0.1),
    Bins.fit(Discrete(2), np.array([0, 1])),
)


def outcomes():
    """Every combination of bins that can occur, -1 for no amount: [outcomes, spans]."""
    rows = [
        row for row in itertools.product(range(2), range(3), range(-1, 3), range(2)) if (row[1] == 0) == (row[2] < 0)
    ]
    return torch.tensor(rows)


class Lookup(Chain):
    """Tables by summing a joint over all that is not known."""

    def __init__(self, any_order):
        self.event, self.given, self.bins, self.any_order = EVENT, GIVEN, BINS, any_order
        self.rows = outcomes()
        joint = torch.rand(2, len(self.rows), generator=generator(11), dtype=torch.float64) ** 2 + 0.01
        self.joint = joint / joint.sum(1, keepdim=True)

    def table(self, column, seen):
        index = torch.stack([b.index(seen.cells[:, j]) for j, b in enumerate(self.bins)], 1)
        fits = (index[:, None, :] == self.rows) | ~seen.known[:, None, :]
        weight = fits.all(2) * self.joint[seen.cond.cells[:, 0]]
        out = torch.zeros(len(index), len(self.bins[column]), dtype=torch.float64)
        there = self.rows[:, column] >= 0
        out.index_add_(1, self.rows[there, column], weight[:, there])
        return torch.log(out / out.sum(1, keepdim=True))

    def arrays(self):
        return {"joint": self.joint}


def records(reach=0):
    """Every record, amounts from -reach to 9 + reach: (cells [rows, 4], mask)."""
    rows = []
    for kind, state, flag in itertools.product(range(4), range(3), range(2)):
        amounts = range(-reach, 10 + reach) if state else [0]
        rows += [(kind, state, amount, flag) for amount in amounts]
    cells = torch.tensor(rows)
    mask = torch.ones_like(cells, dtype=torch.bool)
    mask[:, 2] = cells[:, 1] > 0
    return cells, mask


def truth(chain, cells, mask, sex):
    """Probability of records by the joint itself: bins times what is inside them."""
    index = torch.stack([b.index(cells[:, j]) for j, b in enumerate(BINS)], 1)
    index[~mask] = -1
    hit = (index[:, None, :] == chain.rows).all(2).to(torch.float64)
    inside = sum(
        torch.where(mask[:, j], b.log_inside(cells[:, j], index[:, j].clamp(min=0)), 0.0) for j, b in enumerate(BINS)
    )
    return (hit @ chain.joint[sex]) * inside.exp()


def given(rows, sex):
    return Batch(torch.full((rows, 1), sex), torch.ones(rows, 1, dtype=torch.bool))


both = pytest.mark.parametrize("any_order", [False, True])


@both
@pytest.mark.parametrize("sex", [0, 1])
def test_log_prob_is_that_of_the_joint_and_sums_to_one(any_order, sex):
    chain = Lookup(any_order)
    cells, mask = records(reach=2_000)
    score = chain.log_prob(Batch(cells, mask, given(len(cells), sex)))
    expected = truth(chain, cells, mask, sex)
    assert torch.allclose(score.exp(), expected, rtol=1e-9, atol=0)
    assert float(expected.sum()) == pytest.approx(1.0, abs=1e-3 * 0.1)  # 1 / 2000 of the escape lies further off


@both
def test_unset_coordinates_at_the_end_are_summed_out(any_order):
    chain = Lookup(any_order)
    cells, mask = records()
    whole = truth(chain, cells, mask, 0)
    prefix = mask.clone()
    prefix[:, 2:] = False
    score = chain.log_prob(Batch(torch.where(prefix, cells, 0), prefix, given(len(cells), 0))).exp()
    for kind, state in itertools.product(range(4), range(3)):
        rows = (cells[:, 0] == kind) & (cells[:, 1] == state)
        outside = 0.1 * 2 / 3 if state else 0.0  # cells that are not listed here: about the escape
        assert float(score[rows][0]) == pytest.approx(float(whole[rows].sum()), rel=0.15 if outside else 1e-9)


def test_any_subset_of_known_coordinates_is_scored_by_an_any_order_chain():
    chain = Lookup(True)
    cells, mask = records()
    part = mask.clone()
    part[:, 0] = False
    score = chain.log_prob(Batch(torch.where(part, cells, 0), part, given(len(cells), 1))).exp()
    whole = truth(chain, cells, mask, 1)
    for row in (0, 7, 20):
        same = (cells[:, 1:] == cells[row, 1:]).all(1)
        assert float(score[row]) == pytest.approx(float(whole[same].sum()), rel=1e-9)


def test_the_order_of_predictions_does_not_matter_to_a_chain_that_is_consistent():
    chain, cells, mask = Lookup(True), *records()
    straight = chain.log_prob(Batch(cells, mask, given(len(cells), 0)))
    chain.order = (3, 1, 2, 0)
    assert torch.allclose(chain.log_prob(Batch(cells, mask, given(len(cells), 0))), straight, rtol=0, atol=1e-9)


@both
def test_batch_size_does_not_change_log_prob(any_order):
    chain, (cells, mask) = Lookup(any_order), records()
    batch = Batch(cells, mask, given(len(cells), 1))
    single = torch.cat([chain.log_prob(batch.take(slice(i, i + 1))) for i in range(len(batch))])
    assert torch.equal(chain.log_prob(batch), single)


CASES = {
    "nothing known": ({}, ()),
    "first known": ({0: 2}, ()),
    "last known": ({3: 1}, ()),
    "amount known": ({1: 2, 2: 3}, ()),
    "no amount": ({1: 0}, ()),
    "limit on classes inside a bin": ({}, (Limit(0, ((1, 2),)),)),
    "limit on the state": ({}, (Limit(1, ((1, 2),)),)),
    "limit inside a bin of numbers": ({}, (Limit(1, ((1, 2),)), Limit(2, ((3, 8),)))),
    "limit in overlapping pieces": ({}, (Limit(2, ((0, 3), (2, 4), (9, 9))),)),
    "limit and evidence": ({3: 0}, (Limit(0, ((0, 0), (3, 3))), Limit(2, ((0, 7),)))),
    "limit on what is known": ({0: 3}, (Limit(0, ((0, 1),)),)),
}


@both
@pytest.mark.parametrize("case", CASES)
def test_accepted_draws_follow_the_conditional_distribution(any_order, case):
    evidence, limits = CASES[case]
    chain, n, sex = Lookup(any_order), 12_000, 1
    batch = unknown(n, EVENT, given(n, sex))
    for column, cell in evidence.items():
        batch.cells[:, column], batch.mask[:, column] = cell, True
    made, weight = chain.draw(batch, generator(12), limits)
    assert bool((weight <= 0).all())
    if any_order and not limits:
        assert bool((weight == 0).all())
    accepted = torch.rand(n, generator=generator(13), dtype=torch.float64) < weight.exp()
    kept = Batch(made.cells[accepted], made.mask[accepted])
    assert torch.equal(kept.mask[:, 2], kept.cells[:, 1] > 0) and bool(kept.mask[:, [0, 1, 3]].all())

    cells, mask = records()
    p = truth(chain, cells, mask, sex)
    p[mask[:, 2] & ~torch.isin(cells[:, 2], torch.tensor([0, 2, 3, 4, 7, 8, 9]))] = 0.0  # escape is for scoring only
    for column, cell in evidence.items():
        p[~mask[:, column] | (cells[:, column] != cell)] = 0.0
    for limit in limits:
        if limit.column not in evidence:
            p[mask[:, limit.column] & ~limit.contains(cells[:, limit.column])] = 0.0
    place = {tuple(row): i for i, row in enumerate(torch.where(mask, cells, -1).tolist())}
    seen = np.zeros(len(place))
    np.add.at(seen, [place[tuple(row)] for row in torch.where(kept.mask, kept.cells, -1).tolist()], 1)
    expected = (p / p.sum()).numpy() * seen.sum()
    assert seen[expected == 0].sum() == 0
    assert seen.sum() > 300
    assert pooled_test(seen[expected > 0], expected[expected > 0]) > FALSE_ALARM


def pooled_test(seen, expected):
    small = expected < 8
    pooled = [np.r_[v[~small], v[small].sum()] for v in (seen, expected)]
    filled = pooled[1] > 0
    return stats.chisquare(pooled[0][filled], pooled[1][filled]).pvalue if filled.sum() > 1 else 1.0


@both
def test_weights_are_the_probability_of_the_limits(any_order):
    """The mean weight of draws is the probability that a record meets the condition."""
    chain, n = Lookup(any_order), 20_000
    limits = (Limit(1, ((1, 2),)), Limit(2, ((2, 7),)), Limit(3, ((0, 0),)))
    weight = chain.draw(unknown(n, EVENT, given(n, 0)), generator(14), limits)[1].exp()
    free = chain.sample(n, generator(15), given(n, 0))
    met = torch.stack([limit.contains(free.cells[:, limit.column]) for limit in limits]).all(0).to(torch.float64)
    noise = float(torch.sqrt((weight.var() + met.var()) / n))
    assert abs(float(weight.mean() - met.mean())) < 4.5 * noise


@both
def test_impossible_evidence_and_limits_have_no_weight(any_order):
    chain = Lookup(any_order)
    batch = unknown(50, EVENT, given(50, 0))
    assert bool(torch.isinf(chain.draw(batch, generator(16), (Limit(0, ((9, 9),)),))[1]).all())
    batch.cells[:, 2], batch.mask[:, 2] = 3, True
    batch.cells[:, 1], batch.mask[:, 1] = 0, True
    if any_order:
        chain.table = lambda column, seen: torch.zeros(len(seen.cells), len(BINS[column])).log_softmax(1)
    assert bool(torch.isinf(chain.draw(batch, generator(17))[1]).all())


def test_a_known_amount_rules_out_the_states_without_one():
    chain = Lookup(True)
    chain.table = lambda column, seen: torch.zeros(len(seen.cells), len(BINS[column])).log_softmax(1)  # knows nothing
    batch = unknown(500, EVENT, given(500, 0))
    batch.cells[:, 2], batch.mask[:, 2] = 3, True
    made, weight = chain.draw(batch, generator(19))
    without = made.cells[:, 1] == 0
    assert 100 < int(without.sum()) < 250
    assert bool(torch.isinf(weight[without]).all()) and bool((weight[~without] == 0).all())


def test_sampled_records_follow_log_prob():
    chain, n = Lookup(False), 30_000
    made = chain.sample(n, generator(18), given(n, 0))
    cells, mask = records()
    p = truth(chain, cells, mask, 0)
    p[mask[:, 2] & ~torch.isin(cells[:, 2], torch.tensor([0, 2, 3, 4, 7, 8, 9]))] = 0.0
    place = {tuple(row): i for i, row in enumerate(torch.where(mask, cells, -1).tolist())}
    seen = np.zeros(len(place))
    np.add.at(seen, [place[tuple(row)] for row in torch.where(made.mask, made.cells, -1).tolist()], 1)
    expected = (p / p.sum()).numpy() * n
    assert pooled_test(seen[expected > 0], expected[expected > 0]) > FALSE_ALARM and seen[expected == 0].sum() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pick_follows_the_logits(dtype):
    logits = torch.log(torch.tensor([[0.5, 0.0, 0.3, 0.2], [0.0, 0.0, 0.0, 1.0]], dtype=dtype)) + 30.0
    rows = torch.arange(2).repeat_interleave(20_000)
    chosen = pick(logits[rows], generator(19))
    seen = torch.bincount(chosen[:20_000], minlength=4).numpy()
    assert seen[1] == 0 and stats.chisquare(seen[[0, 2, 3]], [10_000, 6_000, 4_000]).pvalue > FALSE_ALARM
    assert bool((chosen[20_000:] == 3).all())
