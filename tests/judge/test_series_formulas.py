"""Measures of series against known answers."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats

from ensample.judge.series.classifier import Inputs, discriminative_score, logits, scaled
from ensample.judge.series.dynamics import autocorrelation, autos_of, crossed, crosses_of, lags
from ensample.judge.series.forecasts import begun, covered, crps
from ensample.judge.series.foretelling import predictive_score
from ensample.judge.series.marginals import changes, missing, values
from ensample.judge.series.recurrent import Recipe, Recurrents, laid
from ensample.judge.series.spectrum import spectra, spectrum
from ensample.judge.series.stretches import record_numbers, runs, stretches
from tests.judge.series import autoregressive, flips, reference, side, table, windows


def test_recurrent_networks_are_those_of_torch_and_know_their_gradients():
    generator = torch.Generator().manual_seed(0)
    networks, twin = Recurrents(2, 3, 4, 1, generator), torch.nn.GRU(3, 4, batch_first=True)
    x = torch.randn(2, 7, 5, 3, generator=generator)
    for k in range(2):
        with torch.no_grad():
            for name, part in (("weight_ih", networks.inlet), ("weight_hh", networks.inner)):
                getattr(twin, f"{name}_l0").copy_(part[k])
            twin.bias_ih_l0.copy_(networks.bias[k, :, 0])
            twin.bias_hh_l0.zero_()
            assert torch.allclose(networks(laid(x))[:, k].permute(2, 0, 1), twin(x[k])[0], atol=1e-6)
    networks = networks.double()
    torch.nn.init.normal_(networks.inner_bias, generator=generator)
    assert torch.autograd.gradcheck(
        lambda x, *_: networks.told(networks(x)), (laid(x.double()).requires_grad_(), *networks.parameters())
    )


def test_autocorrelation_of_an_autoregression_is_its_power():
    known = reference(windows(autoregressive(600, 24, 0.8, 0)), windows(autoregressive(600, 24, 0.8, 1)))
    looked = known.once(lags)
    assert looked.tolist() == list(range(1, 13))
    assert autos_of(known, known.test)[0] == pytest.approx(0.8**looked, abs=0.06)
    moved = side(known, windows(2 + autoregressive(600, 24, 0.8, 1)))  # the same at another level
    assert autos_of(known, moved)[0] == pytest.approx(autos_of(known, known.test)[0], abs=1e-6)
    same = autocorrelation(known, side(known, windows(autoregressive(600, 24, 0.8, 2))), known.test)
    other = autocorrelation(known, side(known, windows(autoregressive(600, 24, 0.3, 2))), known.test)
    assert same.value < 0.05 and other.value == pytest.approx(np.mean(0.8**looked - 0.3**looked), abs=0.06)
    assert other.low < other.value < other.high and same.low < 0.03 and same.beats(other)


def test_classes_remember_as_their_chain_does():
    sky = [np.array(["a", "b"])[flips(500, 20, 0.1, seed)] for seed in (0, 1, 2)]
    known = reference(*(table({"sky": each}) for each in sky[:2]))
    assert autos_of(known, known.test)[0] == pytest.approx(0.8 ** known.once(lags), abs=0.05)
    alike = changes(known, side(known, table({"sky": sky[2]})), known.test)
    often = side(known, table({"sky": np.array(["a", "b"])[flips(500, 20, 0.4, 3)]}))
    # two steps in a row change with 0.1 and with 0.4: total variation 0.3
    assert alike.value > 0.97 and changes(known, often, known.test).value == pytest.approx(0.7, abs=0.03)
    assert values(known, often, known.test).value > 0.95


def test_spectrum_of_noise_is_flat_and_of_a_wave_a_peak():
    rng = np.random.default_rng(0)
    known = reference(*(windows(rng.standard_normal((800, 32))) for _ in range(2)))
    power = spectra(known, known.test).power.mean(0)[0]
    assert power[1:-1] == pytest.approx(np.ones(14), abs=0.15)  # of noise of variance 1
    phase = rng.uniform(0, 2 * np.pi, (50, 1))
    wave = spectra(known, side(known, windows(np.sin(2 * np.pi * 5 / 32 * np.arange(32) + phase)))).power.mean(0)[0]
    assert wave.argmax() == 4 and wave[4] > 3 * np.delete(wave, [3, 4, 5]).max()
    louder = spectrum(known, side(known, windows(2 * rng.standard_normal((800, 32)))), known.test)
    assert louder.value == pytest.approx(20 * np.log10(2), abs=0.4) and louder.low < 6.02 < louder.high
    assert spectrum(known, side(known, windows(rng.standard_normal((800, 32)))), known.test).value < 0.5


def test_correlations_between_variables():
    rng = np.random.default_rng(0)

    def pair(rho: float) -> pa.Table:
        x = rng.standard_normal((500, 12))
        y = rho * np.roll(x, 1, 1) + np.sqrt(1 - rho**2) * rng.standard_normal((500, 12))
        return table({"x": x, "y": y, "z": np.where(x > 0, "high", "low")})

    known = reference(pair(0.6), pair(0.6))
    names, found = crosses_of(known, known.test)
    assert names[:2] == ["x", "y"] and found[1][0, 1] == pytest.approx(0.6, abs=0.04)  # y a step after x
    assert found[0][0, 1] == pytest.approx(0.0, abs=0.04) and abs(found[0][0, 2]) == pytest.approx(0.8, abs=0.03)
    worse = crossed(known, side(known, pair(0.0)), known.test)
    assert crossed(known, side(known, pair(0.6)), known.test).beats(worse) and worse.low > 0.02


def test_crps_is_the_closed_form_of_gaussians():
    rng = np.random.default_rng(0)
    mean, deviation, truth = np.array([0.0, 1.0, -2.0]), np.array([1.0, 2.0, 0.5]), np.array([0.5, -1.0, -2.0])
    z = (truth - mean) / deviation
    exact = deviation * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    for draws, repeats in ((20_000, 1), (3, 6_000)):  # few draws are as right, in the mean, as many
        paths = mean + deviation * rng.standard_normal((repeats, draws, 3))
        found = crps(paths, np.broadcast_to(truth, (repeats, 3))).mean(0)
        assert found == pytest.approx(exact, abs=0.03)


def test_bands_of_few_paths_hold_what_they_should():
    rng = np.random.default_rng(0)
    paths, truth = rng.standard_normal((4_000, 9, 3)), rng.standard_normal((4_000, 3))
    for level in (0.5, 0.9):
        assert covered(paths, truth, level).mean() == pytest.approx(level, abs=0.02)
        assert covered(0.5 * paths, truth, level).mean() < level - 0.1
    assert np.isnan(covered(paths, np.full((4_000, 3), np.nan), 0.5)).all()


def test_missing_values_alone_and_in_a_row():
    rng = np.random.default_rng(0)

    def gaps(long: bool) -> pa.Table:
        x, hole = rng.standard_normal((400, 20)), rng.random((400, 20)) < 0.2
        if long:  # a fifth of all series lack the second half, and a fifth the first
            hole = np.zeros_like(hole)
            hole[:80, :10] = hole[80:160, 10:] = True
        return table({"x": np.where(hole, np.nan, x)})

    known = reference(gaps(False), gaps(False))
    same, other = (missing(side(known, gaps(long)), known.test, 0) for long in (False, True))
    # in a row: 0.64, 0.16, 0.16, 0.04 against about 0.79, 0.01, 0.01, 0.19
    assert same.value < 0.02 and other.value == pytest.approx(0.30 / 2, abs=0.03)
    assert missing(side(known, windows(np.ones((30, 4)))), side(known, windows(np.ones((30, 4)))), 0) is None


def test_published_scores_know_equal_and_shifted_series():
    real, other = (autoregressive(300, 8, 0.95, seed)[:, :, None].repeat(2, 2) for seed in (0, 1))
    one, same, shifted = scaled(real, other, other + 6.0)
    assert discriminative_score(one, same, networks=2, updates=100).mean() < 0.12
    assert discriminative_score(one, shifted, networks=1, updates=150).mean() > 0.4
    upside_down = same * [[[-1.0, 1.0]]] + [[[1.0, 0.0]]]  # the first variable tells the opposite of the last
    honest, misled = (predictive_score(side, one, networks=1, updates=300) for side in (same, upside_down))
    assert honest[0] < 0.9 * misled[0]


def test_classifiers_read_series_to_their_own_end():
    rng = np.random.default_rng(0)
    lengths = torch.from_numpy(rng.integers(2, 9, 200))
    padded = torch.randn(200, 9, 1, generator=torch.Generator().manual_seed(0))
    dirty = torch.where(torch.arange(9) < lengths[:, None], padded[:, :, 0], 99.0)[:, :, None]
    rows = [(np.arange(200), np.arange(200))]
    recipe = Recipe(hidden=4, updates=5, batch=16, rate=1e-2, falls=False)
    clean = torch.where(dirty == 99.0, 0.0, dirty)
    found = [logits(Inputs(x, lengths), Inputs(x, lengths), rows, recipe, 0)[0] for x in (dirty, clean)]
    assert np.allclose(*found)


def test_overlapping_windows_are_known_by_their_runs():
    walk = np.random.default_rng(0).standard_normal(300).cumsum()
    whole = np.lib.stride_tricks.sliding_window_view(walk, 16)
    known = reference(windows(whole[:200]), windows(whole[200:]))
    of_train = stretches(known, known.train, every=True)
    near = np.sqrt(np.square(of_train.points[None, 60:61] - of_train.points[:, None]).sum(2))[:, 0]
    free = np.abs(np.arange(200) - 60) > 8  # windows that have fewer than eight steps in common
    assert of_train.apart(np.array([60]))[0] == pytest.approx(near[free].min())
    assert np.unique(of_train.pieces).size < 60
    numbers = runs(known.train, 16)
    assert numbers.shape == (200, 9) and (numbers[1:, 0] == numbers[:-1, 1]).all()
    twice = side(known, windows(whole[[3, 4, 3]]))
    assert record_numbers(twice)[0] == record_numbers(twice)[2] != record_numbers(twice)[1]


def test_histories_end_where_they_should():
    records = table({"x": np.arange(12.0).reshape(3, 4)}, np.array([4, 2, 3]))
    known = begun(records, "series", np.array([2, 1, 3])).column("series").to_pylist()
    assert [[step["x"] for step in each] for each in known] == [[0.0, 1.0], [4.0], [8.0, 9.0, 10.0]]
