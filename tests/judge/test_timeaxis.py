"""Labels under steps: at round times, each told as far as it differs from the one before."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ensample.data.series.grids import Even
from ensample.data.series.layout import Columns
from ensample.data.series.plan import Plan
from ensample.data.series.times import Axis
from ensample.forecasts import Forecast
from ensample.judge.fan import fan
from ensample.judge.timeaxis import MOST, dated, numbered

MAY = np.datetime64("2024-05-03T00:00:00")


@pytest.mark.parametrize(
    ("times", "labels"),
    [
        (MAY + np.arange(4), [(0, "3 May 2024"), (1, "00:00:01"), (2, "00:00:02"), (3, "00:00:03")]),
        (MAY + 900 * np.arange(1, 9), [(1, "3 May 2024 00:30"), (3, "01:00"), (5, "01:30"), (7, "02:00")]),
        (
            MAY + 3_600 * np.arange(20, 30),
            [(0, "3 May 2024 20:00"), *[(2, "22:00"), (4, "4 May"), (6, "02:00")], (8, "04:00")],
        ),
        (
            np.datetime64("2023-12-30") + np.arange(4),
            [(0, "30 Dec 2023"), (1, "31 Dec"), (2, "1 Jan 2024"), (3, "2 Jan")],
        ),
        (
            np.datetime64("2024-01-30") + np.arange(28),
            [(6, "5 Feb 2024"), *[(13, "12 Feb"), (20, "19 Feb"), (27, "26 Feb")]],
        ),
        (
            np.datetime64("2001-03") + np.arange(60),
            [(10, "2002"), (22, "2003"), (34, "2004"), (46, "2005"), (58, "2006")],
        ),
        (np.array([MAY]), [(0, "3 May 2024")]),
        (np.array(["NaT", "NaT"], "datetime64[s]"), []),
    ],
)
def test_labels_stand_where_round_times_begin(times, labels):
    assert dated(times) == labels
    shifted = dated(np.concatenate([np.array(["NaT"] * 3, times.dtype), times]))  # nothing is known in front
    assert shifted == [(step + 3, words) for step, words in labels]


def test_there_are_a_few_labels_of_any_span():
    for step in (1, 7, 60, 1_000, 3_600, 86_400, 2_000_000, 31_000_000, 300_000_000):
        for count in (2, 10, 108):
            found = dated(MAY + step * np.arange(count))
            assert 1 <= len(found) <= MOST + 1 or step * count > 10**10
            assert len({words for _, words in found}) == len(found)
    assert numbered(np.array([np.nan, 0.5, 1.0, 1.5])) == [(1, "0.5"), (2, "1"), (3, "1.5")]
    assert numbered(np.array([np.nan])) == []


def drawn(times, before, dtype, grid=True) -> str:
    plan = Plan(Columns("t"), ("x",), Axis(dtype), Even(1) if grid else None, 0, 4, 1, (), "series")
    paths, past = {"x": np.zeros((1, 3, 2))}, {"x": np.zeros((1, 3))}
    return fan(Forecast(paths, times, pa.table({}), past, (0.5,), plan, before))


def test_the_picture_of_a_forecast_tells_its_times():
    plain = fan(Forecast({"x": np.zeros((1, 3, 2))}, None, pa.table({}), {"x": np.zeros((1, 3))}, (0.5,)))
    assert [f">{step}</text>" in plain for step in (-2, -1, 0, 1, 2)] == [True] * 5  # steps from the last known one on
    zone = pa.timestamp("us", tz="Europe/Vienna")
    hours = (
        pa.array((MAY + 3_600 * np.arange(5)).astype("datetime64[us]")).cast(pa.timestamp("us", tz="UTC")).cast(zone)
    )
    told = drawn(hours[3:], hours[:3], zone)
    assert "3 May 2024 02:00</text>" in told and "06:00</text>" in told  # on the clocks of Vienna
    days = pa.array([0, 1, 2, 3, 90], pa.date32())
    even, apart = (drawn(days[3:], days[:3], pa.date32(), grid) for grid in (True, False))
    assert "M488" in even and "M75.2" in apart  # the fourth of five steps, and day 3 of 90
    assert "7</text>" in drawn(pa.array([6, 7]), pa.array([None, 4, 5]), pa.int64())
