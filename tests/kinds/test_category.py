"""Categories and booleans: levels, their order, levels never seen, conditions."""

import time

import numpy as np
import pyarrow as pa
import pytest

from ensample.errors import InputError
from ensample.kinds import fit_kind
from ensample.kinds.base import Rule
from ensample.kinds.category import natural
from ensample.kinds.records import ABSENT

RNG = np.random.default_rng(0)


def fitted(values, kind="category", dtype=None):
    return fit_kind(kind, pa.array(values, dtype))


def test_natural_order():
    levels = ["100+", "9", "10-19", "1-9", "10", "b2", "b10", "<1"]
    assert sorted(levels, key=natural) == ["1-9", "9", "10", "10-19", "100+", "<1", "b2", "b10"]


def test_an_ordered_dictionary_keeps_its_order():
    values = pa.array(["low", "high", "mid", "low"]).dictionary_encode()
    levels = pa.array(["low", "mid", "high"])
    column = pa.DictionaryArray.from_arrays(pa.array([0, 2, 1, 0]), levels, ordered=True)
    assert fit_kind(None, column).levels == ("low", "mid", "high")
    assert fit_kind(None, values).levels == ("high", "low", "mid")
    assert fit_kind(None, column).decode(np.array([[1]]), RNG).type.ordered


@pytest.mark.parametrize("dtype", ["int64", "uint8", "double", "date32[day]", "string", "bool"])
def test_anything_with_levels_can_be_a_category(dtype):
    values = {"string": ["a", "b"], "bool": [True, False]}.get(dtype, [3, 11])
    column = pa.array(values, pa.int32() if "date" in dtype else None).cast(pa.type_for_alias(dtype))
    kind = fit_kind("category", column)
    assert kind.decode(kind.encode(column, "x"), RNG).equals(column)


def test_good_and_turing():
    """Of 1,000 rows from a Zipf law, the mass of what was not met is about the share of levels met once."""
    levels = RNG.zipf(1.5, 40_000).clip(max=10**6).astype(str)
    kind = fitted(levels[:1000])
    missed = (kind.encode(pa.array(levels[1000:]), "x") == ABSENT).mean()
    assert np.exp(kind.log_volume(pa.array(["never"]), "x")[0]) == kind.unseen == pytest.approx(missed, rel=0.2)


def test_levels_never_seen_leave_the_span_unset():
    kind = fitted(["a", "b", "a", None])
    column = pa.array(["b", "z", None])
    assert kind.encode(column, "x").tolist() == [[1], [ABSENT], [2]]
    assert kind.log_volume(column, "x").tolist() == pytest.approx(
        np.log([1 - kind.unseen, kind.unseen, 1 - kind.unseen])
    )
    assert kind.encode(pa.nulls(2), "x").tolist() == [[2], [2]]
    assert kind.decode(np.array([[ABSENT], [0], [2]]), RNG).to_pylist() == [None, "a", None]


def test_other_types_are_read_by_their_texts():
    kind = fitted([1, 2, 2, 10])
    assert kind.levels == ("1", "2", "10")
    assert kind.encode(pa.array(["10", "2", "x"]), "x").tolist() == [[2], [1], [ABSENT]]
    assert kind.encode(pa.array([10.0, 2.0, 2.5]), "x").tolist()[:2] == [[2], [1]]
    assert kind.encode(pa.array(["2", "10"]).dictionary_encode(), "x").tolist() == [[1], [2]]


def test_a_hundred_thousand_levels_are_quick():
    column = pa.array([f"user-{k}" for k in np.r_[np.arange(100_000), RNG.integers(0, 100_000, 100_000)]])
    begin = time.process_time()
    kind = fit_kind("category", column)
    cells = kind.encode(column, "x")
    assert kind.decode(cells, RNG).equals(column)
    assert time.process_time() - begin < 3.0  # 0.4 s on a quiet core
    assert len(kind.levels) == 100_000 and kind.levels[10:12] == ("user-10", "user-11")


def test_more_levels_are_refused():
    column = pa.array([f"user-{k}" for k in range(100_001)])
    with pytest.raises(InputError, match="more than 100,000 levels"):
        fit_kind("category", column)
    assert fit_kind(None, column).name == "identifier"


class TestLimits:
    kind = fitted(["Fair", "Good", "Ideal", "Premium", "Very Good", None])

    def test_values(self):
        assert self.kind.limits(Rule(("Ideal", "Fair", "Good", None)), "cut") == (((0, 2), (5, 5)),)
        assert fitted([1, 2, 10]).limits(Rule((2,)), "x") == (((1, 1),),)
        assert fitted([1, 2, 10]).limits(Rule(None, 2, None), "x") == (((1, 2),),)
        assert self.kind.present() == ((0, 4),) and fitted(["a", "b"]).present() is None

    @pytest.mark.parametrize(
        ("rule", "told"),
        [
            (Rule(("Idael",)), "none of its 5 levels\n.*choose from Ideal"),
            (Rule((7,)), "7, which is none of its 5 levels"),
            (Rule(None, "A", "C"), "not in a known order"),
        ],
    )
    def test_impossible_wishes(self, rule, told):
        with pytest.raises(InputError, match=told):
            self.kind.limits(rule, "cut")
        with pytest.raises(InputError, match="never was"):
            fitted(["a", "b"]).limits(Rule((None,)), "cut")
        with pytest.raises(InputError, match="no level between"):
            fitted([1, 2]).limits(Rule(None, 5, 7), "cut")


@pytest.mark.parametrize(
    ("values", "no", "yes"),
    [
        ([True, False], "false", "true"),
        (["Yes", "No"], "No", "Yes"),
        (["Y", "Y"], "N", "Y"),
        ([0, 1], "0", "1"),
        ([0.0, 1.0], "0", "1"),
        (["TRUE", "FALSE"], "FALSE", "TRUE"),
    ],
)
def test_truths(values, no, yes):
    kind = fitted(values, "boolean")
    assert (kind.no, kind.yes) == (no, yes)
    assert kind.limits(Rule((True,)), "x") == (((1, 1),),)
    assert kind.limits(Rule((values[0],)), "x") == kind.limits(Rule((values[0] in (True, "Yes", "Y", "TRUE"),)), "x")


def test_other_pairs_are_no_truths():
    with pytest.raises(InputError, match="boolean"):
        fitted(["m", "f"], "boolean")
    assert fit_kind(None, pa.array(["m", "f", "m"])).name == "category"
