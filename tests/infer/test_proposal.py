"""Completions of families that have a likelihood and no conditionals of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ensample.events import Batch, Limit, unknown
from ensample.families.abilities import Draws
from ensample.families.base import Distribution
from ensample.infer.condition import _Pool, draw_where
from ensample.infer.impute import fill
from ensample.infer.likelihood import cell_log_prob
from ensample.infer.proposal import Proposed, completing
from tests.laws.cases import fitted, generator, toy_joint
from tests.laws.test_laws import counts, same


class Closed(Distribution):
    """A fitted circuit of products that hides its conditionals."""

    def __init__(self, inner: Distribution) -> None:
        self.inner, self.event, self.given = inner, inner.event, inner.given

    def sample(self, n, generator, cond=None):
        return self.inner.sample(n, generator, cond)

    def log_prob(self, batch):
        return cell_log_prob(self.inner, batch)

    def arrays(self):
        return self.inner.arrays()


def closed() -> Closed:
    return Closed(fitted("boosted"))


def truth(distribution, fits):
    keys = np.array(list(toy_joint()))
    table = torch.from_numpy(keys)
    p = distribution.log_prob(Batch(torch.where(table < 0, 0, table), table >= 0)).exp().numpy()
    p = np.where(fits(keys), p, 0.0)
    return p / p.sum()


def test_only_what_cannot_draw_gets_proposals():
    assert isinstance(fitted("boosted"), Draws) and completing(fitted("boosted")) is fitted("boosted")
    assert isinstance(completing(closed()), Proposed)


def test_completions_are_those_of_the_model():
    n, row = 4_000, unknown(4_000, closed().event)
    row.cells[:, 0], row.mask[:, 0] = 2, True
    row.cells[:, 3], row.mask[:, 3] = 1, True
    made = counts(fill(completing(closed()), row, [], generator(0)))
    expected = truth(closed(), lambda keys: (keys[:, 0] == 2) & (keys[:, 3] == 1))
    assert 0.5 * np.abs(made / n - expected).sum() < 0.03
    limited = counts(fill(completing(closed()), row, [Limit(1, ((1, 1),)), Limit(2, ((3, 5),))], generator(0)))
    expected = truth(closed(), lambda keys: (keys[:, 0] == 2) & (keys[:, 3] == 1) & (keys[:, 2] >= 3))
    assert 0.5 * np.abs(limited / n - expected).sum() < 0.03


def test_rare_conditions_are_met_by_proposals_and_common_ones_by_samples(monkeypatch):
    limits = [Limit(0, ((2, 2),)), Limit(1, ((1, 1),)), Limit(2, ((0, 0),)), Limit(3, ((0, 0),))]
    expected = truth(closed(), lambda keys: (keys[:, 0] == 0) & (keys[:, 1] == 1))
    common = draw_where(closed(), 2_000, [Limit(0, ((0, 0),)), Limit(1, ((1, 1),))], generator(1), None)
    assert same(counts(common)[expected > 0], 2_000 * expected[expected > 0]) > 1e-4
    monkeypatch.setattr("ensample.infer.condition.RARE", 0.5)
    made = draw_where(closed(), 200, limits, generator(2), None)
    assert len(made) == 200 and bool((made.cells == torch.tensor([2, 1, 0, 0])).all())


def test_weights_without_bound_are_cut_and_others_are_not():
    weight = 3 * torch.randn(10_000, generator=generator(3), dtype=torch.float64)
    batch = unknown(10_000, closed().event)
    cut, whole = _Pool(cut=True), _Pool(cut=False)
    for pool in (cut, whole):
        pool.add(batch, weight)
    assert whole.rate() == pytest.approx(float(torch.exp(weight - weight.max()).mean()))
    assert cut.rate() > 5 * whole.rate() and cut.rate() >= 0.5 / 100
    kept = len(cut.accept(generator(4)))
    assert abs(kept - 10_000 * cut.rate()) < 5 * kept**0.5
    cut.add(batch, torch.full((10_000,), -torch.inf, dtype=torch.float64))
    assert len(cut.accept(generator(5))) == 0
    rare = _Pool(cut=True)
    rare.add(batch, torch.where(torch.arange(10_000) < 3, 0.0, -torch.inf).to(torch.float64))
    assert len(rare.accept(generator(6))) == 3
