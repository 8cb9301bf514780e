"""Autoencoders of pictures: closed forms, enumeration, bounds, intervals, codes, ladders, given fields, digits."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits
from tests.laws.cases import generator
from tests.laws.pictures import batch_of, every, labels, toy_pictures

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch, Continuous, Lattice
from ensample.families import ImageVae
from ensample.families.images.vae.codes import GridCodes, usage
from ensample.families.images.vae.heads import HEADS
from ensample.families.images.vae.model import BLOCK, PictureVae
from ensample.kinds.images import Images
from ensample.run import Run
from ensample.train import learn

SMALL = {"dims": 2, "width": 32, "batch_size": 128, "learning_rate": 0.01, "points": 128, "anneal": 0}
SMALL |= {"precision": "float32", "fold": 2}
MAPS = {"width": 16, "depth": 1}
LADDER = {**MAPS, "latents": "ladder", "dims": 1, "groups": 2, "sizes": 2, "anneal": 60}
CODES = {**MAPS, "latents": "codes", "dims": 4, "codes": 4, "chain": 16, "sizes": 2, "learning_rate": 3e-3}


def event(shape: tuple[int, ...], levels: int) -> Continuous:
    middle = (levels - 1) / 2
    return Continuous(Lattice(0, levels - 1, middle, middle), shape)


def fit(records: Images, steps: int, **options: object) -> PictureVae:
    return learn(ImageVae(**{**SMALL, **options}), records, 0, Run(Clock(Budget(steps=steps))))


def shaken(records: Images, **options: object) -> PictureVae:
    """A module with random weights: posterior, prior and decoder are far from anything simple."""
    module = ImageVae(**{**SMALL, **options}).build(records, 0).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=generator(1)))
    return module


def every_small() -> Batch:
    return batch_of(torch.tensor(list(itertools.product((0, 1), repeat=4))).view(16, 1, 2, 2))


def small_pictures() -> Images:
    """2 x 2 pixels that are mostly alike."""
    rng = np.random.default_rng(0)
    table = (rng.random((500, 1, 2, 2)) < rng.choice([0.1, 0.9], (500, 1, 1, 1))).astype(np.uint8)
    return Images(event((1, 2, 2), 2), table)


def test_law_5_a_linear_one_is_probabilistic_pca():
    """Its maximum likelihood is known (Tipping and Bishop 1999): eigenvalues beyond the second become noise."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4_000, 2)) @ rng.normal(size=(2, 6)) * 0.8 + 0.3 * rng.normal(size=(4_000, 6))
    levels, unit = 4_001, 0.005
    cells = np.clip(np.round(x / unit) + 2_000, 0, levels - 1).astype(np.uint16)
    records = Images(event((1, 2, 3), levels), cells.reshape(-1, 1, 2, 3))
    options = {"depth": 0, "decoder": "gaussian", "learning_rate": 0.02, "points": 256}
    module = fit(records, 900, **options)
    values = np.sort(np.linalg.eigvalsh(np.cov(x.T, bias=True)))[::-1]
    noise = values[2:].mean()
    log_det = np.log(values[:2]).sum() + 4 * np.log(noise)
    best = -0.5 * (6 * np.log(2 * np.pi) + log_det + 6) + 6 * np.log(unit)
    batch = records.batch(slice(0, 1_000))
    assert float(module.log_prob(batch).mean()) == pytest.approx(best, abs=0.08)
    assert float(module.elbo(batch).mean()) == pytest.approx(best, abs=0.12)  # the posterior is Gaussian


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prior": "flow", "posterior": "flow"},
        {**MAPS, "coder": "convolution", "fold": 1, "sizes": 2},
        {**MAPS, "latents": "grid", "fold": 1},
        {**MAPS, "latents": "ladder", "dims": 1, "groups": 2, "fold": 1, "sizes": 2},
    ],
    ids=["dense", "flows", "convolution", "grid", "ladder"],
)
def test_law_3_all_pictures_together_have_probability_one(options):
    """Importance sampling is unbiased: with random weights too its sum over all pictures is one."""
    module = shaken(small_pictures(), **{**options, "points": 2_048})
    log_p = module.log_prob(every_small())
    assert float(log_p.exp().sum()) == pytest.approx(1.0, abs=0.03)
    assert bool((module.elbo(every_small()) <= log_p).all())
    made = module.sample(4_000, generator(3)).cells.flatten(1) @ torch.tensor([8, 4, 2, 1])
    counts = torch.bincount(made, minlength=16).numpy()
    assert stats.chisquare(counts, 4_000 * (log_p.exp() / log_p.exp().sum()).numpy()).pvalue > 1e-4


def test_law_3_the_bound_of_codes_is_at_most_one_and_tight_when_codes_tell_all():
    module = shaken(small_pictures(), **CODES, fold=1)
    total = float(module.log_prob(every_small()).exp().sum())
    assert total < 1.0
    assert module.guarantees["log_prob"] == "bound" and PictureVae.guarantees["log_prob"] == "estimate"
    latents = module.latents
    with torch.no_grad():
        codes = torch.arange(4).view(4, 1, 1, 1)
        prior = -latents.prior.nats(codes, torch.zeros(4, 0)).double()
        z = latents._looked_up(codes)
        batch = every_small()
        joint = torch.stack([module.score(z[i].expand(1, 16, -1), batch, torch.zeros(16, 0))[0] for i in range(4)])
    exact = (joint.double() + prior[:, None]).logsumexp(0)
    assert float(exact.exp().sum()) == pytest.approx(1.0, abs=1e-5)
    assert bool((module.log_prob(batch) <= exact + 1e-6).all())


@pytest.fixture(scope="module")
def fitted() -> PictureVae:
    return fit(toy_pictures(), 250)


def test_the_bound_lies_below_the_estimate(fitted):
    batch = toy_pictures(200, seed=3).batch()
    estimate, bound = fitted.log_prob(batch), fitted.elbo(batch)
    learned = -fitted.bound(batch, generator(0))[0].detach().double()
    assert float((estimate - bound).mean()) > 0.0
    assert float(bound.mean()) == pytest.approx(float(learned.mean()), abs=0.2)


def test_intervals_hold_what_the_estimate_tends_to(fitted):
    batch = toy_pictures(160, seed=4).batch()
    ends, middle, wide = (
        fitted.log_prob_interval(batch, 0.9),
        fitted.log_prob(batch),
        fitted.log_prob_interval(batch, 0.99),
    )
    fitted.points = 4_096
    truth = fitted.log_prob(batch)
    fitted.points = 128
    inside = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
    assert 0.75 <= float(inside.double().mean()) <= 1.0
    assert bool(((ends[:, 0] < middle) & (middle < ends[:, 1]) & (wide[:, 0] < ends[:, 0])).all())


def test_unset_pixels_are_integrated_out(fitted):
    known = toy_pictures(4, seed=5).batch()
    mask = known.mask.clone()
    mask[:, :, 0, :2] = False
    fitted.points = 1_024
    marginal = fitted.log_prob(Batch(torch.where(mask, known.cells, 0), mask))
    total = torch.zeros(4, dtype=torch.float64)
    for pair in itertools.product((0, 1), repeat=2):
        cells = known.cells.clone()
        cells[:, 0, 0, :2] = torch.tensor(pair)
        total += fitted.log_prob(batch_of(cells)).exp()
    fitted.points = 128
    assert torch.allclose(marginal.exp(), total, rtol=0.1)


def test_a_picture_scores_the_same_in_any_company(fitted):
    batch = toy_pictures(BLOCK + 5, seed=6).batch()
    order = torch.randperm(len(batch), generator=generator(7))
    assert torch.equal(fitted.log_prob(batch.take(order)), fitted.log_prob(batch)[order])
    assert torch.equal(fitted.encode(batch.take(order)), fitted.encode(batch)[order])
    assert fitted.log_prob(batch.take(slice(0, 0))).shape == (0,)
    assert len(fitted.sample(0, generator(0))) == 0


@pytest.mark.parametrize("options", [LADDER, CODES, {**CODES, "sizes": 1}], ids=["ladder", "code", "codes"])
def test_places_decode_to_what_they_encode(options):
    """The middle of a posterior, or of a code's interval, comes back as what the decoder saw of the record."""
    module, batch = shaken(toy_pictures(200), **options), toy_pictures(30, seed=2).batch()
    none, features = torch.zeros(30, 0), module.features(batch)
    places = module.latents.encode(features, none)
    assert places.shape == (30, module.latent_width) and bool(torch.isfinite(places).all())
    back = module.latents.decode(places, none)
    if isinstance(module.latents, GridCodes):
        seen = module.latents._looked_up(module.latents.codes(features))
    else:
        noise = torch.zeros(1, 30, module.latents.dims)
        seen = module.latents._down(features, none, noise, posterior=True).map.flatten(1)
    assert torch.allclose(back, seen, atol=1e-4)


def test_ladders_know_the_density_of_their_posterior():
    """By enumeration it is one under the prior already (law 3); here its draws against its density, for one number."""
    module = shaken(small_pictures(), **{**MAPS, "latents": "ladder", "dims": 1, "groups": 1, "fold": 2, "sizes": 1})
    features, latents = module.features(every_small().take(slice(3, 4))), module.latents
    assert latents.dims == 1
    noise = torch.linspace(-5, 5, 2_001)[:, None, None]
    down = latents._down(features, torch.zeros(1, 0), noise, posterior=False)
    z = down.places[:, 0] * torch.exp(latents.steps[0][0].before(latents.start[None])[1].flatten())
    area = torch.trapezoid(down.log_q.exp(), z)
    assert float(area.detach()) == pytest.approx(1.0, abs=1e-3)


def test_codes_find_the_four_sorts_of_pictures_and_their_prior_how_often_each_is_met():
    module = fit(toy_pictures(), 300, **CODES)
    latents = module.latents
    found = latents.codes(module.features(toy_pictures(1_000, seed=2).batch()))
    assert usage(found, 4) == pytest.approx(3.5, abs=0.4)  # of shares 3/8, 3/8, 1/8, 1/8
    shares = torch.bincount(found.flatten(), minlength=4).double() / len(found)
    entropy = float(-torch.xlogy(shares, shares).sum())
    nats = float(latents.prior.nats(found, torch.zeros(len(found), 0)).detach().mean())
    assert entropy - 0.02 < nats < entropy + 0.15


def test_dead_codes_start_anew():
    module = fit(toy_pictures(), 2, **{**CODES, "codes": 16})
    latents = module.latents.train()
    latents.book[3], latents.met[3] = 99.0, 0.0
    vectors = torch.randn(200, 4, generator=generator(0))
    for step in range(60):
        latents._follow(vectors, torch.zeros(200, dtype=torch.int64), generator(step))
    assert float(latents.book[3].abs().max()) < 6 and torch.allclose(latents.book[0], vectors.mean(0), atol=0.2)


def test_a_heavy_divergence_collapses_the_posterior_and_annealing_lets_a_ladder_begin():
    spread = {beta: fit(toy_pictures(1_000), 120, beta=beta) for beta in (1.0, 50.0)}
    places = {beta: float(own.encode(toy_pictures(200).batch()).std(0).amax()) for beta, own in spread.items()}
    assert places[50.0] < 0.1 < 0.4 < places[1.0]
    module = ImageVae(**{**SMALL, "anneal": 10}).build(toy_pictures(50), 0)
    batch = toy_pictures(50).batch()
    none, whole = (module.bound(batch, generator(0), share)[0].detach() for share in (0.0, 1.0))
    z_free = -module.score(
        module.latents._posterior(module.features(batch), torch.randn(1, 50, 2, generator=generator(0)))[0],
        batch,
        torch.zeros(50, 0),
    )[0].detach()
    assert torch.allclose(none, z_free, atol=1e-4) and not torch.allclose(none, whole)


@pytest.mark.parametrize("options", [{}, {**MAPS, "coder": "convolution"}, LADDER, {**MAPS, "latents": "grid"}])
def test_given_fields_reach_the_pictures(options):
    module = fit(toy_pictures(1_000, given=True), 80, **{**options, "anneal": 0})
    bright = [float(module.sample(300, generator(0), labels(i, 300)).cells[..., :2].double().mean()) for i in (0, 1)]
    assert bright[0] < 0.25 and bright[1] > 0.75


@pytest.mark.parametrize(("name", "levels"), [("levels", 2), ("levels", 5), ("levels", 40), ("gaussian", 5)])
def test_heads_are_distributions_that_their_draws_follow(name, levels):
    head = HEADS[name](event((2, 1, 1), levels))
    cells = torch.randint(0, levels, (60, 2, 1, 1), generator=generator(0))
    head.begin(cells)
    raw = 0.5 * torch.randn(1, 1, head.outputs, 1, 1, generator=generator(1))
    pairs = torch.tensor(list(itertools.product(range(levels), repeat=2))).view(-1, 2, 1, 1)
    with torch.no_grad():
        whole = raw.expand(1, len(pairs), -1, -1, -1)
        log_p = head.log_prob(whole, pairs, torch.ones_like(pairs, dtype=torch.bool))[0].double()
        assert float(log_p.exp().sum()) == pytest.approx(1.0, abs=1e-4)
        made = head.draw(raw[0].expand(4_000, -1, -1, -1), generator(2))
    seen = torch.bincount(made[:, 0, 0, 0], minlength=levels).double() / 4_000
    first = log_p.exp().view(levels, levels).sum(1)
    assert float((seen - first).abs().sum() / 2) < 0.02 + 0.4 * math.sqrt(levels / 4_000)


def test_reconstructions_of_digits_are_nearer_than_the_mean_picture():
    table = load_digits().images.astype(np.uint8)[:, None]
    records = Images(event((1, 8, 8), 17), table[:1_500])
    module = fit(records, 300, dims=8, width=64, learning_rate=4e-3)
    held = batch_of(torch.from_numpy(table[1_500:1_700].astype(np.int64)))
    back = module.decode(module.encode(held), generator(0)).cells
    mean = torch.from_numpy(table[:1_500].mean(0))
    error = float((back - held.cells).double().square().mean())
    assert error < 0.8 * float((held.cells - mean).square().mean())
    counts = np.stack([(table[:1_500] == level).sum(0) for level in range(17)]) + 0.5
    alone = np.take_along_axis(np.log(counts / counts.sum(0))[:, None], held.cells.numpy()[None], 0)[0]
    assert float(module.log_prob(held).mean()) > alone.sum((1, 2, 3)).mean() + 8


@pytest.mark.parametrize("option", [{"dims": 0}, {"beta": -1.0}, {"latents": "words"}, {"chain": 6}])
def test_options_out_of_range_are_refused(option):
    with pytest.raises(InputError):
        ImageVae(**option)


def test_all_pictures_of_the_toy_have_probability_one(fitted):
    some = every()[::256]
    assert float(fitted.log_prob(batch_of(some)).exp().sum()) < 1.0
