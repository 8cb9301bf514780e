"""Lists in files and frames, and long tables grouped into them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import ensample as en
from ensample.data.dataset import Dataset
from ensample.data.wording import json_lists
from ensample.errors import InputError

WALKS = [
    [{"x": 1.5, "sky": 'say "hi"\n'}, {"x": None, "sky": "b"}],
    [],
    None,
    [{"x": 2.25, "sky": None}],
    [{"x": -3.0, "sky": "é"}],
] * 4
TABLE = pa.table({"id": [f"p{i}" for i in range(20)], "walk": WALKS, "n": [[i, 2] for i in range(20)]})


@pytest.mark.parametrize("suffix", ["jsonl", "ndjson.gz", "parquet", "arrow", "feather", "arrows"])
def test_lists_survive_a_file(tmp_path, suffix):
    data = en.read(TABLE)
    again = en.read(data.save(tmp_path / f"walks.{suffix}"))
    assert again.to_arrow().to_pylist() == TABLE.to_pylist()
    assert again.schema == data.schema


@pytest.mark.parametrize("suffix", ["csv", "tsv", "npz"])
def test_formats_of_one_value_a_cell_say_so(tmp_path, suffix):
    with pytest.raises(InputError, match=r"'walk'(.|\n)*\.jsonl"):
        en.read(TABLE).save(tmp_path / f"walks.{suffix}")
    assert not list(tmp_path.iterdir())


def test_lists_come_from_frames_and_dicts():
    lists = [[1, 2], [3], None] * 9
    for source in (
        {"a": lists},
        pd.DataFrame({"a": lists}),
        pl.DataFrame({"a": lists}),
        {"a": [None if part is None else np.array(part) for part in lists]},
        {"a": [None if part is None else tuple(part) for part in lists]},
    ):
        data = en.read(source)
        assert data.to_arrow().column("a").to_pylist() == lists
        assert data.schema["a"].kind.name == "sequence"
        assert data.arrow_schema.field("a").type == pa.list_(pa.int64())


@pytest.mark.parametrize(
    "column", [[[[1]], [[2]]], [{"x": 1}, {"x": 2}], [[1], "x"], [[1], ["x"]], [[{"x": [1]}], []], [{1}, {2}]]
)
def test_deeper_nesting_is_refused(column):
    with pytest.raises(InputError, match=r"column 'a'(.|\n)*a column of its own"):
        en.read({"a": column})
    if column != [[1], "x"] and column != [[1], ["x"]] and column != [{1}, {2}]:
        with pytest.raises(InputError, match=r"column 'a'"):
            en.read(pa.table({"a": column}))


def test_json_texts_of_lists():
    assert json_lists(pa.array([[1.0, None], [], None])).to_pylist() == ["[1.0, null]", "[]", None]
    assert json_lists(pa.array([["a,", '"'], [None]])).to_pylist() == ['["a,", "\\""]', "[null]"]
    text = json_lists(
        pa.array([[{"x": True, "t": None}]], pa.list_(pa.struct({"x": pa.bool_(), "t": pa.timestamp("s")})))
    )
    assert text.to_pylist() == ['[{"x": true, "t": null}]']
    assert "[1, 2]" in repr(en.read({"a": [[1, 2], [3]] * 3}))


def long(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"id": rng.integers(0, 30, rows), "t": rng.permutation(rows), "x": rng.normal(size=rows).round(2)}
    )
    frame["sex"] = np.where(frame["id"] % 2, "f", "m")
    return frame


def test_grouping_is_that_of_pandas():
    frame = long()
    made = en.read(frame).sequences(by="id", order="t", keep=["sex"], name="visits")
    assert made.names == ["id", "sex", "visits"]
    groups = {key: part.sort_values("t") for key, part in frame.groupby("id")}
    assert [row["id"] for row in made.to_arrow().to_pylist()] == list(dict.fromkeys(frame["id"]))
    for row in made.to_arrow().to_pylist():
        assert [step["x"] for step in row["visits"]] == groups[row["id"]]["x"].tolist()
        assert row["sex"] == groups[row["id"]]["sex"].iloc[0]


def test_grouping_without_an_order_or_by_several_columns():
    data = en.read({"a": [1, 2, 1, 1], "b": ["u", "u", "v", "u"], "x": [4, 3, 2, 1]})
    assert data.sequences(by=["a", "b"]).to_arrow().to_pylist() == [
        {"a": 1, "b": "u", "steps": [{"x": 4}, {"x": 1}]},
        {"a": 2, "b": "u", "steps": [{"x": 3}]},
        {"a": 1, "b": "v", "steps": [{"x": 2}]},
    ]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"by": "ido"}, "'ido'"),
        ({"by": "id", "order": "day"}, "'day'"),
        ({"by": "id", "keep": ["x"]}, r"'x'(.|\n)*leave it out of keep"),
        ({"by": "gap"}, r"'gap'(.|\n)*missing values"),
        ({"by": "id", "order": "gap"}, r"'gap'(.|\n)*missing values"),
        ({"by": ["id", "t", "x", "sex", "gap"]}, "missing"),
        ({"by": "id", "name": "id"}, "differ"),
        ({"by": ["id", "t", "x", "sex"], "order": "whole"}, "no other column"),
    ],
)
def test_groups_that_cannot_be_are_told(how, told):
    frame = long(50)
    frame["gap"] = [None, *range(49)]
    frame["whole"] = range(50)
    data = Dataset.from_arrow(pa.Table.from_pandas(frame.drop(columns="gap") if "no other" in told else frame))
    with pytest.raises(InputError, match=told):
        data.sequences(**how)
