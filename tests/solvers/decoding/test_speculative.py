"""Speculative decoding: its distribution by enumeration of all that chance may do."""

from __future__ import annotations

import math

import pytest
import torch

from ensample.solvers.decoding import (
    Among,
    Greedy,
    Noise,
    RepetitionPenalty,
    Rules,
    Sampling,
    Watch,
    collected,
    speculate,
    write,
)
from tests.solvers.decoding.chains import Chain, Remembering, Rewound, begun, every_text, nothing, random_table

TARGET = torch.tensor([[1, 2, 1], [2, 1, 1], [2, 2, 0]], dtype=torch.float64) / 4
DRAFT = torch.tensor([[2, 1, 1], [1, 1, 2], [1, 2, 1]], dtype=torch.float64) / 4
FOUR = (0.125, 0.375, 0.625, 0.875)


class More(Exception):
    """A random number beyond those that are laid down was asked for."""


class Laid:
    """Random numbers that are laid down."""

    def __init__(self, numbers: tuple[float, ...]) -> None:
        self.numbers = list(numbers)

    def uniform(self):
        if not self.numbers:
            raise More
        return torch.tensor([self.numbers.pop(0)], dtype=torch.float64)


def distribution(tokens: int, ahead: int, kind: type[Chain]) -> dict[tuple[int, ...], float]:
    """All texts with their probabilities; every threshold is a multiple of a quarter, so that four numbers tell all."""
    found: dict[tuple[int, ...], float] = {}
    todo: list[tuple[float, ...]] = [()]
    while todo:
        laid = todo.pop()
        models = begun(TARGET, 1, kind), begun(DRAFT, 1, kind)
        try:
            steps = speculate(*models, nothing(1), tokens, Sampling(), Laid(laid), Rules(), ahead=ahead)
            passage = collected(steps, 1)[0]
        except More:
            todo += [(*laid, number) for number in FOUR]
            continue
        text = tuple(passage.classes) + ((2,) if passage.ended == "end" else ())
        found[text] = found.get(text, 0.0) + 0.25 ** len(laid)
    return found


@pytest.mark.parametrize("kind", [Chain, Rewound])
@pytest.mark.parametrize(("tokens", "ahead"), [(1, 1), (2, 1), (2, 2), (2, 5)])
def test_the_distribution_is_exactly_that_of_the_target(tokens, ahead, kind):
    wanted = {text: p for text, p in every_text(TARGET, tokens).items() if p > 0}
    assert distribution(tokens, ahead, kind) == pytest.approx(wanted, abs=1e-7)


@pytest.mark.parametrize("kind", [Rewound, Remembering])
@pytest.mark.parametrize("ahead", [1, 3, 8])
def test_greedy_speculation_writes_what_greedy_writes(ahead, kind):
    for seed in range(10):
        target, draft = random_table(5, seed, 2.0), random_table(5, seed + 100, 2.0)
        rules = Rules((RepetitionPenalty(1.2),), banned=(2,), at_least=10)
        plain = write(begun(target, 1, kind), nothing(1), 30, Greedy(), Noise([0]), rules, log_probs=True)
        quick = speculate(
            begun(target, 1, kind),
            begun(draft, 1, kind),
            nothing(1),
            30,
            Greedy(),
            Noise([0]),
            rules,
            ahead=ahead,
            log_probs=True,
        )
        assert collected(quick, 1) == collected(plain, 1)


def test_a_draft_that_is_the_target_is_never_refused():
    table = random_table(5, 3, 1.0)
    target = begun(table, 1, Rewound)
    steps = speculate(target, begun(table, 1, Rewound), nothing(1), 30, Sampling(), Noise([1]), Rules(at_least=30))
    assert len(collected(steps, 1)[0].classes) == 30
    assert target.calls == math.ceil(30 / 5)  # four drafted and one more each time


def test_stops_and_constraints_hold():
    table, draft = random_table(3, 1), random_table(3, 2)
    pieces = [b"a", b"b", b"c"]
    for seed in range(40):
        models = begun(table, 1, Rewound), begun(draft, 1)
        watch, rules = Watch(pieces, [b"ab"], 1), Rules(at_least=20)
        passage = collected(speculate(*models, nothing(1), 20, Sampling(), Noise([seed]), rules, watch=watch), 1)[0]
        text = b"".join(pieces[number] for number in passage.classes)
        assert (passage.ended == "stop") == text.endswith(b"ab")
        assert b"ab" not in text[:-1]
        models, options = (begun(table, 1, Rewound), begun(draft, 1)), [b"abc", b"ca", b"b", b"abcabc"]
        constraint = Among(pieces, options, 1)
        steps = speculate(*models, nothing(1), 20, Sampling(), Noise([seed]), Rules(), constraint=constraint)
        passage = collected(steps, 1)[0]
        assert b"".join(pieces[number] for number in passage.classes) in options
        assert passage.ended == "end"
