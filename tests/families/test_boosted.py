"""Boosted digits: one distribution whatever the door, exact resume, honest under a short budget, awkward tables."""

import numpy as np
import pytest
import torch
from scipy import stats
from tests.laws.cases import generator

from ensample.budget import Budget, Clock
from ensample.events import Batch, Continuous, Discrete, Lattice, Limit, Mixed, Span, unknown
from ensample.families.boosted.digits import Digits
from ensample.families.boosted.family import Boosted
from ensample.families.chain import Seen
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run

FAST = Boosted(rounds=15, leaves=7)
EVENT = Mixed(
    (
        Span("a", Continuous(Lattice(0, 60))),
        Span("kind", Discrete(4)),
        Span("b?", Discrete(2)),
        Span("b", Continuous(Lattice(0, 200)), (2, (0,))),
    )
)


def records(rows=1500, seed=5):
    """`b` is three times `a` up to a little noise, and absent in some rows, more of them where `kind` is 3."""
    rng = np.random.default_rng(seed)
    a, kind = rng.binomial(60, 0.4, rows), rng.choice(4, rows, p=[0.5, 0.3, 0.15, 0.05])
    absent = rng.random(rows) < np.where(kind == 3, 0.7, 0.1)
    b = np.where(absent, ABSENT, 3 * a + rng.integers(-1, 2, rows) + 5 * kind)
    return Records(EVENT, np.stack([a, kind, absent.astype(np.int64), b], 1))


@pytest.fixture(scope="module")
def model():
    return FAST.fit(records(), 0, Run())


def same(a, b):
    """Equal to the bit; an undefined number equals another."""
    left, right = a.arrays(), b.arrays()
    return left.keys() == right.keys() and all(
        np.array_equal(left[name].numpy(), right[name].numpy(), equal_nan=left[name].is_floating_point())
        for name in left
    )


def seen(batch):
    return Seen(batch.cells, batch.mask, None)


@pytest.mark.parametrize("bins", [1, 2, 3, 5, 64, 100, 257])
def test_every_bin_has_one_code_and_all_codes_are_bins(bins):
    code, index = Digits(bins), np.arange(bins)
    prefix = np.zeros(bins, dtype=np.int64)
    mass = np.ones(bins)
    for level in code.path(index):
        assert ((level.low <= index) & (index < level.high)).all()
        mass *= np.where(level.open, np.where(level.digit(index), 0.25, 0.75), 1.0)
        prefix = level.follow(level.digit(index))
    np.testing.assert_array_equal(code.index(prefix), index)
    assert mass.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("column", range(4))
def test_table_score_and_draws_are_one_distribution(model, column):
    view = seen(records(40, seed=9).batch(slice(0, 3)))
    table = model.table(column, view)
    assert torch.allclose(table.exp().sum(1), torch.ones(3, dtype=torch.float64))
    index = torch.tensor([0, len(model.bins[column]) - 1, len(model.bins[column]) // 2])
    assert torch.allclose(model.score(column, index, view), table[range(3), index])
    one = seen(records(40, seed=9).batch(slice(0, 1)))
    many = Seen(one.cells.repeat(20_000, 1), one.known.repeat(20_000, 1), None)
    counts = torch.bincount(model.choose(column, many, generator(3)), minlength=table.shape[1]).double()
    assert _fits(counts, table[0].exp())


def test_draws_within_limits_follow_the_table_and_know_their_mass(model):
    one = seen(records(40, seed=9).batch(slice(0, 1)))
    many = Seen(one.cells.repeat(20_000, 1), one.known.repeat(20_000, 1), None)
    low, high = 3 * int(one.cells[0, 0]) - 3, 3 * int(one.cells[0, 0]) + 12
    share = model.bins[3].share(((low, high), (190, 200)))
    index, weight = model.choose_within(3, share, many, generator(4))
    weighted = model.table(3, one)[0].exp() * share
    assert torch.allclose(weight.exp(), weighted.sum())
    assert _fits(torch.bincount(index, minlength=len(share)).double(), weighted / weighted.sum())


def _fits(counts, p):
    common = p * counts.sum() > 5
    rest = torch.cat([counts[common], counts[~common].sum()[None]]), torch.cat([p[common], p[~common].sum()[None]])
    observed, expected = rest[0].numpy(), (rest[1] * counts.sum()).numpy() + 1e-9
    return stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-4


def test_a_limit_holds_in_every_row(model):
    made, weight = model.draw(unknown(500, EVENT), generator(1), [Limit(2, ((0, 0),)), Limit(3, ((50, 80),))])
    assert ((made.cells[:, 3] >= 50) & (made.cells[:, 3] <= 80)).all()
    assert (weight <= 0).all()


def test_the_relation_is_learned_and_kept_in_samples(model):
    made = model.sample(2000, generator(0))
    there = made.mask[:, 3]
    off = made.cells[there, 3] - 3 * made.cells[there, 0] - 5 * made.cells[there, 1]
    assert (off.abs() <= 2).double().mean() > 0.8
    assert abs(float(there.double().mean()) - float((records().table[:, 2] == 0).mean())) < 0.04


def test_a_killed_run_goes_on_to_the_same_model(tmp_path, model):
    class Stop(Exception):
        pass

    def stop(progress):
        if progress.done > 0:
            raise Stop

    with pytest.raises(Stop):
        FAST.fit(records(), 0, Run(folder=tmp_path, report=stop))
    again = FAST.fit(records(), 0, Run(folder=tmp_path))
    third = FAST.fit(records(), 0, Run(folder=tmp_path))  # from kept columns alone
    for other in (again, third):
        assert same(other, model)


def test_the_number_of_threads_does_not_matter(model):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2 if before == 1 else 1)
        other = FAST.fit(records(), 0, Run())
    finally:
        torch.set_num_threads(before)
    assert same(other, model)


def test_without_time_it_is_still_whole_and_knows_each_column():
    table = records()
    spent = Boosted().fit(table, 0, Run(Clock(Budget(seconds=1e-3))))
    score = spent.log_prob(table.batch())
    assert torch.isfinite(score).all()
    assert score.mean() < FAST.fit(table, 0, Run()).log_prob(table.batch()).mean()
    assert len(spent.sample(100, generator(0))) == 100


def test_rounds_end_with_the_budget_of_steps():
    trees = Boosted().fit(records(), 0, Run(Clock(Budget(steps=2))))
    assert max(c.booster.num_trees() for column in trees.columns for c in column.classifiers if c.booster) <= 2


def test_state_restores_to_the_same_samples(model):
    other = FAST.restore(EVENT, None, model.arrays(), model.facts())
    assert torch.equal(other.sample(50, generator(2)).cells, model.sample(50, generator(2)).cells)
    batch = records(60, seed=2).batch()
    assert torch.equal(other.log_prob(batch), model.log_prob(batch))


def test_given_fields_are_looked_at():
    rng = np.random.default_rng(1)
    given, noise = rng.integers(0, 2, 1000), rng.integers(0, 20, 1000)
    table = np.stack([np.clip(noise + 30 * given, 0, 60), rng.integers(0, 3, 1000)], 1)
    event = Mixed((Span("x", Continuous(Lattice(0, 60))), Span("y", Discrete(3))))
    source = Records(event, table, Mixed((Span("g", Discrete(2)),)), given[:, None])
    model = Boosted(rounds=60, leaves=7).fit(source, 0, Run())
    cond = Batch(torch.tensor([[0], [1]] * 100), torch.ones(200, 1, dtype=torch.bool))
    made = model.sample(200, generator(0), cond).cells[:, 0]
    assert ((made >= 30) == (cond.cells[:, 0] == 1)).double().mean() > 0.97


def test_absent_inputs_are_told_from_zero(model):
    kinds = records(3000, seed=8)
    absent = kinds.table[:, 3] == ABSENT
    score = model.log_prob(kinds.batch())
    assert torch.isfinite(score).all() and absent.any()


@pytest.mark.parametrize("rows", [1, 2, 3, 20, 100])
def test_small_tables(rows):
    model = FAST.fit(records(rows), 0, Run())
    assert torch.isfinite(model.log_prob(records(200, seed=3).batch())).all()
    assert len(model.sample(10, generator(0))) == 10


@pytest.mark.parametrize("case", ["constant", "one class", "absent", "one column", "many classes", "huge cells"])
def test_awkward_columns(case):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 50, 400), rng.integers(0, 3, 400)
    number: Continuous | Discrete = Continuous(Lattice(0, 60))
    if case == "constant":
        x[:] = 7
    elif case == "one class":
        y[:] = 1
    elif case == "absent":
        x[:] = ABSENT
    elif case == "many classes":
        x, number = rng.integers(0, 100_000, 400), Discrete(100_000)
    elif case == "huge cells":
        x, number = x * 2**50, Continuous(Lattice(0, 50 * 2**50))
    event = Mixed((Span("x", number), Span("y", Discrete(3))))
    table = np.stack([x, y], 1)
    if case == "one column":
        event, table = Mixed(event.spans[:1]), table[:, :1]
    source = Records(event, table)
    model = FAST.fit(source, 0, Run())
    assert torch.isfinite(model.log_prob(source.batch())).all()
    assert len(model.sample(20, generator(0))) == 20


def test_a_wide_table_looks_at_the_columns_that_matter():
    rng = np.random.default_rng(0)
    table = rng.integers(0, 30, (1200, 12))
    table[:, 11] = table[:, 2] + table[:, 7]
    event = Mixed(tuple(Span(f"x{j}", Continuous(Lattice(0, 60))) for j in range(12)))
    model = Boosted(rounds=15, inputs=3).fit(Records(event, table), 0, Run())
    assert {2, 7} <= set(model.columns[11].inputs.tolist())
    assert max(len(column.inputs) for column in model.columns) == 3


def test_of_many_rows_a_sample_is_taken():
    source = records(3000)
    few = Boosted(rounds=5, rows=300).fit(source, 0, Run())
    assert not torch.equal(few.arrays()["3.trees"], Boosted(rounds=5).fit(source, 0, Run()).arrays()["3.trees"])
