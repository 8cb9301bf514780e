"""Conditions as text."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ensample.cli.options import names, pairs
from ensample.cli.where import conditions
from ensample.errors import InputError


@dataclass(frozen=True)
class Kind:
    name: str


@dataclass(frozen=True)
class Field:
    name: str
    kind: Kind


@dataclass(frozen=True)
class Schema:
    fields: tuple[Field, ...]


SCHEMA = Schema(
    tuple(
        Field(name, Kind(kind))
        for name, kind in {
            "age": "number",
            "sex": "category",
            "a=b": "category",
            "a": "category",
            "born": "datetime",
            "member": "boolean",
        }.items()
    )
)


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("age=30..40", {"age": (30, 40)}),
        ("age=-3..-1", {"age": (-3, -1)}),
        ("age=1e3..", {"age": (1000.0, None)}),
        ("age=..2.5", {"age": (None, 2.5)}),
        ("age=30", {"age": 30}),
        ("age=30,40", {"age": [30, 40]}),
        ("age=", {"age": None}),
        ("sex=,Male", {"sex": [None, "Male"]}),
        ("sex=Male", {"sex": "Male"}),
        ("sex=Male,Female", {"sex": ["Male", "Female"]}),
        ("sex=a..b", {"sex": "a..b"}),
        ('sex="Sales, retail",Craft', {"sex": ["Sales, retail", "Craft"]}),
        ("sex=>50K", {"sex": ">50K"}),
        ("sex=x=y", {"sex": "x=y"}),
        ("a=b=c", {"a=b": "c"}),
        ("born=2020-01-01..2020-12-31", {"born": ("2020-01-01", "2020-12-31")}),
    ],
)
def test_one_condition(text, wish):
    assert conditions([text], SCHEMA) == wish


def test_none_and_several():
    assert conditions([], SCHEMA) is None
    assert conditions(["age=1", "sex=Male"], SCHEMA) == {"age": 1, "sex": "Male"}


@pytest.mark.parametrize("texts", [["age"], ["=3"], ["height=3"], ["age=1", "age=2"], [""]])
def test_what_is_no_condition_is_told_in_four_parts(texts):
    with pytest.raises(InputError) as told:
        conditions(texts, SCHEMA)
    assert told.value.rule and told.value.place and told.value.seen and told.value.fix


def test_pairs_and_names():
    assert pairs(["zip=category"], "--kind", "x=y") == {"zip": "category"}
    assert names(["a,b", "c"]) == ["a", "b", "c"] and names(None) is None
    for wrong in (["zip"], ["=x"], ["a=1", "a=2"]):
        with pytest.raises(InputError):
            pairs(wrong, "--kind", "x=y")
