"""Variational autoencoders: closed forms, bounds, intervals, codes in use, collapse, given fields."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from tests.laws.cases import everything, generator, toy_records

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Span
from ensample.families import Vae
from ensample.families.vae.codes import Codes
from ensample.families.vae.model import BLOCK, VaeDistribution, sobol
from ensample.kinds.records import Records
from ensample.run import Run
from ensample.train import learn

SMALL = {"width": 32, "layers": 1, "dims": 2, "pieces": 4, "batch_size": 128, "learning_rate": 0.01, "samples": 4}


def fit(records: Records, steps: int, **options: object) -> VaeDistribution:
    return learn(Vae(**{**SMALL, **options}), records, 0, Run(Clock(Budget(steps=steps))))


@pytest.fixture(scope="module")
def linear() -> tuple[VaeDistribution, np.ndarray, Records]:
    """A linear VAE on data of a linear model with two hidden causes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4_000, 2)) @ rng.normal(size=(2, 5)) * 0.8 + 0.3 * rng.normal(size=(4_000, 5))
    cells = np.round(x * 1000).astype(np.int64)
    number = Continuous(Lattice(-4000, 4000, scale=1000.0))
    records = Records(Mixed(tuple(Span(str(j), number) for j in range(5))), cells)
    options = {"layers": 0, "decoder": "gaussian", "pieces": 1, "samples": 1, "hidden": 0.0, "learning_rate": 0.03}
    return fit(records, 700, **options), cells / 1000, records


def test_law_5_a_linear_one_is_probabilistic_pca(linear):
    """Its maximum likelihood is known (Tipping and Bishop 1999): eigenvalues beyond the second become noise."""
    module, x, records = linear
    values = np.sort(np.linalg.eigvalsh(np.cov(x.T, bias=True)))[::-1]
    noise = values[2:].mean()
    log_det = np.log(values[:2]).sum() + 3 * np.log(noise)
    best = -0.5 * (5 * np.log(2 * np.pi) + log_det + 5) - 5 * np.log(1000)
    batch = records.batch(slice(0, 2_000))
    assert float(module.log_prob(batch).mean()) == pytest.approx(best, abs=0.05)
    assert float(module.elbo(batch).mean()) == pytest.approx(
        best, abs=0.08
    )  # the posterior is Gaussian: the bound holds


def test_law_5_a_linear_one_spans_the_principal_plane(linear):
    module, x, _ = linear
    emission = module.emission
    rows = [emission.of(j).start + 1 for j in range(5)]  # weight, location, log scale
    loadings = emission.layer.weight.detach()[rows].numpy()
    principal = np.linalg.eigh(np.cov(x.T))[1][:, -2:]
    cosines = np.linalg.svd(np.linalg.qr(loadings)[0].T @ principal)[1]
    assert cosines.min() > 0.995


@pytest.fixture(scope="module")
def fitted() -> VaeDistribution:
    return fit(toy_records(), 250, points=512)


def test_the_bound_lies_below_the_estimate(fitted):
    batch = toy_records(500, seed=3).batch()
    estimate, bound = fitted.log_prob(batch), fitted.elbo(batch)
    assert float((estimate - bound).mean()) > 0.0
    learned = -fitted.bound(batch, batch.mask, generator(0))[0].detach().mean()
    assert float(bound.mean()) < float(learned) < float(estimate.mean()) + 0.02  # more samples, tighter


def test_intervals_hold_what_the_estimate_tends_to(fitted):
    batch, module = toy_records(320, seed=4).batch(), fitted
    module.points = 128
    ends = module.log_prob_interval(batch, 0.9)
    middle = module.log_prob(batch)
    wide = module.log_prob_interval(batch, 0.99)
    module.points = 8_192
    truth = module.log_prob(batch)
    module.points = 512
    inside = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
    assert 0.8 <= float(inside.double().mean()) <= 1.0
    assert bool(((ends[:, 0] < middle) & (middle < ends[:, 1]) & (wide[:, 0] < ends[:, 0])).all())


def test_unset_coordinates_are_integrated_out(fitted):
    whole = everything()
    known = whole.mask.clone()
    known[:, 3] = False
    marginal = fitted.log_prob(Batch(torch.where(known, whole.cells, 0), known)).exp()
    summed = fitted.log_prob(whole).exp().reshape(3, 2, 7).sum(1)  # kinds, flags, amounts
    assert torch.allclose(marginal.reshape(3, 2, 7)[:, 0], summed, rtol=0.06)


def test_a_row_scores_the_same_in_any_company(fitted):
    batch = toy_records(BLOCK + 9, seed=6).batch()
    order = torch.randperm(len(batch), generator=generator(7))
    assert torch.equal(fitted.log_prob(batch.take(order)), fitted.log_prob(batch)[order])
    assert torch.equal(fitted.encode(batch.take(order)), fitted.encode(batch)[order])
    assert fitted.log_prob(batch.take(slice(0, 0))).shape == (0,)


@pytest.mark.parametrize("prior", ["normal", "flow"])
def test_places_of_records_are_standard_normal_and_come_back(prior):
    module = fit(toy_records(), 250, prior=prior)
    batch = toy_records(1_000, seed=8).batch()
    places = module.encode(batch)
    assert float(places.mean().abs()) < 0.35 and 0.3 < float(places.std()) < 1.3
    z, _ = module.latents._posterior(module.features(batch), torch.zeros(1, len(batch), 2))
    assert torch.allclose(module.latents.decode(places, torch.zeros(len(batch), 0)), z[0], atol=2e-3)


@torch.no_grad()
@pytest.mark.parametrize("posterior", ["normal", "flow"])
def test_the_density_of_a_posterior_is_that_of_its_draws(posterior):
    module = Vae(**SMALL, posterior=posterior).build(toy_records(200), seed=0).eval()
    for weight in module.latents.parameters():
        weight.copy_(0.1 * torch.randn(weight.shape, generator=generator(1)))
    features = module.features(toy_records(64, seed=3).batch())
    z, log_q = module.latents._posterior(features, torch.randn(5, 64, 2, generator=generator(2)))
    assert torch.allclose(module.latents.log_posterior(z, features), log_q, atol=1e-3)
    area = module.latents.log_posterior(plane(), features[:8]).exp().sum(0) * 0.1**2
    assert torch.allclose(area, torch.ones(8), atol=0.02)


def plane() -> torch.Tensor:
    """Places of a grid of step 0.1, one for each of 8 rows, [places, 8, 2]."""
    axis = torch.arange(-8, 8, 0.1)
    return torch.cartesian_prod(axis, axis)[:, None].expand(-1, 8, -1)


def test_a_heavy_divergence_collapses_the_posterior_and_none_leaves_it_free():
    spread = {}
    for beta in (0.01, 1.0, 50.0):
        module = fit(toy_records(), 250, beta=beta, samples=1)
        spread[beta] = float(module.encode(toy_records(1_000).batch()).std(0).amax())
    assert spread[50.0] < 0.1 < 0.4 < spread[1.0] < spread[0.01]


def test_codes_are_in_use_and_their_prior_knows_how_often():
    module = fit(toy_records(), 250, latents="codes", codes=8, samples=1)
    latents = module.latents
    assert isinstance(latents, Codes)
    found = latents.codes(module.features(toy_records().batch()))
    pairs = torch.bincount(found @ torch.tensor([8, 1]), minlength=64).double() / len(found)
    entropy = -torch.xlogy(pairs, pairs).sum()
    assert math.exp(float(entropy)) > 6  # perplexity of pairs of codes
    nats = -latents._log_prior(found[None], torch.zeros(len(found), 0))[0]
    assert float(entropy) - 1e-6 < float(nats.detach().mean()) < float(entropy) + 0.5 < math.log(64)


def test_gradients_pass_straight_through_the_codes():
    family, records = Vae(**SMALL, latents="codes", codes=8), toy_records(200)
    module = family.build(records, 0)
    nats, beside = module.bound(records.batch(), records.batch().mask, generator(0))
    weights = list(module.encoder.parameters())
    assert any(bool((g != 0).any()) for g in torch.autograd.grad(nats.sum(), weights, retain_graph=True))
    pull = torch.autograd.grad(beside.sum(), [module.latents.book])[0]
    assert bool((pull != 0).any())


def test_given_fields_reach_encoder_prior_and_decoder():
    rng = np.random.default_rng(1)
    group = rng.integers(0, 2, 2_000)
    x = np.round(100 * np.where(group == 1, 3.0, -3.0) + 100 * rng.normal(size=2_000)).astype(np.int64)
    event = Mixed((Span("x", Continuous(Lattice(-700, 700, scale=300.0))),))
    records = Records(event, x[:, None], Mixed((Span("g", Discrete(2)),)), group[:, None])
    module = fit(records, 200)
    cond = records.batch(slice(0, 1_000)).cond
    made = module.sample(1_000, generator(0), cond)
    means = [float(made.cells[cond.cells[:, 0] == g, 0].double().mean()) for g in (0, 1)]
    assert means == pytest.approx([-300, 300], abs=40)
    right, batch = module.log_prob(records.batch(slice(0, 200))), records.batch(slice(0, 200))
    wrong = module.log_prob(Batch(batch.cells, batch.mask, Batch(1 - batch.cond.cells, batch.cond.mask)))
    assert float((right - wrong).mean()) > 5
    assert module.latents.given is not None


def test_points_are_even_and_the_same_each_time():
    points = sobol(2, 32, 0)
    assert torch.equal(points, sobol.__wrapped__(2, 32, 0))
    assert points.shape == (256, 1, 2)
    assert torch.allclose(points.mean(0), torch.full((1, 2), 0.5, dtype=torch.float64), atol=0.01)


@pytest.mark.parametrize("norm", ["batch", "layer", "group"])
def test_hidden_layers_may_be_normalised(norm):
    plain, normed = (fit(toy_records(300), 20, layers=2, norm=name) for name in ("none", norm))
    batch = everything()
    assert not torch.allclose(plain.log_prob(batch), normed.log_prob(batch), atol=1e-3)
    single = torch.cat([normed.log_prob(batch.take(slice(i, i + 1))) for i in range(len(batch))])
    assert torch.equal(normed.log_prob(batch), single)
    assert len(fit(toy_records(1), 2, layers=2, norm=norm).sample(3, generator(0))) == 3
    one, two = (fit(toy_records(300), 5, layers=2, norm=norm).arrays() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("option", [{"dims": 0}, {"beta": -1.0}, {"latents": "words"}, {"decoder": "cauchy"}])
def test_options_out_of_range_are_refused(option):
    with pytest.raises(InputError):
        Vae(**option)
    assert dataclasses.replace(Vae(), dims=2).dims == 2
