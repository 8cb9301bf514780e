"""Widths of bands learned from what came: quantiles of scores, and coverage of what comes next."""

from __future__ import annotations

import numpy as np
import pytest

from ensample.infer.conformal import LEVELS, Widths


def drawn(series: int, seed: int, spread: float = 1.0) -> np.ndarray:
    return spread * np.random.default_rng(seed).normal(size=(series, 199, 2)) + 5


def came(series: int, seed: int) -> np.ndarray:
    """Of a law with other tails, and other spread above its middle than below."""
    noise = np.random.default_rng(seed).standard_t(4, size=(series, 2))
    return 5 + np.where(noise > 0, 1.5, 2.5) * noise


def covers(paths: np.ndarray, truth: np.ndarray, level: float) -> float:
    low, high = np.quantile(paths, ((1 - level) / 2, (1 + level) / 2), axis=1)
    return float(((low <= truth) & (truth <= high)).mean())


def test_widened_bands_hold_their_share_of_what_comes_next():
    widths = Widths.learned(drawn(1_500, 0), came(1_500, 1))
    paths, truth = drawn(1_500, 2), came(1_500, 3)
    for level in LEVELS:
        assert covers(paths, truth, level) < level - 0.1
        assert covers(widths.of(paths), truth, level) == pytest.approx(level, abs=0.03)
    narrow = Widths.learned(drawn(1_500, 0, 9.0), came(1_500, 1))
    assert covers(narrow.of(drawn(1_500, 2, 9.0)), truth, 0.9) == pytest.approx(0.9, abs=0.03)


def test_the_factor_is_the_conformal_quantile_and_leaves_medians_and_order():
    paths = np.tile(np.linspace(-1, 1, 201)[None, :, None], (40, 1, 1))  # bands end at -level and level
    truth = np.arange(1, 41)[:, None] / 10
    widths = Widths.learned(paths, truth)
    assert widths.factors == pytest.approx((2.1 / 0.5, 3.7 / 0.9))  # ranks ceil(41 / 2) and ceil(41 * 0.9)
    made = widths.of(paths)
    assert np.abs(np.median(made, 1)).max() < 1e-12 and (np.diff(made, axis=1) > 0).all()
    holes = np.where(np.arange(40)[:, None] < 39, truth, np.nan)
    assert Widths.learned(paths, holes).factors == pytest.approx((2.0 / 0.5, 3.6 / 0.9))


def test_each_side_has_its_own_width():
    rng = np.random.default_rng(0)
    paths, truth = np.exp(rng.normal(size=(400, 999, 1))), 1 + 3 * (np.exp(rng.normal(size=(4_000, 1))) - 1)
    widths = Widths.learned(np.tile(paths, (10, 1, 1)), truth)
    assert widths.factors == pytest.approx((3, 3), rel=0.06)


def test_too_few_values_and_bands_without_width_change_nothing():
    paths = drawn(19, 0)
    assert Widths.learned(paths[:, :, :1], came(19, 1)[:, :1]).factors == (1.0, 1.0)
    flat = np.ones((50, 10, 2))
    widths = Widths.learned(flat, came(50, 1))
    assert widths.factors == (1.0, 1.0) and np.array_equal(widths.of(flat), flat)
