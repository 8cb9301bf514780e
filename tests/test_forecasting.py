"""Forecasts against closed forms, over windows and whole series, by the verb and the command line."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import ensample as en
from ensample.cli.main import command
from ensample.data.dataset import Dataset
from ensample.errors import InputError
from ensample.verbs import MissingVerb

A = np.array([[0.7, 0.3], [-0.2, 0.6]])
NOISE = np.array([[1.0, 0.5], [0.5, 0.8]])
WINDOW = 6
HOURS = np.arange("2024-01-01T00", "2025-01-01T00", dtype="datetime64[h]").astype("datetime64[s]")


def walk(steps: int, seed: int) -> np.ndarray:
    """A vector autoregression x' = A x + e, e ~ N(0, NOISE), from its stationary law on; in hundredths."""
    rng = np.random.default_rng(seed)
    noise = rng.multivariate_normal([0, 0], NOISE, steps + 50)
    out = np.zeros((steps + 50, 2))
    for t in range(1, len(out)):
        out[t] = A @ out[t - 1] + noise[t]
    return out[50:].round(2)


def table(values: np.ndarray, **more) -> Dataset:
    times = HOURS[: len(values)]
    return Dataset.from_arrow(pa.table({"time": times, "x": values[:, 0], "y": values[:, 1], **more}))


TRAIN = walk(4_000, 0)


@pytest.fixture(scope="module")
def model() -> en.Model:
    family = en.families.Flat(en.families.Mixture(components=1, covariance="full"))
    return en.fit(table(TRAIN).series(WINDOW), family)


def conditional(known: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the next `count` steps under the Gaussian of all training windows, [count x 2]."""
    rows = np.lib.stride_tricks.sliding_window_view(TRAIN, WINDOW, 0).transpose(0, 2, 1).reshape(-1, 2 * WINDOW)
    mean, spread = rows.mean(0), np.cov(rows.T, bias=True)
    a, b = np.arange(known.size), known.size + np.arange(2 * count)
    gain = spread[np.ix_(b, a)] @ np.linalg.inv(spread[np.ix_(a, a)])
    return mean[b] + gain @ (known.ravel() - mean[a]), spread[np.ix_(b, b)] - gain @ spread[np.ix_(a, b)]


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_gaussian_of_windows_forecasts_in_closed_form(model, at_once):
    history, draws = walk(40, 3), 20_000
    made = model.forecast(table(history), at_once, draws=draws, seed=0, at_once=at_once)
    mean, spread = conditional(history[-(WINDOW - at_once) :], at_once)
    drawn = np.stack([made.paths["x"][0], made.paths["y"][0]], -1).reshape(draws, -1)
    error = np.sqrt(np.diag(spread) / draws)
    assert (np.abs(drawn.mean(0) - mean) < 4.5 * error).all()
    assert np.abs(np.cov(drawn.T) / np.sqrt(np.outer(np.diag(spread), np.diag(spread))) - _scaled(spread)).max() < 0.05
    assert np.abs(made.mean["x"][0] - drawn.reshape(draws, -1, 2)[:, :, 0].mean(0)).max() < 1e-9
    lower, upper = made.band(0.9)
    half = 1.6449 * np.sqrt(np.diag(spread))
    for j, name in enumerate(("x", "y")):
        assert np.abs(upper[name][0] - (mean + half)[j::2]).max() < 0.06
        assert np.abs(lower[name][0] - (mean - half)[j::2]).max() < 0.06


def _scaled(spread: np.ndarray) -> np.ndarray:
    return spread / np.sqrt(np.outer(np.diag(spread), np.diag(spread)))


def test_it_rolls_on_beyond_the_window_to_the_process_itself(model):
    history = walk(30, 5)
    made = model.forecast(table(history), 9, draws=6_000, seed=1)
    power, spread = np.eye(2), np.zeros((2, 2))
    for step in range(9):
        spread = spread + power @ NOISE @ power.T
        power = power @ A
        expected = power @ history[-1]
        for j, name in enumerate(("x", "y")):
            assert made.mean[name][0, step] == pytest.approx(expected[j], abs=0.2)
            assert made.paths[name][0, :, step].std() == pytest.approx(math.sqrt(spread[j, j]), rel=0.06)
    pairs = made.paths["x"][0]  # a path is one, not a step after the other by itself
    assert np.corrcoef(pairs[:, 7], pairs[:, 8])[0, 1] > 0.4


def test_all_of_the_window_is_looked_back_on():
    rng = np.random.default_rng(0)
    tune = rng.normal(size=(300, 1, 5)).repeat(2, 1).reshape(-1, 10).round(2)  # five notes, and the same five again
    windows = {"tune": tune[:, :6].tolist()}
    model = en.fit(windows, en.families.Flat(en.families.Mixture(components=1, covariance="full")))
    made = model.forecast({"tune": tune[:9, :5].tolist()}, 1, draws=30, seed=0)
    assert np.abs(made.mean["value"] - tune[:9, :1]).max() < 0.05


def test_bands_hold_their_share_of_what_comes(model):
    steps, values = 2, walk(3_000, 8)
    windows = np.lib.stride_tricks.sliding_window_view(values, WINDOW, 0)[::WINDOW].transpose(0, 2, 1)
    known = [[{"x": x, "y": y} for x, y in rows[:-steps]] for rows in windows.tolist()]
    made = model.forecast({"series": known}, steps, draws=400, seed=2)
    assert made.shape == (len(windows), 400, steps) and made.times is None
    for level in (0.5, 0.9):
        lower, upper = made.band(level)
        inside = [
            (lower[n] <= windows[:, -steps:, j]) & (windows[:, -steps:, j] <= upper[n]) for j, n in enumerate("xy")
        ]
        share, count = np.mean(inside), len(windows) * steps
        assert abs(share - level) < 4 * math.sqrt(level * (1 - level) / count)


def test_times_units_and_seeds(model, tmp_path):
    history = table(walk(20, 1))
    made = model.forecast(history, 4, level=0.8, draws=50, seed=3)
    frame = made.to_pandas()
    assert list(frame.columns) == [*("time", "step", "x", "x mean", "x 10%", "x 90%", "y", "y mean", "y 10%", "y 90%")]
    assert frame["time"].tolist() == pd.date_range("2024-01-01 20:00", periods=4, freq="h").tolist()
    assert frame["step"].tolist() == [1, 2, 3, 4]
    assert np.array_equal(made.history["x"][0], history.column("x").to_numpy())
    assert np.allclose(frame["x"], made.median["x"][0]) and np.allclose(frame["y 10%"], made.quantile(0.1)["y"][0])
    again, other = (model.forecast(history, 4, draws=50, seed=seed) for seed in (3, 4))
    assert np.array_equal(again.paths["x"], made.paths["x"]) and not np.array_equal(other.paths["x"], made.paths["x"])
    assert pd.read_csv(made.save(tmp_path / "next.csv"))["x mean"].tolist() == pytest.approx(frame["x mean"].tolist())
    drawn = made.save(tmp_path / "next.svg").read_text()
    assert drawn.startswith('<svg xmlns="http://www.w3.org/2000/svg"') and drawn.count('class="band"') == 2
    assert "nan" not in drawn and repr(made) == "Forecast: 4 steps of x, y, 1 series, 50 paths"


def test_a_history_may_be_short_or_have_holes(model):
    one = model.forecast(table(walk(1, 1)), 2, draws=4_000, seed=0, at_once=2)
    mean, spread = conditional(walk(1, 1), 2)
    assert one.mean["x"][0] == pytest.approx(mean[::2], abs=0.15)
    assert one.paths["y"][0].std(0) == pytest.approx(np.sqrt(np.diag(spread))[1::2], rel=0.06)
    values = walk(20, 2)
    values[-1] = np.nan  # the last step is missing: what comes is two steps from what is known
    late = model.forecast(table(values), 1, draws=4_000, seed=0, at_once=1)
    mean, spread = conditional(values[-(WINDOW - 1) : -1], 2)
    assert late.mean["x"][0, 0] == pytest.approx(mean[2], abs=0.1)
    assert late.paths["x"][0].std() == pytest.approx(math.sqrt(spread[2, 2]), rel=0.06)


def test_units_go_on_from_their_own_ends(model):
    values = walk(60, 6)
    units = np.repeat(["b", "a"], [40, 20])
    by = en.fit(table(values, unit=units).series(WINDOW, by="unit"), model.family)
    made = by.forecast(table(values, unit=units), 3, draws=20, seed=0).to_dataset().to_arrow()
    assert made["unit"].to_pylist() == ["b"] * 3 + ["a"] * 3
    ends = np.array([HOURS[39], HOURS[59]])
    assert (made["time"].to_numpy().reshape(2, 3)[:, 0] == ends + np.timedelta64(1, "h")).all()


def test_given_calendar_fields_follow_the_time():
    rng = np.random.default_rng(0)
    hour = np.arange(24 * 60) % 24
    load = (10 * (hour >= 12) + rng.normal(size=len(hour))).round(2)
    data = Dataset.from_arrow(pa.table({"time": HOURS[: len(load)], "load": load}))
    made = en.fit(data.series(2, calendar="hour"), "circuit", given="hour", budget="20 steps")
    assert made.codec.model == ("series",) and made.codec.given == ("hour",)
    for length in (24 * 9 + 5, 24 * 9 + 10):
        ahead = made.forecast(data.take(np.arange(length)), 12, draws=60, seed=0, at_once=1)
        expected = 10.0 * ((length + np.arange(12)) % 24 >= 12)
        assert np.abs(ahead.mean["load"][0] - expected).max() < 1.5


def test_series_of_any_length_are_seen_whole_and_may_hold_words():
    rng = np.random.default_rng(0)
    lists = []
    for _ in range(150):
        first, length = rng.integers(2), rng.integers(4, 12)
        wet = [int((first + k) % 2) for k in range(length)]
        lists.append([{"sky": ("dry", "rain")[w], "t": round(5 * w + float(rng.normal()), 1)} for w in wet])
    model = en.fit(pa.table({"walk": lists}), en.families.Markov(states=2), budget="60 steps")
    made = model.forecast(pa.table({"walk": lists[:5]}), 3, draws=40, seed=0)
    for k in range(5):
        last = lists[k][-1]["sky"]
        expected = ["rain", "dry", "rain"] if last == "dry" else ["dry", "rain", "dry"]
        assert made.mode["sky"][k].tolist() == expected
    told = made.to_dataset().to_arrow()
    assert {"series", "step", "sky", "p(sky=dry)", "p(sky=rain)", "t", "t 95%"} <= set(told.column_names)
    both = np.add(*(told[f"p(sky={word})"].to_numpy() for word in ("dry", "rain")))
    assert np.allclose(both, 1)


def test_irregular_series_tell_when():
    rng = np.random.default_rng(0)
    ticks = np.cumsum(rng.choice([3, 4, 5, 27], 400, p=[0.3, 0.3, 0.3, 0.1])) * 60
    times = np.datetime64("2024-01-01T00:00:00") + ticks
    data = Dataset.from_arrow(pa.table({"time": times, "x": rng.normal(size=400).round(2)}))
    model = en.fit(data.series(4), "independent")
    made = model.forecast(data, 3, draws=300, seed=0, at_once=1)
    ahead = (made.times.to_numpy() - times[-1]) / np.timedelta64(1, "m")
    assert (np.abs(ahead - np.array([4, 8, 12])) <= 2).all()


@pytest.mark.parametrize("times", [1, 2])
def test_bands_are_as_wide_as_later_data_needs(model, times):
    later = table((times * walk(1_500, 11)).round(2))  # of which a forecast misses so many times as much
    plain, made = (model.forecast(table(walk(30, 3)), 2, draws=400, seed=0, calibration=by) for by in (None, later))
    for name in ("x", "y"):
        assert np.allclose(made.median[name], plain.median[name], atol=0.02)
        for level in (0.5, 0.9):
            assert _width(made, level, name) / _width(plain, level, name) == pytest.approx(times, rel=0.15)
        paths = made.paths[name]
        assert np.abs(100 * paths - np.round(100 * paths)).max() < 1e-6  # still hundredths
    records = model.forecast(table(walk(30, 3)), 2, draws=400, seed=0, calibration=later.series(WINDOW))
    assert _width(records, 0.9, "x") / _width(plain, 0.9, "x") == pytest.approx(times, rel=0.15)


def _width(made, level: float, name: str) -> float:
    lower, upper = made.band(level)
    return float((upper[name] - lower[name]).mean())


def test_what_cannot_be_forecast_is_refused(model):
    history = table(walk(20, 1))
    for wrong in ({"steps": 0}, {"draws": 0}, {"level": 1.5}, {"at_once": WINDOW}, {"level": (0.5, 0)}):
        with pytest.raises(InputError):
            model.forecast(history, **wrong)
    with pytest.raises(InputError, match="variables of learning"):
        model.forecast(history.select(["time", "x"]))
    for few in (history, table(walk(6, 1)), {"series": [[{"x": 1.0, "y": 1.0}] * 4] * 3}):
        with pytest.raises(InputError, match="calibration"):
            model.forecast(history, 4, calibration=few)
    rows = en.fit({"a": [1.5, 2.5] * 20}, "independent")
    assert "forecast" not in rows.can
    with pytest.raises(MissingVerb, match="forecast"):
        rows.forecast({"a": [1.5]})
    with pytest.raises(InputError, match="share"):
        model.forecast(history, 1, draws=2).quantile(2)


def test_a_table_of_a_series_is_cut_for_every_verb(model):
    fresh = table(walk(12, 9))
    assert np.array_equal(model.log_prob(fresh), model.log_prob(fresh.series(WINDOW)))
    assert len(model.log_prob(fresh)) == 12 - WINDOW + 1


def test_the_command_line_learns_and_forecasts(tmp_path, capsys):
    path, saved = table(walk(300, 4)).save(tmp_path / "load.csv"), tmp_path / "load.ens"
    learn = ["fit", str(path), "--window", "4", "--time", "time", "--family", "independent", "--save", str(saved)]
    assert command([*learn, "--calendar", "hour", "--given", "hour"]) == 0
    capsys.readouterr()
    ahead = ["forecast", str(saved), str(path), "--steps", "5", "--draws", "9", "--seed", "1"]
    assert command([*ahead, "--level", "0.8", "--out", str(tmp_path / "next.csv")]) == 0
    frame = pd.read_csv(tmp_path / "next.csv", parse_dates=["time"])
    assert len(frame) == 5 and "x 10%" in frame and frame["time"][0] == pd.Timestamp(HOURS[300])
    capsys.readouterr()
    assert command([*ahead, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["records"]) == 5
    assert command([*ahead, "--calibration", str(path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["records"]) == 5
    assert command([*ahead, "--save", str(tmp_path / "next.svg")]) == 0 and (tmp_path / "next.svg").exists()
    assert command([*ahead, "--level", "much"]) == 1
