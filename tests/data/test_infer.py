"""Types of text columns: decided by the whole column, never losing the shape of a value."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from ensample.data.infer import ANYTHING, ColumnScan
from ensample.data.missing import Spellings
from ensample.data.readers import read
from ensample.data.wording import PLAIN

CASES = [
    (["1", "-2", "30"], pa.int64(), [1, -2, 30]),
    (["1", "2.5", "1e3"], pa.float64(), [1.0, 2.5, 1000.0]),
    ([" 1", "2 "], pa.int64(), [1, 2]),
    (["0123", "4567"], pa.string(), ["0123", "4567"]),
    (["0x1F", "12"], pa.string(), ["0x1F", "12"]),
    (["0", "0.5"], pa.float64(), [0.0, 0.5]),
    (["0", "10"], pa.int64(), [0, 10]),
    (["1.5", "98765432109876543210"], pa.string(), ["1.5", "98765432109876543210"]),
    (["98765432109876543210"], pa.string(), ["98765432109876543210"]),
    (["True", "False"], pa.bool_(), [True, False]),
    (["yes", "no"], pa.string(), ["yes", "no"]),
    (["1066-10-14", "2020-02-29"], pa.date32(), [dt.date(1066, 10, 14), dt.date(2020, 2, 29)]),
    (["2020-02-30"], pa.string(), ["2020-02-30"]),
    (["2020-01-01", "2020-01-01 10:00:00"], pa.timestamp("s"), None),
    (["1950-01-01T10:00:00.25"], pa.timestamp("ms"), None),
    (["2020-01-01 10:00:00+02:00"], pa.timestamp("s", "UTC"), None),
    (["1", "2020-01-01"], pa.string(), None),
]


@pytest.mark.parametrize(("texts", "kind", "values"), CASES)
@pytest.mark.parametrize("pieces", [1, 2])
def test_type_of_a_column(texts, kind, values, pieces):
    scan = ColumnScan("x", ANYTHING, Spellings())
    for piece in np.array_split(np.array([*texts, ""], dtype=object), pieces):
        scan.see(pa.array(piece, pa.string()))
    assert scan.plan().type == kind
    found = read({"x": texts}).column("x")
    assert found.type == kind
    assert values is None or found.to_pylist() == values


def plan_of(*batches):
    scan = ColumnScan("x", ANYTHING, Spellings())
    for batch in batches:
        scan.see(pa.array(batch, pa.string()))
    return scan.plan()


def test_what_earlier_batches_held_is_not_forgotten():
    assert plan_of(["1.5"], ["2", "?"]).type == pa.float64()
    assert plan_of(["2020-01-01 10:00:00"], ["2020-01-01", "?"]).type == pa.timestamp("s")
    assert plan_of(["12"], ["DE", "NA"]).gone == ("NA",)
    assert plan_of(["DE"], ["NA"]).gone == ()
    assert plan_of(["5", "7"], ["1.5"]).wording == PLAIN
    assert plan_of(["True"], ["2"]).type == pa.string()
    assert plan_of(["None"], ["NA"], ["red"], ["-"]).gone == ("NA",)
    assert set(plan_of(["None"], ["NA"], ["3"], ["-"]).gone) == {"None", "NA", "-"}


def test_late_surprises_change_the_type_not_the_read(tmp_path):
    path = tmp_path / "late.csv"
    rows = [f"{j},{j},{j}" for j in range(400_000)]
    rows[-1] = "1.5,twelve,?"
    path.write_text("\n".join(["a,b,c", *rows]) + "\n")
    for limit in (None, 100_000):
        data = read(path, limit=limit)
        assert data.streams == (limit is not None)
        assert [str(kind) for kind in data.arrow_schema.types] == ["double", "string", "int64"]
        assert data.notes == ("column 'b' mixes numbers and text (record 400,000 holds 'twelve'): read as text",)
        assert data.take([399_999]).to_arrow().to_pylist() == [{"a": 1.5, "b": "twelve", "c": None}]
        assert data.spellings == {"c": "?"}


def test_a_column_that_is_missing_for_long_still_finds_its_type(tmp_path):
    path = tmp_path / "gaps.csv"
    path.write_text("a,b\n" + "None,0\n" * 600_000 + "7,0\n")
    data = read(path, limit=100_000)
    assert data.column("a").type == pa.int64()
    assert data.column("a").null_count == 600_000
