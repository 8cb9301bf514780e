"""Circuits against enumeration: marginals, conditionals, limits, expectations, EM, holes, given fields."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from tests.laws.cases import everything, generator, toy_event, toy_records

from ensample.events import Batch, Continuous, Discrete, Lattice, Limit, Mixed, Span, unknown
from ensample.families.circuit import Circuit
from ensample.families.circuit.evidence import Evidence
from ensample.families.circuit.learning import quadratic
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run
from ensample.train.summaries import fit_by_summaries

TREE = Circuit(states=8, tree=True, steps=15)
GAUSSIAN = Circuit(states=8, tree=True, grain=1.0, window=0.0, steps=15)


@pytest.fixture(scope="module", params=[TREE, GAUSSIAN], ids=["tables", "gaussians"])
def fitted(request):
    return fit_by_summaries(request.param, toy_records(2_000), 0, Run())


def table_of(distribution, reach=60):
    """All records and their probabilities."""
    batch = everything(reach)
    return batch, distribution.log_prob(batch).exp()


def hidden(batch, columns):
    mask = batch.mask.clone()
    mask[:, list(columns)] = False
    return Batch(torch.where(mask, batch.cells, 0), mask)


def agrees(whole, row):
    """Which records hold what a row knows."""
    known = row.mask[0]
    return ((whole.cells == row.cells) & whole.mask)[:, known].all(1)


@pytest.mark.parametrize("columns", [c for k in range(1, 4) for c in itertools.combinations((0, 1, 3), k)])
def test_marginals_are_sums_over_what_is_unknown(fitted, columns):
    """Whatever is hidden: an unknown state hides its amount, unless the amount itself is known."""
    whole, p = table_of(fitted)
    rows = everything().take(slice(3, 9))
    for hide in (set(columns), set(columns) | {2}):
        partial = hidden(rows, hide)
        for i in range(len(partial)):
            row = partial.take(slice(i, i + 1))
            expected = p[agrees(whole, row)].sum()
            assert float(fitted.log_prob(row).exp()) == pytest.approx(float(expected), rel=2e-3)


def test_nothing_known_has_probability_one(fitted):
    assert torch.allclose(fitted.log_prob(unknown(3, fitted.event)), torch.zeros(3, dtype=torch.float64), atol=1e-9)


def limits_met(batch, limits):
    """Limits bind what exists."""
    fits = torch.ones(len(batch), dtype=torch.bool)
    for limit in limits:
        fits &= limit.contains(batch.cells[:, limit.column]) | ~batch.mask[:, limit.column]
    return fits


LIMITS = [
    [Limit(0, ((1, 2),))],
    [Limit(2, ((0, 1), (4, 5)))],
    [Limit(1, ((1, 1),)), Limit(2, ((3, 9),)), Limit(3, ((0, 0),))],
    [Limit(0, ((0, 0), (2, 2))), Limit(2, ((2, 2),)), Limit(3, ((1, 1),))],
]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("known", [{}, {3: 1}, {0: 2}])
def test_limits_weigh_what_enumeration_says(fitted, limits, known):
    whole, p = table_of(fitted)
    row = unknown(1, fitted.event)
    for column, cell in known.items():
        row.cells[:, column], row.mask[:, column] = cell, True
    bound = [limit for limit in limits if limit.column not in known]
    expected = p[agrees(whole, row) & limits_met(whole, bound)].sum()
    assert float(fitted.log_within(row, limits).exp()) == pytest.approx(float(expected), rel=2e-3)


@pytest.mark.parametrize("limits", LIMITS)
def test_draws_within_limits_follow_enumeration(fitted, limits):
    whole, p = table_of(fitted, reach=10)
    n = 6_000
    made, weight = fitted.draw(unknown(n, fitted.event), generator(1), limits)
    assert bool((weight == 0).all()) and bool(limits_met(made, limits).all())
    expected = torch.where(limits_met(whole, limits), p, 0.0)
    expected = (expected / expected.sum() * n).numpy()
    place = {tuple(row): i for i, row in enumerate(torch.where(whole.mask, whole.cells, -99).tolist())}
    counts = np.zeros(len(place))
    np.add.at(counts, [place[tuple(r)] for r in torch.where(made.mask, made.cells, -99).tolist()], 1)
    often = expected > 5
    assert stats.chisquare(counts[often], expected[often] * counts[often].sum() / expected[often].sum()).pvalue > 1e-4
    assert counts[expected == 0].sum() == 0


def test_evidence_draws_follow_enumeration(fitted):
    """An amount and a flag are known; the kind is drawn, and the state must be the one that has amounts."""
    whole, p = table_of(fitted)
    row = unknown(4_000, fitted.event)
    for column, cell in {2: 4, 3: 0}.items():
        row.cells[:, column], row.mask[:, column] = cell, True
    made, weight = fitted.draw(row, generator(2))
    assert bool((weight == 0).all()) and bool((made.cells[:, 1] == 1).all())
    expected = torch.stack([p[agrees(whole, row.take(slice(0, 1))) & (whole.cells[:, 0] == k)].sum() for k in range(3)])
    counts = torch.bincount(made.cells[:, 0], minlength=3).numpy()
    assert stats.chisquare(counts, (expected / expected.sum() * 4_000).numpy()).pvalue > 1e-4


def test_impossible_rows_weigh_nothing(fitted):
    row = unknown(2, fitted.event)
    row.cells[:, 1], row.cells[:, 2] = 0, 3
    row.mask[:, 1:3] = True
    _, weight = fitted.draw(row, generator(0))
    assert bool(torch.isneginf(weight).all()) and bool(torch.isneginf(fitted.log_prob(row)).all())


@pytest.mark.parametrize("known", [{}, {0: 2}, {3: 0}, {2: 5}])
def test_expectations_are_those_of_enumeration(fitted, known):
    whole, p = table_of(fitted)
    row = unknown(1, fitted.event)
    for column, cell in known.items():
        row.cells[:, column], row.mask[:, column] = cell, True
    values, mask = fitted.expect(row)
    p = torch.where(agrees(whole, row), p, 0.0)
    for column in {0, 1, 3} - set(known):
        classes = torch.zeros(3, dtype=torch.float64).index_add_(0, whole.cells[:, column], p)
        assert int(values[0, column]) == int(classes.argmax())
    if 2 not in known and bool(mask[0, 2]):
        p = torch.where(whole.mask[:, 2], p, 0.0)
        mean = float((p * whole.cells[:, 2]).sum() / p.sum())
        assert float(values[0, 2]) == pytest.approx(mean, abs=0.03)


@pytest.mark.parametrize("ranges", [((0, 2),), ((0, 0), (4, 5))])
def test_expectations_within_a_limit(fitted, ranges):
    whole, p = table_of(fitted)
    limits = [Limit(1, ((1, 1),)), Limit(2, ranges)]
    values, mask = fitted.expect(unknown(1, fitted.event), limits)
    p = torch.where(limits_met(whole, limits), p, 0.0)
    assert bool(mask.all())
    assert float(values[0, 2]) == pytest.approx(float((p * whole.cells[:, 2]).sum() / p.sum()), abs=0.06)


def test_patterns_may_be_mixed_in_one_batch(fitted):
    batch = everything()
    mask = batch.mask & (torch.rand(batch.mask.shape, generator=generator(3)) < 0.6)
    mixed = Batch(torch.where(mask, batch.cells, 0), mask)
    single = torch.cat([fitted.log_prob(mixed.take(slice(i, i + 1))) for i in range(len(mixed))])
    assert torch.allclose(fitted.log_prob(mixed), single, atol=1e-9)


def test_statistics_of_parts_add_up_and_em_raises_the_objective():
    records = toy_records(1_500)
    table = records.table.copy()
    table[::7, 0] = ABSENT
    table[1::5, 3] = ABSENT
    batch = Records(records.event, table).batch()
    for family in (TREE, GAUSSIAN):
        current, last = family.start(records, 0), -np.inf
        for _ in range(10):
            whole = family.summarize(current, batch)
            cuts = (slice(0, 600), slice(600, 900), slice(900, None))
            parts = [family.summarize(current, batch.take(cut)) for cut in cuts]
            for name, value in whole.items():
                assert torch.allclose(value, sum(part[name] for part in parts), atol=1e-7), name
            objective = float(whole["log_prob"]) + family.log_prior(current)
            assert objective >= last - 1e-6
            last, states = objective, len(current.parameters.root)
            current = family.update(current, whole)
            if len(current.parameters.root) < states:
                last = -np.inf  # a state was given up


def test_the_likelihood_that_em_sees_is_that_of_the_records():
    records = toy_records(500)
    current = fit_by_summaries(TREE, records, 0, Run())
    seen = float(TREE.summarize(current, records.batch())["log_prob"])
    assert seen == pytest.approx(float(current.log_prob(records.batch()).sum()), rel=1e-9)


def test_given_fields_are_conditioned_on_exactly():
    whole = toy_records(2_000)
    event = toy_event()
    given = Mixed((event.spans[0],))
    rest = Mixed(tuple(Span(s.name, s.event, s.exists and (s.exists[0] - 1, s.exists[1])) for s in event.spans[1:]))
    records = Records(rest, whole.table[:, 1:], given, whole.table[:, :1])
    distribution = fit_by_summaries(TREE, records, 0, Run())
    rows = everything(reach=400)
    for kind in range(3):
        chosen = (rows.cells[:, 0] == kind).nonzero()[:, 0]
        cond = Batch(rows.cells[chosen, :1], rows.mask[chosen, :1])
        part = Batch(rows.cells[chosen, 1:], rows.mask[chosen, 1:], cond)
        assert float(distribution.log_prob(part).exp().sum()) == pytest.approx(1.0, abs=1e-5)
        share = float(distribution.log_prob(part).exp()[part.cells[:, 2] == 1].sum())
        cond = Batch(torch.full((4_000, 1), kind), torch.ones(4_000, 1, dtype=torch.bool))
        made = distribution.sample(4_000, generator(kind), cond)
        assert float((made.cells[:, 2] == 1).double().mean()) == pytest.approx(share, abs=0.035)


def related(n=4_000, seed=0):
    """Two numbers that make a third, and a class that moves the third by far more than the noise."""
    rng = np.random.default_rng(seed)
    a, b, colour = rng.lognormal(6.0, 0.3, n), rng.lognormal(5.0, 0.2, n), rng.integers(3, size=n)
    c = a * b / 500 * np.exp(0.4 * colour) * np.exp(0.01 * rng.normal(size=n))
    table = np.stack([np.round(a), np.round(b), np.round(c), colour], 1).astype(np.int64)
    spans = [
        Span(name, Continuous(Lattice(int(x.min()), int(x.max()), float(x.mean()), float(x.std()))))
        for name, x in zip("abc", table.T, strict=False)
    ]
    return Records(Mixed((*spans, Span("colour", Discrete(3)))), table)


@pytest.fixture(scope="module")
def product():
    return fit_by_summaries(Circuit(states=12, steps=20, tree=False), related(), 0, Run())


def test_near_deterministic_products_and_shifts_are_learned(product):
    """With both factors and the class known, the third number is left open by one per cent, give or take a cell."""
    assert product.plan.context == (3,)
    batch = related(1_000, 1).batch()
    mask = batch.mask.clone()
    mask[:, 2] = False
    nats = product.log_prob(Batch(batch.cells, mask)) - product.log_prob(batch)
    noise = np.log(0.01 * batch.cells[:, 2].numpy()) + 0.5 * np.log(2 * np.pi * np.e)
    assert float(nats.mean()) - noise.mean() < 0.25


def test_an_unknown_context_is_summed_over(product):
    batch = related(50, 2).batch()
    mask = batch.mask.clone()
    mask[:, 3] = False
    hidden_class = product.log_prob(Batch(torch.where(mask, batch.cells, 0), mask))
    each = []
    for colour in range(3):
        cells = batch.cells.clone()
        cells[:, 3] = colour
        each.append(product.log_prob(Batch(cells, batch.mask)))
    assert torch.allclose(hidden_class, torch.stack(each).logsumexp(0), atol=1e-9)
    made, _ = product.draw(Batch(torch.where(mask, batch.cells, 0), mask).repeat(40), generator(0))
    chance = torch.softmax(torch.stack(each), 0)
    share = torch.stack([(made.cells[:, 3].reshape(50, 40) == k).double().mean(1) for k in range(3)])
    assert float((share - chance).abs().mean()) < 0.05


def test_context_classes_are_expected_from_numbers(product):
    batch = related(300, 3).batch()
    mask = batch.mask.clone()
    mask[:, 3] = False
    values, known = product.expect(Batch(torch.where(mask, batch.cells, 0), mask))
    assert bool(known.all())
    assert float((values[:, 3] == batch.cells[:, 3]).double().mean()) > 0.97


def test_one_state_is_the_gaussian_of_its_rows():
    """Moments of the warped cells, with the noise of a uniform value inside each, drawn a little to the start's."""
    records = related(60)
    family = Circuit(states=1, tree=False, window=0.0, grain=1.0, steps=3)
    fitted = fit_by_summaries(family, records, 0, Run())
    plan, cells = fitted.plan, records.batch().cells
    x = plan.values(cells, [0, 1, 2])
    noise = (2 * plan.log_widths(cells, [0, 1, 2])).exp().mean(0) / 12 + 1e-7
    moments = torch.cov(x.T, correction=0) + torch.diag(noise)
    expected = (60 * moments + 3 * 0.1 * moments) / 63
    assert torch.allclose(fitted.parameters.means[0], x.mean(0), atol=1e-9)
    assert torch.allclose(fitted.parameters.covariances[0], expected, rtol=1e-4, atol=1e-6)


def test_the_e_step_sees_densities_of_narrow_gaussians(product):
    """Quadratic forms as products of monomials agree with whitening, whatever is known, though scales differ widely."""
    own = product.parameters
    x = product.plan.values(related(200, 7).batch().cells, [0, 1, 2])
    for known in ([0, 1, 2], [2], [0, 2], []):
        weights, base = quadratic(own, torch.tensor(known, dtype=torch.int64))
        pairs = [x[:, known[a]] * x[:, known[b]] for a in range(len(known)) for b in range(a, len(known))]
        found = base + (torch.stack([*x[:, known].T, *pairs], 1) @ weights if known else 0.0)
        for k in range(len(own.root)):
            covariance = own.covariances[k][known][:, known].numpy()
            if known:
                exact = stats.multivariate_normal(own.means[k, known].numpy(), covariance).logpdf(x[:, known].numpy())
                assert np.allclose(found[:, k].numpy(), exact, rtol=1e-7, atol=1e-5)
            else:
                assert float(base[k]) == 0.0


def test_several_limited_numbers_carry_weights(product):
    """Drawn one after the other: weights at most zero, and accepted draws lie inside all limits."""
    limits = [Limit(0, ((300, 500),)), Limit(2, ((100, 200),))]
    made, weight = product.draw(unknown(4_000, product.event), generator(4), limits)
    assert bool((weight <= 0).all()) and bool(limits_met(made, limits).all())
    free = product.sample(60_000, generator(5))
    truth = free.take(limits_met(free, limits).nonzero()[:, 0]).cells[:, 1]
    kept = made.cells[torch.rand(4_000, generator=generator(6)) < weight.exp(), 1]
    assert stats.ks_2samp(truth.numpy(), kept.numpy()).pvalue > 1e-4


def test_fewer_evidence_terms_for_rows_with_less_known(product):
    """Nothing known about numbers asks for no rule: the block has one point and one combination."""
    evidence = Evidence(product.plan, product.parameters, unknown(2, product.event), {})
    assert evidence.block.shape[1:3] == (1, 1)
