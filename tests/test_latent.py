"""Verbs of a latent space: encode, decode, reconstruct, interpolate, direction, and intervals of estimates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import ensample as en
from ensample.errors import CapabilityError, InputError
from ensample.families import Flow, Vae
from ensample.infer.latent import linear, spherical
from ensample.model import Model

SMALL = {"width": 32, "layers": 1, "dims": 2, "pieces": 4, "batch_size": 128, "learning_rate": 0.01, "samples": 4}


def people(rows: int = 800) -> en.Dataset:
    rng = np.random.default_rng(0)
    tall = rng.integers(0, 2, rows)
    height = np.round(160 + 25 * tall + rng.normal(0, 4, rows), 1)
    weight = np.round(0.5 * height + rng.normal(0, 3, rows), 1)
    return en.read({"tall": np.where(tall == 1, "yes", "no"), "height": height, "weight": weight})


@pytest.fixture(scope="module")
def model() -> Model:
    return en.fit(people(), Vae(**SMALL), budget="250 steps")


def test_reconstructions_are_near(model):
    data = people(200)
    back = model.reconstruct(data, seed=0)
    assert back.names == data.names and len(back) == 200
    error = np.abs(back.to_pandas()["height"] - data.to_pandas()["height"]).mean()
    assert error < 8 < np.abs(data.to_pandas()["height"] - data.to_pandas()["height"].mean()).mean()
    assert back.to_arrow().equals(model.reconstruct(data, seed=0).to_arrow())


def test_standard_normal_places_make_samples(model):
    made = model.decode(np.random.default_rng(0).normal(size=(500, 2)), seed=1).to_pandas()
    assert abs(made["height"].mean() - 172.5) < 4
    assert model.encode(people(7)).shape == (7, 2)


@pytest.mark.parametrize("how", ["spherical", "linear"])
def test_ways_begin_and_end_at_the_records(model, how):
    data = people(50).to_pandas()
    short, tall = data[data["tall"] == "no"].head(5), data[data["tall"] == "yes"].head(5)
    way = model.interpolate(short, tall, steps=6, how=how, seed=0).to_pandas()["height"].to_numpy().reshape(5, 6)
    assert way.shape == (5, 6)
    assert way[:, 0].mean() < 170 < 177 < way[:, -1].mean()


def test_an_attribute_can_be_added(model):
    data = people(400).to_pandas()
    short, tall = data[data["tall"] == "no"], data[data["tall"] == "yes"]
    moved = model.decode(model.encode(short) + model.direction(tall, short), seed=0).to_pandas()
    assert (moved["tall"] == "yes").mean() > 0.7
    assert moved["height"].mean() > 175


def test_intervals_hold_the_estimate(model):
    data = people(100)
    ends, middle = model.log_prob_interval(data), model.log_prob(data)
    assert bool(((ends[:, 0] <= middle) & (middle <= ends[:, 1])).all())
    assert model.can["log_prob_interval"] == model.can["encode"] == "estimate"


def test_flows_have_the_same_verbs():
    data = people(300).select(["height", "weight"])
    flow = en.fit(data, Flow(width=16, layers=2), budget="20 steps")
    assert flow.can["interpolate"] == "exact" and not hasattr(flow, "log_prob_interval")
    back = flow.reconstruct(data).to_pandas() - data.to_pandas()
    assert float(back.abs().max().max()) < 1e-9


def test_given_fields_stay_those_of_the_first():
    data = people(300)
    model = en.fit(data, Vae(**SMALL), given=["tall"], budget="20 steps")
    with pytest.raises(InputError, match="given"):
        model.decode(np.zeros((2, 2)))
    with pytest.raises(InputError, match="row for each place"):
        model.decode(np.zeros((2, 2)), given={"tall": ["yes"]})
    table = data.to_pandas()
    way = model.interpolate(table[table["tall"] == "yes"].head(2), table[table["tall"] == "no"].head(2), steps=3)
    assert way.to_pandas()["tall"].tolist() == ["yes"] * 6


def test_what_cannot_be_is_refused(model):
    data = people(3)
    for call in (
        lambda: model.decode(np.zeros((2, 5))),
        lambda: model.decode([[math.nan, 0.0]]),
        lambda: model.interpolate(data, people(2)),
        lambda: model.interpolate(data, data, steps=1),
        lambda: model.interpolate(data, data, how="arc"),
        lambda: model.log_prob_interval(data, 1.0),
    ):
        with pytest.raises(InputError):
            call()
    other = en.fit(data, "independent")
    assert not hasattr(other, "encode")
    with pytest.raises(CapabilityError, match=r"flow or vae|vae or flow"):
        other.encode(data)


def test_an_arc_keeps_its_distance_and_a_line_its_share():
    a, b = torch.randn(2, 50, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    b = b / b.norm(dim=1, keepdim=True) * a.norm(dim=1, keepdim=True)
    shares = torch.linspace(0, 1, 5, dtype=torch.float64)
    arc = spherical(a, b, shares)
    assert torch.allclose(arc.norm(dim=2), a.norm(dim=1)[:, None].expand(-1, 5))
    assert torch.allclose(arc[:, 0], a) and torch.allclose(arc[:, -1], b)
    assert torch.allclose(linear(a, b, shares)[:, 2], (a + b) / 2)
    for end in (-a, a, torch.zeros_like(a)):  # no plane to turn in
        assert torch.allclose(spherical(a, end, shares), linear(a, end, shares), atol=1e-3)
