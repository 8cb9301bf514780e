"""Warps and plans of circuits: normalised, invertible, smooth where spikes were; trees of most information."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from ensample.events import Continuous, Discrete, Lattice, Mixed, Span
from ensample.families.circuit import Circuit
from ensample.families.circuit.design import bare_plan, grown, information, leaning
from ensample.families.circuit.warp import MOST_WINDOWS, Warp, logarithmic
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run
from ensample.train.summaries import fit_by_summaries

SKEWED = Lattice(0, 3_000, shift=5.0, scale=1.2, center=0.0, knee=10.0)


def prices(n=5_000, seed=0):
    """Log-normal whole numbers, half of them rounded to hundreds."""
    rng = np.random.default_rng(seed)
    x = rng.lognormal(6.0, 0.5, n)
    return np.round(np.where(rng.random(n) < 0.5, np.round(x, -2), x)).astype(np.int64)


@pytest.mark.parametrize("window", [0.0, 0.05, 0.3, 10.0])
def test_warps_are_monotone_and_invertible(window):
    cells = prices()
    warp = Warp.fit(SKEWED, cells, window)
    position = torch.linspace(float(cells.min()) - 50, float(cells.max()) + 50, 20_001, dtype=torch.float64)
    x = warp.encode(position)
    assert bool((x.diff() > 0).all())
    assert torch.allclose(warp.position(x), position, atol=1e-6)


def test_widths_add_up_to_the_lattice_and_follow_the_counts():
    cells = prices()
    warp = Warp.fit(SKEWED, cells, 100.0)
    every = torch.arange(int(cells.min()), int(cells.max()) + 1)
    widths = warp.log_width(every).exp()
    ends = SKEWED.encode(torch.tensor([cells.min() - 0.5, cells.max() + 0.5]))
    assert float(widths.sum()) == pytest.approx(float(ends[1] - ends[0]), rel=1e-9)
    place = every.tolist().index(400)
    beside = float(widths[place + 1 : place + 50].mean())
    assert 20 < float(widths[place]) / beside < 500  # about half of the rows near 400 are at it


def test_values_met_once_leave_no_knot():
    cells = np.array([10, 20, 20, 35, 50])
    knots = Warp.fit(Lattice(0, 60), cells, window=100.0).knots.tolist()
    assert knots == [9.5, 19.5, 20.5, 50.5]


def test_a_far_outlier_costs_no_memory():
    warp = Warp.fit(Lattice(0, 1), np.array([0, 1, 2, 3, 10**12]), window=0.05)
    assert len(warp.knots) <= MOST_WINDOWS + 8


def test_restored_warps_are_the_same():
    warp = Warp.fit(SKEWED, prices(), 0.1)
    again = Warp.restore(warp.arrays())
    assert again.lattice == warp.lattice
    assert torch.equal(again.knots, warp.knots) and torch.equal(again.images, warp.images)


def test_logarithms_make_products_linear():
    rng = np.random.default_rng(0)
    a, b = rng.lognormal(7.0, 0.4, 3_000), rng.lognormal(6.0, 0.3, 3_000)
    numbers = [np.round(v).astype(np.int64) for v in (a, b, a * b / 300)]
    coordinates = [logarithmic(Lattice(0, 10**6), cells).encode(torch.from_numpy(cells)) for cells in numbers]
    design = torch.stack([torch.ones(3_000, dtype=torch.float64), *coordinates[:2]], 1)
    left = coordinates[2] - design @ torch.linalg.lstsq(design, coordinates[2][:, None]).solution[:, 0]
    assert float(left.std()) < 0.02 * float(coordinates[2].std())


def test_numbers_below_zero_keep_their_lattice():
    lattice = Lattice(-100, 100)
    assert logarithmic(lattice, np.arange(-100, 100)) is lattice


def test_spikes_cost_gaussian_leaves_nothing():
    """The gap to the entropy of the column itself, with and without windows."""
    event = Mixed((Span("price", Continuous(SKEWED)),))
    learn, held = (Records(event, prices(8_000, seed)[:, None]) for seed in (0, 1))
    losses = []
    for window in (0.0, 0.3):
        fitted = fit_by_summaries(Circuit(states=8, window=window, steps=15), learn, 0, Run())
        losses.append(float(-fitted.log_prob(held.batch()).mean()))
    assert losses[1] < losses[0] - 1.0


def chained(n=4_000, seed=0):
    """Classes in a chain a - b - c - d, and a state with an amount that hangs on c."""
    rng = np.random.default_rng(seed)
    columns = [rng.integers(4, size=n)]
    for _ in range(3):
        columns.append(np.where(rng.random(n) < 0.8, columns[-1], rng.integers(4, size=n)))
    state = (columns[2] > 1).astype(np.int64)
    columns += [state, np.where(state == 1, columns[2], ABSENT)]
    spans = [Span(name, Discrete(4)) for name in "abcd"]
    spans += [Span("e?", Discrete(2)), Span("e", Continuous(Lattice(0, 3)), (4, (1,)))]
    return Records(Mixed(tuple(spans)), np.stack(columns, 1))


def test_the_tree_is_that_of_most_information():
    records = chained()
    plan = bare_plan(records, 24.0, 0.0, False)
    tree = grown(plan, plan.layout.join(records.batch()), torch.zeros(len(records), dtype=torch.int64))
    names = {columns: v for v, columns in enumerate(tree.nodes)}
    assert set(names) == {(0,), (1,), (2,), (3,), (4, 5)}
    edges = {frozenset((tree.nodes[v], tree.nodes[u])) for v, u in enumerate(tree.parents) if u >= 0}
    expected = [((0,), (1,)), ((1,), (2,)), ((2,), (3,)), ((2,), (4, 5))]
    assert edges == {frozenset(pair) for pair in expected}


def test_independent_columns_have_no_information():
    rng = np.random.default_rng(0)
    a, b = (torch.from_numpy(rng.integers(20, size=5_000)) for _ in range(2))
    assert abs(information(a, b)) < 0.01
    assert information(a, a) == pytest.approx(np.log(20), abs=0.05)


def test_nothing_leans_where_classes_say_little():
    rng = np.random.default_rng(0)
    table = np.stack([rng.integers(1, 500, 2_000), rng.integers(1, 500, 2_000), rng.integers(3, size=2_000)], 1)
    spans = [Span(name, Continuous(Lattice(0, 500, 250.0, 150.0))) for name in "ab"]
    records = Records(Mixed((*spans, Span("c", Discrete(3)))), table)
    plan = bare_plan(records, 24.0, 0.0, False)
    assert leaning(plan, plan.layout.join(records.batch())).context == ()


def test_options_are_kept_and_checked():
    from ensample.errors import InputError

    assert dataclasses.replace(Circuit(), states=3).states == 3
    with pytest.raises(InputError):
        Circuit(states=0)
