"""Cut normals against scipy and against sampling, in the middle and far in the tails."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from ensample.events import Lattice
from ensample.families.mixture.truncated import Cut, expected_position

INTERVALS = [(-1.0, 2.0), (0.5, 0.6), (5.0, 7.0), (20.0, 21.0), (-40.0, -38.0), (-np.inf, 1.0), (2.0, np.inf)]


def cut(*intervals: tuple[float, float], rows: int = 1) -> Cut:
    ends = torch.tensor(intervals, dtype=torch.float64)
    return Cut(ends[:, 0].expand(rows, -1), ends[:, 1].expand(rows, -1))


@pytest.mark.parametrize(("low", "high"), INTERVALS)
def test_mass_mean_and_quantiles(low, high):
    reference = stats.truncnorm(low, high)
    ours = cut((low, high), rows=20_000)
    mirrored = (-high, -low) if low > 0 else (low, high)
    log_mass = stats.norm.logcdf(mirrored[1]) + np.log1p(
        -np.exp(stats.norm.logcdf(mirrored[0]) - stats.norm.logcdf(mirrored[1]))
    )
    assert float(ours.log_mass()[0]) == pytest.approx(log_mass, rel=1e-9)
    assert float(ours.mean()[0]) == pytest.approx(reference.mean(), rel=1e-6)
    drawn = ours.draw(torch.Generator().manual_seed(0))[0].numpy()
    assert drawn.min() >= low
    assert drawn.max() <= high
    assert stats.kstest(drawn, reference.cdf).pvalue > 1e-4


def test_several_intervals_by_their_masses():
    both = cut((-3.0, -1.0), (0.2, 0.7), rows=40_000)
    drawn, which = both.draw(torch.Generator().manual_seed(1))
    masses = np.diff(stats.norm.cdf([[-3.0, -1.0], [0.2, 0.7]]))[:, 0]
    assert float(which.double().mean()) == pytest.approx(masses[1] / masses.sum(), abs=0.01)
    assert float(drawn.mean()) == pytest.approx(float(both.mean()[0]), abs=0.02)


@pytest.mark.parametrize("knee", [np.inf, 30.0])
@pytest.mark.parametrize("limit", [None, ((100, 140), (160, 400))])
def test_expected_position_by_quadrature(knee, limit):
    lattice = Lattice(0, 1_000, shift=20.0, scale=25.0, center=50.0, knee=knee)
    mean, deviation = torch.tensor([2.0], dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
    x = torch.linspace(-4.0, 9.0, 400_001, dtype=torch.float64)
    density, position = torch.exp(-0.5 * ((x - mean) / deviation) ** 2), lattice.position(x)
    if limit is not None:
        density = torch.where(sum((position > a - 0.5) & (position < b + 0.5) for a, b in limit) > 0, density, 0.0)
    restriction = None if limit is None else Cut.of(lattice, limit, mean, deviation)
    expected = float((density * position).sum() / density.sum())
    assert float(expected_position(lattice, mean, deviation, restriction)) == pytest.approx(expected, rel=1e-4)
