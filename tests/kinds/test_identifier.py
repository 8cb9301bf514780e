"""Identifiers and constants: recognised, made afresh, never copied."""

import re
import uuid

import numpy as np
import pyarrow as pa
import pytest

from ensample.errors import InputError
from ensample.kinds import fit_kind
from ensample.kinds.base import Rule
from tests.kinds.columns import CASES

RNG = np.random.default_rng(0)
N = 500


def made(kind, rows=300, first=0, seed=1):
    return kind.decode(np.zeros((rows, len(kind.spans("x"))), np.int64), np.random.default_rng(seed), first)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.kind == "identifier"])
def test_fresh_distinct_and_of_the_same_type(name):
    column = CASES[name].column
    fresh = made(fit_kind(None, column))
    assert fresh.type == column.type and len(set(fresh.to_pylist())) == 300
    assert not set(fresh.to_pylist()) & set(column.to_pylist())


def test_sequences_go_on():
    assert made(fit_kind(None, pa.array(np.arange(5, 105))), 3).to_pylist() == [105, 106, 107]
    assert made(fit_kind(None, pa.array(np.arange(5, 105))), 3, first=10).to_pylist() == [115, 116, 117]
    texts = fit_kind(None, pa.array([f"N7-{k:02}x" for k in range(1, 99)]))
    assert made(texts, 2).to_pylist() == ["N7-99x", "N7-100x"]


def test_a_sequence_stops_at_its_type():
    column = pa.array(np.arange(0, 120), pa.int8())
    fresh = made(fit_kind(None, column), 50)
    assert fresh.type == pa.int8() and fresh.null_count == 0


def test_uuids():
    column = pa.array([str(uuid.UUID(bytes=RNG.bytes(16), version=4)).upper() for _ in range(N)])
    for text in made(fit_kind(None, column)).to_pylist():
        assert uuid.UUID(text).version == 4 and text == text.upper()


def test_codes_keep_their_pattern():
    numbers = zip(RNG.integers(65, 91, N), RNG.permutation(10**7)[:N], RNG.integers(0, 99, N), strict=True)
    column = pa.array([f"K-{chr(a)}{b:07}/{c:02}" for a, b, c in numbers])
    kind = fit_kind(None, column)
    assert all(re.fullmatch(r"K-[A-Z]\d{7}/\d\d", text) for text in made(kind).to_pylist())
    assert "codes" in kind.describe() and "not learned" in kind.describe()


def test_free_text_is_said_to_be_made_up():
    words = np.array(["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog"])
    column = pa.array([" ".join(RNG.choice(words, 8)) for _ in range(N)])
    kind = fit_kind(None, column)
    assert (
        kind.name == "identifier" and "free text" in kind.describe() and "made up letter by letter" in kind.describe()
    )


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("weight", pa.array(RNG.normal(70, 9, N))),
        ("reading", pa.array(np.round(RNG.normal(70, 9, N), 6))),
        ("fnlwgt", pa.array(RNG.lognormal(12, 0.6, N).astype(int))),
        ("price", pa.array((RNG.lognormal(8, 1, 5000)).astype(int))),
        ("population", pa.array(np.unique(RNG.lognormal(10, 2, N).astype(int)))),
        ("year", pa.array(RNG.integers(1900, 2020, N))),
    ],
)
def test_measurements_are_no_identifiers(name, column):
    assert fit_kind(None, column, name).name == "number"


@pytest.mark.parametrize("name", ["id", "customer_id", "CustomerID", "userId", "Order No"])
def test_a_name_can_decide(name):
    column = pa.array(np.unique(RNG.lognormal(10, 2, N).astype(int)))
    assert fit_kind(None, column, name).name == "identifier"
    assert fit_kind(None, column, "paid").name == "number"


def test_short_columns_are_not_taken_for_identifiers():
    assert fit_kind(None, pa.array(["ann", "bob", "cid"])).name == "category"
    assert fit_kind(None, pa.array([1, 2, 3])).name == "number"


def test_missing_ones_are_learned_to_be_missing():
    column = pa.array(np.arange(N), mask=RNG.random(N) < 0.3)
    kind = fit_kind("identifier", column)
    cells = kind.encode(column, "x")
    assert len(kind.spans("x")) == 1 and kind.present() == ((0, 0),)
    back = kind.decode(cells, RNG)
    assert back.is_null().equals(column.is_null())
    assert back.drop_null().to_pylist() == list(range(N, N + N - column.null_count))
    assert kind.limits(Rule((None,)), "x") == (((1, 1),),)


def test_identifiers_and_constants_cannot_be_asked_for():
    with pytest.raises(InputError, match=r"made afresh, not learned(.|\n)*category"):
        fit_kind(None, pa.array(np.arange(N))).limits(Rule((5,)), "x")
    always = fit_kind(None, pa.array([7, 7]))
    assert always.limits(Rule((7,)), "x") == () and always.limits(Rule(None, 5, 9), "x") == ()
    for rule in (Rule((8,)), Rule(None, 8, 9), Rule((None,)), Rule(("a",))):
        with pytest.raises(InputError, match="always 7"):
            always.limits(rule, "x")


def test_another_value_than_the_constant_has_a_price():
    kind = fit_kind(None, pa.array(["EUR"] * 99))
    assert kind.log_volume(pa.array(["EUR", "USD"]), "x").tolist() == pytest.approx(np.log([1 - 0.005, 0.005]))
    partly = fit_kind(None, pa.array(["EUR"] * 50 + [None] * 49))
    assert partly.log_volume(pa.array(["EUR", None, "USD"]), "x").tolist() == pytest.approx(
        np.log([0.995, 0.995, 0.005])
    )
