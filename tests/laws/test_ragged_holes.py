"""The law of holes of DESIGN section 6 for families over sequences."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from ensample.errors import InputError
from ensample.events import Batch, Discrete, Limit, concatenate, unknown
from ensample.families.abilities import Draws, Expects
from ensample.infer.impute import centre, fill
from tests.laws.ragged import (
    CASES,
    LETTERS,
    MIXED,
    RaggedCase,
    chance_of_length,
    every_sequence,
    fitted,
    generator,
    most_steps,
)
from tests.laws.test_ragged import FALSE_ALARM, can, drawn_against, draws_exactly, each, lengthening, same

drawing = pytest.mark.parametrize("case", [c for c in CASES if can(c, Draws)], ids=lambda c: c.id)
exactly = pytest.mark.parametrize("case", [c for c in CASES if draws_exactly(c)], ids=lambda c: c.id)
expecting = pytest.mark.parametrize("case", [c for c in CASES if can(c, Expects)], ids=lambda c: c.id)


@drawing
def test_law_8_filled_records_keep_what_is_known(case):
    batch = case.truth.records(200, seed=5).batch()
    holes = (torch.rand(batch.mask.shape, generator=generator(4)) < 0.4) & batch.steps()[..., None]
    if case.truth.event is MIXED:
        holes[..., 2] |= holes[..., 1]
    broken = replace(batch, cells=torch.where(holes, 0, batch.cells), mask=batch.mask & ~holes)
    for filled in (
        fill(fitted(case.id), broken, [], generator(5)),
        centre(fitted(case.id), broken, [], generator(5), "mean"),
        centre(fitted(case.id), broken, [], generator(5), "mode"),
    ):
        assert torch.equal(filled.cells[broken.mask], broken.cells[broken.mask])
        assert torch.equal(filled.lengths, batch.lengths)
        assert torch.equal(filled.mask[..., 0], batch.steps())
        if case.truth.event is MIXED:
            assert torch.equal(filled.mask[..., 2], batch.steps() & (filled.cells[..., 1] == 1))


def with_holes(case: RaggedCase) -> tuple[Batch, Batch]:
    """A record of three steps of which little is known, and all records that agree with it."""
    event = case.truth.event
    possible = every_sequence(event, 3 if event is LETTERS else 2, 2)
    row = possible.take(torch.tensor([0]))
    mask = torch.zeros_like(row.mask)
    if event is LETTERS:
        row.cells[0, :, 0], mask[0, [0, 2], 0] = torch.tensor([0, 0, 2]), True
    else:
        row.cells[0], mask[0, 0, :], mask[0, 1, 0] = torch.tensor([[2, 1, 1], [0, 0, 0]]), True, True
    fits = ((possible.cells == row.cells) & possible.mask | ~mask).flatten(1).all(1)
    return replace(row, cells=torch.where(mask, row.cells, 0), mask=mask), possible.take(fits.nonzero()[:, 0])


@each
def test_law_8_missing_steps_are_integrated_out_or_refused(case):
    row, possible = with_holes(case)
    if not case.holes:
        with pytest.raises(InputError, match="whole"):
            fitted(case.id).log_prob(row)
        return
    total = fitted(case.id).log_prob(possible).logsumexp(0)
    assert float(fitted(case.id).log_prob(row)[0]) == pytest.approx(float(total), abs=2e-2)
    if case.truth.event is LETTERS:
        assert float(fitted(case.id).log_prob(row)[0]) == pytest.approx(float(total), abs=1e-9)


@exactly
@pytest.mark.parametrize("limited", [False, True])
def test_law_8_conditionals_are_those_of_the_joint(case, limited):
    row, possible = with_holes(case)
    limits = [Limit(0, ((0, 1),))] if case.truth.event is LETTERS else [Limit(1, ((1, 1),))]
    if limited:
        keep = limits[0].contains(possible.cells[..., limits[0].column]) | row.mask[..., limits[0].column]
        possible = possible.take(keep.all(1).nonzero()[:, 0])
    made = fill(fitted(case.id), row.repeat(4_000), limits if limited else [], generator(6))
    assert drawn_against(fitted(case.id), made, possible) > FALSE_ALARM


@expecting
def test_law_8_expectations_are_those_of_the_joint(case):
    row, possible = with_holes(case)
    distribution = fitted(case.id)
    p = torch.softmax(distribution.log_prob(possible), 0)
    values, mask = distribution.expect(row)
    for t, j in itertools.product(range(row.cells.shape[1]), range(row.cells.shape[2])):
        if row.mask[0, t, j]:
            continue
        if isinstance(distribution.event.element.spans[j].event, Discrete):
            odds = torch.zeros(5, dtype=torch.float64).index_add_(0, possible.cells[:, t, j], p)
            assert float(values[0, t, j]) == int(odds.argmax())
        elif mask[0, t, j]:
            there = p * possible.mask[:, t, j]
            mean = float((there * possible.cells[:, t, j]).sum() / there.sum())
            assert float(values[0, t, j]) == pytest.approx(mean, abs=0.1)


@lengthening
def test_law_8_records_of_unknown_length_are_made(case):
    distribution = fitted(case.id)
    known = case.truth.records(3, seed=2).batch()
    made = fill(distribution, concatenate([known, unknown(1_500, case.truth.event)]), [], generator(7))
    assert torch.equal(made.take(slice(0, 3)).lengths, known.lengths)
    new = made.take(slice(3, None))
    assert torch.equal(new.mask[..., 0], new.steps())
    most = most_steps(distribution, case.truth.event)
    p = chance_of_length(distribution, case.truth.event, most)
    seen = np.bincount(new.lengths.numpy().clip(max=most + 1), minlength=most + 2)
    assert same(seen, np.append(p, 1 - p.sum()) * 1_500) > FALSE_ALARM
