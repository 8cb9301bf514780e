"""Flows of pictures: inverses, Jacobians, densities that integrate to one, bounds, given fields, figures on digits."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits
from tests.laws.cases import generator
from tests.laws.pictures import batch_of, labels, toy_pictures

from ensample.budget import Budget, Clock
from ensample.errors import CapabilityError
from ensample.events import Batch, Continuous, Lattice
from ensample.families import ImageFlow
from ensample.families.images.flow.model import PictureFlow
from ensample.families.images.flow.scales import Scales, squeeze, unsqueeze
from ensample.kinds.images import Images
from ensample.nets.random import seeded
from ensample.run import Run
from ensample.train import learn


def event(shape: tuple[int, ...], levels: int = 2) -> Continuous:
    middle = (levels - 1) / 2
    return Continuous(Lattice(0, levels - 1, middle, middle), shape)


def fit(records: Images, steps: int, **options: object) -> PictureFlow:
    small = {"width": 16, "depth": 2, "batch_size": 64, "learning_rate": 5e-3}
    return learn(ImageFlow(**{**small, **options}), records, 0, Run(Clock(Budget(steps=steps))))


def shaken(shape: tuple[int, int, int], given: int = 0, **options: object) -> Scales:
    """A flow with random weights everywhere: far from the identity."""
    with seeded(generator(0)):
        flow = Scales(
            shape,
            given,
            **{"scales": 2, "depth": 2, "width": 8, "mixing": "convolution", "coupling": "affine", **options},
        )
    with torch.no_grad():
        for weight in flow.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=generator(1)))
    return flow.double()


SHAPES = [(1, 4, 4), (2, 4, 4), (1, 1, 2), (3, 5, 6), (2, 3, 3)]

KINDS = [{}, {"mixing": "permutation"}, {"coupling": "spline"}]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_law_2_inverse_both_ways(shape, kind):
    flow, cond = shaken(shape, given=2, **kind), torch.rand(6, 2).double()
    x = torch.randn(6, *shape, generator=generator(2), dtype=torch.float64)
    z, log_det = flow(x, cond)
    back, other = flow.inverse(z, cond)
    assert z.shape == (6, math.prod(shape))
    assert torch.allclose(back, x, atol=1e-6) and torch.allclose(log_det, -other, atol=1e-8)
    places = torch.randn(z.shape, generator=generator(3), dtype=torch.float64)
    assert torch.allclose(flow(flow.inverse(places, cond)[0], cond)[0], places, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES[:3])
@pytest.mark.parametrize("kind", KINDS)
def test_law_2_log_determinant_is_that_of_autodiff(shape, kind):
    flow, size = shaken(shape, given=1, **kind), math.prod(shape)
    for row in range(3):
        x = torch.randn(1, *shape, generator=generator(row), dtype=torch.float64)
        cond = torch.full((1, 1), float(row), dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(lambda y, c=cond: flow(y, c)[0][0], x).reshape(size, size)
        assert float(flow(x, cond)[1].detach()) == pytest.approx(float(torch.linalg.slogdet(jacobian)[1]), abs=1e-8)


def test_squares_become_channels_and_back():
    x = torch.arange(2 * 3 * 4 * 6.0).view(2, 3, 4, 6)
    for fold in [(2, 2), (1, 2), (2, 1)]:
        assert torch.equal(unsqueeze(squeeze(x, fold), fold), x)
    assert squeeze(x, (2, 2))[0, :4, 0, 0].tolist() == [0.0, 1.0, 6.0, 7.0]


@pytest.fixture(scope="module")
def pair() -> PictureFlow:
    """Pictures of two pixels of four levels, which mostly agree."""
    rng = np.random.default_rng(0)
    first = rng.choice(4, 2_000, p=[0.4, 0.1, 0.2, 0.3])
    table = np.stack([first, np.where(rng.random(2_000) < 0.8, first, rng.integers(0, 4, 2_000))], 1)
    return fit(Images(event((1, 1, 2), 4), table.astype(np.uint8)[:, None, None]), 300)


def every_pair() -> Batch:
    return batch_of(torch.tensor(list(itertools.product(range(4), repeat=2)))[:, None, None])


def cell_integrals(flow: PictureFlow, cells: Batch, fine: int) -> torch.Tensor:
    """Exact probabilities of cells of two pixels, by a fine grid of places in each."""
    axis = (torch.arange(fine) + 0.5) / fine - 0.5
    grid = torch.cartesian_prod(axis, axis).view(-1, 1, 1, 2)
    with torch.no_grad():
        return torch.stack([(-flow._nats(cells, place).double()).exp() for place in grid]).mean(0)


def test_law_3_the_density_integrates_to_one(pair):
    """Over a grid far beyond the cells: cells -20 to 23 of both pixels."""
    axis = torch.arange(-20, 24)
    far = batch_of(torch.cartesian_prod(axis, axis)[:, None, None])
    assert float(cell_integrals(pair, far, 6).sum()) == pytest.approx(1.0, abs=5e-3)


def test_law_3_a_bound_is_at_most_exact_and_tightens(pair):
    """On average over places in the cell; fixed ones are as good as random ones."""
    some, exact = every_pair(), cell_integrals(pair, every_pair(), 20).log()
    nats = torch.stack([pair.nats(some, generator(i)).detach().double() for i in range(240)])
    bounds = {k: (-nats.view(-1, k, len(some))).logsumexp(1).mean(0) - math.log(k) for k in (1, 8)}
    gaps = {k: float((exact.exp() * (exact - bound)).sum()) for k, bound in bounds.items()}
    assert gaps[1] > gaps[8] > 0
    assert bool((bounds[1] <= exact + 0.1).all())
    fixed = float((exact.exp() * (exact - pair.log_prob(some))).sum())
    assert abs(fixed - gaps[8]) < 0.05
    assert float(pair.log_prob(some).exp().sum()) < 1.02


def test_places_of_records_come_back_and_are_standard_normal():
    pictures = toy_pictures(1_000)
    flow = fit(pictures, 300)
    batch = pictures.batch()
    places = flow.encode(batch)
    assert torch.equal(flow.decode(places, generator(0)).cells, batch.cells)
    assert float(places.mean().abs()) < 0.1 and 0.5 < float(places.std()) < 1.1  # of the middles of cells
    assert torch.equal(flow.encode(batch.take(slice(5, 6))), places[5:6])


def test_given_fields_reach_couplings_and_priors():
    flow = fit(toy_pictures(1_000, given=True), 150)
    bright = [float(flow.sample(400, generator(0), labels(i, 400)).cells[..., :2].double().mean()) for i in (0, 1)]
    assert bright[0] < 0.2 and bright[1] > 0.8


def test_a_picture_with_holes_is_not_scored():
    flow = fit(toy_pictures(50), 1)
    batch = toy_pictures(3).batch()
    holes = batch.mask.clone()
    holes[0, 0, 0, 0] = False
    with pytest.raises(CapabilityError):
        flow.log_prob(Batch(batch.cells, holes))


def test_refuses_what_has_no_even_side_and_no_second_channel():
    assert ImageFlow().refuses_arrays(event((1, 5, 5)), None) is not None
    assert ImageFlow().refuses_arrays(event((1, 5, 4)), None) is None
    assert ImageFlow().refuses_arrays(event((2, 5, 5)), None) is None


def test_it_knows_digits_better_than_independent_normals():
    """The closed form of what a flow without couplings could reach: a normal for each pixel."""
    table = load_digits().images.astype(np.uint8)[:, None]
    flow = fit(Images(event((1, 8, 8), 17), table[:1_500]), 200, width=24, depth=3)
    held = batch_of(torch.from_numpy(table[1_500:1_600].astype(np.int64)))
    spread = table[:1_500] + np.random.default_rng(0).random(table[:1_500].shape)
    low = held.cells.numpy()
    mass = np.diff(stats.norm.cdf(np.stack([low, low + 1]), spread.mean(0), spread.std(0)), axis=0)[0]
    assert float(flow.log_prob(held).mean()) > np.log(mass.clip(1e-6)).sum((1, 2, 3)).mean() + 15
    noise = batch_of(torch.randint(0, 17, held.cells.shape, generator=generator(0)))
    assert float(flow.log_prob(noise).mean()) < float(flow.log_prob(held).mean()) - 100
