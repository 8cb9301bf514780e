"""Series judged as a whole: good, bad and copied ones, forecasts, the page, the leaderboard, the command line."""

import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

import ensample as en
from ensample.cli.main import command
from ensample.data.dataset import Dataset
from ensample.errors import InputError
from ensample.judge.evaluate import Judgement
from ensample.judge.leaderboard import compare_on
from ensample.judge.report import report
from ensample.judge.series import reference as references
from ensample.judge.series.doctor import check_made, check_series, quality
from ensample.judge.series.doctor import forecasts as told_of
from ensample.judge.series.evaluate import judge_series, loose_values, real_series
from ensample.judge.series.forecasts import Told, ask, forecasts
from ensample.judge.series.reference import SeriesReference
from tests.judge.series import QUICK, autoregressive, reference, table, weather, windows
from tests.judge.test_board import fit


@pytest.fixture(scope="module")
def real():
    return reference(weather(200, 0), weather(150, 1))


@pytest.fixture(scope="module")
def quick():
    return reference(weather(100, 0), weather(60, 1), sizes=QUICK)


def thief(noise):
    """Training records with a little noise, every other one."""
    rng, steps = np.random.default_rng(0), weather(200, 0).column("series").to_pylist()
    fresh = weather(200, 9).column("series").to_pylist()
    for k, record in enumerate(steps):
        for step in record:
            step["warm"] += float(noise * rng.standard_normal())
        steps[k] = record if k % 2 else fresh[k]
    return pa.table({"series": pa.array(steps, weather(2, 0).column("series").type)})


@pytest.fixture(scope="module")
def judged(real):
    made = {
        "fresh": weather(150, 5),
        "floor": loose_values(real, 150),
        "thief": thief(0.01),
        "jumpy": weather(150, 6, phi=0.2, p=0.4),
        "short": weather(150, 7, steps=6),
    }
    return {name: judge_series(real, each) for name, each in made.items()}


def test_good_series_are_near_and_bad_ones_far(judged):
    fresh, floor, jumpy = (judged[name] for name in ("fresh", "floor", "jumpy"))
    for name in ("two-sample test", "change shapes", "autocorrelation distance", "cross-correlation distance"):
        assert fresh[name].beats(floor[name]) and not floor[name].beats(fresh[name]), name
    assert fresh["two-sample test"].low < 0.52 and floor["two-sample test"].value > 0.9
    assert fresh["discriminative score"].low < 0.05 and 0.3 < floor["discriminative score"].value <= 0.5
    assert jumpy["spectrum distance"].low > fresh["spectrum distance"].high
    assert floor["predictive score"].value > 1.2 * floor["predictive score"].target
    assert fresh["predictive score"].value < 1.1 * fresh["predictive score"].target
    assert judged["short"]["length distance"].value > 0.2 > 0.05 > fresh["length distance"].value
    assert "steps in the mean" in fresh["length distance"].words and "real series get" in fresh["value shapes"].words
    assert abs(fresh["missing pattern"].parts["damp"] - 0.1) < 0.02 > fresh["missing pattern"].value


def test_copies_are_found(real, judged):
    check = judged["thief"].copy
    assert check.copied and 0.35 < check.close.value < 0.65 and check.exact.value == 0.0
    assert "It copies training series" in check.sentence(None, "record")
    assert not judged["fresh"].copy.copied and not judged["floor"].copy.copied
    plain = judge_copies(real, real_series(real, 150))
    assert plain.copied and plain.exact.value == 1.0 and plain.by_luck < 1e-6
    walk = autoregressive(1, 600, 0.99, 3)[0]
    overlapping = np.lib.stride_tricks.sliding_window_view(walk, 16)
    order = np.random.default_rng(0).permutation(len(overlapping))
    one = reference(windows(overlapping[order[:400]]), windows(overlapping[order[400:]]))
    assert judge_copies(one, windows(overlapping[order[:150]])).copied
    honest = autoregressive(150, 16, 0.99, 4)
    assert not judge_copies(one, windows(honest)).copied
    later = reference(windows(overlapping[:400]), windows(5 + overlapping[416:]))  # time has moved on
    assert not judge_copies(later, windows(honest)).copied and "moved on" in " ".join(map(str, check_series(later)))


def judge_copies(known, made):
    from ensample.judge.series.copies import series_copies

    return series_copies(known, known.side(made))


def test_warnings_in_words(real, judged):
    words = {name: " ".join(map(str, check_made(real, each))) for name, each in judged.items()}
    assert words["fresh"] == ""
    assert "copies:" in words["thief"] and "jumps" not in words["thief"]
    assert (
        "jumps: from a step to the next made warm changes" in words["jumpy"] and "so it is with damp" in words["jumpy"]
    )
    assert "changes too often: made sky changes in" in words["jumpy"]
    assert "memory" in words["floor"] and "relations between variables" in words["floor"]
    assert "too short: half of them have at most 6 steps" in words["short"]
    found = " ".join(map(str, check_series(real)))
    assert "training series: only 200" in found and "leak" not in found and "moved on" not in found
    leaky = reference(weather(100, 0), pa.concat_tables([weather(100, 0).slice(0, 50), weather(50, 1)]))
    assert "split by time" in " ".join(map(str, check_series(leaky)))


@pytest.mark.parametrize(
    ("about", "change"),
    [
        ("variance shrinks towards the end", lambda x: x * np.linspace(1.5, 0.4, x.shape[1])),
        ("too smooth", lambda x: (x + np.roll(x, 1, 1) + np.roll(x, -1, 1)) / 3),
        ("shifted", lambda x: x + 2.0),
        ("too little spread", lambda x: 0.4 * x),
        ("out of range", lambda x: np.where(np.arange(x.shape[1]) == 3, 50.0, x)),
        ("stands still", lambda x: np.repeat(x[:, ::2], 2, 1)),
        ("repeated series", lambda x: x[np.arange(len(x)) // 2]),
    ],
)
def test_what_is_wrong_is_named(about, change):
    clean = reference(*(windows(autoregressive(150, 16, 0.7, seed)) for seed in (0, 1)), sizes=QUICK)
    fresh = autoregressive(150, 16, 0.7, 2)
    good, bad = (judge_series(clean, windows(made)) for made in (fresh, change(fresh)))
    assert about in [finding.about for finding in check_made(clean, bad)]
    assert about not in [finding.about for finding in check_made(clean, good)]


class Prophet:
    """A "model" that knows the law of an autoregression."""

    can = {"sample": "exact", "forecast": "exact"}  # noqa: RUF012

    def __init__(self, spread: float = 1.0) -> None:
        self.spread = spread

    def forecast(self, history: Dataset, steps: int, draws: int, seed: int) -> Told:
        last = np.array([each[-1]["x"] for each in history.to_arrow().column("series").to_pylist()])
        rng, value, out = np.random.default_rng(seed), last[:, None].repeat(draws, 1), []
        for _ in range(steps):
            value = 0.8 * value + 0.6 * self.spread * rng.standard_normal(value.shape)
            out.append(value)
        return Told(np.zeros(0), np.zeros(0), {"x": np.stack(out, 2)})


def test_forecasts_of_the_true_law_are_calibrated():
    known = reference(*(windows(autoregressive(400, 12, 0.8, seed)) for seed in (0, 1)))
    true, bold = (forecasts(known, ask(Prophet(spread), known, 0)["told"]) for spread in (1.0, 0.3))
    error = 0.6 * np.sqrt((1 - 0.64 ** np.arange(1, 7)) / 0.36) / np.sqrt(np.pi)  # of Gaussians, at each step
    assert true[0].value == pytest.approx(error.mean(), abs=0.05) and true[0].beats(bold[0])
    assert true[1].value == pytest.approx(0.5, abs=0.05) and true[2].value == pytest.approx(0.9, abs=0.04)
    assert bold[1].value < 0.25
    assert true[0].value < true[0].parts["with usual changes"] < true[0].parts["the value before"]
    words = [str(finding) for finding in told_of(Judgement(tuple(bold), None, None, 0.0))]
    assert any("bands too narrow" in each for each in words)


def test_what_held_out_series_themselves_are_is_told(judged):
    auc = judged["fresh"]["two-sample test"]
    drifted = replace(auc, value=0.95, low=0.9, parts={"real series": 0.96})
    assert "no better than" in quality(Judgement((drifted,), None, None, 0.0))
    assert "cannot tell" in quality(judged["fresh"]) and " tells its series" in quality(judged["floor"])


def test_a_season_is_found():
    day = np.sin(2 * np.pi * (np.arange(24) + np.random.default_rng(0).integers(0, 8, (200, 1))) / 8)
    known = reference(windows(day[:100]), windows(day[100:]))
    told = ask(Prophet(), known, 0)["told"]
    assert forecasts(known, told)[0].parts["the value before"] < 0.01


def test_report_page(quick, judged, tmp_path):
    nats = np.full(quick.scored.num_rows, -20.0)
    rng, told = np.random.default_rng(0), np.arange(4)
    paths = {name: rng.standard_normal((4, 30, 5)) for name in ("warm", "damp")}
    own = judged["thief"].made.table
    judgement = judge_series(quick, own, nats, "bound", Told(told, quick.test.lengths[:4] - 5, paths))
    page = report("the <b>thief</b>", quick, judgement)
    assert "recurrent network" in page.words[0] and "forecasts have" in page.words[0]
    assert "It did not copy" in page.words[1]
    assert judgement["bits"].value == pytest.approx(20 / np.log(2)) and "20.00 nats" in judgement["bits"].words
    page.save(tmp_path / "report.html")
    page.save(tmp_path / "report.json")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;thief" in text and not re.search(r"https?://|<script|<link|>nan<|NaN", text)
    for word in ("classes of real and made series", "forecast and what came", "power spectrum", "steps apart"):
        assert word in text, word
    assert json.loads((tmp_path / "report.json").read_text())["rows"] == {"train": 100, "test": 60}


class Fake:
    """A "model" of series that hands out a table."""

    can = {"sample": "exact"}  # noqa: RUF012

    def __init__(self, made: pa.Table) -> None:
        self.made = made

    def sample(self, n: int, *, seed: int) -> Dataset:
        return Dataset.from_arrow(self.made)


def test_leaderboard_of_series(real):
    families = {"good": Fake(weather(150, 5)), "thief": Fake(thief(0.01))}
    board = compare_on(real, Dataset.from_arrow(real.train_table, real.schema), families, fit, budget="9s", seed=0)
    assert board.best == "good" and board["good"].rank == 1
    assert board["thief"].rank is None and board["thief"].copied
    assert board.entries[0].name == "training series" and "loose values" in str(board)


def test_models_of_lists_are_compared_and_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(references, "Sizes", lambda: QUICK)
    train, test = (autoregressive(120, 8, 0.8, seed)[:, :, None].round(2) for seed in (0, 1))
    train, test = (en.read(table({"x": side[:, :, 0], "y": -side[:, :, 0]})) for side in (train, test))
    board = en.compare(train, test, ["mixture"], budget="2s")
    assert board["mixture"].rank == 1
    assert board["mixture"].judgement.get("forecast error") is not None
    train.save(tmp_path / "train.parquet")
    test.save(tmp_path / "test.parquet")
    en.fit(train, "mixture", budget="2s").save(tmp_path / "model.ens")
    files = [str(tmp_path / name) for name in ("model.ens", "test.parquet", "train.parquet", "page.html")]
    assert command(["report", *files[:2], "--train", files[2], "--save", files[3]]) == 0
    assert "mixture over windows" in capsys.readouterr().out and (tmp_path / "page.html").exists()


def test_hard_records_are_judged(quick):
    type_ = weather(2, 0).column("series").type
    some = weather(60, 3).column("series").to_pylist()
    made = judge_series(quick, pa.table({"series": pa.array([None, [], *some], type_)}))
    assert made.made.side.lengths[:2].tolist() == [0, 0] and np.isfinite(made["two-sample test"].value)
    nothing = judge_series(quick, pa.table({"series": pa.array([[]] * 40, type_)}))
    assert "empty series" in " ".join(map(str, check_made(quick, nothing)))
    report("empty", quick, nothing).html()
    alone = [windows(autoregressive(60, 1, 0.0, seed).round(1)) for seed in (0, 1, 2)]
    single = reference(alone[0], alone[1], sizes=QUICK)
    one = judge_series(single, alone[2])
    assert one.get("autocorrelation distance") is None and one.get("predictive score") is None
    report("one step", single, one).html()


def test_without_training_series_nothing_is_said_about_copies(quick):
    steps = quick.schema["series"].kind.steps.schema
    alone = SeriesReference(None, weather(100, 0), quick.schema, series="series", steps=steps, sizes=QUICK)
    judgement = judge_series(alone, weather(50, 1))
    assert judgement.copy is None and len(alone.train) == 50 and "Copies" not in report("m", alone, judgement).html()


def test_long_series_are_made_in_smaller_numbers(real):
    long = reference(*(windows(autoregressive(30, 2_000, 0.9, seed)) for seed in (0, 1)), sizes=QUICK)
    assert real.subject.made == 1_000 and long.subject.made == 80
    judgement = judge_series(long, windows(autoregressive(30, 2_000, 0.9, 2)))
    assert judgement["autocorrelation distance"].low < 0.05 and not judgement.copy.copied


def test_refusals(real):
    with pytest.raises(InputError, match="at least 20"):
        judge_series(real, weather(19, 0))
    with pytest.raises(InputError, match="same field of series"):
        judge_series(real, pa.table({"other": [[1.0]] * 30}))
    with pytest.raises(InputError, match="all are empty"):
        reference(weather(30, 0), pa.table({"series": pa.array([[]] * 30, weather(2, 0).column("series").type)}))
