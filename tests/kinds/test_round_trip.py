"""Law 1: what is encoded and decoded is what it was: values, types, order, missing pattern."""

import json

import numpy as np
import pyarrow as pa
import pytest

from ensample.data.dataset import Dataset
from ensample.data.schema import Schema
from ensample.kinds import fit_kind, guess, schema_from_plain
from ensample.kinds.arrow import plain, value_type
from ensample.kinds.codec import TableCodec
from ensample.kinds.records import ABSENT
from tests.kinds.columns import CASES

LEARNED = [name for name, case in CASES.items() if case.loss is not None]


def same(left: pa.Array, right: pa.Array, loss: float) -> bool:
    left, right = plain(left), plain(right)
    if loss == 0:
        return bool(left.equals(right))
    here, there = (np.array(column.to_numpy(zero_copy_only=False), float) for column in (left, right))
    return bool((np.abs(here - there) <= loss * np.abs(here)).all())


@pytest.mark.parametrize("name", list(CASES))
def test_kind_is_recognised(name):
    assert fit_kind(None, CASES[name].column).name == CASES[name].kind


@pytest.mark.parametrize("name", LEARNED)
def test_values_come_back(name):
    case = CASES[name]
    kind = fit_kind(None, case.column)
    cells = kind.encode(case.column, "x")
    back = kind.decode(cells, np.random.default_rng(0))
    assert back.type == case.column.type
    assert back.is_null().equals(case.column.is_null())
    assert same(case.column, back, case.loss)
    assert np.array_equal(kind.encode(back, "x"), cells)
    assert cells.shape == (len(case.column), len(kind.spans("x")))


@pytest.mark.parametrize("name", LEARNED)
def test_a_piece_is_encoded_as_in_the_whole(name):
    column = CASES[name].column
    kind = fit_kind(None, column)
    assert np.array_equal(kind.encode(column.slice(7, 50), "x"), kind.encode(column, "x")[7:57])


@pytest.mark.parametrize("name", list(CASES))
def test_cells_lie_in_their_event(name):
    kind = fit_kind(None, CASES[name].column)
    cells, spans = kind.encode(CASES[name].column, "x"), kind.spans("x")
    for j, span in enumerate(spans):
        known = cells[cells[:, j] != ABSENT, j]
        if hasattr(span.event, "classes"):
            assert known.min() >= 0 and known.max() < span.event.classes
        else:
            assert known.min() >= 0 and known.max() <= span.event.lattice.high
        if span.exists is None:
            assert len(known) == len(cells)
        else:
            assert np.array_equal(cells[:, j] != ABSENT, np.isin(cells[:, span.exists[0]], span.exists[1]))


@pytest.mark.parametrize("name", list(CASES))
def test_a_number_comes_back_from_its_real_number(name):
    import torch

    for span in fit_kind(None, CASES[name].column).spans("x"):
        lattice = getattr(span.event, "lattice", None)
        if lattice is None or lattice.high > 2**49:
            continue
        ends = np.r_[np.arange(50), lattice.high - np.arange(50)]
        spread = np.linspace(0, lattice.high, 3000).astype(np.int64)
        cells = torch.from_numpy(np.unique(np.r_[ends, spread].clip(0, lattice.high)))
        assert torch.equal(lattice.index(lattice.encode(cells)), cells)
        assert bool((lattice.encode(cells).diff() > 0).all())


@pytest.mark.parametrize("name", list(CASES))
def test_a_stored_kind_is_the_same(name):
    schema = guess(Dataset.from_arrow(pa.table({"x": CASES[name].column})))
    assert schema_from_plain(json.loads(json.dumps(schema.to_plain(), allow_nan=False))) == schema


@pytest.mark.parametrize("name", list(CASES))
def test_never_missing_is_one_event_with_a_price(name):
    """The probabilities of all that a field can hold sum to one."""
    column = CASES[name].column
    kind = fit_kind(None, column)
    gone = pa.nulls(1, value_type(column.type))
    seen = kind.log_volume(column, "x")
    assert seen.shape == (len(column),) and np.ptp(seen) == 0
    if column.null_count:
        assert kind.log_volume(gone, "x")[0] == seen[0]
    else:
        assert np.exp(seen[0]) + np.exp(kind.log_volume(gone, "x")[0]) == pytest.approx(1, abs=1e-12)
        assert (kind.encode(gone, "x") == ABSENT).all() or not kind.spans("x")


def test_the_whole_table():
    columns = {name: case.column for name, case in CASES.items()}
    dataset = Dataset.from_arrow(pa.table(columns))
    schema = guess(dataset)
    codec = TableCodec(schema, schema.names)
    records = codec.encode(dataset)
    back = codec.decode(records.batch(), 0)
    assert back.names == dataset.names
    assert back.schema == schema and isinstance(back.schema, Schema)
    table = back.to_arrow()
    for name in columns:
        assert table.column(name).type == columns[name].type, name
        if CASES[name].loss is not None:
            assert same(columns[name], table.column(name), CASES[name].loss), name
    assert codec.log_volume(dataset) == pytest.approx(sum(np.log1p(-field.kind.unseen) for field in schema))
