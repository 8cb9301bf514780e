"""Dates and times: units, formats, months, zones, conditions."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from ensample.errors import InputError
from ensample.kinds import fit_kind, timeformat
from ensample.kinds.base import Rule
from ensample.kinds.records import ABSENT

RNG = np.random.default_rng(0)
DAYS = np.arange("1950-01-01", "1990-01-01", 40, dtype="datetime64[D]")


def fitted(values, dtype=None):
    return fit_kind("datetime", pa.array(values, dtype))


@pytest.mark.parametrize("form", [f for f in timeformat.FORMATS])
def test_every_format_is_written_back(form):
    moments = pa.array(RNG.integers(-(10**9), 10**9, 200), pa.timestamp("s"))
    texts = timeformat.write(moments, form)
    kind = fit_kind(None, texts)
    assert kind.name == "datetime"
    assert kind.decode(kind.encode(texts, "x"), RNG).equals(texts)


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (pa.array(DAYS), "in steps of 40 days"),
        (pa.array(DAYS[:9] + RNG.integers(0, 9, 9)), "in days"),
        (pa.array(DAYS.astype("datetime64[ns]") + RNG.integers(0, 99, len(DAYS)) * np.timedelta64(1, "h")), "in hours"),
        (pa.array(RNG.integers(0, 9999, 50) * 1000, pa.duration("us")), "in milliseconds"),
        (pa.array(np.arange("1960-01", "1990-01", dtype="datetime64[M]").astype("datetime64[s]")), "in months"),
        (pa.array(["Jan-2018", "Mar-2018"] * 30), "in months"),
        (pa.array(np.arange("1960", "1990", dtype="datetime64[Y]").astype("datetime64[D]")), "in years"),
        (pa.array(["07:05", "12:40", "23:55"]), "in minutes"),
    ],
)
def test_the_unit_is_found(values, unit):
    assert unit in fit_kind("datetime", values).describe()


def test_months_stay_months():
    """A cell between two first days of a month is a first day of a month."""
    kind = fitted(np.arange("1960-01", "1990-01", dtype="datetime64[M]").astype("datetime64[D]"))
    made = kind.decode(np.arange(360)[:, None], RNG).to_pylist()
    assert {day.day for day in made} == {1} and len(set(made)) == 360
    assert kind.encode(pa.array([datetime.date(1970, 1, 20)]), "x").tolist() == [[120]]


def test_mixed_forms_are_no_dates():
    assert fit_kind(None, pa.array(["2020-01-05", "05/01/2020"] * 20)).name == "category"
    assert fit_kind(None, pa.array(["2020-13-45", "2020-01-05"] * 20)).name == "category"
    with pytest.raises(InputError, match="no known format"):
        fitted(["yesterday", "today"])
    with pytest.raises(InputError, match="datetime"):
        fitted([1, 2, 3])


def test_day_and_month_are_told_apart_where_they_can_be():
    assert fitted(["25/12/1999", "01/02/2000"]).format == "%d/%m/%Y"
    assert fitted(["12/25/1999", "01/02/2000"]).format == "%m/%d/%Y"


def test_what_is_no_date_is_told():
    kind = fitted(["1999-12-31", "2000-01-01", "2001-05-05"])
    with pytest.raises(InputError, match=r"%Y-%m-%d(.|\n)*column 'born', row 1\n.*'never'"):
        kind.encode(pa.array(["1999-12-31", "never"]), "born")
    with pytest.raises(InputError, match=r"column 'born', row 1\n.*'never'"):
        fitted(DAYS).encode(pa.array(["1999-12-31", "never"]), "born")
    with pytest.raises(InputError, match="needs dates"):
        fitted(DAYS).encode(pa.array([1, 2]), "born")


def test_other_types_of_time_are_read():
    kind = fitted(DAYS)
    day = datetime.datetime(1950, 2, 10)
    for same in (["1950-02-10"], [day.date()], [day], np.array([day], "datetime64[D]")):
        assert kind.encode(pa.array(same), "x").tolist() == [[1]]
    assert kind.encode(pa.nulls(1), "x").tolist() == [[ABSENT]]
    texts = fitted(["1999-12-31", "2000-01-01", "2001-05-05"])
    assert texts.encode(pa.array([datetime.date(2000, 1, 1)]), "x").tolist() == [[1]]


def test_nothing_beyond_the_type_is_decoded():
    clock = pa.array([1, 2, 9], pa.int32()).cast(pa.time32("s"))
    for column in (pa.array(DAYS), clock, pa.array(["1999-12-31", "2000-01-01"])):
        kind = fit_kind("datetime", column)
        made = kind.decode(np.array([[-(2**61)], [2**61]]), RNG)
        made.validate(full=True)
        assert len(set(made.to_pylist())) == 2


class TestLimits:
    kind = fitted(DAYS + RNG.integers(0, 30, len(DAYS)))

    @pytest.mark.parametrize("make", [str, datetime.date.fromisoformat, np.datetime64])
    def test_ranges(self, make):
        (((low, high),),) = self.kind.limits(Rule(None, make("1960-01-01"), make("1970-12-31")), "born")
        made = self.kind.decode(np.array([[low], [high]]), RNG).to_pylist()
        assert made == [datetime.date(1960, 1, 1), datetime.date(1970, 12, 31)]

    def test_formats(self):
        kind = fitted(["25/12/1999", "01/02/2000", "05/02/2000"])
        assert kind.limits(Rule(("25/12/1999", "2000-02-01")), "x") == (((0, 0), (38, 38)),)
        months = fitted(["Jan-2018", "Mar-2019"])
        assert months.limits(Rule(None, "2018-01-15", "2018-12-31"), "x") == (((1, 11),),)
        assert months.limits(Rule(None, "Feb-2018", "2019-01-31"), "x") == (((1, 12),),)
        with pytest.raises(InputError, match="steps: Jan-2018, Feb-2018"):
            months.limits(Rule(("2018-01-15",)), "x")

    def test_zones_and_times(self):
        moments = [datetime.datetime(2020, 1, day, 12, 30) for day in (1, 2, 9)]
        zone = fitted(moments, pa.timestamp("ms", "Europe/Paris"))  # 12:30 in UTC is 13:30 in Paris
        assert zone.limits(Rule(("2020-01-02 13:30",)), "x")[0] == ((1, 1),)
        clock = fit_kind("datetime", pa.array([60, 120, 300], pa.int32()).cast(pa.time32("s")))
        assert clock.limits(Rule(("00:02:00",)), "x") == (((1, 1),),)

    @pytest.mark.parametrize(
        ("rule", "told"),
        [
            (Rule(("soon",)), "'soon' is not a date"),
            (Rule(None, "1800-01-01", "1801-01-01"), "none of the values met, 1950"),
            (Rule((5,)), "5"),
        ],
    )
    def test_impossible_wishes(self, rule, told):
        with pytest.raises(InputError, match=told):
            self.kind.limits(rule, "born")
