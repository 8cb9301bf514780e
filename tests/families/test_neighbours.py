"""Kernel densities against their definition, bandwidths against known answers; interpolation between neighbours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from tests.clocks import Ticking
from tests.laws.cases import toy_records

from ensample.budget import Budget
from ensample.errors import CapabilityError
from ensample.events import Batch, Continuous, Discrete, Lattice, Limit, Mixed, Span, unknown
from ensample.families.abilities import Draws, Scores
from ensample.families.mixture.components import Layout
from ensample.families.neighbours import Kernels, Smote
from ensample.families.neighbours.kernels import FEWEST, WIDTHS, _chosen, _tables
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run

FINE = Lattice(-100_000, 100_000, scale=10_000.0)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two_groups(n: int, seed: int = 0) -> Records:
    """Two numbers and a class that follow a group, and a class that is noise."""
    rng = np.random.default_rng(seed)
    group = rng.integers(2, size=n)
    x = np.stack([group * 2.0, -group * 1.0], 1) + rng.normal(size=(n, 2)) * 0.3
    noise = rng.integers(4, size=n)
    table = np.concatenate([np.round(x * FINE.scale).astype(np.int64), group[:, None], noise[:, None]], 1)
    spans = (Continuous(FINE), Continuous(FINE), Discrete(2), Discrete(4))
    return Records(Mixed(tuple(Span(f"x{j}", span) for j, span in enumerate(spans))), table)


def test_a_density_is_the_mean_of_kernels():
    records, h = two_groups(40), 0.3
    model = Kernels(bandwidth=h).fit(records, 0, Run())
    test = two_groups(15, seed=1)
    x, y = (r.event.values(r.batch().cells).numpy() for r in (records, test))
    total = np.zeros((15, 40))
    for j in (0, 1):
        low, high = (test.event.values(test.batch().cells, u).numpy()[:, j, None] for u in (-0.5, 0.5))
        normal = stats.norm(x[:, j], h * x[:, j].std())
        with np.errstate(divide="ignore"):  # far away scipy knows no difference
            total += np.log(normal.cdf(high) - normal.cdf(low))
    for j, size in ((2, 2), (3, 4)):
        other = h * (size - 1) / size
        total += np.log(np.where(y[:, j, None] == x[:, j], 1 - other, other / (size - 1)))
    expected = np.logaddexp.reduce(total, 1) - np.log(40)
    assert np.allclose(model.log_prob(test.batch()).numpy(), expected, atol=1e-4)


def test_chosen_bandwidths_predict_new_rows():
    records, test = two_groups(500), two_groups(2_000, seed=1).batch()
    chosen = float(Kernels().fit(records, 0, Run()).log_prob(test).mean())
    fixed = [float(Kernels(bandwidth=h).fit(records, 0, Run()).log_prob(test).mean()) for h in (0.01, 0.1, 0.3, 1.0)]
    assert chosen >= max(fixed) - 0.02
    layout = Layout.of(records.event, None)
    widths = _chosen(layout, layout.join(records.batch()), Run())
    assert widths[3] >= 1.0 > widths[2]  # noise is smoothed away, what tells is kept
    assert 0.02 < widths[0] < 0.5


def test_rows_without_a_value_say_what_the_column_says():
    records = two_groups(300)
    table = records.table.copy()
    table[:150, 0] = ABSENT
    model = Kernels(bandwidth=0.1).fit(Records(records.event, table), 0, Run())
    assert model.components.covariances[0, 0] > 50 * model.components.covariances[200, 0]
    assert bool(torch.isfinite(model.log_prob(records.batch())).all())


def test_kernels_answer_under_evidence_and_limits():
    model = Kernels().fit(two_groups(1_000), 0, Run())
    row = unknown(2_000, model.event)
    row.cells[:, 2], row.mask[:, 2] = 1, True
    drawn, weight = model.draw(row, generator(0), [Limit(0, ((10_000, 22_000),))])
    assert bool((weight == 0).all())
    assert bool(((drawn.cells[:, 0] >= 10_000) & (drawn.cells[:, 0] <= 22_000)).all())
    assert float(drawn.cells[:, 1].double().mean()) == pytest.approx(-10_000, abs=600)


def test_samples_of_kernels_are_those_of_the_mixture():
    model = Kernels(bandwidth=0.4).fit(two_groups(200), 0, Run())
    fast, plain = model.sample(6_000, generator(0)), model.draw(unknown(6_000, model.event), generator(1))[0]
    for j in (0, 1):
        assert stats.ks_2samp(fast.cells[:, j], plain.cells[:, j]).pvalue > 1e-3
    table = np.stack([np.bincount(b.cells[:, 2] * 4 + b.cells[:, 3], minlength=8) for b in (fast, plain)])
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_new_rows_lie_between_a_row_and_one_of_its_neighbours():
    records = two_groups(60)
    model = Smote(neighbours=3).fit(records, 0, Run())
    made = model.sample(300, generator(0))
    x = records.event.values(records.batch().cells).numpy()
    points = model.places.points.numpy()
    y = made.cells[:, :2].double().numpy() / FINE.scale
    distance = ((points[:, None] - points) ** 2).sum(2)
    np.fill_diagonal(distance, np.inf)
    near = distance.argsort(1)[:, :3]
    inside = np.zeros(300, dtype=bool)
    strictly = np.zeros(300, dtype=bool)
    for i in range(60):
        vote = np.array([np.bincount(x[near[i], 2].astype(int), minlength=2).argmax()])
        for other in near[i]:
            a, b = x[i, :2], x[other, :2]
            u = (y - a) @ (b - a) / max(((b - a) ** 2).sum(), 1e-12)
            off = np.abs(y - a - u[:, None] * (b - a)).max(1)
            here = (off < 2e-4) & (u > -1e-3) & (u < 1.001) & (made.cells[:, 2].numpy() == vote)
            inside |= here
            strictly |= here & (u > 0.05) & (u < 0.95)
    assert inside.all() and strictly.mean() > 0.8


def test_given_rows_start_from_training_rows_like_them():
    records = two_groups(400)
    event = records.event
    split = Records(Mixed(event.spans[:2]), records.table[:, :2], Mixed(event.spans[2:3]), records.table[:, 2:3])
    for family in (Smote(), Kernels()):
        model = family.fit(split, 0, Run())
        cond = Batch(torch.tensor([[0], [1]]).repeat(200, 1), torch.ones(400, 1, dtype=torch.bool))
        made = model.sample(400, generator(0), cond)
        assert float(made.cells[0::2, 0].double().mean()) == pytest.approx(0, abs=1_500)
        assert float(made.cells[1::2, 0].double().mean()) == pytest.approx(20_000, abs=1_500)


def test_a_class_without_number_stays_without(monkeypatch):
    records = toy_records(200)
    made = Smote().fit(records, 0, Run()).sample(500, generator(0))
    assert torch.equal(made.mask[:, 2], made.cells[:, 1] == 1)
    monkeypatch.setattr("ensample.families.neighbours.smote.CELLS", 1_000)
    assert len(Smote().fit(records, 0, Run()).sample(53, generator(0))) == 53


@pytest.mark.parametrize("family", [Kernels(), Smote()])
def test_training_rows_are_never_stored(family):
    model = family.fit(toy_records(50), 0, Run())
    assert not model.storable and model.arrays() == {}
    assert isinstance(model, Draws) == isinstance(model, Scores) == (family.name == "kernels")
    with pytest.raises(CapabilityError, match="never stored"):
        family.restore(model.event, None, {}, {})


def test_bandwidths_are_compared_on_fewer_rows_where_time_is_short():
    rng = np.random.default_rng(0)
    lattice = Lattice(-400, 400, scale=100.0)
    records = Records(
        Mixed(tuple(Span(f"x{j}", Continuous(lattice)) for j in range(6))), rng.integers(-300, 300, (200, 6))
    )
    layout, joint = Layout.of(records.event, None), records.batch()
    columns = list(layout.numbers)
    ample = _tables(layout, joint, columns, Run())
    short = _tables(layout, joint, columns, Run(Ticking(Budget(seconds=16.0))))
    assert list(ample) == columns and ample[0].shape == (len(WIDTHS), 200, 200)
    rows = short[0].shape[1]
    assert FEWEST <= rows < 200 and len(short) >= 4
    assert torch.equal(short[0], ample[0][:, :rows])
    assert {table.shape[1] for table in short.values()} == {rows}
    assert set(_chosen(layout, joint, Run(Ticking(Budget(seconds=8.0))))) == set(columns)
