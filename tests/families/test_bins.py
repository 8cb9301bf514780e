"""Laws of bins: cells sum to one, the inside is drawn as it is scored, limits agree with both."""

import numpy as np
import pytest
import torch
from scipy import stats
from tests.laws.cases import generator, toy_event, toy_records

from ensample.events import Continuous, Discrete, Lattice
from ensample.families.bins import Bins, fit_all
from ensample.kinds.records import ABSENT

FALSE_ALARM = 1e-4


def number(low=-50, high=500):
    return Continuous(Lattice(low, high))


def columns():
    """Training cells of numbers: dense, with gaps, one value, two far apart, skewed with a spike."""
    rng = np.random.default_rng(5)
    skewed = np.r_[np.zeros(500), np.exp(rng.normal(4, 1.5, 2_000))].astype(np.int64)
    return {
        "dense": rng.integers(-20, 30, 400),
        "gaps": np.repeat([3, 4, 8, 11, 30, 31, 60], [5, 1, 9, 1, 30, 2, 1]),
        "one": np.full(40, 7),
        "two": np.array([-1_000, 1_000]),
        "skewed": skewed,
    }


def fitted_bins():
    for name, cells in columns().items():
        for most in (2, 5, 256):
            yield pytest.param(Bins.fit(number(), cells, most), cells, id=f"{name}-{most}")


each = pytest.mark.parametrize(("bins", "cells"), list(fitted_bins()))


def cell_log_prob(bins, cells, log_shares):
    index = bins.index(cells)
    return log_shares[index] + bins.log_inside(cells, index)


@each
def test_cells_from_far_below_to_far_above_sum_to_one(bins, cells):
    shares = torch.rand(len(bins), generator=generator(0), dtype=torch.float64) + 0.1
    shares /= shares.sum()
    reach = 3_000
    line = torch.arange(int(cells.min()) - reach, int(cells.max()) + reach + 1)
    total = float(cell_log_prob(bins, line, shares.log()).exp().sum())
    index = torch.tensor([0, len(bins) - 1])
    sides = torch.tensor([1 + (b != 0) for b in sides_with_room(bins)], dtype=torch.float64)
    beyond = float((shares[index] * bins.escape / sides).sum()) / (reach + 1)  # the tail of sum 1 / (t (t + 1))
    assert total + beyond == pytest.approx(1.0, abs=1e-9)


def sides_with_room(bins):
    """Whether the first bin has a gap above it, and the last one below."""
    if len(bins) == 1:
        return 1, 1
    gap = bins.first[1:] - bins.last[:-1] - 1
    return int(gap[0] - gap[0] // 2), int(gap[-1] // 2)


@each
def test_training_cells_lie_in_their_bins_and_others_in_the_nearest(bins, cells):
    line = torch.arange(int(cells.min()) - 30, int(cells.max()) + 31)
    distance = torch.maximum(bins.first - line[:, None], line[:, None] - bins.last).clamp(min=0)
    index = bins.index(line)
    assert torch.equal(distance.gather(1, index[:, None])[:, 0], distance.amin(1))
    known = torch.from_numpy(cells)
    assert bool(((known >= bins.first[bins.index(known)]) & (known <= bins.last[bins.index(known)])).all())
    assert bool((bins.first[1:] > bins.last[:-1]).all()) and bool((bins.first <= bins.last).all())


def test_frequent_values_are_alone_and_their_number_is_bounded():
    cells = columns()["skewed"]
    bins = Bins.fit(number(), cells, 64)
    zero = int(bins.index(torch.tensor([0])))
    assert int(bins.first[zero]) == int(bins.last[zero]) == 0
    assert len(bins) <= 64


@each
def test_cells_are_drawn_as_they_are_scored(bins, cells):
    index = torch.randint(len(bins), (20_000,), generator=generator(1))
    drawn = bins.draw_inside(index, generator(2))
    assert torch.equal(bins.index(drawn), index)
    widest = int((bins.last - bins.first).argmax())
    line = torch.arange(int(bins.first[widest]), int(bins.last[widest]) + 1)
    if 2 <= len(line) <= 100:
        seen = torch.bincount(drawn[index == widest] - line[0], minlength=len(line))
        inside = bins.log_inside(line, torch.full_like(line, widest)).exp().numpy()
        assert 1 - bins.escape - 1e-9 <= inside.sum() <= 1 + 1e-9
        assert stats.chisquare(seen.numpy(), inside / inside.sum() * int(seen.sum())).pvalue > FALSE_ALARM


RANGES = [((-5, 12),), ((3, 3), (8, 40)), ((8, 40), (3, 3), (10, 12), (9, 9)), ((-10_000, 10_000),), ((9, 9), (10, 10))]


@each
@pytest.mark.parametrize("ranges", RANGES)
def test_limits_share_what_the_cells_inside_have(bins, cells, ranges):
    allowed = np.unique(np.concatenate([np.arange(low, high + 1) for low, high in ranges]))
    expected = []
    for b, (low, high) in enumerate(zip(bins.first.tolist(), bins.last.tolist(), strict=True)):
        line = torch.arange(low, high + 1)
        inside = bins.log_inside(line, torch.full_like(line, b)).exp()
        expected.append(float(inside[torch.from_numpy(np.isin(line.numpy(), allowed))].sum() / inside.sum()))
    assert torch.allclose(bins.share(ranges), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)
    possible = torch.tensor(expected).nonzero()[:, 0]
    if len(possible):
        index = possible[torch.randint(len(possible), (5_000,), generator=generator(3))]
        drawn = bins.draw_inside(index, generator(4), ranges)
        assert torch.equal(bins.index(drawn), index) and np.isin(drawn.numpy(), allowed).all()


def test_limited_draws_are_uniform_over_what_is_left():
    bins = Bins(torch.tensor([0, 20]), torch.tensor([9, 29]), 0.0)
    ranges = ((4, 5), (8, 22), (25, 25), (25, 26))
    left = [4, 5, 8, 9]
    drawn = bins.draw_inside(torch.zeros(8_000, dtype=torch.int64), generator(5), ranges)
    assert stats.chisquare([int((drawn == cell).sum()) for cell in left]).pvalue > FALSE_ALARM
    assert np.isin(drawn.numpy(), left).all()
    assert bins.share(ranges).tolist() == pytest.approx([0.4, 0.5])


def test_cells_met_more_than_once_keep_their_mass_and_others_are_not_stored():
    """Every tenth cell is met often, the others once: held-out rows are scored far better than by even bins."""
    rng = np.random.default_rng(8)
    cells = np.r_[rng.integers(0, 400, 6_000) * 10, rng.choice(4_000, 1_500, replace=False)]
    bins = Bins.fit(number(0, 4_000), cells, 16)
    values, counts = np.unique(cells, return_counts=True)
    stored = set(bins.favourites.tolist()) | set(bins.first.tolist()) | set(bins.last.tolist())
    assert set(bins.favourites.tolist()) <= set(values[counts > 1].tolist())
    assert len(stored & set(values[counts == 1].tolist())) <= 2 * len(bins)
    held = torch.from_numpy(rng.integers(0, 400, 2_000) * 10)
    even = Bins(bins.first, bins.last, bins.escape)
    gain = bins.log_inside(held, bins.index(held)) - even.log_inside(held, even.index(held))
    assert float(gain.mean()) == pytest.approx(np.log(8.0), abs=0.1)  # an eighth of the mass is beside the tens
    index = bins.index(torch.from_numpy(cells))
    drawn = bins.draw_inside(index, generator(9), ((0, 1_204), (1_500, 4_000)))
    tens = float((drawn % 10 == 0).to(torch.float64).mean())
    assert tens == pytest.approx(0.8 + 0.2 * 0.1 - 0.05, abs=0.05)
    assert not bool(((drawn > 1_204) & (drawn < 1_500)).any())


@pytest.mark.parametrize("classes", [1, 2, 300, 5_000])
def test_classes_sum_to_one_and_are_drawn_by_frequency(classes):
    cells = (np.random.default_rng(6).zipf(1.5, 4_000) - 1) % classes
    bins = Bins.fit(Discrete(classes), cells, 32)
    every = torch.arange(classes)
    index = bins.index(every)
    total = torch.zeros(len(bins), dtype=torch.float64).index_add_(0, index, bins.log_inside(every, index).exp())
    assert torch.allclose(total, torch.ones_like(total), rtol=0, atol=1e-12)
    assert len(bins) <= max(32, min(classes, 32))
    counts = torch.bincount(index[torch.from_numpy(cells)], minlength=len(bins))
    fullest = int(counts.argmax()) if classes <= 2 else int((bins.last - bins.first).argmax())
    members = every[index == fullest]
    drawn = bins.draw_inside(torch.full((30_000,), fullest), generator(7))
    assert torch.equal(bins.index(drawn), torch.full((30_000,), fullest))
    expected = bins.log_inside(members, torch.full_like(members, fullest)).exp().numpy() * 30_000
    seen = torch.bincount(drawn - members[0], minlength=len(members)).numpy()
    often = expected >= 8
    pooled = [np.r_[v[often], v[~often].sum()] for v in (seen, expected)]
    pooled = [v[pooled[1] > 0] for v in pooled]
    if len(pooled[0]) > 1:
        assert stats.chisquare(pooled[0], pooled[1]).pvalue > FALSE_ALARM
    assert seen.sum() == 30_000


def test_limits_on_joined_classes():
    cells = np.repeat(np.arange(40), np.arange(40) + 1)
    bins = Bins.fit(Discrete(40), cells, 4)
    ranges = ((3, 5), (5, 11), (38, 38))
    allowed = np.r_[3:12, 38]
    weights = torch.zeros(40, dtype=torch.float64)
    weights[allowed] = bins.weights[allowed]
    index = bins.index(torch.arange(40))
    expected = torch.zeros(len(bins), dtype=torch.float64).index_add_(0, index, weights)
    assert torch.allclose(bins.share(ranges), expected, rtol=0, atol=1e-12)
    first = int(index[5])
    drawn = bins.draw_inside(torch.full((20_000,), first), generator(8), ranges)
    inside = [c for c in allowed.tolist() if int(index[c]) == first]
    p = bins.weights[inside].numpy()
    assert stats.chisquare([int((drawn == c).sum()) for c in inside], p / p.sum() * 20_000).pvalue > FALSE_ALARM


def test_restored_bins_are_the_same():
    for bins in (Bins.fit(number(), columns()["gaps"]), Bins.fit(Discrete(4), np.array([0, 2, 2]))):
        again = Bins.restore(bins.arrays())
        assert torch.equal(bins.first, again.first) and torch.equal(bins.last, again.last)
        assert bins.escape == again.escape and (bins.weights is None) == (again.weights is None)


def test_spans_without_a_value_get_bins_of_their_lattice():
    records = toy_records(30)
    table = records.table.copy()
    table[:, 2] = ABSENT
    bins = fit_all(toy_event(), table, ABSENT)
    assert [len(b) for b in bins] == [3, 2, 1, 2]
    assert 0 <= int(bins[2].first[0]) <= 5


def test_chance_repetitions_are_not_favourites_and_round_values_are():
    """Uniform cells met twice by chance say nothing: the score is that of the even density. Heaped ones do."""
    rng = np.random.default_rng(3)
    even = rng.integers(0, 80_000, 100_000)
    bins = Bins.fit(number(0, 80_000), even)
    cells = torch.from_numpy(rng.integers(0, 80_000, 20_000))
    index = bins.index(cells)
    share = torch.log(torch.bincount(bins.index(torch.from_numpy(even)), minlength=len(bins)) / 100_000)
    nats = -(share[index] + bins.log_inside(cells, index)).mean()
    assert float(nats) == pytest.approx(np.log(80_000), abs=0.01)
    heaped = np.where(rng.random(100_000) < 0.3, even // 100 * 100, even)
    bins = Bins.fit(number(0, 80_000), heaped)
    assert bins.favourites is not None and bool((bins.favourites % 100 == 0).sum() > 700)
