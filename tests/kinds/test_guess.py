"""The guess: in one pass, the same for streams; overruled; told where it cannot be."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ensample.data.dataset import Dataset
from ensample.data.readers import read
from ensample.data.schema import Field, Schema
from ensample.errors import FormatError, InputError
from ensample.kinds import guess, profile, schema_from_plain
from ensample.kinds.codec import TableCodec
from ensample.kinds.profile import Profile, profiles
from ensample.storage import read_json
from tests.kinds.columns import CASES

RNG = np.random.default_rng(0)
ZIPS, AGES = RNG.integers(10_000, 10_050, 300), RNG.integers(17, 90, 300)
DATA = Dataset.from_arrow(pa.table({"zip": ZIPS, "age": AGES, "name": ["ann", "bob", "cid"] * 100}))


def test_kinds_can_be_overruled():
    assert [field.kind.name for field in guess(DATA)] == ["number", "number", "category"]
    schema = guess(DATA, {"zip": "category"})
    assert [field.kind.name for field in schema] == ["category", "number", "category"]
    assert schema["zip"].kind.levels[0] == "10000"


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ({"zipp": "category"}, r"'zipp'(.|\n)*choose from zip"),
        ({"zip": "categry"}, r"field 'zip'(.|\n)*'categry'(.|\n)*boolean, category, constant"),
        ({"name": "number"}, r"\(number\)(.|\n)*column 'name'(.|\n)*type string"),
        ({"name": "datetime"}, r"\(datetime\)(.|\n)*no known format"),
        ({"age": "constant"}, r"\(constant\)(.|\n)*more than one value"),
        ({"age": "boolean"}, r"\(boolean\)"),
    ],
)
def test_what_cannot_be_is_told(kinds, told):
    with pytest.raises(InputError, match=told):
        guess(DATA, kinds)


def test_values_that_no_kind_knows():
    for column in (pa.array([[[1]], [[2]]]), pa.array([{"a": 1}]), pa.array([b"\xff", b"a"] * 40)):
        with pytest.raises(InputError, match=r"column 'odd'(.|\n)*leave the column out"):
            guess(Dataset.from_arrow(pa.table({"odd": column})))


def test_infinite_values():
    with pytest.raises(InputError, match=r"finite(.|\n)*column 'x'"):
        guess(Dataset.from_arrow(pa.table({"x": [1.0, float("inf")]})))


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_tiny_tables(rows):
    whole = pa.table({"a": [1, 2], "b": ["x", "y"], "c": [None, None], "d": [0.5, 0.25]})
    schema = guess(Dataset.from_arrow(whole.slice(0, rows)))
    assert schema.names == ("a", "b", "c", "d")
    if rows < 2:
        assert {field.kind.name for field in schema} == {"constant"}


def test_batches_add_up_to_the_whole(monkeypatch):
    """Bounds, resolution, levels and counts do not depend on how the rows are cut, also where the sample is smaller."""
    monkeypatch.setattr(profile, "SAMPLE_ROWS", 150)
    table = pa.table({name: case.column for name, case in CASES.items()})
    whole = profiles(table.schema, table.to_batches())
    parts = profiles(table.schema, [table.slice(start, 37).to_batches()[0] for start in range(0, len(table), 37)])
    for name in table.column_names:
        assert facts(whole[name]) == facts(parts[name]), name
        assert len(whole[name].sample) <= 150 and len(parts[name].sample) <= 150
    assert len(whole["int64"].sample) == 150


def facts(found):
    """All that a profile holds beside its sample."""
    trace = found.trace
    grid = getattr(trace, "grid", None)
    exact = () if grid is None else (grid.digits, grid.exact, grid.trace.low, grid.trace.high, grid.trace.divisor)
    bounds = tuple(getattr(trace, fact, None) for fact in ("low", "high", "divisor", "single", "formats"))
    return type(trace), found.rows, found.missing, found.distinct, found.singletons, exact, bounds


def test_a_stream_is_guessed_and_encoded_as_the_table_in_memory(tmp_path):
    table = pa.table(
        {name: case.column for name, case in CASES.items() if not pa.types.is_string_view(case.column.type)}
    )
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path, row_group_size=90)
    stream, memory = read(path, limit=1_000), read(path)
    assert stream.streams and not memory.streams
    schema = guess(stream)
    assert schema == guess(memory)
    here, there = (TableCodec(schema, schema.names).encode(data) for data in (stream, memory))
    assert np.array_equal(here.table, there.table)


def test_exact_facts_come_from_rows_outside_of_the_sample(monkeypatch):
    monkeypatch.setattr(profile, "SAMPLE_ROWS", 50)
    values = RNG.integers(0, 10, 5_000) * 100
    values[[17, 4_000]] = [-700, 1_010]
    kind = guess(Dataset.from_arrow(pa.table({"x": values})))["x"].kind
    assert (kind.low, kind.low + kind.high * kind.step, kind.step) == (-700, 1_010, 10)
    levels = np.array(["a", "b"], object)[RNG.integers(0, 2, 5_000)]
    levels[77] = "rare"
    assert guess(Dataset.from_arrow(pa.table({"x": levels})))["x"].kind.levels == ("a", "b", "rare")


def test_the_sample_is_fair(monkeypatch):
    monkeypatch.setattr(profile, "SAMPLE_ROWS", 2_000)
    table = pa.table({"x": np.arange(100_000)})
    sample = profiles(table.schema, table.to_batches(max_chunksize=3_000))["x"].sample.to_numpy()
    assert len(sample) == 2_000 and (np.diff(sample) > 0).all()
    counts = np.bincount(sample // 10_000, minlength=10)
    assert (np.abs(counts - 200) < 5 * np.sqrt(200)).all()


def test_counting_stops_at_too_many_levels(monkeypatch):
    monkeypatch.setattr(profile, "MOST_LEVELS", 100)
    assert Profile.of(pa.array([str(k) for k in range(100)])).distinct == 100
    assert Profile.of(pa.array([str(k) for k in range(101)])).distinct is None


class TestSchema:
    schema = guess(DATA)

    def test_looking_up(self):
        assert self.schema.names == ("zip", "age", "name") and len(self.schema) == 3 and "age" in self.schema
        assert isinstance(self.schema["age"], Field) and self.schema["age"].dtype == "int64"
        assert self.schema.select(["name", "zip"]).names == ("name", "zip")
        with pytest.raises(InputError, match=r"'agee'(.|\n)*'age'"):
            self.schema["agee"]

    def test_showing(self):
        assert "3 levels: ann, bob, cid" in repr(self.schema)
        assert "<td>age</td>" in self.schema._repr_html_()
        field = Field("<b>", "string", self.schema["name"].kind)
        assert "<b>" not in Schema((field,))._repr_html_().replace("<tbody>", "")

    def test_saving(self, tmp_path):
        self.schema.save(tmp_path / "schema.json")
        assert schema_from_plain(read_json(tmp_path / "schema.json")) == self.schema

    def test_spelling_and_wording_are_kept(self, tmp_path):
        from ensample.data.schema import Field as F

        field = F("x", "string", self.schema["name"].kind, "?", "%d/%m/%Y")
        assert schema_from_plain(json.loads(json.dumps(Schema((field,)).to_plain()))).fields == (field,)

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda f: f.update(format=2), "newer version"),
            (lambda f: f.update(format="1"), "no format"),
            (lambda f: f.pop("fields"), "no fields"),
            (lambda f: f["fields"].append(3), "without name"),
            (lambda f: f["fields"][0].pop("dtype"), "without name, dtype"),
            (lambda f: f["fields"][0].update(kind="os.system"), "the kind 'os.system'"),
            (lambda f: f["fields"][0].update(dtype="__import__('os')"), "Arrow type"),
            (lambda f: f["fields"][0]["measured"].update(low="1"), "low"),
            (lambda f: f["fields"][0]["measured"].update(low=True), "low"),
            (lambda f: f["fields"][0]["measured"].update(spikes=["1"]), "spikes"),
            (lambda f: f["fields"][0]["measured"].update(more=1), "other facts"),
            (lambda f: f["fields"][0].pop("measured"), "other facts"),
            (lambda f: f["fields"][2]["measured"].update(levels="abc"), "levels"),
            (lambda f: f["fields"][2]["measured"].update(dtype="nonsense"), "Arrow type"),
        ],
    )
    def test_damaged_files_are_told(self, change, told):
        facts = json.loads(json.dumps(self.schema.to_plain()))
        change(facts)
        with pytest.raises(FormatError, match=told):
            schema_from_plain(facts)
