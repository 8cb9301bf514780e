"""Learning a mixture: EM's laws, holes, cells of finite width, recovered parameters, degenerate tables."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats

from ensample.errors import InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Span
from ensample.families.mixture.components import Components
from ensample.families.mixture.covariance import STRUCTURES
from ensample.families.mixture.family import Mixture
from ensample.families.mixture.model import MixtureDistribution
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run
from ensample.train.summaries import fit_by_summaries

FINE = Lattice(-100_000, 100_000, shift=0.0, scale=10_000.0)


def mixed_records(n: int = 1_500, seed: int = 0) -> Records:
    """A state, a number that exists in one state, two more numbers (one warped) with holes, a class with holes."""
    event = Mixed(
        (
            Span("state", Discrete(3)),
            Span("a", Continuous(Lattice(0, 1_000, shift=500.0, scale=100.0)), (0, (0,))),
            Span("b", Continuous(Lattice(0, 10_000, shift=500.0, scale=100.0, knee=300.0))),
            Span("c", Continuous(Lattice(0, 40, shift=20.0, scale=5.0))),
            Span("d", Discrete(4)),
        )
    )
    rng = np.random.default_rng(seed)
    z = rng.integers(2, size=n)
    a = 450 + 100 * z + rng.normal(size=n) * 30
    table = np.stack(
        [
            np.where(z == 0, rng.choice(3, n, p=[0.7, 0.2, 0.1]), rng.integers(3, size=n)),
            a,
            400 + 200 * z + rng.normal(size=n) * 50,
            a / 25 + rng.normal(size=n) * 2,
            np.where(rng.random(n) < 0.8, z, rng.integers(4, size=n)),
        ],
        1,
    )
    table = np.round(table).astype(np.int64)
    for column in (2, 3, 4):
        table[rng.random(n) < 0.15, column] = ABSENT
    table[table[:, 0] != 0, 1] = ABSENT
    return Records(event, table)


def normal_event(d: int, lattice: Lattice = FINE) -> Mixed:
    return Mixed(tuple(Span(f"x{j}", Continuous(lattice)) for j in range(d)))


def truth(covariance: str, d: int = 3) -> MixtureDistribution:
    """Two well separated components of the given structure, and a class that depends on the component."""
    structure = STRUCTURES[covariance]
    mixing = torch.tensor(
        [[[1.0, 0.5, 0.0], [0.0, 0.8, 0.3], [0.0, 0.0, 0.6]], [[0.5, 0.0, 0.2], [0, 1, 0], [0, 0, 0.7]]]
    )
    full = (mixing @ mixing.mT).double()[:, :d, :d]
    shapes = {
        "full": full,
        "tied": full[:1].expand(2, -1, -1).contiguous(),
        "diagonal": full.diagonal(dim1=1, dim2=2).contiguous(),
        "spherical": torch.tensor([[0.5], [1.5]], dtype=torch.float64).expand(2, d).contiguous(),
    }
    event = Mixed((*normal_event(d).spans, Span("class", Discrete(2))))
    table = torch.log(torch.tensor([[0.8, 0.2], [0.3, 0.7]], dtype=torch.float64))
    means = torch.tensor([[-2.0, 0.0, 2.0], [2.0, 1.0, -2.0]], dtype=torch.float64)[:, :d]
    log_weights = torch.log(torch.tensor([0.35, 0.65], dtype=torch.float64))
    share = torch.full((2,), 0.5, dtype=torch.float64)
    return MixtureDistribution(
        event, None, structure, Components(log_weights, means, shapes[covariance], {d: table}, {d: share})
    )


def records_of(batch: Batch, event: Mixed) -> Records:
    return Records(event, torch.where(batch.mask, batch.cells, ABSENT).numpy())


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fit(family: Mixture, records: Records, seed: int = 0) -> MixtureDistribution:
    return fit_by_summaries(family, records, seed, Run())


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("smoothing", [1.0, 500.0])
def test_law_6_objective_never_falls(covariance, smoothing):
    seen = []
    family = Mixture(4, covariance, smoothing, tolerance=0.0, steps=30)
    fit_by_summaries(family, mixed_records(), 0, Run(report=lambda progress: seen.append(-progress.loss)))
    assert len(seen) > 10
    current, batch = family.start(mixed_records(), 0), mixed_records().batch()
    objective = float(family.summarize(current, batch)["log_prob"]) + family.log_prior(current)
    assert seen[0] == pytest.approx(objective / len(batch), rel=1e-9)
    assert np.diff(seen).min() > -1e-10
    assert seen[-1] > seen[0] + 0.01


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_law_6_summaries_of_halves_add(covariance):
    family, records = Mixture(3, covariance), mixed_records()
    current = family.start(records, 0)
    whole = family.summarize(current, records.batch())
    halves = [family.summarize(current, records.batch(part)) for part in (slice(0, 700), slice(700, None))]
    for name, value in whole.items():
        assert torch.allclose(value, halves[0][name] + halves[1][name], rtol=1e-9, atol=1e-9), name


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_law_7_recovers_parameters(covariance):
    made = truth(covariance)
    sample = made.sample(20_000, generator(0))
    found = fit(Mixture(2, covariance, tolerance=1e-6), records_of(sample, made.event)).components
    order = found.means[:, 0].argsort()
    own = made.components
    assert torch.allclose(found.log_weights[order].exp(), own.log_weights.exp(), atol=0.015)
    assert torch.allclose(found.means[order], own.means, atol=0.05)
    assert torch.allclose(found.covariances[order], own.covariances, atol=0.06)
    assert torch.allclose(found.tables[3][order].exp(), own.tables[3].exp(), atol=0.02)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_samples_have_the_covariances_of_the_model(covariance):
    made = truth(covariance)
    sample = made.sample(20_000, generator(1))
    x = made.event.values(sample.cells)[:, :3]
    component = (x[:, 0] > 0).long()  # the components hardly overlap here: tell them by the posterior
    component = made.log_joint(made.event.values(sample.cells), sample).argmax(1)
    own = made.components
    dense = own.covariances if own.covariances.ndim == 3 else torch.diag_embed(own.covariances)
    for k in range(2):
        rows = x[component == k]
        assert torch.allclose(rows.mean(0), own.means[k], atol=0.06)
        assert torch.allclose(torch.cov(rows.T), dense[k], atol=0.09)
        share = (sample.cells[component == k, 3] == 1).double().mean()
        assert float(share) == pytest.approx(float(own.tables[3][k, 1].exp()), abs=0.02)


def plain_log_prob(model: MixtureDistribution, row: np.ndarray) -> float:
    """By scipy, from the marginal of each component: of the cell where the model has that, else the density."""
    own, x = model.components, model.event.values(torch.tensor(np.where(row == ABSENT, 0, row))[None])[0].numpy()
    numbers = model.layout.numbers
    known = [i for i, j in enumerate(numbers) if row[j] != ABSENT]
    total = []
    for k in range(len(own)):
        dense = own.covariances[k] if own.covariances.ndim == 3 else torch.diag(own.covariances[k])
        term = float(own.log_weights[k])
        if known:
            mean, cov = own.means[k].numpy()[known], dense.numpy()[np.ix_(known, known)]
            if model.measure == "cells":
                ends = (model.event.values(torch.tensor(row)[None], u)[0].numpy() for u in (-0.5, 0.5))
                below, upto = (
                    stats.norm(mean, cov.diagonal() ** 0.5).cdf(x[[numbers[i] for i in known]]) for x in ends
                )
                term += np.log(upto - below).sum()
            else:
                term += stats.multivariate_normal(mean, cov).logpdf(x[[numbers[i] for i in known]])
        term += sum(float(own.tables[j][k, row[j]]) for j in model.layout.classes if row[j] != ABSENT)
        total.append(term)
    return float(np.logaddexp.reduce(total))


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_holes_are_integrated_out_exactly(covariance):
    records = mixed_records(300)
    model = fit(Mixture(3, covariance, steps=10), records)
    expected = [plain_log_prob(model, row) for row in records.table]
    assert np.allclose(model.log_prob(records.batch()).numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("hole", [1, 2])
def test_a_hole_is_the_numerical_integral(hole):
    model = truth("full")
    row = torch.tensor([[-21_000, 2_000, 18_000, 1]])
    grid = torch.arange(-100_000, 100_000, 50)
    cells = row.repeat(len(grid), 1)
    cells[:, hole] = grid
    whole = model.log_prob(Batch(cells, torch.ones_like(cells, dtype=torch.bool))).exp().sum() * 50 / FINE.scale
    mask = torch.ones(1, 4, dtype=torch.bool)
    mask[0, hole] = False
    assert float(model.log_prob(Batch(row, mask)).exp()) == pytest.approx(float(whole), rel=1e-6)


def test_expected_statistics_with_holes_row_by_row():
    """The E step against conditional expectations written out for every row and component."""
    model, rng = truth("full"), np.random.default_rng(0)
    sample = model.sample(60, generator(2))
    mask = torch.tensor(rng.random((60, 4)) < 0.6)
    batch = Batch(torch.where(mask, sample.cells, 0), mask)
    found = Mixture(2, ridge=1e-3).summarize(model, batch)
    own, x = model.components, model.event.values(batch.cells).numpy()
    noise = (1 / FINE.scale) ** 2 / 12 + 1e-3
    count, first, second = np.zeros(2), np.zeros((2, 3)), np.zeros((2, 3, 3))
    for n in range(60):
        o = np.flatnonzero(mask[n, :3].numpy())
        m = np.flatnonzero(~mask[n, :3].numpy())
        terms, means, squares = [], [], []
        for k in range(2):
            mu, cov = own.means[k].numpy(), own.covariances[k].numpy()
            inverse = np.linalg.inv(cov[np.ix_(o, o)]) if len(o) else np.zeros((0, 0))
            slope = cov[np.ix_(m, o)] @ inverse
            lift = np.zeros((3, len(o)))
            lift[o], lift[m] = np.eye(len(o)), slope
            mean = mu + lift @ (x[n, o] - mu[o])
            square = np.outer(mean, mean) + lift @ (noise * np.eye(len(o))) @ lift.T
            square[np.ix_(m, m)] += cov[np.ix_(m, m)] - slope @ cov[np.ix_(o, m)]
            term = float(own.log_weights[k]) - 0.5 * noise * np.trace(inverse)
            term += stats.multivariate_normal(mu[o], cov[np.ix_(o, o)]).logpdf(x[n, o]) if len(o) else 0.0
            term += float(own.tables[3][k, batch.cells[n, 3]]) if mask[n, 3] else 0.0
            terms.append(term), means.append(mean), squares.append(square)
        share = np.exp(terms - np.logaddexp.reduce(terms))
        for k in range(2):
            count[k] += share[k]
            first[k] += share[k] * means[k]
            second[k] += share[k] * squares[k]
    assert np.allclose(found["count"], count)
    assert np.allclose(found["first"], first)
    assert np.allclose(found["second"], second)


def test_learning_with_holes_finds_what_learning_without_does():
    made = truth("full")
    sample = made.sample(20_000, generator(3))
    holes = torch.rand(sample.mask.shape, generator=generator(4)) < 0.25
    broken = records_of(Batch(sample.cells, sample.mask & ~holes), made.event)
    found = fit(Mixture(2, tolerance=1e-6), broken).components
    order = found.means[:, 0].argsort()
    assert torch.allclose(found.means[order], made.components.means, atol=0.06)
    assert torch.allclose(found.covariances[order], made.components.covariances, atol=0.1)


def test_no_component_is_narrower_than_a_cell():
    """Two numbers that are always equal, and one that hardly varies, on cells as wide as half a unit."""
    lattice = Lattice(0, 10, shift=5.0, scale=2.0)
    values = np.random.default_rng(0).integers(4, 7, size=400)
    table = np.stack([values, values, np.full(400, 5)], 1)
    model = fit(Mixture(3), Records(normal_event(3, lattice), table))
    smallest = torch.linalg.eigvalsh(model.components.covariances).min()
    assert float(smallest) > 0.999 * 0.5**2 / 12


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize(
    "table",
    [
        [[7, 3, 1]],
        [[7, 3, 1]] * 50,
        [[7, 3, 1], [9, 3, 0], [8, 3, 1]],
        [[i, ABSENT, i % 2] for i in range(30)],
        [[i, 3, ABSENT] for i in range(30)],
        [[ABSENT, ABSENT, ABSENT]] * 5,
        [[0, 3, 1]] * 40 + [[10**9, 3, 1]],
    ],
    ids=["one row", "duplicates", "k > n", "all missing", "no class", "nothing", "outlier"],
)
def test_law_10_degenerate_tables(covariance, table):
    lattice = Lattice(0, 30, shift=10.0, scale=5.0)
    event = Mixed((Span("x", Continuous(lattice)), Span("y", Continuous(lattice)), Span("c", Discrete(2))))
    records = Records(event, np.array(table, dtype=np.int64))
    model = fit(Mixture(5, covariance, steps=20), records)
    assert bool(torch.isfinite(model.log_prob(records.batch())).all())
    made = model.sample(100, generator(0))
    assert bool(made.mask.all())
    assert bool(torch.isfinite(model.log_prob(made)).all())


def test_only_classes_and_many_of_them():
    rng = np.random.default_rng(0)
    z = rng.integers(2, size=2_000)
    table = np.stack([rng.integers(20_000, size=2_000) + 20_000 * z, rng.integers(3, size=2_000) + 2 * z], 1)
    records = Records(Mixed((Span("big", Discrete(40_000)), Span("small", Discrete(5)))), table)
    model = fit(Mixture(2), records)
    for j, size in ((0, 40_000), (1, 5)):
        assert torch.allclose(model.components.tables[j].exp().sum(1), torch.ones(2, dtype=torch.float64))
        assert model.components.tables[j].shape == (2, size)
    assert int(model.sample(500, generator(0)).cells[:, 0].max()) > 20_000


def test_classes_are_smoothed_by_rows_with_the_overall_shares():
    table = np.array([[0]] * 6 + [[1]] * 2)
    model = fit(Mixture(1, smoothing=8.0, steps=1), Records(Mixed((Span("c", Discrete(3)),)), table))
    share = np.array([6.5, 2.5, 0.5]) / 9.5
    expected = (np.array([6, 2, 0]) + 8 * share) / 16
    assert np.allclose(model.components.tables[0].exp().numpy(), expected)


def test_components_none_finds_a_useful_number():
    rng = np.random.default_rng(0)
    centres = np.array([[-2.0, -2], [2, 2], [-2, 2], [2, -2]])
    x = centres[rng.integers(4, size=3_000)] + rng.normal(size=(3_000, 2)) * 0.3
    records = Records(normal_event(2), np.round(x * FINE.scale).astype(np.int64))
    model = fit(Mixture(), records)
    assert 4 <= len(model.components) <= 8
    assert float(model.log_prob(records.batch()).mean()) > -1.9  # the truth: -1.82


def test_given_fields_condition_the_rest():
    """p(x | given) p(given) = p(x, given); samples follow the conditional."""
    whole = truth("full")
    sample = whole.sample(4_000, generator(5))
    given, modelled = Mixed(whole.event.spans[2:]), Mixed(whole.event.spans[:2])
    cond = Batch(sample.cells[:, 2:], sample.mask[:, 2:])
    table = sample.cells.numpy()
    records = Records(modelled, table[:, :2], given, table[:, 2:])
    model = fit(Mixture(2), records)
    density = model.log_prob(Batch(sample.cells[:, :2], sample.mask[:, :2], cond))
    joint = MixtureDistribution(model.layout.event, None, model.structure, model.components)
    both = Batch(sample.cells[:, [2, 3, 0, 1]], sample.mask)
    alone = Batch(both.cells, both.mask & torch.tensor([True, True, False, False]))
    assert torch.allclose(density, joint.log_prob(both) - joint.log_prob(alone))
    drawn = model.sample(4_000, generator(6), cond)
    assert drawn.cells.shape == (4_000, 2)
    for condition in (cond.cells[:, 1] == 1, cond.cells[:, 0] > 0):
        seen, made = (modelled.values(b.cells)[condition, 0] for b in (sample, drawn))
        assert stats.ks_2samp(seen, made).pvalue > 1e-4


def test_law_12_arrays_restore_everything():
    family, records = Mixture(3, "tied", steps=5), mixed_records(400)
    model = fit(family, records)
    again = family.restore(records.event, None, model.arrays(), model.facts())
    assert torch.equal(model.log_prob(records.batch()), again.log_prob(records.batch()))
    assert torch.equal(model.sample(50, generator(0)).cells, again.sample(50, generator(0)).cells)


def test_law_11_seeds_and_batches():
    records = mixed_records(500)
    one, same, other = (fit(Mixture(3, steps=3), records, seed) for seed in (0, 0, 1))
    assert torch.equal(one.components.means, same.components.means)
    assert not torch.equal(one.components.means, other.components.means)
    parts = torch.cat([one.log_prob(records.batch(slice(i, i + 7))) for i in range(0, 500, 7)])
    assert torch.allclose(parts, one.log_prob(records.batch()), rtol=1e-12)


@pytest.mark.parametrize(
    ("knob", "value"),
    [("components", 2), ("covariance", "diagonal"), ("smoothing", 50.0), ("ridge", 0.2), ("steps", 2)],
)
def test_law_9_every_knob_matters(knob, value):
    records = mixed_records(500)
    plain = fit(Mixture(3, tolerance=1e-3), records)
    turned = fit(dataclasses.replace(Mixture(3, tolerance=1e-3), **{knob: value}), records)
    assert not torch.allclose(plain.log_prob(records.batch()), turned.log_prob(records.batch()), atol=1e-6)


@pytest.mark.parametrize("wrong", [{"components": 0}, {"covariance": "round"}, {"smoothing": 0.0}, {"ridge": -1.0}])
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(InputError):
        Mixture(**wrong)


def test_no_records_is_told():
    with pytest.raises(InputError, match="at least one record"):
        Mixture(2).start(Records(normal_event(1), np.zeros((0, 1), np.int64)), 0)


@pytest.mark.parametrize("covariance", STRUCTURES)
def test_no_component_is_a_single_row(covariance):
    event = Mixed(tuple(Span(name, Continuous(Lattice(-9_000, 9_000, scale=100.0))) for name in "ab"))
    table = np.random.default_rng(0).normal(0, 100, (600, 2)).round().astype(np.int64)
    table[7] = 8_000, -7_000
    found = fit(Mixture(4, covariance), Records(event, table)).components
    means = event.cells(found.means)
    assert not bool((means == torch.from_numpy(table[7])).all(1).any())
    assert float(found.log_weights.exp().min()) * 600 > 4.5
    assert float(found.log_weights.exp().sum()) == pytest.approx(1.0)
