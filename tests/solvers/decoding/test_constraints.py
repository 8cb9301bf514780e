"""Constraints: texts that match, over vocabularies with odd borders."""

from __future__ import annotations

import json
import re

import pytest
import torch

from ensample.errors import CapabilityError, InputError
from ensample.solvers.decoding import Among, Grammar, Noise, Rules, Sampling, collected, write
from ensample.solvers.decoding.grammar import of_lark, of_regex, of_schema

LETTERS = [c.encode() for c in 'abcdefgh0123456789é{}[]":, -tru']
BYTES = [bytes([number]) for number in range(256)]
MIXED = [*LETTERS, b"", b"ab", b"abc", b"12", b'":', b'{"', b"tr", b"ue", "é".encode()[:1], "é".encode()[1:]]


class Flat:
    """All classes alike, always."""

    def __init__(self, rows: int, classes: int) -> None:
        self.rows, self.classes = rows, classes

    def logits(self):
        return torch.zeros(self.rows, self.classes + 1)

    def append(self, classes):
        pass

    def take(self, rows):
        return Flat(len(rows), self.classes)


def texts(pieces, constraint, rows: int, tokens: int = 60) -> list[str]:
    start, past = Flat(rows, len(pieces)), torch.zeros(rows, 0, dtype=torch.int64)
    noise = Noise([[2, row] for row in range(rows)])
    passages = collected(write(start, past, tokens, Sampling(), noise, Rules(), constraint=constraint), rows)
    return [b"".join(pieces[n] for n in p.classes).decode() for p in passages if p.ended == "end"]


@pytest.mark.parametrize("pieces", [LETTERS, BYTES, MIXED], ids=["characters", "bytes", "mixed"])
def test_all_texts_match_a_regular_expression(pieces):
    pattern = r"é[0-9]{2}(-[a-f]{1,3})?/?" if pieces is BYTES else r"é[0-9]{2}(-[a-f]{1,3})?"
    made = texts(pieces, Grammar(pieces, of_regex(pattern), 60), 60)
    assert len(made) == 60
    assert all(re.fullmatch(pattern, text) for text in made)
    assert len({len(text) for text in made}) > 2


@pytest.mark.parametrize("pieces", [LETTERS, BYTES, MIXED], ids=["characters", "bytes", "mixed"])
def test_all_texts_are_json_of_the_schema(pieces):
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer", "maximum": 999, "minimum": 0}, "b": {"enum": ["ab", "tr"]}},
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    for form in (schema, json.dumps(schema)):
        made = texts(pieces, Grammar(pieces, of_schema(form), 30), 30)
        assert len(made) == 30
        for text in made:
            record = json.loads(text)
            assert list(record) == ["a", "b"]
            assert isinstance(record["a"], int)
            assert record["b"] in ("ab", "tr")


def test_all_texts_are_of_a_lark_grammar():
    made = texts(LETTERS, Grammar(LETTERS, of_lark('start: "ab" | "c" start "d"'), 60), 60, tokens=200)
    assert len(made) > 50
    assert all(re.fullmatch("(c*)ab(d*)", text) and text.count("c") == text.count("d") for text in made)
    assert len(set(made)) > 2


def test_a_choice_among_strings_is_one_of_them():
    options = ["ab", "abc", "é", "abc12"]
    made = texts(MIXED, Among(MIXED, [option.encode() for option in options], 200), 200)
    assert len(made) == 200
    assert set(made) == set(options)


def test_rows_are_followed_apart_when_taken():
    for constraint in (Among(LETTERS, [b"ab", b"ac"], 2), Grammar(LETTERS, of_regex("ab|ac"), 2)):
        constraint.append(torch.tensor([0, 0]))
        more = constraint.take(torch.tensor([1, 1, 0]))
        more.append(torch.tensor([1, 2, 1]))
        assert more.allowed()[:, -1].tolist() == [True] * 3
        assert constraint.allowed().sum(1).tolist() == [2, 2]


@pytest.mark.parametrize("make", [lambda: Grammar(LETTERS, of_regex("abz"), 1), lambda: Among(LETTERS, [b"abz"], 1)])
def test_a_constraint_that_asks_for_what_there_is_no_class_for_is_told(make):
    with pytest.raises(CapabilityError, match="leave something to write"):
        texts(LETTERS, make(), 1)


@pytest.mark.parametrize("grammar", ["(a", "["])
def test_a_constraint_that_cannot_be_read_is_told(grammar):
    with pytest.raises(InputError, match="must be readable"):
        Grammar(LETTERS, of_regex(grammar), 1, "regex")
    with pytest.raises(InputError, match="JSON object"):
        of_schema("[1")
    with pytest.raises(InputError, match="must be readable"):
        Grammar(LETTERS, of_lark("begin: 3"), 1)
    with pytest.raises(InputError, match="must be readable"):
        Grammar(LETTERS, of_schema({"type": "nonsense"}), 1)


class Stuck:
    """Lets rows that began with class 1 nowhere go; others write class 0 and end."""

    def __init__(self, past: list[list[int]]) -> None:
        self.past = past

    def allowed(self) -> torch.Tensor:
        ways = {0: [1, 1, 0], 1: [1, 0, 0]}  # by how much was written
        return torch.tensor(
            [[0, 0, 0] if row[:1] == [1] else ways.get(len(row), [0, 0, 1]) for row in self.past]
        ).bool()

    def append(self, classes: torch.Tensor) -> None:
        self.past = [[*row, number] for row, number in zip(self.past, classes.tolist(), strict=True)]

    def take(self, rows: torch.Tensor) -> Stuck:
        return Stuck([self.past[row] for row in rows.tolist()])


class Last:
    """The first class of each row is its number, all other chances are even."""

    def __init__(self, rows: int) -> None:
        self.rows, self.steps = torch.arange(rows), 0

    def logits(self) -> torch.Tensor:
        out = torch.zeros(len(self.rows), 3)
        if not self.steps:
            out[torch.arange(len(self.rows)), self.rows % 2] = 50.0
        return out

    def append(self, classes: torch.Tensor) -> None:
        self.steps += 1

    def take(self, rows: torch.Tensor) -> Last:
        taken = Last(0)
        taken.rows, taken.steps = self.rows[rows], self.steps
        return taken


def test_a_row_that_is_stuck_ends_without_the_others():
    past = torch.zeros(4, 0, dtype=torch.int64)
    steps = write(Last(4), past, 9, Sampling(), Noise(range(4)), Rules(), constraint=Stuck([[]] * 4), log_probs=True)
    made = collected(steps, 4)
    assert [passage.ended for passage in made] == ["end", "stuck"] * 2
    assert [passage.classes for passage in made] == [[0, 0], [1]] * 2
    assert [len(passage.log_probs) for passage in made] == [3, 1] * 2
    with pytest.raises(CapabilityError, match="leave something to write"):
        list(write(Last(4), past, 9, Sampling(), Noise(range(4)), Rules(), constraint=Stuck([[1]] * 4)))
