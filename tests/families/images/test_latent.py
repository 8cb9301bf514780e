"""Autoencoders of pictures as codecs: spaces, known laws, given fields, refusals."""

from __future__ import annotations

import pytest
import torch
from tests.laws.cases import generator
from tests.laws.pictures import SHAPE, labels, toy_event, toy_log_prob, toy_pictures

from ensample.budget import Budget, Clock
from ensample.families import Gan, ImageField, ImageLatent, ImageVae, Mixture
from ensample.families.images.latent import FARTHEST, LatentPictures, MapSpace, RowSpace
from ensample.run import Run
from ensample.train import learn

TRAINING = {"batch_size": 128, "anneal": 50, "fold": 2, "precision": "float32", "learning_rate": 0.01}
CODEC = ImageVae(**TRAINING, dims=2, width=32, samples=4)


def fit(steps: int, given: bool = False, **options: object) -> LatentPictures:
    family = ImageLatent(**{"codec": CODEC, "of": Mixture(components=8), "points": 128, **options})
    return learn(family, toy_pictures(given=given), 0, Run(Clock(Budget(steps=steps))))


@pytest.fixture(scope="module")
def fitted() -> LatentPictures:
    return fit(250)


@pytest.mark.parametrize("space", [RowSpace, MapSpace])
def test_places_come_back_from_their_cells(space):
    z = 3 * torch.randn(50, 12, generator=generator(0))
    own = space.of(z, (3, 2, 2))
    back = own.z(own.cells(z))
    assert float((back - z).abs().max()) <= 0.00051
    again = space(own.facts())
    assert again.event == own.event and torch.equal(again.cells(z), own.cells(z))
    records = own.records(own.cells(z), None, None)
    assert torch.equal(records.batch().cells, own.cells(z))


def test_a_map_is_a_picture_of_its_channels():
    z = torch.arange(12.0)[None]
    own = MapSpace.of(z, (3, 2, 2))
    assert own.event.shape == (3, 2, 2) and own.cells(z).shape == (1, 3, 2, 2)
    assert int(own.cells(torch.full((1, 12), 99.0)).max()) == own.event.lattice.high
    assert MapSpace.of(torch.full((1, 4), 1e6), (1, 2, 2)).event.lattice.high <= 2000 * FARTHEST


def test_a_better_prior_brings_the_likelihood_nearer_to_the_truth(fitted):
    """The autoencoder's own prior is a normal, the law a mixture of four: a mixture of places fits it."""
    batch = toy_pictures(400, seed=5).batch()
    truth = toy_log_prob(batch.cells).mean()
    gap = float(truth - fitted.log_prob(batch).mean())
    assert -0.05 < gap < 0.3
    assert gap < float(truth - fit(250, of=Mixture(components=1)).log_prob(batch).mean())


def test_more_points_change_an_estimate_little(fitted):
    batch = toy_pictures(64, seed=6).batch()
    few = fitted.log_prob(batch)
    fitted.points = 2048
    many = fitted.log_prob(batch)
    fitted.points = 128
    assert float((many - few).abs().mean()) < 0.05


def test_given_fields_condition_the_prior():
    own = fit(150, given=True)
    bright = [float(own.sample(300, generator(0), labels(i, 300)).cells[..., :2].double().mean()) for i in (0, 1)]
    assert bright[0] < 0.25 and bright[1] > 0.75
    records = toy_pictures(100, seed=2, given=True)
    batch = records.batch()
    wrong = batch.take(torch.arange(len(batch)))
    flipped = type(batch)(wrong.cells, wrong.mask, type(batch)(1 - batch.cond.cells, batch.cond.mask))
    assert float((own.log_prob(batch) - own.log_prob(flipped)).mean()) > 3


def test_a_field_over_maps_makes_pictures():
    codec = ImageVae(**TRAINING, latents="grid", dims=2, width=16, depth=1, sizes=1, beta=0.1)
    own = fit(150, codec=codec, of=ImageField(width=16, layers=1))
    assert own.prior.event.shape == (2, 2, 2)
    made = own.sample(20, generator(0))
    assert made.cells.shape == (20, *SHAPE) and 0.3 < float(made.cells.double().mean()) < 0.7


def test_what_has_no_places_or_no_likelihood_is_refused():
    assert ImageLatent(codec=ImageVae(latents="codes")).refuses_arrays(toy_event(), None) is not None
    assert ImageLatent(codec=ImageVae(latents="grid")).refuses_arrays(toy_event(), None) is not None  # a table family
    assert ImageLatent(of=ImageField()).refuses_arrays(toy_event(), None) is not None
    assert ImageLatent(of=Gan()).refuses_arrays(toy_event(), None) is not None
    assert ImageLatent().refuses_arrays(toy_event(), None) is None
