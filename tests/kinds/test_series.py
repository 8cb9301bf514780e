"""The kind of series: windows of one length, and what they remember of the table they were cut from."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pyarrow as pa
import pytest

import ensample as en
from ensample.data.dataset import Dataset
from ensample.errors import InputError
from ensample.families.compose.windows import window_records
from ensample.judge.texts.records import forms_of
from ensample.kinds import guess, schema_from_plain
from ensample.kinds.codecs import codec_of
from ensample.kinds.profile import profiles
from ensample.kinds.series import Series

TIMES = np.datetime64("2024-01-01T00:00:00") + 3600 * np.arange(12)
COLUMNS = {
    "numbers": {"x": np.arange(12) / 4, "y": np.arange(12)},
    "with missing ones": {"x": [None, 1.5, None, 2.5] * 3, "y": [1, None, 3] * 4},
    "a constant": {"x": np.arange(12) / 4, "k": ["same"] * 12},
    "nothing known of one": {"x": np.arange(12) / 4, "none": pa.nulls(12, pa.float64())},
    "classes and truths": {"sky": ["dry", "rain", None] * 4, "wet": [True, False, True] * 4},
    "dates": {"x": np.arange(12) / 4, "due": [datetime.date(2024, 1, 1 + k % 3) for k in range(12)]},
}


def windows(columns: dict, rows=slice(None), window: int | None = 4) -> Dataset:
    table = pa.table({"time": TIMES, **columns}).take(pa.array(np.arange(12)[rows]))
    return en.read(Dataset.from_arrow(table).series(window, time="time"))


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("rows", [slice(None), [0, 1, 2, 4, 5, 6, 7, 9, 11]], ids=["whole", "steps missing"])
def test_law_1_decoding_gives_back_what_was_encoded(name, rows):
    data = windows(COLUMNS[name], rows)
    schema = schema_from_plain(json.loads(json.dumps(data.schema.to_plain())))
    assert schema == data.schema and isinstance(schema["series"].kind, Series)
    codec = codec_of(schema, ("series",))
    assert codec.event.fixed and codec.event.max_length == 4
    batch = codec.encode(data).batch()
    assert (batch.lengths == 4).all()
    made = codec.decode(batch, seed=0)
    steps = data.column("series").to_pylist()
    assert made.column("series").to_pylist() == steps
    assert made.arrow_schema.field("series").type == data.arrow_schema.field("series").type
    assert guess(Dataset.from_arrow(made.to_arrow()))["series"].kind.name == "series"


def test_a_series_of_one_step_is_a_series_if_it_varies():
    data = windows({"x": np.arange(12) / 4}, window=1)
    codec = codec_of(data.schema, ("series",))
    assert codec.event.fixed and codec.event.max_length == 1
    assert codec.decode(codec.encode(data).batch(), 0).column("series").to_pylist() == [
        [{"x": k / 4}] for k in range(12)
    ]
    with pytest.raises(InputError, match="nothing can be learned"):
        windows({"x": np.arange(12) / 4}, [3], None)


def test_the_kind_tells_what_a_step_is():
    kind = windows({"x": np.arange(12) / 4}).schema["series"].kind
    assert kind.describe().startswith("steps of 1 hour, windows of 4: 4 steps of x (number")
    assert kind.planned is not None and kind.planned.variables == ("x",)


def test_lists_may_be_called_series_without_a_table():
    lists = {"walk": [[1.5, 2.0], [2.5, 1.0]] * 9}
    found = en.read(lists, kinds={"walk": "series"}).schema["walk"].kind
    assert isinstance(found, Series) and found.planned is None
    assert en.read(lists).schema["walk"].kind.event.fixed  # all lists of one length are


@pytest.mark.parametrize("more", [None, [], [1.0, 2.0, 3.0]])
def test_other_lengths_and_missing_records_are_not_of_one_length(more):
    column = pa.array([[1.5, 2.0]] * 9 + [more], pa.list_(pa.float64()))
    assert not en.read(pa.table({"walk": column})).schema["walk"].kind.event.fixed


def test_schemas_of_before_are_opened():
    plain = windows({"x": np.arange(12) / 4}).schema.to_plain()
    measured = plain["fields"][1]["measured"]
    del measured["shortest"], measured["plan"]
    kind = schema_from_plain(plain)["series"].kind
    assert kind.planned is None and not kind.event.fixed


def test_series_are_learned_alone_and_what_stands_beside_is_left_out():
    data = Dataset.from_arrow(pa.table({"time": TIMES, "x": np.arange(12) / 4})).series(4, calendar=["hour"])
    model = en.fit(data, "independent")
    assert model.codec.model == ("series",) and model.sample(2, seed=0).names == ["series"]
    given = en.fit(data, "independent", given=["hour"])
    assert given.codec.given == ("hour",) and given.codec.model == ("series",)


@pytest.mark.parametrize("stride", [1, 2])
def test_what_is_held_out_in_learning_shares_no_step_with_what_is_learned(stride):
    times = np.datetime64("2024-01-01T00:00:00") + 3600 * np.arange(300)
    table = Dataset.from_arrow(pa.table({"time": times, "x": np.arange(300) / 4}))
    data = en.read(table.series(6, stride=stride))
    records = codec_of(data.schema, ("series",)).encode(data)
    rows = window_records(records)
    for parts in (records.split(0.2, 0), rows.split(0.2, 0), [rows.select(part) for part in rows.apart(40, 1)]):
        learned, held = (set(part.batch().cells.flatten().tolist()) for part in parts)
        assert not learned & held and len(parts[1]) >= 0.1 * len(data)
        assert len(parts[0]) > len(data) / 2


def kinds_of(data: Dataset) -> dict[str, str]:
    return {step.name: step.kind.name for step in guess(data)["series"].kind.steps.schema}


def test_kinds_of_variables_are_overruled_before_and_after_cutting():
    columns = {"time": TIMES, "x": np.arange(12) / 4, "holiday": [0, 0, 1] * 4, "code": [3, 1, 2, 1] * 3}
    table = en.read(columns, kinds={"code": "category"})
    cut = table.series(4, kinds={"holiday": "category"})
    assert kinds_of(table.series(4)) == {"x": "number", "holiday": "boolean", "code": "category"}
    assert kinds_of(cut) == {"x": "number", "holiday": "category", "code": "category"}
    again = en.read(cut, kinds={"code": "number", "series.holiday": "number"}).schema["series"].kind
    assert [step.kind.name for step in again.steps.schema] == ["number", "number", "number"]
    schema = en.read(cut, kinds={"x": "category"}).schema
    assert guess(cut, forms_of(schema)) == schema  # as families are compared
    assert kinds_of(cut.split(test=0.2)[0])["holiday"] == "category"  # the plan stays with the records
    assert kinds_of(table.series(4, kinds={"code": "number"}))["code"] == "number"  # what is said last holds
    assert schema_from_plain(json.loads(json.dumps(en.read(cut).schema.to_plain())))["series"].kind.planned.kinds


def test_kinds_of_variables_of_long_tables_and_of_times_between_steps_are_overruled():
    long = pa.table({"t": [0, 0, 3, 3, 4, 4, 9, 9], "name": ["a", "b"] * 4, "value": [1.0, 0, 2, 1, 2, 0, 1, 1]})
    options = {"time": "t", "variable": "name", "value": "value", "step": "irregular"}
    cut = Dataset.from_arrow(long).series(kinds={"b": "category", "elapsed": "category"}, **options)
    assert kinds_of(cut) == {"a": "number", "b": "category", "elapsed": "category"}


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ({"hollyday": "category"}, "choose from .*holiday"),
        ({"series.hollyday": "category"}, "choose from .*series.holiday"),
        ({"holiday": "sort"}, "must be one that exists"),
        ({"holiday": "text"}, "of a plain kind"),
        ({"x": "boolean"}, "a known pair"),
    ],
)
def test_wrong_kinds_of_variables_are_refused(kinds, words):
    table = Dataset.from_arrow(pa.table({"time": TIMES, "x": np.arange(12) / 4, "holiday": [0, 0, 1] * 4}))
    with pytest.raises(InputError, match=words):
        en.read(table.series(4), kinds=kinds)


def test_a_kind_of_no_variable_is_refused_when_series_are_cut():
    table = Dataset.from_arrow(pa.table({"time": TIMES, "x": np.arange(12) / 4, "y": np.arange(12)}))
    with pytest.raises(InputError, match="must be a variable"):
        table.series(4, kinds={"time": "category"})


def test_a_column_goes_before_a_field_of_steps_of_its_name():
    data = {"x": ["a", "b", "a", "b"], "walk": [[{"x": 1, "y": 0}, {"x": 2, "y": 1}]] * 4}
    schema = en.read(data, kinds={"x": "category", "y": "category", "walk.x": "category"}).schema
    assert [step.kind.name for step in schema["walk"].kind.steps.schema] == ["category", "category"]
    assert {step.kind.name for step in en.read(data, kinds={"x": "category"}).schema["walk"].kind.steps.schema} == {
        "number",
        "boolean",
    }


@pytest.mark.parametrize("stride", [1, 3, 6])
@pytest.mark.parametrize("kept", [slice(None), [0, 1, 2, 5, *range(9, 200)]], ids=["whole", "steps missing"])
def test_steps_that_windows_share_are_looked_at_once(stride, kept):
    rng = np.random.default_rng(0)
    size, hours = 200, np.datetime64("2024-01-01T00:00:00") + 3600 * np.arange(200)
    own = {"x": rng.normal(size=size).round(2), "word": [f"w{k}" for k in range(size)], "meter": np.arange(size) * 2}
    table = Dataset.from_arrow(pa.table({"time": hours, **own}).take(pa.array(np.arange(size)[kept])))
    windows, whole = table.series(6, stride=stride), table.series(time="time")
    every = profiles(windows.arrow_schema, windows.batches(7))["series"]
    seen = {place for first in windows.column("time").to_pylist() for place in _places(first)}
    twice = 0 if kept == slice(None) else 5  # behind a window that is mostly empty and left out
    assert len(seen) <= every.steps <= len(seen) + twice and every.rows == len(windows)
    cut, plain = (guess(data)["series"].kind.steps.schema for data in (windows, whole))
    assert [field.kind.name for field in cut] == ["number", "identifier", "number"]  # of words no one comes twice
    if kept == slice(None) and len(seen) == size:
        assert cut["x"].kind == plain["x"].kind


def _places(first) -> list[int]:
    start = int((np.datetime64(first) - np.datetime64("2024-01-01")) / np.timedelta64(1, "h"))
    return list(range(start, start + 6))


def test_windows_in_another_order_are_looked_at_in_full():
    table = Dataset.from_arrow(pa.table({"time": TIMES, "x": np.arange(12) / 4})).series(4)
    mixed = table.take(np.arange(8, -1, -1))
    assert profiles(mixed.arrow_schema, mixed.batches(3))["series"].steps == 9 * 4
    assert profiles(table.arrow_schema, table.batches(3))["series"].steps == 12
