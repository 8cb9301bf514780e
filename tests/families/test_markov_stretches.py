"""Hidden Markov models of long records, and within their time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.clocks import Ticking
from tests.laws.ragged import CASES, LETTERS, fitted

from ensample.budget import Budget, Clock
from ensample.events import UNKNOWN_LENGTH
from ensample.families.markov.family import Markov
from ensample.families.markov.lengths import LengthLaw
from ensample.families.markov.stretches import LONG, STRETCH, cut, stretches
from ensample.kinds.sequences import Sequences


def letters(*lengths: int) -> Sequences:
    steps = np.random.default_rng(0).integers(0, 3, (sum(length for length in lengths if length > 0), 1))
    event = replace(LETTERS, max_length=max(lengths))
    return Sequences(event, steps, lengths=np.array(lengths))


@pytest.mark.parametrize("options", [{}, {"states": 5}])
def test_the_search_for_a_start_ends_within_half_of_the_time(options):
    clock = Ticking(Budget(seconds=10.0))
    model = Markov(**options).start_within(letters(*[20] * 40), 0, clock)
    assert clock.ticks < 10 and 1 <= model.parameters.states <= 5


def test_a_long_record_is_learned_as_its_stretches_are():
    long = letters(5, LONG + 700, 0, LONG)
    short = replace(long, lengths=stretches(long.lengths))
    assert short.lengths.tolist() == [5, *[STRETCH] * 9, 188, 0, LONG]
    model, family = fitted(CASES[0].id), Markov(smoothing=2.0)
    law = LengthLaw.of(torch.tensor([0, STRETCH, LONG + 700]))
    model = type(model)(long.event, model.structure, replace(model.parameters, lengths=law))
    lengths = [float(law.log_prob(torch.from_numpy(part.lengths)).sum()) for part in (long, short)]
    whole, parts = (family.summarize(model, part.batch()) for part in (long, short))
    for name in whole.keys() - {"rows", "log_prob"}:
        assert torch.allclose(whole[name], parts[name], rtol=1e-5), name
    assert float(whole["log_prob"] - lengths[0]) == pytest.approx(float(parts["log_prob"] - lengths[1]), rel=1e-5)
    assert float(whole["rows"]) == 4


def test_stretches_hold_every_step_once():
    records = letters(3, LONG + 1, UNKNOWN_LENGTH, LONG + 2 * STRETCH)
    batch = records.batch()
    own = torch.arange(batch.cells.numel()).view_as(batch.cells)
    found = [
        part.cells[row, : max(0, int(part.lengths[row])), 0].tolist()
        for part in cut(replace(batch, cells=own))
        for row in range(len(part))
    ]
    wanted = [own[row, : int(batch.lengths[row]), 0].tolist() for row in range(4) if int(batch.lengths[row]) > 0]
    assert sorted(step for part in found for step in part) == sorted(step for row in wanted for step in row)
    assert all(part == list(range(part[0], part[0] + len(part))) for part in found if part)


def test_a_long_text_is_learned_from_in_few_passes(monkeypatch):
    """The length of the recursions, not of the text, is what a pass takes."""
    from ensample.families.markov import expectation

    sizes = list[int]()
    kept = expectation.forward
    monkeypatch.setattr(expectation, "forward", lambda chain, b: (sizes.append(len(b)), kept(chain, b))[1])
    family = Markov(states=2, starts=1)
    records = letters(20 * LONG)
    family.summarize(family.start_within(records, 0, Clock(Budget(seconds=30.0))), records.batch())
    assert max(sizes) <= STRETCH
