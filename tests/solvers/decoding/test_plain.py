"""Writing on against the exact distribution of tables."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

from ensample.solvers.decoding import Greedy, Noise, Rules, Sampling, Temperature, TopK, Watch, collected, write
from ensample.solvers.decoding.choices import drawn
from tests.solvers.decoding.chains import Chain, begun, every_text, nothing, random_table

TABLE = random_table(3, seed=0)
FALSE_ALARM = 1e-6  # of each frequency test
FREE = Rules()


def chi_square(counts: Counter, expected: dict[tuple[int, ...], float], n: int) -> float:
    """p-value of the counts, rare texts together."""
    common = {text for text, p in expected.items() if n * p >= 5}
    seen = [counts[text] for text in common] + [sum(c for text, c in counts.items() if text not in common)]
    wanted = [n * expected[text] for text in common] + [n * sum(expected[t] for t in expected if t not in common)]
    if wanted[-1] < 5:
        seen, wanted = seen[:-1], wanted[:-1]
    return float(stats.chisquare(seen, np.array(wanted) * sum(seen) / sum(wanted)).pvalue)


def texts(passages) -> Counter:
    return Counter(tuple(p.classes) + ((3,) if p.ended == "end" else ()) for p in passages)


def run(rows: int, tokens: int, rules: Rules = FREE, first: int = 0, **more):
    noise = Noise([[5, row] for row in range(first, first + rows)])
    return collected(write(begun(TABLE, rows), nothing(rows), tokens, Sampling(), noise, rules, **more), rows)


def test_texts_are_as_frequent_as_they_are_probable():
    n = 20_000
    assert chi_square(texts(run(n, 4)), every_text(TABLE, 4), n) > FALSE_ALARM


def test_with_temperature_texts_are_as_frequent_as_those_of_the_tempered_table():
    n = 20_000
    sharper = torch.softmax(TABLE.log() / 0.5, 1)
    assert chi_square(texts(run(n, 3, Rules((Temperature(0.5),)))), every_text(sharper, 3), n) > FALSE_ALARM


def test_a_row_writes_the_same_alone_and_among_others():
    rules = Rules(at_least=4)
    together = run(50, 12, rules)
    assert [run(1, 12, rules, first=row)[0] for row in range(50)] == together
    assert len({tuple(p.classes) for p in together}) > 30


def test_rows_that_end_are_dropped_and_change_nothing():
    widths = []

    class Counted(Chain):
        def logits(self):
            widths.append(len(self.last))
            return super().logits()

        def take(self, rows):
            return Counted(self.table, self.last[rows])

    noise = Noise([[5, row] for row in range(50)])
    start = Counted(TABLE, torch.full((50,), 3))
    passages = collected(write(start, nothing(50), 12, Sampling(), noise, Rules()), 50)
    assert passages == run(50, 12)
    assert widths[0] == 50
    assert widths[-1] < 10


def test_log_probabilities_are_those_of_the_model_before_rules_and_hold_the_end():
    for passage in run(200, 5, Rules((TopK(2), Temperature(0.3))), log_probs=True):
        classes = passage.classes + ([3] if passage.ended == "end" else [])
        before = [3, *passage.classes]
        wanted = [math.log(TABLE[a, b]) for a, b in zip(before, classes, strict=False)]
        np.testing.assert_allclose(passage.log_probs, wanted, atol=1e-5)
        assert len(passage.log_probs) == len(classes)


def test_a_least_number_of_steps_bans_the_end_until_then():
    passages = run(300, 6, Rules(at_least=4))
    assert min(len(p.classes) for p in passages) == 4
    assert {p.ended for p in passages} == {"end", "tokens"}


def test_banned_classes_never_come():
    assert not any(1 in p.classes for p in run(300, 6, Rules(banned=(1,))))


def test_greedy_takes_the_most_probable_way():
    passage = collected(write(begun(TABLE, 1), nothing(1), 5, Greedy(), Noise([0]), Rules(at_least=9)), 1)[0]
    last, wanted = 3, []
    for _ in range(5):
        last = int(TABLE[last, :3].argmax())
        wanted.append(last)
    assert passage.classes == wanted


def test_rules_see_prompts_and_what_was_written():
    seen = []

    class Spy:
        def __call__(self, logits, past):
            seen.append(past.tolist())
            return logits

    past = torch.tensor([[3, 0], [1, 2]])
    steps = write(Chain(TABLE, past[:, 1]), past, 3, Greedy(), Noise([0, 1]), Rules((Spy(),), at_least=9))
    passages = collected(steps, 2)
    assert seen[0] == past.tolist()
    assert seen[2] == [past[row].tolist() + passages[row].classes[:2] for row in range(2)]


@pytest.mark.parametrize("rows", [1, 7])
def test_stop_strings_stop_each_row_by_itself(rows):
    pieces, stop = [b"a", b"ab", b"b"], b"bb"
    passages = run(rows, 40, Rules(at_least=40), watch=Watch(pieces, [stop], rows))
    for passage in passages:
        written = b"".join(pieces[number] for number in passage.classes)
        before = b"".join(pieces[number] for number in passage.classes[:-1])
        assert stop not in before
        assert (passage.ended == "stop") == (stop in written)
    assert any(p.ended == "stop" for p in passages)


def test_a_draw_never_takes_a_class_of_weight_zero():
    weights = torch.tensor([[0.0, 1.0, 0.0, 3.0, 0.0]]).repeat(4, 1)
    uniform = torch.tensor([0.0, 0.25, 1 - 2.0**-53, 0.2499999])
    assert drawn(weights, uniform.double()).tolist() == [1, 1, 3, 1]
    uniform = torch.tensor([0.0, 0.26, 1 - 2.0**-53, 0.5], dtype=torch.float64)
    assert drawn(weights, uniform).tolist() == [1, 3, 3, 3]
