"""The codec of a table: spans side by side, given fields, holes, conditions, what is told at score time."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from ensample.data.dataset import Dataset
from ensample.errors import InputError
from ensample.events import Batch, Limit
from ensample.kinds import guess
from ensample.kinds.codec import TableCodec, rule_of

RNG = np.random.default_rng(0)
N = 600
TABLE = pa.table(
    {
        "id": np.arange(N),
        "age": pa.array(RNG.integers(17, 91, N), mask=RNG.random(N) < 0.1),
        "gain": np.where(RNG.random(N) < 0.8, 0, RNG.integers(100, 9000, N)),
        "sex": RNG.choice(["Female", "Male"], N),
        "born": pa.array(RNG.integers(-9000, 9000, N).astype("datetime64[D]")),
        "unit": ["EUR"] * N,
    }
)
DATA = Dataset.from_arrow(TABLE)
SCHEMA = guess(DATA)
MODEL = ("age", "gain", "born", "id", "unit")
CODEC = TableCodec(SCHEMA, MODEL, ("sex",))


def test_spans_stand_where_the_codec_says():
    assert [CODEC.columns_of(name) for name in MODEL] == [
        range(0, 2),
        range(2, 4),
        range(4, 5),
        range(5, 5),
        range(5, 5),
    ]
    assert [span.name for span in CODEC.event.spans] == ["age:state", "age", "gain:state", "gain", "born"]
    assert CODEC.event.spans[3].exists == (2, (0,))
    assert len(CODEC.given_event) == 1 and CODEC.columns_of("sex") == range(0, 1)
    records = CODEC.encode(DATA)
    batch = records.batch()
    for j in range(len(CODEC.event)):
        assert torch.equal(batch.mask[:, j], CODEC.event.existing(batch.cells, j))
    assert batch.cond.mask.all() and len(records) == N


def test_columns_come_back_in_the_order_of_the_schema():
    back = CODEC.decode(CODEC.encode(DATA).batch(), 0).to_arrow()
    assert back.column_names == TABLE.column_names
    assert back.drop_columns("id").equals(TABLE.drop_columns("id"))
    assert back.column("id").to_pylist() == list(range(N, 2 * N))
    alone = TableCodec(SCHEMA, ("born", "age"))
    assert alone.decode(alone.encode(DATA).batch(), 0).names == ["age", "born"]


def test_the_seed_and_the_first_row_make_identifiers():
    codec = TableCodec(guess(DATA, {"id": "identifier"}), ("id",))
    nothing = Batch(torch.zeros(3, 0, dtype=torch.int64), torch.zeros(3, 0, dtype=torch.bool))
    assert codec.decode(nothing, 0, first=7).column("id").to_pylist() == [N + 7, N + 8, N + 9]


def test_holes_are_left_open():
    known, open_ = CODEC.encode(DATA).batch(), CODEC.encode(DATA, holes=True).batch()
    gone = torch.from_numpy(TABLE.column("age").is_null().to_numpy())
    assert bool(known.mask[gone, 0].all()) and not bool(open_.mask[gone][:, :2].any())
    assert torch.equal(known.mask[~gone], open_.mask[~gone])
    assert CODEC.present(MODEL) == [Limit(0, ((0, 0),))]


def test_unset_coordinates_decode_to_missing():
    batch = CODEC.encode(DATA).batch(slice(0, 5))
    blank = Batch(batch.cells, torch.zeros_like(batch.mask), batch.cond)
    made = CODEC.decode(blank, 0).to_arrow()
    assert [made.column(name).null_count for name in ("age", "gain", "born", "sex", "unit")] == [5, 5, 5, 0, 0]


def test_extra_columns_and_other_orders_do_not_matter():
    other = Dataset.from_arrow(TABLE.select(TABLE.column_names[::-1]).append_column("more", pa.nulls(N)))
    assert np.array_equal(CODEC.encode(other).table, CODEC.encode(DATA).table)


def test_the_price_of_what_was_never_seen_adds_up():
    row = TABLE.slice(0, 2).drop_columns(["gain", "unit"])
    row = row.append_column("gain", pa.array([None, 5], pa.int64())).append_column("unit", pa.array(["USD", "EUR"]))
    rates = {field.name: field.kind.unseen for field in SCHEMA if field.name in MODEL}
    new = {"gain", "unit"}
    first = sum(np.log(rate) if name in new else np.log1p(-rate) for name, rate in rates.items())
    second = sum(np.log1p(-rate) for rate in rates.values())
    assert CODEC.log_volume(Dataset.from_arrow(row)).tolist() == pytest.approx([first, second])


def test_missing_columns_are_told():
    with pytest.raises(InputError, match=r"no 'sex' among(.|\n)*rename"):
        CODEC.encode(Dataset.from_arrow(TABLE.drop_columns("sex")))


def test_a_wrong_value_is_told_with_its_row(monkeypatch):
    monkeypatch.setattr("ensample.kinds.codec.BATCH_ROWS", 100)
    texts = [str(age) for age in range(N)]
    texts[345] = "forty"
    table = TABLE.set_column(1, "age", pa.array(texts))
    with pytest.raises(InputError, match=r"column 'age', row 345\n.*'forty'"):
        CODEC.encode(Dataset.from_arrow(table))


def test_limits_name_the_spans_of_the_event():
    assert CODEC.limits({"age": (30, 40)}) == [Limit(0, ((0, 0),)), Limit(1, ((13, 23),))]
    assert CODEC.limits({"age": None}) == [Limit(0, ((1, 1),))]
    assert CODEC.limits({"sex": ["Male"]}) == [Limit(0, ((1, 1),))]
    assert CODEC.limits({"gain": 0, "unit": "EUR"}) == [Limit(2, ((1, 1),))]
    assert [limit.column for limit in CODEC.limits({"born": ("1980-01-01", None), "age": [30, None]})] == [4, 0, 1]
    with pytest.raises(InputError, match=r"'agee'(.|\n)*choose from age"):
        CODEC.limits({"agee": 3})


def test_limits_hold_for_what_is_decoded():
    limits = CODEC.limits({"age": [30, 31, None], "gain": (1, 5000), "born": ("1960-01-01", "1980-12-31")})
    batch = CODEC.encode(DATA).batch()
    kept = torch.ones(N, dtype=torch.bool)
    for limit in limits:
        kept &= limit.contains(batch.cells[:, limit.column]) | ~CODEC.event.existing(batch.cells, limit.column)
    rows = TABLE.to_pandas()
    wanted = rows.age.isin([30, 31]) | rows.age.isna()
    wanted &= rows.gain.between(1, 5000) & rows.born.astype(str).between("1960-01-01", "1980-12-31")
    assert wanted.sum() > 0 and kept.tolist() == wanted.tolist()


@pytest.mark.parametrize("wish", [(1, 2, 3), (1,), (None, None), []])
def test_wishes_that_are_none(wish):
    with pytest.raises(InputError, match="'age'"):
        rule_of(wish, "age")


def test_wishes():
    assert rule_of(float("nan"), "x").values == (None,)
    assert rule_of([pd.NaT, pd.NA, np.datetime64("NaT", "D"), 2], "x").values == (None, None, None, 2)
    assert (rule_of((pd.NaT, 3), "x").low, rule_of((1, float("nan")), "x").high) == (None, None)
    assert rule_of({3}, "x").values == (3,) and rule_of(range(2), "x").values == (0, 1)
    assert rule_of(np.array([1, 2]), "x").values == (1, 2)


def test_an_infinite_end_of_a_range_is_open():
    inf = float("inf")
    assert CODEC.limits({"age": (-inf, inf)}) == CODEC.limits({"age": (-1e9, 1e9)})
    for wish in (inf, (inf, inf), (-inf, -inf)):
        with pytest.raises(InputError, match="possible"):
            CODEC.limits({"age": wish})
