"""Fields of lists: recognised, stored, encoded and decoded through the kinds of their steps."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from ensample.data.dataset import Dataset
from ensample.data.schema import Schema
from ensample.errors import CapabilityError, FormatError, InputError
from ensample.events import MISSING_LENGTH, UNKNOWN_LENGTH, Continuous, Discrete, Ragged
from ensample.kinds import guess, schema_from_plain
from ensample.kinds.codecs import codec_of
from ensample.kinds.profile import Profile
from ensample.kinds.records import ABSENT
from ensample.kinds.sequence import Sequence
from ensample.kinds.sequencecodec import SequenceCodec

DAYS = [
    [{"t": 1.5, "sky": "clear", "wet": False}, {"t": None, "sky": "rain", "wet": True}],
    [],
    None,
    [{"t": 2.5, "sky": None, "wet": True}],
    [{"t": -1.0, "sky": "clear", "wet": None}, None, {"t": float("nan"), "sky": "rain", "wet": False}],
] * 8
ROUND = [None if day is None else [_.copy() if _ else dict.fromkeys(("t", "sky", "wet")) for _ in day] for day in DAYS]
for _day in ROUND:
    for _step in _day or []:
        _step["t"] = None if _step["t"] != _step["t"] else _step["t"]  # NaN is missing


def table(**columns) -> Dataset:
    data = Dataset.from_arrow(pa.table(columns))
    return data.with_schema(guess(data))


COLUMNS = {
    "structs": (pa.array(DAYS), ROUND),
    "numbers": (pa.array([[1.5, None, 2.0], [], None, [3.5]] * 5), [[1.5, None, 2.0], [], None, [3.5]] * 5),
    "integers": (pa.array([[1, 2], [3]] * 9, pa.large_list(pa.int16())), [[1, 2], [3]] * 9),
    "texts": (pa.array([["a", "b", None], ["b"]] * 9), [["a", "b", None], ["b"]] * 9),
    "truths": (pa.array([[True], [False, None]] * 9), [[True], [False, None]] * 9),
    "three each": (pa.array([[1, 2, 5]] * 9, pa.list_(pa.int64(), 3)), [[1, 2, 5]] * 9),
    "levels": (
        pa.array([["x"], ["y", "x"]] * 9).cast(pa.list_(pa.dictionary(pa.int32(), pa.string()))),
        [["x"], ["y", "x"]] * 9,
    ),
    "one constant beside": (
        pa.array([[{"a": 1, "b": "k"}, {"a": 2, "b": "k"}]] * 9),
        [[{"a": 1, "b": "k"}, {"a": 2, "b": "k"}]] * 9,
    ),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_law_1_decoding_gives_back_what_was_encoded(name):
    column, expected = COLUMNS[name]
    data = table(x=column)
    schema = schema_from_plain(json.loads(json.dumps(data.schema.to_plain())))
    assert schema == data.schema
    codec = codec_of(schema, ("x",))
    records = codec.encode(data)
    for batch in (records.batch(), records.batch().padded(9)):
        made = codec.decode(batch, seed=0).to_arrow().column("x")
        assert made.to_pylist() == expected
        assert pa.types.is_large_list(made.type) == pa.types.is_large_list(column.type)
        assert made.type.value_type == column.type.value_type


def test_the_event_is_that_of_a_step():
    codec = codec_of(table(x=COLUMNS["structs"][0]).schema, ("x",))
    assert isinstance(codec.event, Ragged) and codec.event.max_length == 3 and codec.event.missing
    sorts = [type(span.event) for span in codec.event.element.spans]
    assert sorts == [Discrete, Continuous, Discrete, Discrete]


def test_lengths_tell_missing_from_unknown():
    data = table(x=COLUMNS["structs"][0])
    codec = codec_of(data.schema, ("x",))
    assert codec.encode(data).lengths[:5].tolist() == [2, 0, MISSING_LENGTH, 1, 3]
    assert codec.encode(data, holes=True).lengths[:5].tolist() == [2, 0, UNKNOWN_LENGTH, 1, 3]
    without = table(x=pa.array([[1.0, 2.0], [4.0]] * 9))
    codec = codec_of(without.schema, ("x",))
    gone = Dataset.from_arrow(pa.table({"x": pa.array([None, [2.0]], pa.list_(pa.float64()))}))
    assert codec.encode(gone).lengths.tolist() == [UNKNOWN_LENGTH, 1]  # one value never seen, priced by the codec
    prices = codec.log_volume(gone)
    assert prices[0] == pytest.approx(np.log(0.5 / 19)) and prices[1] > -0.1


def test_holes_inside_steps_are_unset():
    data = table(x=COLUMNS["structs"][0])
    codec = codec_of(data.schema, ("x",))
    seen, holes = codec.encode(data).batch(), codec.encode(data, holes=True).batch()
    assert seen.mask[0, 1].tolist() == [True, False, True, True]
    assert holes.mask[0, 1].tolist() == [False, False, True, True]
    assert [limit.column for limit in codec.present(["x"])] == [0, 2, 3]


def test_log_volume_adds_up_over_steps():
    data = table(x=pa.array([["a", "b"], ["a"]] * 20))
    codec = codec_of(data.schema, ("x",))
    new = Dataset.from_arrow(pa.table({"x": [["a", "a", "a"], ["a", "zebra"], []]}))
    unseen, gone = codec.kind.steps.schema["value"].kind.unseen, codec.kind.unseen
    expected = [3 * np.log1p(-unseen), np.log1p(-unseen) + np.log(unseen), 0.0]
    assert np.allclose(codec.log_volume(new), np.array(expected) + np.log1p(-gone))


def test_batches_hold_all_records_in_order_and_parts_all_of_them_by_length():
    rng = np.random.default_rng(0)
    lists = [list(map(int, rng.integers(0, 9, n))) for n in rng.integers(0, 30, 300)]
    data = table(x=pa.array(lists))
    codec = codec_of(data.schema, ("x",))
    records = codec.encode(data)
    import ensample.kinds.sequences as sequences

    whole = [row for batch in records.batches(64) for row in codec.decode(batch, 0).to_arrow().column("x").to_pylist()]
    assert whole == lists
    parts = records.parts(64)
    assert sorted(np.concatenate(parts).tolist()) == list(range(300))
    widths = [records.batch(part).cells.shape[1] for part in parts]
    assert widths == sorted(widths, reverse=True)
    old, sequences.PADDED_CELLS = sequences.PADDED_CELLS, 100
    try:
        for batch in records.batches(64):
            assert batch.cells.numel() <= 100 or len(batch) == 1
    finally:
        sequences.PADDED_CELLS = old
    chosen = records.select(np.array([5, 2]))
    assert codec.decode(chosen.batch(), 0).to_arrow().column("x").to_pylist() == [lists[5], lists[2]]


def test_given_fields_and_fields_without_spans_stand_beside():
    data = table(
        id=pa.array([f"n{i}" for i in range(40)]), x=COLUMNS["structs"][0], unit=["m"] * 40, sex=["f", "m"] * 20
    )
    codec = codec_of(data.schema, ("id", "x", "unit"), ("sex",))
    batch = codec.encode(data).batch()
    assert batch.cond is not None and len(batch.cond) == 40
    made = codec.decode(batch, seed=1, first=3).to_arrow()
    assert made.column_names == ["id", "x", "unit", "sex"]
    assert made.column("sex").to_pylist() == ["f", "m"] * 20 and made.column("x").to_pylist() == ROUND


def test_what_cannot_stand_beside_a_sequence_is_told():
    data = table(x=COLUMNS["numbers"][0], y=[1.5, 2.0, 3.5, 1.0] * 5)
    with pytest.raises(CapabilityError, match=r"learned alone(.|\n)*'x'(.|\n)*y(.|\n)*model="):
        codec_of(data.schema, ("x", "y"))
    with pytest.raises(CapabilityError, match="given"):
        codec_of(data.schema, ("y",), ("x",))
    assert isinstance(codec_of(data.schema, ("x",)), SequenceCodec)


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (pa.array([[], []], pa.list_(pa.int64())), "no step"),
        (pa.array([[1], [1, 1]] * 9), "nothing can be learned"),
        (pa.array([[{"a, b": 1}], [{"a, b": 2}]] * 9), "names"),
    ],
)
def test_lists_that_cannot_be_learned_are_told(column, told):
    with pytest.raises(InputError, match=rf"sequence(.|\n)*column 'x'(.|\n)*{told}"):
        table(x=column)


def test_errors_name_the_record_and_the_step():
    data = table(x=pa.array([[1.5], [2.5, 3.5]] * 9))
    codec = codec_of(data.schema, ("x",))
    wrong = Dataset.from_arrow(pa.table({"x": [[1.0, 2.0], [1.5], [2.0, float("inf")]]}))
    with pytest.raises(InputError, match=r"row 2, step 1"):
        codec.encode(wrong)
    with pytest.raises(InputError, match=r"no lists 'x'"):
        codec.encode(Dataset.from_arrow(pa.table({"x": [1.0]})))
    with pytest.raises(InputError, match="wish"):
        codec.limits({"x": [1.0]})


def test_a_damaged_element_is_told():
    plain = table(x=COLUMNS["texts"][0]).schema.to_plain()
    plain["fields"][0]["measured"]["element"] = "{"
    with pytest.raises(FormatError, match="whole"):
        codec_of(schema_from_plain(plain), ("x",))


def test_profiles_of_several_batches_are_those_of_one():
    column = COLUMNS["structs"][0]
    whole, parts = Profile.of(column), Profile.of(pa.chunked_array([column[:7], column[7:]]))
    assert Sequence.fit(whole) == Sequence.fit(parts)
    assert isinstance(guess(Dataset.from_arrow(pa.table({"x": column}))), Schema)


def test_cells_that_are_absent_become_missing():
    kind = Sequence.fit(Profile.of(COLUMNS["structs"][0]))
    made = kind.lists(np.array([[0, 10, 0, 0], [1, ABSENT, 2, 2]]), np.array([2, -1, 0]), np.random.default_rng(0))
    assert made.to_pylist()[0][1] == {"t": None, "sky": None, "wet": None}
    assert made.to_pylist()[1:] == [None, []]
