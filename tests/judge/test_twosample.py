from math import erf

import numpy as np
import pytest

from ensample.judge.discovery import relations
from ensample.judge.twosample import two_sample, two_sample_relations, weighted_auc
from tests.judge.tables import gaussian, made, people, reference, shuffled


def test_auc_by_enumeration():
    rng = np.random.default_rng(0)
    real, fake = rng.integers(0, 6, 40) * 1.0, rng.integers(1, 7, 30) * 1.0
    w_real, w_fake = rng.integers(0, 3, (5, 40)), rng.integers(0, 3, (5, 30))
    wins = (fake[:, None] > real[None, :]) + 0.5 * (fake[:, None] == real[None, :])
    wanted = np.einsum("dm,mn,dn->d", w_fake, wins, w_real) / (w_fake.sum(1) * w_real.sum(1))
    assert weighted_auc(real, fake, w_real, w_fake) == pytest.approx(wanted)


def test_two_halves_of_one_distribution_cannot_be_told_apart():
    covered = 0
    for seed in range(8):
        real = reference(gaussian(300, 10 * seed), gaussian(400, 10 * seed + 1), seed)
        measure = two_sample(real, made(real, gaussian(400, 10 * seed + 2)))
        covered += measure.low <= 0.5 <= measure.high
    assert covered >= 6  # of 8 at 95 %: fewer has a chance of 1 in 170


def test_shifted_normals_reach_nearly_the_best_possible_area():
    shift = 1.5
    best = 0.5 * (1 + erf(shift / 2))  # Phi(shift / sqrt 2) for one informative column of unit variance
    real = reference(gaussian(500, 0, columns=1), gaussian(1_500, 1, columns=1))
    measure = two_sample(real, made(real, gaussian(1_500, 2, shift, columns=1)))
    assert best - 0.05 < measure.value < best + 0.02
    assert measure.low < measure.value < measure.high and measure.better == "lower"


def test_missing_values_and_levels_are_seen():
    train, test, fresh = people(1_500, 0), people(1_500, 1), people(1_500, 2)
    real = reference(train, test)
    assert two_sample(real, made(real, fresh)).low < 0.5
    filled = fresh.set_column(7, "job", fresh.column("job").fill_null("cook"))
    assert two_sample(real, made(real, filled)).value > 0.53
    moved = fresh.set_column(4, "city", fresh.column("city").take(np.roll(np.arange(1_500), 1)))
    assert two_sample(real, made(real, moved)).value > 0.6


def test_relations_between_columns_are_found_and_their_breaking_is_seen():
    train, test, fresh = people(3_000, 0), people(1_500, 1), people(1_500, 2)
    real = reference(train, test)
    words = [r.words for r in real.once(relations)]
    assert any(w in words for w in ("total = net + tax", "total = tax + net")), words
    # the sum is right to a tenth of the tax: a plain judge hardly sees it, one with relations does at once
    rng = np.random.default_rng(0)
    total = fresh.column("total").to_numpy() + np.round(rng.normal(0, 2.0, 1_500), 2)
    broken = made(real, fresh.set_column(2, "total", [total]))
    plain, derived = two_sample(real, broken), two_sample_relations(real, broken)
    assert plain.value < 0.7 and derived.value > 0.95
    assert two_sample_relations(real, made(real, fresh)).low < 0.5


def test_same_seed_same_number():
    real = reference(gaussian(300, 0), gaussian(300, 1))
    fake = made(real, gaussian(300, 2))
    assert two_sample(real, fake) == two_sample(real, fake)


def test_shuffling_one_column_is_seen():
    real = reference(gaussian(500, 0), gaussian(1_000, 1))
    fake = shuffled(gaussian(1_000, 2), "c1")
    assert two_sample(real, made(real, fake)).value > 0.6
