"""Autoregressive networks over series: against closed forms, and one route to a probability against another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from tests.laws.ragged import LETTERS, MIXED, TRUTHS, every_sequence

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Ragged, Span
from ensample.families import SequenceAutoregressive, SeriesAutoregressive
from ensample.families.sequences.steps.cuts import cut
from ensample.families.sequences.steps.model import AutoregressiveSteps
from ensample.fitting import as_family
from ensample.infer.impute import fill
from ensample.kinds.sequences import Sequences
from ensample.run import Run
from ensample.train import learn

STEPS, LEVEL, PULL = 6, 100.0, 0.8
WALK = Ragged(Mixed((Span("level", Continuous(Lattice(-500, 500, 0.0, LEVEL))),)), STEPS, fixed=True)
NETWORKS = ("gru", "lstm", "transformer", "wavenet")


def walks(count: int, seed: int) -> np.ndarray:
    """x_t = 0.8 x_(t-1) + 0.6 e_t, stationary, [count, steps]."""
    noise = np.random.default_rng(seed).standard_normal((count, STEPS))
    out = noise.copy()
    for step in range(1, STEPS):
        out[:, step] = PULL * out[:, step - 1] + np.sqrt(1 - PULL**2) * noise[:, step]
    return out


def records(values: np.ndarray) -> Sequences:
    table = np.round(values * LEVEL).astype(np.int64).reshape(-1, 1)
    return Sequences(WALK, table, lengths=np.full(len(values), STEPS))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def first(batch: Batch, steps: int) -> Batch:
    """The batch with all but its first steps unset."""
    mask = batch.mask.clone()
    mask[:, steps:] = False
    return replace(batch, cells=torch.where(mask, batch.cells, 0), mask=mask)


def shaken(network: str, event: Ragged, context: int = 4) -> AutoregressiveSteps:
    """A network of random weights."""
    truth = TRUTHS["mixed"].records(60)
    family = SeriesAutoregressive(network=network, width=8, layers=2, hidden=6, pieces=2, lags=3, context=context)
    module = family.build(replace(truth, event=event), 0)
    with torch.no_grad():
        for weight in module.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator(1))
    return module.eval()


@pytest.fixture(scope="module")
def linear() -> AutoregressiveSteps:
    family = SeriesAutoregressive(width=8, layers=1, head="gaussian", pieces=1, lags=2)
    return family.build(records(walks(2_000, 0)), 0).eval()


@pytest.fixture(scope="module")
def held_out() -> Batch:
    return records(walks(300, 1)).batch()


def log_density(values: np.ndarray) -> np.ndarray:
    covariance = PULL ** np.abs(np.subtract.outer(np.arange(values.shape[1]), np.arange(values.shape[1])))
    return stats.multivariate_normal(np.zeros(len(covariance)), covariance).logpdf(values)


def test_what_is_not_learned_yet_is_the_linear_autoregression(linear, held_out):
    exact = log_density(held_out.cells[..., 0].numpy() / LEVEL) - STEPS * np.log(LEVEL)
    assert np.abs(linear.log_prob(held_out).numpy() - exact).mean() < 0.05


@pytest.mark.parametrize("head", ["gaussian", "logistic"])
def test_several_pieces_begin_as_about_one_normal(head, held_out):
    family = SeriesAutoregressive(width=8, layers=1, head=head, pieces=5, lags=1)
    start = family.build(records(0.3 * walks(2_000, 0)), 0).eval()
    values = held_out.cells[..., 0].numpy() / LEVEL
    near = records(0.3 * values).batch()
    exact = log_density(near.cells[..., 0].numpy() / LEVEL / 0.3) - STEPS * np.log(0.3 * LEVEL)
    assert abs((start.log_prob(near).numpy() - exact).mean()) < 0.3


def test_what_is_unset_at_the_end_is_integrated_out(linear, held_out):
    begun = first(held_out, 3)
    exact = log_density(held_out.cells[:, :3, 0].numpy() / LEVEL) - 3 * np.log(LEVEL)
    assert np.abs(linear.log_prob(begun).numpy() - exact).mean() < 0.05
    assert bool(linear.sees_all(begun).all())


def test_what_follows_is_drawn_from_the_closed_form(linear, held_out):
    made = fill(linear, first(held_out, 3), [], generator()).cells[..., 0].numpy() / LEVEL
    now = held_out.cells[:, 2, 0].numpy() / LEVEL
    for ahead in (1, 3):
        spread = np.sqrt(1 - PULL ** (2 * ahead))
        assert stats.kstest((made[:, 2 + ahead] - PULL**ahead * now) / spread, "norm").pvalue > 1e-4


def test_a_gap_before_what_is_known_is_refused_by_scores_and_weighed_by_draws(linear, held_out):
    gap = replace(held_out, mask=held_out.mask.clone())
    gap.mask[:, 2] = False
    with pytest.raises(InputError, match="whole"):
        linear.log_prob(gap)
    assert not bool(linear.sees_all(gap).any())
    made = fill(linear, gap, [], generator()).cells[..., 0].numpy() / LEVEL
    middle = (made[:, 1] + made[:, 3]) * PULL / (1 + PULL**2)
    spread = np.sqrt((1 - PULL**2) / (1 + PULL**2))
    assert stats.kstest((made[:, 2] - middle) / spread, "norm").pvalue > 1e-4


@pytest.mark.parametrize("network", NETWORKS)
def test_steps_drawn_and_weighed_one_by_one_have_the_probability_of_whole_records(network):
    """In windows that slide: the record is nearly three times as long as the context."""
    module = shaken(network, replace(MIXED, max_length=11, fixed=True))
    batch = module.sample(20, generator(2))
    opened = replace(batch, mask=batch.mask.clone())
    opened.mask[:, 0] = False
    made, weight = module.draw(opened, generator(3))
    assert torch.equal(made.cells[:, 1:], batch.cells[:, 1:]) and torch.equal(made.mask[:, 1:], batch.mask[:, 1:])
    begun = module.log_prob(first(made, 1))
    assert torch.allclose(module.log_prob(made) - begun, weight, atol=1e-3)


@pytest.mark.parametrize("network", NETWORKS)
def test_ends_are_weighed_as_they_are_scored(network):
    module = shaken(network, replace(MIXED, max_length=11))
    batch = TRUTHS["mixed"].records(30, seed=3).batch()
    batch = batch.take((batch.lengths > 1).nonzero()[:, 0])
    whole = module.log_prob(batch)
    assert torch.isfinite(whole).all() and bool((module.log_ends(batch) < 0).all())
    longer = batch.padded(batch.cells.shape[1] + 1)
    closed = replace(longer, lengths=batch.lengths + 1)
    last = torch.arange(len(batch)), batch.lengths
    closed.mask[last] = False
    made, weight = module.draw(closed, generator(0))
    assert torch.equal(made.lengths, closed.lengths)
    goes_on = whole - module.log_ends(batch) + torch.log(-torch.expm1(module.log_ends(batch)))
    step = module.log_prob(made) - module.log_ends(made) - goes_on
    assert torch.allclose(weight, module.log_ends(made), atol=1e-3) and bool((step < 0).all())


@pytest.mark.parametrize("network", NETWORKS)
def test_law_15_nothing_is_told_from_what_comes_later(network):
    module = shaken(network, replace(MIXED, max_length=4, fixed=True))
    batch = module.sample(4, generator(0))
    cond = torch.zeros(4, 0)
    features = module.net.lags.features(batch.cells, batch.mask)
    out = module.net.trunk(module.net.inputs(features, torch.ones(4, dtype=torch.bool), cond), None)[:, :-1]
    before = module.net.log_p(out, features, batch.cells, batch.mask)
    for step, span in ((1, 0), (2, 1), (3, 2)):
        cells, mask = batch.cells.clone(), batch.mask.clone()
        cells[:, step, span], mask[:, step, span] = (cells[:, step, span] + 1) % 2, True
        features = module.net.lags.features(cells, mask)
        out = module.net.trunk(module.net.inputs(features, torch.ones(4, dtype=torch.bool), cond), None)[:, :-1]
        after = module.net.log_p(out, features, cells, batch.mask)
        assert torch.equal(before[:, :step], after[:, :step])
        assert torch.equal(before[:, step, :span], after[:, step, :span])
        if step < 3:
            assert not torch.equal(before[:, step + 1], after[:, step + 1])


def test_law_3_windows_of_mixed_steps_have_probability_one():
    for network in ("gru", "wavenet"):
        module = shaken(network, replace(MIXED, max_length=2, fixed=True))
        batch = every_sequence(MIXED, 2, 8)
        assert float(module.log_prob(batch).exp().sum()) == pytest.approx(1.0, abs=5e-3)


def test_inputs_tell_what_is_missing_from_what_is_average():
    module = shaken("gru", replace(MIXED, max_length=2, fixed=True))
    cells = torch.tensor([[[0, 1, 2], [0, 1, 3]], [[0, 1, 0], [0, 1, 3]]])
    mask = torch.ones(2, 2, 3, dtype=torch.bool)
    mask[1, 0, 2] = False
    features = module.net.lags.features(cells, mask)
    assert features[0, 0].tolist() != features[1, 0].tolist()
    assert features[1, 0, :2].tolist() == [0.0, 0.0] and features[0, 0, 1] == 1.0


def test_long_records_are_learned_in_windows_that_know_they_were_cut():
    table = TRUTHS["mixed"].records(10).table
    long = Sequences(replace(MIXED, max_length=len(table)), table, lengths=np.array([len(table)]))
    windows = cut(long, 6)
    batch = windows.batch()
    assert bool(batch.scored[0, 0]) and not bool(batch.scored[1:, 0].any())
    assert int((batch.scored[:, 1:] & batch.steps()).sum()) >= len(table) - 6
    ends = batch.scored[torch.arange(len(batch)), batch.lengths]
    assert ends.tolist() == [False] * (len(batch) - 1) + [True]
    module = SeriesAutoregressive(width=8, layers=1, context=6).build(long, 0)
    begins, cut_off = (module.log_p(replace(batch, scored=scored), torch.zeros(len(batch), 0))[0]
                       for scored in (None, batch.scored))  # fmt: skip
    assert torch.equal(begins[0], cut_off[0])


@pytest.mark.parametrize(("context", "stride"), [(6, 5), (7, 5), (7, 20), (5, 3)])
def test_windows_that_share_steps_are_told_whether_records_share_them_or_not(context, stride):
    lengths = np.full(120, 20)
    table = (stride * np.arange(120)[:, None] + np.arange(20)).reshape(-1, 1)
    event = Ragged(Mixed((Span("place", Discrete(1_000)),)), 20)
    windows = cut(Sequences(event, table, lengths=lengths, near=-(-20 // stride) - 1), context)
    batch = windows.batch()
    held = [set(cells[:length].tolist()) for cells, length in zip(batch.cells[:, :, 0], batch.lengths, strict=True)]
    apart = max(j - i for i in range(len(held)) for j in range(i, len(held)) if held[i] & held[j])
    assert apart <= windows.near < 2 * apart + 4  # all that share a step, and not many more
    learned, other = windows.split(0.1, 0)
    assert len(other) and not set(learned.table.ravel().tolist()) & set(other.table.ravel().tolist())


def test_which_network_the_name_means_follows_from_the_steps():
    assert as_family("autoregressive", LETTERS) == SequenceAutoregressive()
    assert as_family("autoregressive", MIXED) == SeriesAutoregressive()
    assert as_family("autoregressive", WALK) == SeriesAutoregressive()


def test_given_fields_move_the_series():
    of = Mixed((Span("season", Discrete(2)),))
    given = np.arange(400)[:, None] % 2
    told = replace(records(walks(400, 2) + 3.0 * given), given=of, given_table=given)
    family = SeriesAutoregressive(width=8, layers=1, pieces=1, lags=1, learning_rate=2e-2, dropout=0.0)
    learned = learn(family, told, 0, Run(Clock(Budget(steps=30))))
    cond = Batch(torch.arange(400)[:, None] % 2, torch.ones(400, 1, dtype=torch.bool))
    made = learned.sample(400, generator(), cond).cells[:, 0, 0].double() / LEVEL
    assert float(made[1::2].mean() - made[::2].mean()) == pytest.approx(3.0, abs=0.8)
