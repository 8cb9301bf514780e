"""The lattice of a column: straightened, invertible, milder where it would lose cells."""

import numpy as np
import pytest
import torch

from ensample.kinds.shape import fit_lattice, hard_bound, spikes

RNG = np.random.default_rng(0)


def skewness(lattice, cells):
    x = lattice.encode(torch.from_numpy(cells)).numpy()
    return float(((x - x.mean()) ** 3).mean() / x.std() ** 3)


@pytest.mark.parametrize("scale", [30, 3_000, 10**6])
def test_skew_is_taken_away(scale):
    cells = (RNG.lognormal(0, 1, 5000) * scale).astype(np.int64)
    cells -= cells.min()
    lattice = fit_lattice(cells, int(cells.max()))
    raw = float(((cells - cells.mean()) ** 3).mean() / cells.std() ** 3)
    assert np.isfinite(lattice.knee) and abs(skewness(lattice, cells)) < 0.1 * raw


def test_left_skew_is_taken_away():
    cells = (RNG.lognormal(0, 1, 5000) * 1000).astype(np.int64)
    cells = cells.max() - cells
    assert abs(skewness(fit_lattice(cells, int(cells.max())), cells)) < 0.5


@pytest.mark.parametrize("make", [RNG.normal, RNG.uniform])
def test_what_is_straight_stays_straight(make):
    cells = np.round(make(size=5000) * 1000).astype(np.int64)
    cells -= cells.min()
    lattice = fit_lattice(cells, int(cells.max()))
    assert np.isinf(lattice.knee)
    x = lattice.encode(torch.from_numpy(cells))
    assert float(x.mean()) == pytest.approx(0, abs=1e-9) and float(x.std(unbiased=False)) == pytest.approx(1)


@pytest.mark.parametrize("power", [20, 30, 40, 45, 48])
def test_huge_ranges_come_back(power):
    cells = np.exp(RNG.uniform(0, power * np.log(2), 5000)).astype(np.int64)
    lattice = fit_lattice(cells, int(cells.max()))
    asked = torch.from_numpy(np.r_[cells, cells[:100] + 1, np.arange(100)].clip(0, cells.max()))
    assert torch.equal(lattice.index(lattice.encode(asked)), asked)


def test_a_range_past_float_precision_still_keeps_its_order():
    cells = np.sort(RNG.integers(0, 2**61, 5000))
    lattice = fit_lattice(cells, 2**61)
    x = lattice.encode(torch.from_numpy(cells))
    assert bool((x.diff() >= 0).all())
    assert torch.allclose(
        lattice.index(x).to(torch.float64), torch.from_numpy(cells).to(torch.float64), atol=1e-14 * 2**61
    )


def test_walls_and_tails():
    n = 3000
    for walled in (RNG.uniform(0, 1, n), RNG.exponential(1, n), RNG.beta(1, 3, n), np.abs(RNG.normal(size=n))):
        assert hard_bound(np.round((walled - walled.min()) * 1e6).astype(np.int64))
    for tail in (RNG.normal(size=n), RNG.logistic(size=n), -RNG.exponential(1, n), RNG.gumbel(size=n)):
        assert not hard_bound(np.round((tail - tail.min()) * 1e6).astype(np.int64))


def test_spikes_need_enough_values():
    assert spikes(np.array([0] * 90 + [1] * 10)) == ()
    assert spikes(np.r_[np.zeros(900, np.int64), RNG.integers(1, 1000, 100)]) == (0,)
    assert spikes(RNG.poisson(5, 5000)) == ()


def test_common_neighbours_are_no_spikes():
    crowd = RNG.integers(0, 1000, 600)
    assert spikes(np.r_[crowd, np.full(200, 500), np.full(200, 501)]) == ()
    assert spikes(np.r_[crowd, np.full(200, 500), np.full(200, 700)]) == (500, 700)
