"""Decoders: sums over all cells, draws against probabilities, narrow and far cells, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from ensample.events import Continuous, Discrete, Lattice, Mixed, Span
from ensample.nets.emissions import SORTS, Binned, Emission
from ensample.nets.emissions.base import Lattices
from ensample.nets.random import seeded

EVENT = Mixed(
    (
        Span("kind", Discrete(3)),
        Span("linear", Continuous(Lattice(0, 9, shift=4.5, scale=2.5))),
        Span("state", Discrete(2)),
        Span("bent", Continuous(Lattice(-30, 60, shift=1.0, scale=2.0, center=3.0, knee=2.0)), (2, (1,))),
    )
)
each = pytest.mark.parametrize("sort", SORTS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    cells = np.stack(
        [
            rng.choice(3, count, p=[0.6, 0.3, 0.1]),
            rng.integers(0, 10, count),
            rng.integers(0, 2, count),
            np.round(rng.normal(4, 12, count)),
        ],
        1,
    )
    cells = torch.from_numpy(cells.astype(np.int64))
    mask = torch.ones_like(cells, dtype=torch.bool)
    mask[:, 3] = cells[:, 2] == 1
    return torch.where(mask, cells, 0), mask


def made(sort: str, pieces: int = 5, tilt: float = 1.0) -> tuple[Emission, torch.Tensor]:
    """An emission begun at data, and parameters far enough from the start to differ by row."""
    with seeded(generator()):
        emission = Emission(EVENT, 6, SORTS[sort](EVENT, pieces))
    emission.begin(*rows())
    with torch.no_grad():
        return emission, emission(tilt * torch.randn(3, 6, generator=generator(1)) * 2)


@each
@pytest.mark.parametrize("column", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cells_sum_to_one(sort, column, dtype):
    emission, parameters = made(sort)
    cells = torch.arange(-100_000, 100_001)
    tails = ((-(2**50), -100_001), (100_001, 2**50))
    for row in parameters.to(dtype):
        own = row[emission.of(column)].expand(len(cells), -1)
        total = float(emission.log_prob_of(column, own, cells).to(torch.float64).exp().sum())
        total += float(emission.draw_of(column, own[:1], generator(), tails)[1].exp())
        assert total == pytest.approx(1.0, abs=2e-5)


@each
def test_one_span_at_a_time_is_the_same(sort):
    emission, parameters = made(sort)
    cells, mask = (part[:3] for part in rows())
    whole = emission.log_prob(parameters, cells, mask)
    for j in range(4):
        alone = emission.log_prob_of(j, parameters[:, emission.of(j)], cells[:, j])
        assert torch.allclose(whole[mask[:, j], j], alone[mask[:, j]], atol=1e-6)
    assert bool((whole[~mask] == 0).all())
    assert torch.equal(emission.span_of[emission.of(2)], torch.full((2,), 2))


@each
@pytest.mark.parametrize("column", range(4))
def test_draws_follow_probabilities(sort, column):
    emission, parameters = made(sort)
    without_strays(emission)
    n = 20_000
    drawn = emission.draw(parameters[1].expand(n, -1), generator(2))
    cells = drawn.cells[drawn.mask[:, column], column]
    check(emission, parameters[1], column, cells, ((-3_000, 3_000),))


@each
@pytest.mark.parametrize("ranges", [((1, 2), (2, 4), (8, 60)), ((-30, -7), (5, 5)), ((12, 2**55),)])
@pytest.mark.parametrize("column", [1, 3])
def test_draws_stay_within_limits_in_proportion(sort, ranges, column):
    emission, parameters = made(sort)
    without_strays(emission)
    own = parameters[1, emission.of(column)]
    cells, weight = emission.draw_of(column, own.expand(20_000, -1), generator(3), ranges)
    inside = torch.stack([(cells >= low) & (cells <= high) for low, high in ranges]).any(0)
    if not bool(torch.isfinite(weight).all()):  # bins hold none of these cells
        assert sort == "binned" and column == 1 and ranges[0][0] == 12
        return
    assert bool(inside.all())
    exact = check(emission, parameters[1], column, cells, ranges)
    assert float(weight[0]) == pytest.approx(np.log(exact), abs=2e-3 if ranges[0][1] < 3_000 else 0.02)


def without_strays(emission: Emission) -> None:
    """Draws stay in bins; the mass outside them is for scoring alone."""
    if isinstance(emission.numbers, Binned):
        emission.numbers.stray.zero_()


def check(emission, parameters, column, cells, ranges) -> float:
    """Chi-square of drawn cells against probabilities within ranges; gives the probability of the ranges."""
    if column in emission.class_spans:
        support = torch.arange(emission.sizes[emission.class_spans.index(column)])
    else:
        support = torch.arange(-3_000, 3_001)
    support = support[torch.stack([(support >= low) & (support <= high) for low, high in ranges]).any(0)]
    cells = cells[cells.abs() <= 3_000]
    p = emission.log_prob_of(column, parameters[emission.of(column)].expand(len(support), -1), support).exp().double()
    expected = (p / p.sum()).numpy() * len(cells)
    seen = np.array([(cells == cell).sum() for cell in support])
    large = expected >= 8
    a, b = np.append(seen[large], len(cells) - seen[large].sum()), np.append(expected[large], expected[~large].sum())
    a, b = a[b > 4], b[b > 4]
    if len(a) > 1:
        assert stats.chisquare(a, b * a.sum() / b.sum()).pvalue > 1e-4
    return float(p.sum())


@each
def test_impossible_ranges_have_no_weight(sort):
    emission, parameters = made(sort)
    for column in (0, 1):
        own = parameters[:, emission.of(column)]
        assert bool((emission.draw_of(column, own, generator(), ())[1] == -torch.inf).all())
    assert bool((emission.draw_of(0, parameters[:, emission.of(0)], generator(), ((7, 9),))[1] == -torch.inf).all())


@each
def test_gradients_are_finite_at_extreme_cells(sort):
    emission, parameters = made(sort, tilt=30.0)
    parameters = parameters.requires_grad_()
    far = torch.tensor([[0, 10**12, 1, -(10**12)], [2, -(10**17), 1, 10**17], [1, 4, 1, 3]])
    score = emission.log_prob(parameters, far, torch.ones_like(far, dtype=torch.bool))
    score.sum().backward()
    assert bool(torch.isfinite(score).all()) and bool(torch.isfinite(parameters.grad).all())


@pytest.mark.parametrize(("sort", "law"), [("gaussian", stats.norm), ("logistic", stats.logistic)])
@pytest.mark.parametrize("scale", [1e-4, 0.1, 1.0, 30.0])
def test_components_agree_with_scipy(sort, law, scale):
    event = Mixed((Span("a", Continuous(Lattice(-500, 500, shift=10.0, scale=70.0))),))
    numbers = SORTS[sort](event, 1)
    raw = torch.tensor([0.0, 0.3, np.log(scale)], dtype=torch.float64).expand(1000, 1, 3)
    cells = torch.arange(-500, 500)[:, None]
    edges = (np.arange(-500, 501) - 0.5 - 10) / 70
    p = np.exp(numbers.log_prob(raw, cells)[:, 0].numpy())
    assert p == pytest.approx(np.diff(law.cdf(edges, 0.3, max(scale, np.exp(-9)))), abs=1e-12, rel=2e-4)


@each
def test_narrow_cells_have_density_times_width(sort):
    """Refining the lattice by 1e9 lowers every log-probability by 9 log 10, in float32 too."""
    fine, coarse = (Mixed((Span("a", Continuous(Lattice(0, n, shift=n / 2, scale=n / 4))),)) for n in (10**13, 10**4))
    if sort == "binned":
        pytest.skip("counts cells, has no density")
    raw = torch.randn(9, 1, SORTS[sort](fine, 4).outputs, generator=generator(4))
    raw[..., 8:12] *= 0.3
    cells = torch.tensor([[-9000], [1], [2000], [3100], [5000], [5600], [7000], [10_000], [17_000]])
    low = SORTS[sort](coarse, 4).log_prob(raw, cells)
    high = SORTS[sort](fine, 4).log_prob(raw, cells * 10**9)
    assert torch.allclose(low - high, torch.full_like(low, 9 * np.log(10)), atol=2e-3)


@each
def test_starts_at_independent_columns(sort):
    with seeded(generator()):
        emission = Emission(EVENT, 6, SORTS[sort](EVENT, 8))
    cells, mask = rows(4000)
    emission.begin(cells, mask)
    start = emission.log_prob(emission(torch.zeros(len(cells), 6)), cells, mask).sum(0) / mask.sum(0)
    entropies = []
    for j in range(4):
        share = torch.unique(cells[mask[:, j], j], return_counts=True)[1] / mask[:, j].sum()
        entropies.append(-(share * share.log()).sum())
    assert bool((-start - torch.stack(entropies) < torch.tensor([0.01, 0.25, 0.01, 0.35])).all())


@each
def test_mean_is_that_of_the_draws(sort):
    emission, parameters = made(sort, pieces=8)
    drawn = emission.draw(parameters[0].expand(40_000, -1), generator(5))
    middle = emission.mean(parameters[:1])
    x = emission.numbers.lattices.encode(drawn.cells[:, [1, 3]])
    expected = emission.numbers.mean(emission._raw(parameters[:1]))
    assert float(x[:, 0].mean()) == pytest.approx(float(expected[0, 0]), abs=0.04)
    assert float(x[drawn.mask[:, 3], 1].mean()) == pytest.approx(float(expected[0, 1]), abs=0.04)
    assert int(middle.cells[0, 0]) == int(torch.bincount(drawn.cells[:, 0]).argmax())


def test_an_event_of_classes_alone_and_of_numbers_alone():
    for spans in (EVENT.spans[:1], EVENT.spans[1:2]):
        event = Mixed(spans)
        with seeded(generator()):
            emission = Emission(event, 4, SORTS["logistic"](event, 3))
        cells = torch.zeros(5, 1, dtype=torch.int64)
        emission.begin(cells, cells == 0)
        parameters = emission(torch.randn(5, 4, generator=generator(6)))
        assert emission.log_prob(parameters, cells, cells == 0).shape == (5, 1)
        assert len(emission.draw(parameters, generator())) == 5
        assert len(emission.mean(parameters)) == 5


def test_lattices_side_by_side_are_the_single_ones():
    columns = [span.event.lattice for span in EVENT.spans if isinstance(span.event, Continuous)]
    cells = torch.tensor([[3, -30], [9, 1000], [-4, 3]])
    x = Lattices(columns).encode(cells)
    for j, lattice in enumerate(columns):
        assert torch.equal(x[:, j], lattice.encode(cells[:, j]))
        log_half = Lattices(columns).interval(cells, cells)[2]
        assert torch.allclose(log_half[:, j] + np.log(2), lattice.log_volume(cells[:, j]))
    assert torch.equal(Lattices(columns).cells(x), cells)


@pytest.mark.parametrize("sort", ["gaussian", "logistic", "spline"])
def test_gradients_in_float32_are_those_in_float64(sort):
    event = Mixed((Span("a", Continuous(Lattice(0, 100, shift=50.0, scale=25.0))),))
    numbers = SORTS[sort](event, 2)
    raw = torch.randn(7, 1, numbers.outputs, generator=generator(7))
    cells = torch.tensor([[-40_000], [-900], [0], [50], [61], [120], [9_000]])
    found = []
    for dtype in (torch.float32, torch.float64):
        own = raw.detach().to(dtype).clone().requires_grad_()
        numbers.log_prob(own, cells).sum().backward()
        found.append(own.grad.to(torch.float64))
    assert torch.allclose(*found, rtol=2e-3, atol=2e-4)


@each
def test_the_same_rows_are_scored_several_times_at_once(sort):
    emission, parameters = made(sort)
    cells, mask = (part[:3] for part in rows())
    twice = emission.log_prob(torch.stack([parameters, parameters.flip(0)]), cells, mask)
    assert torch.allclose(twice[0], emission.log_prob(parameters, cells, mask))
    assert torch.allclose(twice[1], emission.log_prob(parameters.flip(0), cells, mask))
