"""Chains of pixels as a family: real digits, codes, holes, awkward events."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Generator

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Span
from ensample.families.images.autoregressive import ImageAutoregressive
from ensample.infer.impute import PARTICLES, fill
from ensample.kinds.images import Images
from ensample.run import Run
from ensample.train import learn

LABEL = Mixed((Span("label", Discrete(10)),))
DIGITS = Continuous(Lattice(0, 16, 8.0, 8.0), (1, 8, 8))


def digits(rows: slice, given: bool = True) -> Images:
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))[rows]
    table = data.images[order].astype(np.uint8)[:, None]
    return Images(DIGITS, table, *((LABEL, data.target[order, None].astype(np.int64)) if given else ()))


def learned(family: ImageAutoregressive, records: Images, steps: int) -> object:
    return learn(family, records, 0, Run(Clock(Budget(steps=steps))))


def with_label(batch: Batch, label: int) -> Batch:
    cells = torch.full((len(batch), 1), label)
    return dataclasses.replace(batch, cond=Batch(cells, torch.ones_like(cells, dtype=torch.bool)))


@pytest.fixture(scope="module")
def model():
    return learned(ImageAutoregressive(width=24, layers=1, row_width=32, batch_size=64), digits(slice(0, 1400)), 250)


def test_digits_are_learned_far_better_than_pixel_by_pixel_and_by_their_label(model):
    train, test = digits(slice(0, 1400)), digits(slice(1400, None))
    batch = test.batch()
    counts = (train.table[:, 0, :, :, None] == np.arange(17)).sum(0) + 0.5
    log_share = np.log(counts / counts.sum(-1, keepdims=True))
    alone = -np.take_along_axis(log_share, test.table[:, 0, :, :, None].transpose(1, 2, 0, 3)[..., 0], 2).sum((0, 1))
    nats = -model.log_prob(batch).numpy()
    assert nats.mean() < 0.85 * alone.mean()
    scores = torch.stack([model.log_prob(with_label(batch, label)) for label in range(10)], 1)
    right = (scores.argmax(1).numpy() == test.given_table[:, 0]).mean()
    assert right > 0.85, "Bayes' rule tells digits by p(picture | label)"


def test_log_prob_is_the_same_in_any_company(model):
    batch = digits(slice(0, model.block + 5)).batch()
    whole, turned = model.log_prob(batch), model.log_prob(batch.take(torch.arange(len(batch) - 1, -1, -1)))
    assert torch.equal(model.log_prob(batch.take(slice(3, 4))), model.log_prob(batch.take(slice(3, 9)))[:1])
    assert torch.allclose(whole, turned.flip(0), rtol=0, atol=1e-4)


def test_holes_at_the_end_are_integrated_out_and_earlier_ones_refused():
    event = Discrete(3, (2, 2))
    table = np.random.default_rng(1).integers(0, 3, (40, 2, 2)).astype(np.uint8)
    table[:, 1] = table[:, 0]
    own = learned(ImageAutoregressive(width=8, layers=1), Images(event, table), 40)
    every = torch.cartesian_prod(*[torch.arange(3)] * 4).view(81, 2, 2)
    p = own.log_prob(Batch(every, torch.ones_like(every, dtype=torch.bool))).exp()
    assert float(p.sum()) == pytest.approx(1.0, abs=1e-5)
    known = torch.tensor([[True, True], [True, False]]).expand(81, 2, 2)
    part = own.log_prob(Batch(every, known)).exp()
    assert torch.allclose(part.view(27, 3)[:, 0], p.view(27, 3).sum(1), atol=1e-6)
    assert torch.equal(part.view(27, 3)[:, 0], part.view(27, 3)[:, 2]), "what is not known is not looked at"
    with pytest.raises(InputError, match="first hole"):
        own.log_prob(Batch(every, known.flip(1)))
    again = ImageAutoregressive(width=8, layers=1).restore(own.event, None, own.arrays(), own.facts())
    assert torch.equal(
        again.sample(9, Generator().manual_seed(0)).cells, own.sample(9, Generator().manual_seed(0)).cells
    )


def test_completed_digits_keep_what_is_known(model):
    batch = digits(slice(1400, 1440)).batch()
    mask = torch.ones_like(batch.mask)
    mask[:, :, 4:] = False
    made, weight = model.draw(dataclasses.replace(batch, mask=mask), Generator().manual_seed(0))
    assert torch.equal(made.cells[mask], batch.cells[mask]) and not weight.any(), "nothing known comes late"
    assert float((made.cells != batch.cells)[~mask].float().mean()) > 0.2
    late, weight = model.draw(dataclasses.replace(batch, mask=~mask), Generator().manual_seed(0))
    assert torch.equal(late.cells[~mask], batch.cells[~mask]) and bool((weight < 0).all())
    whole = model.log_prob(late)
    first = model.log_prob(Batch(late.cells, mask, batch.cond))
    assert torch.allclose(weight, whole - first, atol=1e-3), "weights are what the known part adds"


def test_one_draw_is_enough_where_all_that_is_known_comes_first(monkeypatch):
    records = digits(slice(0, 6), given=False)
    own = ImageAutoregressive(width=8, layers=1, row_width=8).build(records, 0).eval()
    batch = records.batch()
    mask = torch.ones_like(batch.mask)
    mask[:, :, 6:] = False
    mask[2] = False
    mask[4, :, 7, 7] = True  # behind holes
    assert own.sees_all(dataclasses.replace(batch, mask=mask)).tolist() == [True, True, True, True, False, True]
    asked, draw = [], own.draw
    monkeypatch.setattr(own, "draw", lambda part, *rest: asked.append(len(part)) or draw(part, *rest))
    made = fill(own, dataclasses.replace(batch, mask=mask), [], Generator().manual_seed(0))
    assert sorted(asked) == [5, PARTICLES] and made.mask.all()
    assert torch.equal(made.cells[mask], batch.cells[mask])


def test_levels_need_not_start_at_zero():
    event = Continuous(Lattice(3, 4, 3.5, 0.5), (1, 2, 3))
    table = (3 + (np.random.default_rng(2).random((60, 1, 2, 3)) < 0.2)).astype(np.uint8)
    own = learned(ImageAutoregressive(network="made", width=12), Images(event, table), 3)
    made = own.sample(50, Generator().manual_seed(0))
    assert set(made.cells.unique().tolist()) == {3, 4}
    assert float((made.cells == 3).float().mean()) > 0.6
    outside = Batch(torch.full((1, 1, 2, 3), 5), torch.ones(1, 1, 2, 3, dtype=torch.bool))
    assert float(own.log_prob(outside)) == -np.inf


def test_photographs_are_scored_in_all_channels():
    """Green is red plus a little noise: the head must say it at a few nats, though it is random anew at each pixel."""
    rng = np.random.default_rng(3)
    red = rng.integers(0, 256, (600, 1, 4, 4))
    table = np.concatenate([red, np.clip(red + rng.integers(-2, 3, red.shape), 0, 255)], 1).astype(np.uint8)
    records = Images(Continuous(Lattice(0, 255, 127.5, 127.5), (2, 4, 4)), table)
    family = ImageAutoregressive(width=16, layers=1, row_width=0, pieces=5, batch_size=64)
    own = learned(family, records, 300)
    nats = -float(own.log_prob(records.batch()).mean()) / 16
    assert np.log(256) + np.log(5) - 0.05 < nats < np.log(256) + np.log(5) + 0.8
    made = own.sample(200, Generator().manual_seed(0)).cells.double()
    assert float((made[:, 0] - made[:, 1]).abs().mean()) < 10


@pytest.mark.parametrize(
    ("options", "event", "words"),
    [
        ({"head": "bernoulli"}, DIGITS, "two levels"),
        ({"head": "logistic"}, Discrete(9, (4, 4)), "order"),
        ({"network": "transformer"}, Continuous(Lattice(0, 1), (1, 64, 64)), "1024"),
        ({"network": "made"}, Continuous(Lattice(0, 255), (3, 32, 32)), "too large"),
        ({}, Discrete(9, (4,)), "rows and columns"),
        ({}, Discrete(1, (4, 4)), "one level"),
    ],
)
def test_what_cannot_be_learned_is_refused(options, event, words):
    assert words in ImageAutoregressive(**options).refuses_arrays(event, None)
    assert ImageAutoregressive().refuses_arrays(DIGITS, LABEL) is None


def test_options_are_checked():
    for wrong in ({"dropout": 1.0}, {"width": 0}, {"network": "transformer", "width": 6}):
        with pytest.raises(InputError):
            ImageAutoregressive(**wrong)
