"""Resampling: rows of the training data, chosen evenly among those that agree with what is known."""

import numpy as np
import pytest
import torch
from scipy import stats
from tests.laws.cases import generator, toy_records

from ensample.errors import CapabilityError
from ensample.events import Batch, Discrete, Limit, Mixed, Span, unknown
from ensample.families import Resample
from ensample.families.abilities import Scores
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run

FALSE_ALARM = 1e-4


def fitted(rows=400):
    return Resample().fit(toy_records(rows), 0, Run())


def keys(batch):
    return [tuple(row) for row in torch.where(batch.mask, batch.cells, -1).tolist()]


def test_samples_are_training_rows_each_as_often_as_the_next():
    model = fitted(40)
    made = keys(model.sample(20_000, generator(0)))
    places = {}
    for key in keys(model.records.batch()):
        places[key] = places.get(key, 0) + 1
    counts = {key: made.count(key) for key in set(made)}
    assert set(counts) <= set(places)
    expected = np.array([places[key] for key in places]) / 40 * 20_000
    assert stats.chisquare([counts.get(key, 0) for key in places], expected).pvalue > FALSE_ALARM


def test_draws_agree_with_evidence_and_limits_and_are_even_among_what_is_left():
    model = fitted()
    batch = unknown(6_000, model.event)
    batch.cells[:, 0], batch.mask[:, 0] = 1, True
    batch.cells[3_000:, 3], batch.mask[3_000:, 3] = 1, True
    limits = (Limit(1, ((1, 1),)), Limit(2, ((0, 1), (3, 5))))
    made, weight = model.draw(batch, generator(1), limits)
    assert bool((weight == 0).all()) and bool((made.cells[:, 0] == 1).all())
    assert bool((made.cells[3_000:, 3] == 1).all()) and bool(limits[1].contains(made.cells[:, 2]).all())
    table = model.records.table
    fits = (table[:, 0] == 1) & (table[:, 1] == 1) & np.isin(table[:, 2], [0, 1, 3, 4, 5])
    wanted = [tuple(row) for row in table[fits].tolist()]
    distinct = sorted(set(wanted))
    seen = [keys(made.take(slice(0, 3_000))).count(key) for key in distinct]
    expected = np.array([wanted.count(key) for key in distinct]) / len(wanted) * 3_000
    assert stats.chisquare(seen, expected).pvalue > FALSE_ALARM


def test_a_limit_does_not_bind_what_is_known():
    model = fitted()
    batch = unknown(50, model.event)
    batch.cells[:, 0], batch.mask[:, 0] = 2, True
    made, weight = model.draw(batch, generator(2), (Limit(0, ((0, 0),)),))
    assert bool((weight == 0).all()) and bool((made.cells[:, 0] == 2).all())


def test_rows_that_nothing_agrees_with_have_no_weight_and_stay_as_they_are():
    model = fitted()
    batch = unknown(3, model.event)
    batch.cells[1, 2], batch.mask[1, 2] = 99, True
    made, weight = model.draw(batch, generator(3))
    assert torch.isinf(weight).tolist() == [False, True, False]
    assert made.mask[1].tolist() == batch.mask[1].tolist() and int(made.cells[1, 2]) == 99
    assert bool(torch.isinf(model.draw(batch, generator(4), (Limit(3, ((7, 9),)),))[1]).all())


def with_given():
    records = toy_records(400)
    given = Mixed((Span("kind", Discrete(3)),))
    table = records.table[:, :1].copy()
    table[:5] = ABSENT
    return Records(records.event, records.table, given, table)


def test_given_fields_choose_the_rows():
    model = Resample().fit(with_given(), 0, Run())
    cond = Batch(torch.tensor([[0], [2], [0]]), torch.tensor([[True], [True], [False]])).repeat(300)
    made = model.sample(900, generator(5), cond)
    assert bool((made.cells[:300, 0] == 0).all()) and bool((made.cells[300:600, 0] == 2).all())
    unnamed = {tuple(row) for row in np.where(model.records.table[:5] == ABSENT, -1, model.records.table[:5]).tolist()}
    assert set(keys(made.take(slice(600, 900)))) <= unnamed


def test_given_fields_that_no_row_has_are_refused():
    records = with_given()
    model = Resample().fit(records.select(np.flatnonzero(records.table[:, 0] != 1)), 0, Run())
    cond = Batch(torch.tensor([[0], [1]]), torch.ones(2, 1, dtype=torch.bool))
    with pytest.raises(CapabilityError, match="row 1"):
        model.sample(2, generator(6), cond)


def test_it_holds_training_rows_so_it_is_never_stored_and_has_no_likelihood():
    model = fitted()
    assert not model.storable and model.arrays() == {} and not isinstance(model, Scores)
    assert model.guarantees == {"sample": "exact", "draw": "exact"}
    with pytest.raises(CapabilityError, match="never stored"):
        Resample().restore(model.event, None, {}, {})
