"""Beam search against all texts, one by one."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from ensample.errors import CapabilityError
from ensample.solvers.decoding import Among, Rules, Watch, beam_search
from ensample.solvers.decoding.patience import at_once, attainable
from ensample.solvers.decoding.patience import nothing as whatever
from tests.solvers.decoding.chains import Chain, begun, every_text, nothing, random_table

TABLE = random_table(3, seed=4)


def scores(table, tokens: int, power: float) -> dict[tuple[int, ...], float]:
    return {text: math.log(p) / len(text) ** power for text, p in every_text(table, tokens).items()}


def written(passage) -> tuple[int, ...]:
    return tuple(passage.classes) + ((3,) if passage.ended == "end" else ())


@pytest.mark.parametrize("power", [0.0, 0.7, 1.0, -0.5])
@pytest.mark.parametrize("tokens", [1, 2, 4])
def test_a_beam_wide_enough_for_all_finds_the_best_texts_in_order(tokens, power):
    found = beam_search(begun(TABLE, 1), nothing(1), tokens, 200, Rules(), power=power)[0]
    wanted = scores(TABLE, tokens, power)
    assert {written(passage) for passage in found} == set(wanted)
    assert len(found) == len(wanted)
    got = [wanted[written(passage)] for passage in found]
    assert got == pytest.approx(sorted(wanted.values(), reverse=True))


def test_a_narrow_beam_is_no_better_and_a_beam_of_one_is_greedy():
    table = random_table(3, seed=5, sharp=2.0)
    sums = []
    for beams in (1, 2, 40):
        found = beam_search(begun(table, 1), nothing(1), 5, beams, Rules(at_least=5), power=0.0)[0]
        sums.append(sum(found[0].log_probs))
    assert sums[0] <= sums[1] <= sums[2]
    last, greedy = 3, []
    for _ in range(5):
        last = int(table[last, :3].argmax())
        greedy.append(last)
    assert beam_search(begun(table, 1), nothing(1), 5, 1, Rules(at_least=5))[0][0].classes == greedy


def test_prompts_in_a_batch_are_searched_as_alone():
    past = torch.tensor([[3, 0], [1, 2], [2, 1]])
    rules = Rules()
    together = beam_search(Chain(TABLE, past[:, 1]), past, 6, 3, rules)
    for row in range(3):
        one = past[row : row + 1]
        assert beam_search(Chain(TABLE, one[:, 1]), one, 6, 3, rules) == [together[row]]
        assert len(together[row]) == 3


def test_log_probabilities_are_those_of_the_model():
    for passage in beam_search(begun(TABLE, 1), nothing(1), 4, 5, Rules())[0]:
        text = written(passage)
        wanted = [math.log(TABLE[a, b]) for a, b in zip((3, *text), text, strict=False)]
        assert passage.log_probs == pytest.approx(wanted, abs=1e-5)


def test_a_search_ends_when_nothing_better_can_come():
    table = torch.tensor([[0.1, 0.9], [0.1, 0.9]], dtype=torch.float64)
    calls: list[int] = []
    found = beam_search(Counted(table, torch.tensor([1]), calls), nothing(1), 100, 1, Rules(), power=0.0)[0]
    assert found[0].classes == []
    assert len(calls) == 1


def test_a_search_goes_on_while_longer_texts_may_be_better():
    table = torch.tensor([[0.99, 0.01], [0.4, 0.6]], dtype=torch.float64)  # to end at once is the best first step
    found = beam_search(begun(table, 1), nothing(1), 10, 1, Rules(), power=1.0)[0]
    assert found[0].classes == [0] * 10


def test_the_exact_bound_holds_for_all_that_may_follow_and_is_met():
    tokens, exceeded = 4, {1.0: 0, 0.0: 0, -0.5: 0}
    for power in exceeded:
        best: dict[tuple[int, ...], float] = {}
        for text, score in scores(TABLE, tokens, power).items():
            for length in range(len(text)):
                best[text[:length]] = max(best.get(text[:length], -math.inf), score)
        for begun_, score in best.items():
            total = sum(math.log(TABLE[a, b]) for a, b in itertools.pairwise((3, *begun_)))
            assert score <= attainable(total, len(begun_), tokens, power) + 1e-12
            exceeded[power] += score > at_once(total, len(begun_), tokens, power) + 1e-12
    assert exceeded[1.0] > 0 and exceeded[0.0] == exceeded[-0.5] == 0
    assert attainable(-3.0, 1, 6, 1.0) == -0.5 and attainable(-3.0, 1, 6, -1.0) == -6.0


class Counted(Chain):
    """Counts steps."""

    def __init__(self, table, last, calls):
        super().__init__(table, last)
        self.calls = calls

    def logits(self):
        self.calls.append(len(self.last))
        return super().logits()

    def take(self, rows):
        return Counted(self.table, self.last[rows], self.calls)


def searched(table, tokens, **options):
    """What is found, and after how many steps."""
    calls = []
    start = Counted(table, torch.tensor([len(table) - 1]), calls)
    return beam_search(start, nothing(1), tokens, 3, Rules(), **options)[0], len(calls)


def endless(*_):
    return math.inf


@pytest.mark.parametrize("power", [-0.5, 0.0, 0.5, 1.0])
def test_texts_wanted_are_those_of_a_search_to_the_last_step(power):
    saved = 0
    for seed in range(12):
        table = random_table(3, seed, sharp=1.5)
        whole, steps = searched(table, 8, power=power, bound=endless)
        assert steps == 8
        for wanted in (1, 2, 3):
            found, steps = searched(table, 8, power=power, wanted=wanted)
            assert found == whole[:wanted]
            saved += 8 - steps
            if power <= 0:
                assert searched(table, 8, power=power, wanted=wanted, bound=at_once) == (found, steps)
    assert saved > 0


def test_a_guess_stops_where_the_exact_bound_goes_on():
    table = torch.tensor([[0.3, 0.3, 0.4]] * 3, dtype=torch.float64)
    (never, long), (unlikely, short), (enough, shortest) = (
        searched(table, 50, bound=bound) for bound in (attainable, at_once, whatever)
    )
    assert long > 40 and shortest == 2 < short < 20
    assert len(never) == len(unlikely) == len(enough) == 3
    assert [len(text.classes) for text in unlikely] == [0, 1, 1] and never[0] == unlikely[0]


def test_stop_strings_and_constraints_hold_in_a_beam():
    pieces = [b"a", b"b", b"c"]
    found = beam_search(begun(TABLE, 1), nothing(1), 6, 4, Rules(at_least=6), watch=Watch(pieces, [b"ab"], 1))[0]
    for passage in found:
        text = b"".join(pieces[number] for number in passage.classes)
        assert (passage.ended == "stop") == text.endswith(b"ab")
        assert b"ab" not in text[:-1]
    options = [b"abc", b"ca", b"b"]
    start, constraint = begun(TABLE, 1), Among(pieces, options, 1)
    found = beam_search(start, nothing(1), 6, 9, Rules(), power=0.0, constraint=constraint)[0]
    sums = {b"".join(pieces[number] for number in p.classes): sum(p.log_probs) for p in found}
    assert set(sums) == set(options)
    assert sums[b"ca"] == pytest.approx(math.log(TABLE[3, 2] * TABLE[2, 0] * TABLE[0, 3]), abs=1e-5)


def test_a_constraint_without_a_way_is_told():
    constraint = Among([b"a", b"b", b"c"], [b"xyz"], 1)
    with pytest.raises(CapabilityError, match="leave something to write"):
        beam_search(begun(TABLE, 1), nothing(1), 6, 2, Rules(), constraint=constraint)
