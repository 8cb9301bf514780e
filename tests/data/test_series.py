"""Tables of series, wide and long, cut into records."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest

import ensample as en
from ensample.data.dataset import Dataset
from ensample.data.series import again, histories, plan_in
from ensample.errors import InputError

HOURS = np.arange("2024-01-01T00", "2024-01-03T00", dtype="datetime64[h]").astype("datetime64[s]")


def table(times, **columns) -> Dataset:
    values = columns or {"x": np.arange(len(times)) / 4}
    return Dataset.from_arrow(pa.table({"time": times, **values}))


def lists(data: Dataset, name: str = "series") -> list:
    return data.column(name).to_pylist()


def plan(data: Dataset):
    return plan_in(data.arrow_schema.field("series"))


def by_hand(times, values, window, stride) -> list:
    """Windows over all hours, one loop a step."""
    known = dict(zip(times.tolist(), values, strict=True))
    first, last = min(known), max(known)
    hours = [first + datetime.timedelta(hours=k) for k in range(int((last - first).total_seconds() // 3600) + 1)]
    steps = [{"x": known.get(hour)} for hour in hours]
    return [steps[k : k + window] for k in range(0, len(steps) - window + 1, stride)]


@pytest.mark.parametrize(("window", "stride"), [(4, 1), (5, 3), (48, 1)])
def test_windows_are_all_stretches_in_order_of_time_with_missing_steps_empty(window, stride):
    rng = np.random.default_rng(0)
    kept = np.delete(np.arange(48), [7, 8, 20])
    values = np.where(kept == 11, np.nan, kept / 4)
    mixed = rng.permutation(len(kept))
    data = table(HOURS[kept][mixed], x=values[mixed]).series(window, stride=stride)
    told = [None if value != value else value for value in values.tolist()]
    assert lists(data) == by_hand(HOURS[kept].astype("datetime64[us]"), told, window, stride)
    starts = data.column("time").to_numpy()
    assert (np.diff(starts) == np.timedelta64(stride, "h")).all()
    assert "missing steps inserted as empty ones: 3" in data.notes


def test_mostly_empty_windows_are_left_out_and_long_gaps_are_not_crossed():
    kept = [*range(8), 11, 12, 13, *range(40, 48)]
    data = table(HOURS[kept]).series(4)
    found = lists(data)
    assert all(sum(step["x"] is None for step in steps) <= 2 for steps in found)
    begun = [int(start.hour + 24 * (start.day - 1)) for start in data.column("time").to_pylist()]
    assert begun == [0, 1, 2, 3, 4, 5, 6, 9, 10, 40, 41, 42, 43, 44]  # 7 and 8 have three empty steps


def test_long_tables_say_the_same_as_wide_ones():
    rng = np.random.default_rng(1)
    wide = {"unit": np.repeat(["a", "b"], 24), "x": rng.normal(size=48), "y": rng.normal(size=48)}
    rows = [(wide["unit"][k], HOURS[k % 24], name, wide[name][k]) for k in range(48) for name in ("x", "y")]
    rows = [rows[k] for k in (0, *(1 + rng.permutation(len(rows) - 1)))]
    unit, time, name, value = zip(*rows, strict=True)
    long = table(np.array(time), unit=unit, name=name, value=value)
    made = long.series(6, by="unit", variable="name", value="value").to_arrow()
    expected = table(np.tile(HOURS[:24], 2), **wide).series(6, by="unit").to_arrow()
    order = list(made["series"][0].as_py()[0])
    same = [[{key: step[key] for key in order} for step in steps] for steps in expected["series"].to_pylist()]
    assert dict(zip(made["unit"].to_pylist(), made["series"].to_pylist(), strict=True)).keys() == {"a", "b"}
    whole = {key: (sorted(map(str, part))) for key, part in (("made", made["series"].to_pylist()), ("same", same))}
    assert whole["made"] == whole["same"] and len(made) == 2 * 19


def test_long_tables_may_hold_words_and_lack_values():
    long = table(HOURS[[0, 0, 1, 2]], name=["sky", "load", "load", "sky"], value=["rain", "1.5", "2", "dry"])
    made = long.series(variable="name", value="value")
    assert lists(made) == [[{"sky": "rain", "load": 1.5}, {"sky": None, "load": 2.0}, {"sky": "dry", "load": None}]]


def test_units_keep_their_own_windows_and_columns():
    times = np.concatenate([HOURS[:5], HOURS[3:10], HOURS[:2]])
    units = ["a"] * 5 + ["b"] * 7 + ["c"] * 2
    place = ["north"] * 5 + ["south"] * 7 + ["north"] * 2
    data = table(times, x=np.arange(14.0), unit=units, place=place)
    made = data.series(3, by="unit", keep="place")
    assert made.column("unit").to_pylist() == ["a"] * 3 + ["b"] * 5
    assert made.column("place").to_pylist() == ["north"] * 3 + ["south"] * 5
    assert made.names == ["unit", "place", "time", "series"]
    assert any("shorter than a window, left out: 1" in note for note in made.notes)
    whole = data.series(by="unit", keep="place")
    assert [len(steps) for steps in lists(whole)] == [5, 7, 2]
    with pytest.raises(InputError, match="same in all rows"):
        table(HOURS[:2], unit=["a", "a"], place=["north", "south"], x=[1, 2]).series(by="unit", keep="place")


def days(first: str, last: str) -> np.ndarray:
    return np.arange(first, last, dtype="datetime64[D]")


MONTHS = np.arange("2020-01", "2022-06", dtype="datetime64[M]").astype("datetime64[D]")
REGULAR = {
    "hours": (HOURS, "1 hour", HOURS),
    "hours with holes": (np.delete(HOURS, [3, 4, 30]), "1 hour", HOURS),
    "quarters of an hour": (np.datetime64("2024-01-01T00:00:00") + 900 * np.arange(9), "15 minutes", None),
    "days": (days("2024-01-01", "2024-02-01"), "1 day", None),
    "weeks": (days("2024-01-01", "2025-01-01")[::7], "1 week", None),
    "working days": (
        days("2024-01-01", "2024-03-01")[np.is_busday(days("2024-01-01", "2024-03-01"))],
        "1 working day",
        None,
    ),
    "months": (MONTHS, "1 month", None),
    "month ends": (MONTHS - 1, "1 month", None),
    "ends of quarters": (MONTHS[::3] - 1, "3 months", None),
    "years": (MONTHS[::12].astype("datetime64[s]") + 3600, "1 year", None),
    "numbers": (np.arange(10) * 5, "5", None),
    "fractions": (0.1 * np.arange(30) + 7, "0.1", None),
}


@pytest.mark.parametrize("name", REGULAR)
def test_steps_of_regular_series_are_found(name):
    times, words, whole = REGULAR[name]
    data = table(times).series(time="time")
    assert data.notes[0] == f"steps of {words}"
    start = data.column("time")
    found = plan(data)
    ticks = found.times_from(found.axis.ticks(start), np.arange(len(lists(data)[0])))
    again = found.axis.times(ticks).to_numpy(zero_copy_only=False)
    expected = times if whole is None else whole
    assert np.allclose(again.astype(float), expected.astype(again.dtype).astype(float))


@pytest.mark.parametrize(
    ("times", "unit", "passed"),
    [
        (np.datetime64("2024-01-01T00:00:00") + 60 * np.array([0, 7, 8, 200]), "minutes", [0, 7, 1, 192]),
        (np.datetime64("2024-01-01T00:00:00") + np.array([0, 3600, 10_800, 36_000]), "hours", [0, 1, 2, 7]),
        (np.array([0.25, 1.0, 7.5, 7.75]), "units of time", [0, 0.75, 6.5, 0.25]),
    ],
)
def test_irregular_series_carry_the_time_since_the_step_before(times, unit, passed):
    data = table(times).series(time="time", step="irregular")
    assert data.notes[0] == f"irregular steps, elapsed in {unit}"
    assert [step["elapsed"] for step in lists(data)[0]] == passed
    windows = table(times).series(2, time="time", step="irregular")
    assert [steps[1]["elapsed"] for steps in lists(windows)] == passed[1:]
    assert windows.column("time").to_numpy(zero_copy_only=False).tolist() == times[:3].tolist()


def test_time_does_not_pass_between_units():
    data = table(np.array([0.0, 1.5, 7.0, 7.5]), x=range(4), unit=["a", "a", "b", "b"])
    made = data.series(time="time", by="unit", step="irregular")
    assert [[step["elapsed"] for step in steps] for steps in lists(made)] == [[0, 1.5], [0, 0.5]]


def test_times_without_a_step_are_irregular():
    times = np.cumsum(np.random.default_rng(0).integers(1, 10_000, 50)).astype("datetime64[s]")
    assert table(times).series().notes[0].startswith("irregular")


def test_a_step_may_be_said():
    half = table(HOURS[::2]).series(step="1h")
    assert len(lists(half)[0]) == 47 and half.notes[0] == "steps of 1 hour"
    assert table(MONTHS - 1).series(step="1mo").notes == ("steps of 1 month",)
    for step, words in [("7min", "lie on its steps"), ("soon", "a time or a number"), (0, "a time or a number")]:
        with pytest.raises(InputError, match=words):
            table(HOURS).series(step=step)


def test_times_are_found_by_themselves():
    assert table(["2024-05-03 07:00", "2024-05-03 08:00"]).series().column("time").to_pylist() == [
        datetime.datetime(2024, 5, 3, 7)
    ]
    assert table(["1/13/2024", "1/14/2024"]).series().notes == ("steps of 1 day",)
    stays = table(["00:00", "12:30", "47:15"]).series()
    assert [step["elapsed"] for step in lists(stays)[0]] == [0, 750, 2085]  # minutes
    rows = Dataset.from_arrow(pa.table({"x": [3, 1, 2]})).series(2)
    assert rows.to_arrow().to_pylist() == [
        {"row": 0, "series": [{"x": 3}, {"x": 1}]},
        {"row": 1, "series": [{"x": 1}, {"x": 2}]},
    ]
    with pytest.raises(InputError, match="'time', 'other' hold times"):
        table(HOURS, other=HOURS).series()
    berlin = pa.array(days("2024-03-29", "2024-04-03").astype("datetime64[s]")).cast(pa.timestamp("s"))
    local = pa.compute.assume_timezone(berlin, "Europe/Berlin")  # one of these days has 23 hours
    assert table(local).series().notes == ("steps of 1 day",)


def test_two_rows_of_one_time_are_refused_or_chosen_from():
    data = table(HOURS[[0, 1, 1, 2]], x=[0.0, 1.0, 2.0, 3.0])
    with pytest.raises(InputError, match=r"'time', row 2(.|\n)*by="):
        data.series()
    assert [step["x"] for step in lists(data.series(duplicates="first"))[0]] == [0, 1, 3]
    assert [step["x"] for step in lists(data.series(duplicates="last"))[0]] == [0, 2, 3]
    long = table(HOURS[[0, 0]], name=["x", "x"], value=[1.0, 2.0])
    with pytest.raises(InputError, match="one row for each name and time"):
        long.series(variable="name", value="value")
    assert lists(long.series(variable="name", value="value", duplicates="last")) == [[{"x": 2.0}]]


def test_calendar_fields_tell_of_the_first_step():
    made = table(HOURS).series(3, calendar=["hour", "weekday", "month"])
    for record in made.to_arrow().to_pylist():
        start = record["time"]
        assert (record["hour"], record["weekday"], record["month"]) == (
            start.strftime("%H"),
            start.strftime("%a"),
            start.strftime("%b"),
        )
    assert plan(table(HOURS).series(3, calendar=True)).fields == ("hour", "weekday")  # one month
    assert plan(table(days("2024-01-01", "2024-04-01")).series(3, calendar=True)).fields == ("weekday", "month")
    assert plan(table(MONTHS).series(3, calendar=True)).fields == ("month",)
    for times, name in ((HOURS, "minute"), (days("2024-01-01", "2024-02-01"), "hour"), (np.arange(9), "month")):
        with pytest.raises(InputError, match="calendar field"):
            table(times).series(3, time="time", calendar=name)


def test_a_plan_survives_files_and_cuts_other_tables_the_same_way(tmp_path):
    made = table(HOURS, x=np.arange(48.0)).series(4, stride=2, calendar="hour")
    opened = en.read(made.save(tmp_path / "windows.parquet"))
    assert plan(opened) == plan(made) and opened.schema["series"].kind.name == "series"
    other = pa.table({"time": pa.array(HOURS[5:11]).cast(pa.timestamp("ns")), "x": np.arange(6), "more": ["a"] * 6})
    cut = again(Dataset.from_arrow(other), plan(opened))
    assert [step["x"] for step in cut["series"][1].as_py()] == [2, 3, 4, 5]
    assert cut["hour"].to_pylist() == ["05", "07"] and cut["time"].type == pa.timestamp("s")
    tail = histories(Dataset.from_arrow(other), plan(opened), 3)
    assert [step["x"] for step in tail["series"][0].as_py()] == [3, 4, 5] and tail["hour"].to_pylist() == ["08"]
    with pytest.raises(InputError, match="no 'x'"):
        again(Dataset.from_arrow(other.drop(["x"])), plan(opened))
    with pytest.raises(InputError, match="sort that was learned"):
        again(Dataset.from_arrow(other.set_column(0, "time", pa.array([1.5] * 6))), plan(opened))


def test_a_split_by_time_holds_out_the_end():
    rows = np.random.default_rng(0).permutation(48)
    times = np.repeat(HOURS[:24], 2)[rows]
    train, test = table(times, x=rows).split(0.25, time="time")
    assert len(train) + len(test) == 48 and 12 <= len(test) < 15
    assert train.column("time").to_numpy().max() < test.column("time").to_numpy().min()
    assert np.array_equal(train.column("x").to_numpy(), rows[np.isin(rows, train.column("x").to_numpy())])
    with pytest.raises(InputError, match="before and behind"):
        table(HOURS[[0, 0]]).split(1, time="time")


@pytest.mark.parametrize("step", [None, "irregular"])
def test_windows_of_the_two_parts_share_no_step(step):
    data = table(HOURS, x=np.arange(48.0)).series(6, step=step)
    train, test = data.split(0.25)
    seen = [{step["x"] for steps in lists(part) for step in steps} for part in (train, test)]
    assert not seen[0] & seen[1] and max(seen[0]) == min(seen[1]) - 1
    assert len(test) == 11 and len(train) == len(data) - 11 - 5
    apart = table(HOURS, x=np.arange(48.0)).series(6, stride=6).split(0.25, seed=3)
    assert len(apart[0]) + len(apart[1]) == 8  # these share none anyway
    with pytest.raises(InputError, match="smaller part"):
        data.split(0.9)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: table(HOURS).series(99), "as long as a window(.|\n)*48"),
        (lambda: table(HOURS).series(0), "whole number of at least 1"),
        (lambda: table(HOURS).series(stride=2), "Only windows have a stride"),
        (lambda: table(HOURS).series(by="unit"), "columns must exist"),
        (lambda: table(HOURS, unit=[None] * 48, x=range(48)).series(by="unit"), "what it belongs to"),
        (
            lambda: table(pa.array([None, *HOURS[1:]], pa.timestamp("s"))).series(),
            "'time', row 0(.|\n)*1 missing times",
        ),
        (lambda: table(HOURS, x=[[1]] * 48).series(), "plain values"),
        (lambda: table(HOURS, series=range(48), unit=["a"] * 48).series(by="unit", name="unit"), "must differ"),
        (lambda: table(HOURS, x=range(48)).series(variable="x"), "its value|one of their values"),
        (lambda: table(HOURS, x=range(48)).series(time="x", duplicates="mean"), "three words"),
        (lambda: table(["a", "b"]).series(time="time"), "dates, times or numbers"),
        (lambda: table([1.0, np.inf]).series(time="time"), "finite"),
        (lambda: table(HOURS[:0]).series(), "no rows"),
        (lambda: Dataset.from_arrow(pa.table({"time": HOURS})).series(), "must have a variable"),
        (lambda: table(HOURS[[0, 1, 2, 40]]).series(step="1min"), "Most steps"),
    ],
)
def test_what_is_no_series_is_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()
