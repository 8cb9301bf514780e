"""Back-off trees: the parts against closed forms and scikit-learn, the whole against known relations."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.tree import DecisionTreeClassifier
from tests.laws.cases import generator

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Span
from ensample.families import Trees
from ensample.families.trees.bump import Bump, leaf_moments
from ensample.families.trees.forest import chosen
from ensample.families.trees.forest_fit import STRENGTHS
from ensample.families.trees.leaves import Leaves, path_shares, summed, tally
from ensample.families.trees.partition import Partition, classed, numbered
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run

FALSE_ALARM = 1e-4


def normal_cells(rng, rows, scale=100):
    return np.round(rng.normal(0, scale, rows)).astype(np.int64)


def lattice(cells):
    return Continuous(Lattice(int(cells.min()), int(cells.max()), float(cells.mean()), float(cells.std()) or 1.0))


def table(*columns, rows=None):
    """Records of columns: an int64 array of classes as (array, classes), or of cells."""
    spans = []
    for j, column in enumerate(columns):
        event = Discrete(column[1]) if isinstance(column, tuple) else lattice(column)
        spans.append(Span(f"c{j}", event))
    cells = np.stack([c[0] if isinstance(c, tuple) else c for c in columns], 1).astype(np.int64)
    return Records(Mixed(tuple(spans)), cells[:rows])


def fit(records, seed=0, run=None, **options):
    return Trees(**options).fit(records, seed, run or Run())


def bits(model, records):
    return float(-model.log_prob(records.batch()).mean() / np.log(2))


def grown(rows=2_000, leaf=15):
    rng = np.random.default_rng(0)
    values = np.stack([rng.integers(0, 40, rows), rng.integers(0, 6, rows), rng.normal(0, 1, rows)], 1).astype(float)
    values[rng.random(rows) < 0.1, 0] = np.nan
    values[rng.random(rows) < 0.1, 1] = np.nan
    label = (
        (np.nan_to_num(values[:, 0], nan=7) > 20) * 2 + np.isin(values[:, 1], [0, 3, 5]) + (values[:, 2] > 0.3)
    ) % 4
    label = label.astype(np.int64)
    inputs = (
        numbered(values[:, 0], np.arange(39.0)),
        classed(values[:, 1], 6),
        numbered(values[:, 2], np.linspace(-2, 2, 60)),
    )
    return values, label, inputs, Partition.fit(inputs, (label == 0).astype(float), label, leaf, 1)


def test_a_flat_tree_sends_rows_to_the_leaves_of_the_tree_it_was_made_from():
    values, label, inputs, partition = grown()
    rank = np.zeros(7)
    rank[list(range(7))] = partition.ranks[1]
    columns = [inputs[0].codes, rank[inputs[1].codes.astype(int)], inputs[2].codes]
    twin = DecisionTreeClassifier(min_samples_leaf=15, random_state=1).fit(
        np.stack(columns, 1).astype(np.float32), label
    )
    assert np.array_equal(partition.leaves(values), twin.apply(np.stack(columns, 1).astype(np.float32)))
    assert np.bincount(partition.leaves(values))[partition.is_leaf].min() >= 15
    again = Partition.restore(partition.arrays())
    assert np.array_equal(again.leaves(values), partition.leaves(values))


def test_parents_come_before_children():
    partition = grown()[3]
    inner = ~partition.is_leaf
    assert (partition.children[inner] > np.arange(len(partition))[inner, None]).all()
    for node in np.flatnonzero(inner):
        assert (partition.parent[partition.children[node]] == node).all()


def test_rare_classes_do_not_tell_the_tree_their_own_rows():
    """Every row its own class: nothing can be learned, so no split may be made on the order of classes."""
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 500)
    partition = Partition.fit((classed(np.arange(500.0), 500),), label.astype(float), label, 5, 0)
    assert len(partition) == 1


@pytest.mark.parametrize("strength", [1.0, 30.0])
def test_back_off_is_the_recursion_along_the_path(strength):
    values, label, _, partition = grown()
    leaf, margin = partition.leaves(values), np.array([0.4, 0.3, 0.2, 0.1])
    leaves = Leaves.build(partition, *tally(leaf, label, 4), margin, strength)
    for row in (0, 3, 99):
        path, node = [], leaf[row]
        while node >= 0:
            path.append(node)
            node = partition.parent[node]
        share = margin
        for node in reversed(path):
            below = [n for n in range(len(partition)) if node in ancestors(partition, n)]
            counts = np.bincount(label[np.isin(leaf, below)], minlength=4)
            share = (counts + strength * share) / (counts.sum() + strength)
        assert np.allclose(leaves.table[leaves.slot[leaf[row]]].numpy(), share, atol=1e-6)
    assert torch.allclose(leaves.table.sum(1), torch.ones(len(leaves.table)), atol=1e-5)


def ancestors(partition, node):
    out = []
    while node >= 0:
        out.append(node)
        node = partition.parent[node]
    return out


def test_held_out_shares_are_those_of_the_smoothed_leaves():
    values, label, _, partition = grown()
    leaf, margin = partition.leaves(values), np.array([0.4, 0.3, 0.2, 0.1])
    counts = np.bincount(leaf * 4 + label, minlength=len(partition) * 4).reshape(-1, 4)
    shares = path_shares(partition, summed(partition, counts), margin, leaf, label, STRENGTHS)
    for k, strength in enumerate(STRENGTHS):
        leaves = Leaves.build(partition, *tally(leaf, label, 4), margin, float(strength))
        direct = leaves.table[leaves.slot[leaf], label].numpy()
        assert np.allclose(shares[k], direct, atol=1e-6)


def test_a_bump_of_normal_residuals_is_the_normal_distribution_on_the_bins():
    residual = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    edges = np.linspace(-3, 3, 25)
    center, scale = (
        torch.tensor([0.0, 0.7, -1.0], dtype=torch.float64),
        torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64),
    )
    made = Bump.fit(residual, edges).table(center, scale).numpy()
    expected = np.diff(stats.norm.cdf((edges - center.numpy()[:, None]) / scale.numpy()[:, None]), axis=1)
    assert np.allclose(made.sum(1), 1, atol=1e-12)
    assert np.abs(made - expected / expected.sum(1, keepdims=True)).max() < 2e-3


def test_a_matched_bump_has_the_margin_of_the_column():
    rng = np.random.default_rng(2)
    margin = torch.tensor([0.3, 0.02, 0.02, 0.4, 0.06, 0.2], dtype=torch.float64)
    center, scale = torch.from_numpy(rng.uniform(0, 6, 500)), torch.full((500,), 1.5, dtype=torch.float64)
    bump = Bump.fit(rng.normal(0, 1, 5_000), np.arange(7.0))
    before = (bump.table(center, scale).mean(0) - margin).abs().sum()
    after = [
        float((bump.matched(center, scale, margin, **more).table(center, scale).mean(0) - margin).abs().sum())
        for more in ({}, {"rounds": 20})
    ]
    assert float(before) > 0.3 and after[0] < 0.5 * float(before) and after[1] < 0.02


def test_moments_leave_each_row_out():
    rng = np.random.default_rng(3)
    leaf, residual = rng.integers(0, 4, 60), rng.normal(0, 1, 60)
    center, scale, standard = leaf_moments(leaf, 4, residual)
    row = 17
    others = (leaf == leaf[row]) & (np.arange(60) != row)
    own_center = (residual[others].sum() + 5 * residual.mean()) / (others.sum() + 5)
    assert center[leaf[row]] == pytest.approx(
        (residual[leaf == leaf[row]].sum() + 5 * residual.mean()) / ((leaf == leaf[row]).sum() + 5)
    )
    assert standard[row] * 1.0 == pytest.approx(
        (residual[row] - own_center) / standard_scale(leaf, residual, row), rel=1e-9
    )
    assert (scale > 0).all()


def standard_scale(leaf, residual, row):
    away = np.empty(60)
    for i in range(60):
        others = (leaf == leaf[i]) & (np.arange(60) != i)
        away[i] = abs(residual[i] - (residual[others].sum() + 5 * residual.mean()) / (others.sum() + 5))
    others = (leaf == leaf[row]) & (np.arange(60) != row)
    return (away[others].sum() + 5 * away.mean()) / (others.sum() + 5)


def mixed_records(rows=3_000, seed=4):
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, rows)
    x = normal_cells(rng, rows)
    y = np.round(x * (kind - 1) + rng.normal(0, 5, rows)).astype(np.int64)
    flag = (rng.random(rows) < 1 / (1 + np.exp(-y / 30))).astype(np.int64)
    return table((kind, 3), x, y, (flag, 2))


@pytest.mark.parametrize("trees", [1, 3])
def test_drawn_bins_follow_the_table_and_the_score_is_the_table(trees):
    records = mixed_records()
    model = fit(records, trees=trees)
    from ensample.families.chain import Seen

    for column in (2, 3):
        row = records.batch(np.full(20_000, 5))
        known = torch.zeros_like(row.mask)
        known[:, :column] = True
        seen = Seen(row.cells, known, None)
        shares = model.table(column, seen)[0].exp()
        assert float(shares.sum()) == pytest.approx(1.0, abs=1e-6)
        every = torch.arange(len(shares))
        first = Seen(row.cells[: len(every)], known[: len(every)], None)
        assert torch.allclose(model.score(column, every, first).exp(), shares, atol=1e-9)
        counts = torch.bincount(model.choose(column, seen, generator(5)), minlength=len(shares)).numpy()
        expected = shares.numpy() / float(shares.sum()) * 20_000
        often = expected >= 8
        pooled = [np.r_[v[often], v[~often].sum()] for v in (counts, expected)]
        filled = pooled[1] > 0
        assert stats.chisquare(pooled[0][filled], pooled[1][filled]).pvalue > FALSE_ALARM


def test_choices_follow_their_shares():
    shares = torch.tensor([0.0, 0.1, 0.0, 0.6, 0.3]).expand(20_000, -1)
    counts = torch.bincount(chosen(shares, generator(6)), minlength=5).numpy()
    assert counts[[0, 2]].sum() == 0
    assert stats.chisquare(counts[[1, 3, 4]], [2_000, 12_000, 6_000]).pvalue > FALSE_ALARM


def test_a_smooth_relation_costs_what_its_noise_does():
    """y is a product with noise of 5 cells: at best log2(5 sqrt(2 pi e)) = 4.37 bits, about 10 bits alone."""
    rng = np.random.default_rng(7)
    a, b = rng.integers(50, 150, 6_000), rng.integers(20, 80, 6_000)
    y = np.round(a * b / 10 + rng.normal(0, 5, 6_000)).astype(np.int64)
    train, test = table(a, b, y, rows=4_000), table(a, b, y).select(np.arange(4_000, 6_000))
    model = fit(train)
    known = bits(model, test)  # of which a and b cost log2(100) and log2(60)
    assert known - np.log2(100) - np.log2(60) < 4.37 + 0.6
    made = model.sample(4_000, generator(8)).cells.double()
    error = made[:, 2] - made[:, 0] * made[:, 1] / 10
    assert float(error.abs().median()) < 8


def test_given_fields_are_looked_at():
    rng = np.random.default_rng(9)
    sex = rng.integers(0, 2, 2_000)
    height = np.round(rng.normal(165 + 13 * sex, 4)).astype(np.int64)
    plain = table(height)
    given = Records(plain.event, plain.table, table((sex, 2)).event, sex[:, None].astype(np.int64))
    model = fit(given)
    assert bits(model, given) < bits(fit(plain), plain) - 0.5
    cond = Batch(torch.tensor([[0], [1]]), torch.ones(2, 1, dtype=torch.bool)).repeat(500)
    made = model.sample(1_000, generator(10), cond).cells[:, 0].double()
    assert float(made[500:].mean() - made[:500].mean()) == pytest.approx(13.0, abs=1.0)


def awkward():
    rng = np.random.default_rng(11)
    x = normal_cells(rng, 50)
    yield "fifty rows", table(x, (rng.integers(0, 3, 50), 3), x * 2)
    yield "one row", table(x, (rng.integers(0, 3, 50), 3), rows=1)
    yield "constant", table(np.full(300, 7), np.full(300, 9), (np.zeros(300, dtype=np.int64), 1))
    rows = 4_000
    many = rng.integers(0, 100_000, rows)
    yield "100,000 classes", table(normal_cells(rng, rows), (many, 100_000), (many % 2, 2), normal_cells(rng, rows))
    holes = mixed_records(400)
    emptied = holes.table.copy()
    emptied[:, 1] = ABSENT
    emptied[::3, 2] = ABSENT
    yield "absent", Records(holes.event, emptied)
    yield "wide", table(*(normal_cells(rng, 60) for _ in range(40)))
    yield "huge cells", table(10**15 + normal_cells(rng, 500) * 10**9, normal_cells(rng, 500))


@pytest.mark.parametrize(("name", "records"), list(awkward()), ids=[name for name, _ in awkward()])
def test_awkward_tables_are_learned(name, records):
    model = fit(records)
    made = model.sample(30, generator(12))
    score = model.log_prob(made)
    assert bool(torch.isfinite(score).all()) and bool((score <= 1e-6).all())
    seen = model.log_prob(records.batch())
    assert bool(torch.isfinite(seen).all())
    unseen = Batch(torch.where(made.mask, torch.zeros_like(made.cells), 0), made.mask)
    assert bool(torch.isfinite(model.log_prob(unseen)).all())


def test_a_stopped_fit_goes_on_from_the_finished_spans(tmp_path):
    records = mixed_records(800)

    class Stop(Exception):
        pass

    def stop(progress):
        if progress.done >= 0.5:
            raise Stop

    with pytest.raises(Stop):
        fit(records, run=Run(folder=tmp_path, report=stop))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["span0.safetensors", "span1.safetensors"]
    on, straight = fit(records, run=Run(folder=tmp_path)), fit(records)
    assert torch.equal(on.log_prob(records.batch()), straight.log_prob(records.batch()))


def test_spans_out_of_budget_keep_their_histogram():
    records = mixed_records(800)
    model = fit(records, run=Run(Clock(Budget(seconds=1e-9))))
    assert all(len(forest.trees[0].partition) == 1 for forest in model.forests)
    assert bits(model, records) > bits(fit(records), records) + 1


def test_weights_are_chosen_for_new_rows_not_for_old_ones():
    """Pure noise: leaves must be backed off so far that held-out rows cost no more than by plain histograms."""
    rng = np.random.default_rng(13)
    columns = [(rng.integers(0, 5, 6_000), 5) for _ in range(3)]
    columns.append(normal_cells(rng, 6_000, 10))
    every = table(*columns)
    train, test = every.select(np.arange(3_000)), every.select(np.arange(3_000, 6_000))
    histogram = fit(train, run=Run(Clock(Budget(seconds=1e-9))))
    assert bits(fit(train), test) < bits(histogram, test) + 0.02


@pytest.mark.parametrize("options", [{"trees": 0}, {"leaf": 0}, {"bins": 0}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(InputError, match="choose 1 or more"):
        Trees(**options)
