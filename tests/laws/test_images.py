"""The laws of DESIGN section 6 over pictures, each over the whole table of `tests.laws.pictures`."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from ensample.families import TABLE
from ensample.families.abilities import Draws, Scores, Translates
from ensample.families.base import Distribution, GradientFamily
from ensample.families.training import Training
from ensample.infer.likelihood import cell_log_prob
from ensample.kinds.images import Images
from tests.laws.cases import generator
from tests.laws.pictures import (
    SHAPE,
    SIZE,
    batch_of,
    drawn,
    every,
    fitted,
    gather,
    labels,
    toy_event,
    toy_log_prob,
    toy_pictures,
)

CASES = gather()

each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


def having(protocol: type) -> pytest.MarkDecorator:
    chosen = [case for case in CASES if issubclass(TABLE[case.name].distribution, protocol)]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.id)


scored = having(Scores)
sampled = having(Distribution)


def halves(cells: torch.Tensor) -> torch.Tensor:
    """Bright pixels of the left and of the right half as one number, [rows]."""
    left, right = cells[..., : SIZE // 2].sum((1, 2, 3)), cells[..., SIZE // 2 :].sum((1, 2, 3))
    return left * (SIZE * SIZE // 2 + 1) + right


def shares(cells: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    weight = torch.full((len(cells),), 1 / len(cells), dtype=torch.float64) if weight is None else weight
    return torch.bincount(halves(cells), weight, (SIZE * SIZE // 2 + 1) ** 2)


def test_toy_law_is_a_distribution():
    assert float(toy_log_prob(every()).exp().sum()) == pytest.approx(1.0)


@scored
def test_law_3_probabilities_sum_to_one(case):
    if case.total is None:
        pytest.skip("scoring every picture takes too long: law 5 compares the likelihood with the truth")
    own = fitted(case.id)
    pictures = every().split(8_192)
    total = math.fsum(float(cell_log_prob(own, batch_of(part)).exp().sum()) for part in pictures)
    assert total <= 1 + case.total
    if own.guarantees["log_prob"] == "exact":
        assert total >= 1 - case.total


@sampled
def test_law_4_samples_are_pictures_that_follow_the_law(case):
    made = fitted(case.id).sample(2_000, generator(1))
    assert made.cells.shape == (2_000, *SHAPE) and made.mask.all()
    assert int(made.cells.min()) >= 0 and int(made.cells.max()) <= 1
    truth = shares(every(), toy_log_prob(every()).exp())
    noise = float((shares(toy_pictures(2_000, seed=9).batch().cells) - truth).abs().sum() / 2)
    assert float((shares(made.cells) - truth).abs().sum() / 2) <= case.like + noise


@sampled
def test_law_4_samples_follow_the_label(case):
    own = fitted(case.id, given=True)
    for label in (0, 1):
        made = own.sample(1_000, generator(2), labels(label, 1_000))
        truth = shares(every(), toy_log_prob(every(), label).exp())
        noise = math.sqrt(2 / math.pi) * 0.5 * float((truth * (1 - truth) / 1_000).sqrt().sum())
        assert float((shares(made.cells) - truth).abs().sum() / 2) <= case.like + 1.5 * noise


@scored
@pytest.mark.parametrize("label", [None, 1])
def test_law_5_learns_the_known_law(case, label):
    if case.close is None:
        pytest.skip("says itself that its likelihood is too rough to compare")
    records = toy_pictures(1_000, seed=5, given=label is not None)
    chosen = records if label is None else records.select(np.flatnonzero(records.given_table[:, 0] == label))
    batch = chosen.batch()
    nats = cell_log_prob(fitted(case.id, given=label is not None), batch)
    gap = float((toy_log_prob(batch.cells, label) - nats).mean())
    assert -0.25 * case.close - 0.05 <= gap <= case.close


@having(Draws)
def test_law_8_what_is_known_stays(case):
    batch = toy_pictures(50, seed=6).batch()
    holes = torch.rand(batch.cells.shape, generator=generator(3)) < 0.5
    asked = dataclasses.replace(batch, cells=torch.where(holes, 0, batch.cells), mask=~holes)
    made, weight = fitted(case.id).draw(asked, generator(4))
    assert torch.equal(made.cells[~holes], batch.cells[~holes]) and made.mask.all()
    assert weight.shape == (50,) and not torch.isnan(weight).any()


@each
def test_law_9_every_knob_changes_something(case):
    names = {f.name for f in dataclasses.fields(TABLE[case.name])}
    assert set(case.knobs) <= names
    listed = {name for other in CASES if other.name == case.name for name in other.knobs}
    if issubclass(TABLE[case.name], Training):  # what the engine does with its options: tests/train
        names -= {f.name for f in dataclasses.fields(Training)}
    assert names <= listed, f"knobs without a law: {names - listed}"
    for name, value in case.knobs.items():
        records = toy_pictures(300, given=case.told or name in case.knobs_of_given)
        base = dict(case.knob_options.get(name, {}))
        changed = {**base, name: value}
        if told(case, base, records) != told(case, changed, records):
            continue
        assert behaviour(case, base, records) != behaviour(case, changed, records), f"{name} changes nothing"


def told(case: object, options: dict, records: Images) -> str | None:
    """What the family refuses with these options: a knob may change that alone."""
    return case.family(**options).refuses_arrays(records.event, records.given)


def behaviour(case: object, options: dict, records: Images) -> dict:
    own = case.fit(records, budget=case.knob_budget, **options)
    some = records.select(slice(0, 20)).batch()
    state = learned_state(own)
    state["drawn"] = drawn(own, 20, 0, some.cond).cells.tolist()
    if isinstance(own, Scores):
        state["scored"] = str(cell_log_prob(own, some).tolist())
    return state


def learned_state(own: object) -> dict:
    return {name: str(array.tolist()) for name, array in own.arrays().items()}


@each
@pytest.mark.parametrize("awkward", ["all alike", "two pictures", "three channels"])
def test_law_10_awkward_pictures_are_learned(case, awkward):
    records = toy_pictures(40, given=case.told)
    table, event, given = records.table.copy(), records.event, (records.given, records.given_table)
    if awkward == "all alike":
        table[:] = table[:1]
    elif awkward == "two pictures":
        table, given = table[:2], (given[0], given[1] if given[1] is None else np.array([[0], [1]]))
    else:
        table = np.concatenate([table, table, 1 - table], 1)
        event = dataclasses.replace(toy_event(), shape=(3, SIZE, SIZE))
    own = case.fit(Images(event, table, *given), budget=case.knob_budget)
    if isinstance(own, Translates):
        made = own.translate(Images(event, table[[0] * 5]).batch(), labels(1, 5))
    else:
        made = own.sample(5, generator(8))
    assert made.cells.shape == (5, *event.shape)
    if isinstance(own, Scores):
        nats = cell_log_prob(own, made)
        assert torch.isfinite(nats).all() and bool((nats <= 1e-6).all())


@pytest.mark.parametrize("case", [c for c in CASES if isinstance(TABLE[c.name](), GradientFamily)], ids=lambda c: c.id)
def test_law_10_gradients_reach_every_parameter(case):
    family, records = case.family(), toy_pictures(64, given=True)
    module = case.fit(records, budget="2 steps")  # what starts at zero has moved
    module.train()
    for player in family.players(module):
        module.zero_grad()
        loss = player.loss(records.batch(), generator(0)).mean()
        loss.backward()
        idle = [i for i, p in enumerate(player.parameters) if p.grad is None or not bool((p.grad != 0).any())]
        assert not idle, f"{player.name}: parameters {idle} get no gradient"


@each
def test_law_11_seeds(case):
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    records = toy_pictures(200, given=case.told)
    once, again = (case.fit(records, seed=3, budget=case.knob_budget) for _ in range(2))
    assert learned_state(once) == learned_state(again)
    one, two, three = (drawn(once, 50, seed).cells for seed in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, three)
    if isinstance(once, Scores):
        assert torch.equal(*(cell_log_prob(once, records.batch(slice(0, 8))) for _ in range(2)))
    after = torch.random.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    assert torch.equal(before[0], after[0]) and np.array_equal(before[1], after[1])


@scored
def test_law_11_company_does_not_change_log_prob(case):
    own, batch = fitted(case.id), toy_pictures(24, seed=7).batch()
    whole = cell_log_prob(own, batch)
    single = torch.cat([cell_log_prob(own, batch.take(slice(i, i + 1))) for i in range(len(batch))])
    turned = cell_log_prob(own, batch.take(torch.arange(23, -1, -1))).flip(0)
    assert torch.allclose(whole, single, rtol=0, atol=1e-3) and torch.allclose(whole, turned, rtol=0, atol=1e-3)


@each
def test_law_12_restored_state_is_the_same_model(case):
    first = fitted(case.id, given=True)
    second = case.family().restore(first.event, first.given, first.arrays(), first.facts())
    cond = labels(1, 30)
    assert torch.equal(drawn(first, 30, 9, cond).cells, drawn(second, 30, 9, cond).cells)
    if isinstance(first, Scores):
        batch = batch_of(toy_pictures(30, seed=8).batch().cells, cond)
        assert torch.equal(cell_log_prob(first, batch), cell_log_prob(second, batch))
