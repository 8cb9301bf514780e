"""The arithmetic of picture measures against formulas written a second time, by other means."""

import math

import numpy as np
import pytest
import scipy.linalg

from ensample.errors import InputError
from ensample.judge.images.classes import accuracy, shares
from ensample.judge.images.frechet import Gaussian, frechet_distance, frechet_draws
from ensample.judge.images.kernel import kernel_distances
from ensample.judge.images.measures import bits_per_dimension, digits, frechet, inception_scores, kernel, score
from ensample.judge.images.neighbourhoods import density_coverage, neighbourhoods, precision_recall


def features(rows, columns, seed, shift=0.0, mixing=None):
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((columns, columns)) if mixing is None else mixing
    return rng.standard_normal((rows, columns)) @ mixing + shift


def by_root(a, b):
    """|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)) with scipy's matrix square root."""
    first, second = (np.cov(x.T) for x in (a, b))
    apart = a.mean(0) - b.mean(0)
    return apart @ apart + np.trace(first + second - 2 * scipy.linalg.sqrtm(first @ second).real)


@pytest.mark.parametrize(("rows", "columns"), [(50, 3), (400, 40), (300, 128)])
def test_frechet_distance_is_that_of_the_matrix_square_root(rows, columns):
    a, b = features(rows, columns, 0, 0.3), features(rows + 20, columns, 1)
    expected = by_root(a, b)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(Gaussian.of(a), b) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_known_normals():
    """Independent columns: the sum of (m - m')^2 + (s - s')^2."""
    rng = np.random.default_rng(0)
    x = np.linalg.qr(rng.standard_normal((1_000, 4)) - 0)[0]
    x = (x - x.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov((x - x.mean(0)).T))).T  # exactly white
    sizes, others = np.array([1.0, 2.0, 0.5, 3.0]), np.array([1.5, 0.1, 0.5, 4.0])
    a, b = x * sizes + 2.0, x[::-1] * others
    assert frechet_distance(a, b) == pytest.approx(4 * 4.0 + ((sizes - others) ** 2).sum(), rel=1e-10)


def test_frechet_distance_where_covariances_are_singular():
    a, b = features(300, 6, 0), features(300, 6, 1)
    still = np.full((300, 3), 7.0)
    assert frechet_distance(np.c_[a, still], np.c_[b, still]) == pytest.approx(frechet_distance(a, b), rel=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-9)
    few = features(10, 30, 2)
    assert abs(frechet_distance(few, few)) < 1e-9
    # of two sets in a few rows: the same number from the small Gram matrices
    other = features(12, 30, 3)
    left, right = ((x - x.mean(0)) / math.sqrt(len(x) - 1) for x in (few, other))
    apart = few.mean(0) - other.mean(0)
    expected = apart @ apart + (left**2).sum() + (right**2).sum() - 2 * scipy.linalg.svdvals(left @ right.T).sum()
    assert frechet_distance(few, other) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("bad", [np.zeros((1, 3)), np.full((5, 3), np.nan), np.zeros(4)])
def test_frechet_distance_refuses(bad):
    with pytest.raises(InputError, match="two finite matrices"):
        frechet_distance(bad, np.random.default_rng(0).standard_normal((9, 3)))


def test_frechet_replicates_are_those_of_a_bootstrap():
    """Of skewed features, where errors of mean and spread go together and the sign of each term tells."""
    a, b = (np.exp(0.7 * features(rows, 3, seed, 0.0, np.eye(3))) for rows, seed in ((1_500, 0), (1_200, 1)))
    for shift in (0.8, -0.8):
        value, draws = frechet_draws(a + shift, 1.3 * b, 3)
        assert value == pytest.approx(frechet_distance(a + shift, 1.3 * b), rel=1e-12)
        rng = np.random.default_rng(4)
        both = [(a[rng.integers(0, 1_500, 1_500)], b[rng.integers(0, 1_200, 1_200)]) for _ in range(300)]
        full = np.array([frechet_distance(x + shift, 1.3 * y) for x, y in both])
        made = np.array([frechet_distance(x + shift, 1.3 * b) for x, _ in both])
        assert draws.std() == pytest.approx(full.std(), rel=0.15)
        assert draws.std() > 1.1 * made.std()  # both sides count
        assert abs(draws.mean() - value) < 0.3 * draws.std()


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    mixing, truth, hits = np.eye(5), 5 * 0.5**2, 0
    for seed in range(60):
        measure = frechet(features(800, 5, 2 * seed, 0.5, mixing), features(800, 5, 2 * seed + 1, 0.0, mixing), seed)
        hits += measure.low <= truth <= measure.high
    assert hits >= 50


def mean_discrepancy(x, y):
    """Unbiased squared MMD with the cubic kernel, pair by pair."""
    n, d = x.shape

    def k(a, b):
        return (float(a @ b) / d + 1) ** 3

    within = sum(k(z[i], z[j]) for z in (x, y) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return within - 2 * sum(k(a, b) for a in x for b in y) / n**2


def test_kernel_distance_pair_by_pair():
    a, b = features(40, 5, 0), features(50, 5, 1, 0.5)
    found = kernel_distances(a, b, 3, 12, np.random.default_rng(0), np.random.default_rng(1))
    first, second = np.random.default_rng(0), np.random.default_rng(1)
    expected = [
        mean_discrepancy(a[first.choice(40, 12, replace=False)], b[second.choice(50, 12, replace=False)])
        for _ in range(3)
    ]
    assert found == pytest.approx(expected, rel=1e-12)


def test_kernel_distance_is_0_on_average_and_its_interval_has_the_right_width(monkeypatch):
    monkeypatch.setattr("ensample.judge.images.measures.SUBSET", 50)
    values, widths = [], []
    for seed in range(40):
        measure = kernel(features(400, 4, 2 * seed, 0.5, np.eye(4)), features(400, 4, 2 * seed + 1, 0.0, np.eye(4)), 0)
        values.append(measure.value)
        widths.append((measure.high - measure.low) / 3.92)
    assert 0.75 < np.mean(widths) / np.std(values) < 1.4
    sides = ((features(400, 4, s, 0, np.eye(4)), features(400, 4, 99 + s, 0, np.eye(4))) for s in range(20))
    same = [kernel(made, real, 0).value for made, real in sides]
    assert abs(np.mean(same)) < 3 * np.std(same) / math.sqrt(20) + 1e-3


def test_inception_score_picture_by_picture():
    logits = np.random.default_rng(0).standard_normal((50, 4)) * 3
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = []
    for part in np.split(p, 5):
        middle = part.mean(0)
        expected.append(
            math.exp(np.mean([sum(q * math.log(q / m) for q, m in zip(row, middle, strict=True)) for row in part]))
        )
    assert inception_scores(logits, 5) == pytest.approx(expected, rel=1e-12)
    measure = score(logits, 0)
    assert 1 <= measure.low < measure.value < measure.high <= 4


def test_inception_score_of_extremes():
    sure = np.eye(5)[np.arange(5_000) % 5] * 200.0
    assert score(sure, 0).value == pytest.approx(5.0, abs=0.05)
    assert score(np.zeros((500, 5)), 0).value == pytest.approx(1.0)


def test_neighbourhoods_pair_by_pair():
    made, real = features(30, 3, 0, 0.7, np.eye(3)), features(40, 3, 1, 0.0, np.eye(3))

    def radius(points, i, k):
        return sorted(np.linalg.norm(points - points[i], axis=1))[k]

    def within(point, points, k):
        return [np.linalg.norm(point - points[i]) <= radius(points, i, k) for i in range(len(points))]

    precision, recall = precision_recall(made, real)
    assert precision.tolist() == [any(within(x, real, 3)) for x in made]
    assert recall.tolist() == [any(within(x, made, 3)) for x in real]
    density, coverage = density_coverage(made, real)
    assert density == pytest.approx([sum(within(x, real, 5)) / 5 for x in made])
    near = [min(np.linalg.norm(made - x, axis=1)) for x in real]
    assert coverage.tolist() == [near[i] <= radius(real, i, 5) for i in range(40)]
    assert 0 < precision.mean() < 1 and 0 < recall.mean() < 1 and 0 < coverage.mean() < 1


def test_neighbourhoods_of_equal_and_of_distant_pictures():
    a, b, far = (features(300, 4, seed, shift, np.eye(4)) for seed, shift in ((0, 0), (1, 0), (2, 50)))
    alike = {m.name: m for m in neighbourhoods(a, b, 0)}
    apart = {m.name: m for m in neighbourhoods(far, b, 0)}
    assert alike["precision"].value > 0.8 and alike["recall"].value > 0.8 and alike["coverage"].value > 0.9
    assert alike["density"].value == pytest.approx(1.0, abs=0.15)
    assert all(m.value == 0 for m in apart.values())


@pytest.mark.parametrize(("sort", "word"), [("exact", "takes 2.000"), ("bound", "at most"), ("estimate", "about")])
def test_bits_per_dimension(sort, word):
    nats = np.full(40, -2.0 * 3 * 8 * 8 * math.log(2))
    measure = bits_per_dimension(nats, 3 * 8 * 8, sort, 0)
    assert measure.value == pytest.approx(2.0) and measure.low == pytest.approx(2.0)
    assert word in measure.words and measure.sort == sort and "266.2 nats" in measure.words
    nats[3] = -np.inf
    assert bits_per_dimension(nats, 192, sort, 0).value == math.inf


def test_class_accuracy_and_shares():
    found, wanted = np.array([0, 0, 1, 1, 2, 2, 0, 1]), np.array([0, 0, 1, 1, 2, 2, 2, -1])
    measure = accuracy(found, wanted, ("a", "b", "c"), 0)
    assert measure.value == 6 / 8 and measure.parts == {"a": 1.0, "b": 1.0, "c": 2 / 3} and "'c'" in measure.words
    even, lost = np.arange(3_000) % 3, np.arange(3_000) % 2
    assert shares(even, even, ("a", "b", "c"), 0).value == 0
    gone = shares(lost, even, ("a", "b", "c"), 0)
    assert gone.value == pytest.approx(1.0) and gone.parts["c"] == 0 and "2 of 3 classes" in gone.words
    tilted = np.r_[np.zeros(1_200, int), np.ones(900, int), np.full(900, 2)]
    some = shares(tilted, even, ("a", "b", "c"), 0)
    assert some.value == pytest.approx(0.2) and some.low < 0.2 < some.high and some.low > 0.05


def test_digits_shown():
    assert [digits(v) for v in (math.inf, 0.0, 5e-9, 12_345.0)] == [2, 2, 6, 0]


def test_no_perfect_model_beats_another():
    """Two sets from the law of the real one: the paired interval of their difference holds 0 nearly always."""
    wins = 0
    for seed in range(40):
        real, a, b = (features(300, 6, 3 * seed + k, 0.0, np.eye(6)) for k in range(3))
        first, second = frechet(a, real, 7), frechet(b, real, 7)
        wins += first.beats(second) or second.beats(first)
    assert wins <= 6
