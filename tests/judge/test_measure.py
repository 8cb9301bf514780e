import numpy as np
import pytest

from ensample.judge.binned import groups, jackknife
from ensample.judge.bits import bits
from ensample.judge.copies import wilson
from ensample.judge.measure import Measure, mean_draws, resamples, spread


def test_bits_of_a_known_distribution_and_its_interval():
    rng = np.random.default_rng(0)
    share = np.array([0.5, 0.25, 0.25])
    entropy, covered = 1.5, 0
    for seed in range(60):
        rows = rng.choice(3, 400, p=share)
        measure = bits(np.log(share[rows]), seed=seed)
        covered += measure.low <= entropy <= measure.high
        assert measure.value == pytest.approx(-np.log2(share[rows]).mean())
    assert 51 <= covered <= 60  # 95 % of 60 is 57; fewer than 51 has a chance of 1 in 3,000


def test_impossible_records_are_counted_not_hidden():
    measure = bits(np.array([-1.0, -2.0, -np.inf, -1.0]))
    assert measure.value == np.inf and measure.parts["impossible records"] == 1
    assert "1 of 4" in measure.words and measure.to_plain()["value"] is None
    assert measure.parts["bits of the others"] == pytest.approx(4 / 3 / np.log(2))
    assert np.isnan(bits(np.array([-1.0, np.nan])).value)


def test_an_infinite_number_of_bits_loses_to_any_finite_one():
    finite, infinite = bits(np.full(50, -3.0)), bits(np.r_[np.full(49, -1.0), -np.inf])
    assert finite.beats(infinite) and not infinite.beats(finite)


def test_paired_draws_find_a_difference_smaller_than_the_intervals():
    rng = np.random.default_rng(1)
    hard = -rng.exponential(10, 500)
    one, other = bits(hard, seed=3), bits(hard - 0.1 + 0.02 * rng.standard_normal(500), seed=3)
    assert one.low < other.value < one.high
    assert one.beats(other) and not other.beats(one)
    assert not one.beats(one)


@pytest.mark.parametrize(
    ("better", "good", "bad"),
    [("higher", 0.9, 0.8), ("lower", 0.8, 0.9), ("nearer", 0.52, 0.45), ("nearer", 0.48, 0.58)],
)
def test_direction(better, good, bad):
    one, other = (Measure("m", v, v, v, better, 0.5, "") for v in (good, bad))
    assert one.beats(other) and not other.beats(one)


def test_resamples_are_a_function_of_rows_and_seed():
    a, b = resamples(50, 1), resamples(50, 1)
    assert (a == b).all() and (a.sum(1) == 50).all() and (resamples(50, 2) != a).any()
    values = np.random.default_rng(0).standard_normal(400)
    assert mean_draws(values, 0).std() == pytest.approx(values.std() / 20, rel=0.2)
    low, high = spread(0.99, 0.99 + np.linspace(-0.1, 0.1, 101), (0.0, 1.0))
    assert low == pytest.approx(0.895) and high == 1.0


def test_jackknife_of_a_mean_has_the_variance_of_the_mean():
    rng = np.random.default_rng(2)
    rows = rng.standard_normal(1_000) * 3
    group = groups(len(rows), 0)
    count = int(group.max()) + 1
    stats = (np.bincount(group, rows, count), np.bincount(group, minlength=count).astype(float))
    nothing = (np.zeros((1, 1)),)
    draws = jackknife(stats, nothing, lambda real, made: np.array([real[0] / real[1]]), seed=0)[:, 0]
    assert draws.std() == pytest.approx(3 / np.sqrt(1_000), rel=0.35)


def test_wilson_holds_its_promise():
    rng = np.random.default_rng(0)
    for share in (0.02, 0.5):
        seen = rng.binomial(200, share, 300) / 200
        covered = sum(low <= share <= high for low, high in (wilson(s, 200) for s in seen))
        assert covered >= 270
