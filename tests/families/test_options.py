"""Options of families as text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import pytest

from ensample.errors import InputError
from ensample.families import TABLE
from ensample.families.options import build, describe, options


@dataclass(frozen=True)
class Toy:
    """A toy of many types.

    More words.

    Arguments:
        count: how many,
            over two lines.
        shape (plain): one of two.
        rate, flag: two at once.
    """

    count: int = 3
    rate: float | None = None
    shape: Literal["full", "tied"] = "full"
    flag: bool = False
    sizes: tuple[int, ...] = (1, 2)
    word: str = "x"
    pair: tuple[int, float] = (1, 2.0)
    inner: object = field(default_factory=object)

    name: ClassVar[str] = "toy"

    def __post_init__(self):
        if self.count < 1:
            raise ValueError("count must be positive")


def test_values_have_the_types_of_the_annotations():
    texts = {
        "count": "7",
        "rate": "1e-3",
        "shape": "tied",
        "flag": "yes",
        "sizes": "3, 4,5",
        "word": "7",
        "pair": "2,3",
    }
    toy = build(Toy, texts)
    assert (toy.count, toy.rate, toy.shape, toy.flag, toy.sizes, toy.word) == (7, 0.001, "tied", True, (3, 4, 5), "7")
    assert toy.pair == (2, 3.0) and isinstance(toy.pair[1], float)
    assert build(Toy, {"rate": "none"}).rate is None
    assert build(Toy, {"sizes": ""}).sizes == ()


@pytest.mark.parametrize(
    "texts",
    [
        {"count": "7.5"},
        {"count": "none"},
        {"count": ""},
        {"rate": "fast"},
        {"shape": "round"},
        {"flag": "maybe"},
        {"sizes": "1,a"},
        {"pair": "1"},
        {"inner": "3"},
        {"cuont": "3"},
        {"count": "0"},
    ],
)
def test_wrong_values_are_told_in_four_parts(texts):
    with pytest.raises(InputError) as told:
        build(Toy, texts)
    assert told.value.rule and told.value.place and told.value.seen and told.value.fix


def test_help_comes_from_the_docstring():
    found = {option.name: option for option in options(Toy)}
    assert found["count"].help == "how many, over two lines." and found["shape"].help == "one of two."
    assert found["shape"].wanted == "one of full, tied" and found["rate"].wanted == "float or none"
    assert not found["inner"].settable
    assert found["rate"].help == found["flag"].help == "two at once."
    assert describe(Toy) == "A toy of many types."


@pytest.mark.parametrize("name", TABLE)
def test_every_family_explains_every_option_and_takes_its_own_defaults(name):
    family = TABLE[name]
    assert describe(family)
    for option in options(family):
        assert option.help, f"{name}.{option.name} is not in the docstring"
        if option.settable:
            assert getattr(build(family, {option.name: option.text}), option.name) == option.default


@pytest.mark.parametrize(
    ("family", "option", "value"),
    [
        ("independent", "bins", 0),
        ("boosted", "leaves", 1),
        ("boosted", "rate", 0.0),
        ("boosted", "rows", 0),
        ("autoregressive", "width", 0),
        ("autoregressive", "batch_size", 0),
        ("trees", "leaf", 0),
        ("mixture", "components", 0),
    ],
)
def test_values_out_of_range_are_refused_by_the_family_itself(family, option, value):
    with pytest.raises(InputError, match=f"{family}, {option}"):
        TABLE[family](**{option: value})
