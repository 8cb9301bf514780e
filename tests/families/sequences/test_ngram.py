"""n-gram models against a slow independent implementation, and what they promise besides."""

import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch

from ensample.budget import Budget, Clock
from ensample.errors import CapabilityError, InputError
from ensample.events import MISSING_LENGTH, Batch, Discrete, Mixed, Ragged, Span
from ensample.families import Ngram
from ensample.families.sequences.ngram import choice, tally, windows
from ensample.families.sequences.ngram.family import smoothed
from ensample.families.sequences.ngram.tally import Tally, tallied
from ensample.families.sequences.ngram.windows import Stream, windows_of
from ensample.kinds.records import ABSENT
from ensample.kinds.sequences import Sequences
from ensample.run import Run
from ensample.solvers.continuation import Continuation
from ensample.train import learn

CLASSES = 5
BEGIN, END = "begin", "end"


def event_of(classes=CLASSES, longest=9):
    return Ragged(Mixed((Span("token", Discrete(classes)),)), longest)


def records_of(lists, classes=CLASSES):
    table = np.array([x for row in lists for x in row], np.int64).reshape(-1, 1)
    return Sequences(event_of(classes), table, lengths=np.array([len(row) for row in lists]))


def chain(count, seed=0, classes=CLASSES):
    """Records of a chain that remembers two symbols; the last class is never met."""
    rng = np.random.default_rng(seed)
    odds = rng.dirichlet(np.full(classes - 1, 0.4), (classes, classes))
    out = []
    for _ in range(count):
        row = [0, 0]
        while rng.random() > 0.15:
            row.append(int(rng.choice(classes - 1, p=odds[row[-2], row[-1]])))
        out.append(row[2:])
    return out


def fit(lists, seed=0, classes=CLASSES, **options):
    return learn(Ngram(**options), records_of(lists, classes), seed, Run(Clock(Budget.parse("60s"))))


class Slow:
    """Interpolated modified Kneser-Ney by dictionaries, as Chen and Goodman (1999) write it."""

    def __init__(self, lists, order, classes=CLASSES, least=1):
        self.order, self.symbols = order, [*range(classes), END]
        met = [Counter() for _ in range(order)]
        for row in lists:
            text = [BEGIN, *row, END]
            for i in range(1, len(text)):
                for n in range(1, order + 1):
                    if i - n + 1 >= 0:
                        met[n - 1][tuple(text[i - n + 1 : i + 1])] += 1
        self.counts, self.discounts, self.dropped = [], [], []
        for n in range(1, order + 1):
            counts = dict(met[n - 1])
            if n < order:
                ways = defaultdict(set)
                for gram in met[n]:
                    ways[gram[1:]].add(gram[0])
                counts = {gram: c if gram[0] == BEGIN else len(ways[gram]) for gram, c in counts.items()}
            self.counts.append(counts)
            self.discounts.append(self.three(list(counts.values())))
            self.dropped.append({gram for gram, c in met[n - 1].items() if c < least and n > 1})

    @staticmethod
    def three(counts):
        t = [sum(c == k for c in counts) for k in (1, 2, 3, 4)]
        if 0 in t:
            return 0.5, 1.0, 1.5
        y = t[0] / (t[0] + 2 * t[1])
        found = 1 - 2 * y * t[1] / t[0], 2 - 3 * y * t[2] / t[1], 3 - 4 * y * t[3] / t[2]
        return found if all(0 < d < k for k, d in enumerate(found, 1)) else (0.5, 1.0, 1.5)

    def p(self, before, symbol, n=None):
        n = min(self.order, len(before) + 1) if n is None else n
        if n == 0:
            return 1 / len(self.symbols)
        context = tuple(before[len(before) - n + 1 :])
        counts = {s: self.counts[n - 1].get((*context, s), 0) for s in self.symbols}
        total = sum(counts.values())
        if total == 0:
            return self.p(before, symbol, n - 1)
        d = self.discounts[n - 1]
        mass = {
            s: (c - d[min(c, 3) - 1]) / total
            for s, c in counts.items()
            if c and (*context, s) not in self.dropped[n - 1]
        }
        return mass.get(symbol, 0.0) + (1 - sum(mass.values())) * self.p(before, symbol, n - 1)

    def log_prob(self, row):
        text = [BEGIN, *row, END]
        return sum(math.log(self.p(text[max(0, i - self.order + 1) : i], text[i])) for i in range(1, len(text)))


@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("least", [1, 3])
def test_equal_to_a_slow_implementation(order, least):
    lists, fresh = chain(300), [*chain(40, seed=1), [], [4, 4], [0] * 9]
    slow, fast = Slow(lists, order, least=least), fit(lists, order=order, least=least)
    expected = [slow.log_prob(row) for row in fresh]
    assert fast.log_prob(records_of(fresh).batch()).tolist() == pytest.approx(expected, abs=1e-10)


def test_closed_discounts_are_used_where_they_exist():
    lists = chain(300)
    slow, fast = Slow(lists, 4), fit(lists, order=4)
    for mine, theirs in zip(fast.levels, slow.discounts, strict=True):
        assert mine.counts.discounts.tolist() == pytest.approx(list(theirs))
    assert slow.discounts[3] != (0.5, 1.0, 1.5) == slow.discounts[0]


def test_continuations_give_the_chances_of_log_prob():
    lists = chain(200)
    slow, fast = Slow(lists, 3), fit(lists, order=3)
    prompts = [[], [1], [0, 3, 2], [4, 4, 4, 4], [2, 2]]
    going = fast.continuation(records_of(prompts).batch())
    assert isinstance(going, Continuation)
    going.append(torch.tensor([0, 1, 2, 3, 4]))
    going = going.take(torch.tensor([4, 0, 0, 2]))
    grown = [[2, 2, 4], [0], [0], [0, 3, 2, 2]]
    odds = going.logits().double().exp()
    assert odds.shape == (4, CLASSES + 1) and torch.allclose(odds.sum(1), torch.ones(4).double(), atol=1e-6)
    for row, seen in zip(grown, odds.tolist(), strict=True):
        before = [BEGIN, *row][-2:]
        assert seen == pytest.approx([slow.p(before, s) for s in [*range(CLASSES), END]], rel=1e-5)


def test_samples_are_those_of_the_continuation():
    """Chi-square of two-symbol beginnings of samples against the chances of the slow implementation."""
    lists = chain(150)
    slow, fast = Slow(lists, 4), fit(lists, order=4)
    made = fast.sample(30_000, torch.Generator().manual_seed(0))
    whole = torch.where(made.mask[..., 0], made.cells[..., 0], CLASSES)[:, :2].numpy()
    seen = np.bincount(whole[:, 0] * 6 + whole[:, 1], minlength=36).reshape(6, 6)
    expected = np.zeros((6, 6))
    for a, b in itertools.product(range(6), range(6)):
        one, two = (END if s == CLASSES else s for s in (a, b))
        if one == END:
            expected[a, b] = slow.p([BEGIN], END) if two == END else 0.0
        else:
            expected[a, b] = slow.p([BEGIN], one) * slow.p([BEGIN, one], two)
    assert seen[expected == 0].sum() == 0 and expected.sum() == pytest.approx(1.0)
    error = np.sqrt(expected * (1 - expected) / 30_000)
    assert np.all(np.abs(seen / 30_000 - expected) < 5 * error + 1e-9)


def test_unknown_symbols_are_summed_over():
    lists = chain(100)
    slow, fast = Slow(lists, 3), fit(lists, order=3)
    row = [1, None, 0, None, None, 2]
    fills = itertools.product(range(CLASSES), repeat=3)
    total = sum(math.exp(slow.log_prob([1, a, 0, b, c, 2])) for a, b, c in fills)
    batch = records_of([[x or 0 for x in row], [1, 2], [3, 0, 0, 2]]).batch()
    batch.mask[0, [1, 3, 4], 0] = False
    batch.mask[2, 1, 0] = False
    other = sum(math.exp(slow.log_prob([3, a, 0, 2])) for a in range(CLASSES))
    seen = fast.log_prob(Batch(torch.where(batch.mask, batch.cells, 0), batch.mask, lengths=batch.lengths))
    assert seen.tolist() == pytest.approx([math.log(total), slow.log_prob([1, 2]), math.log(other)], abs=1e-9)


def test_too_many_unknown_symbols_are_refused():
    fast = fit([list(range(60))] * 3, order=9, classes=60)
    cells = torch.zeros(1, 9, 1, dtype=torch.int64)
    with pytest.raises(CapabilityError, match="unknown steps"):
        fast.log_prob(Batch(cells, cells.bool(), lengths=torch.tensor([9])))


def test_unknown_symbols_in_learning_break_what_stands_before():
    records = records_of([[0, 1, 2, 3], [0, 1, 2, 3], [1, 1]])
    table = records.table.copy()
    table[1] = ABSENT
    holed = learn(Ngram(order=3), Sequences(event_of(), table, lengths=records.lengths), 0, Run())
    two = holed.levels[2]
    grams = {
        (int(two.counts.parents[o]), int(two.counts.contexts[o]), int(s))
        for o, s in zip(two.counts.owners, two.counts.symbols, strict=True)
    }
    one = holed.levels[1].counts.contexts.tolist()
    named = {(farthest, one[parent], last) for parent, farthest, last in grams}
    assert (0, 1, 2) in named and (5, 0, 1) in named and not any(6 in gram for gram in named)
    batch = records_of([[0, 1, 2, 3]]).batch()
    assert math.isfinite(float(holed.log_prob(batch)[0]))


def test_blocks_and_long_keys_make_no_difference(monkeypatch):
    lists = chain(120)
    whole = fit(lists, order=4)
    monkeypatch.setattr(windows, "BLOCK", 37)
    assert all(
        torch.equal(a, b) for a, b in zip(whole.arrays().values(), fit(lists, order=4).arrays().values(), strict=True)
    )
    monkeypatch.setattr(tally, "_layout", lambda classes: (3, 2))  # two symbols a word: three words a window
    apart = fit(lists, order=5)
    assert apart.log_prob(records_of(lists).batch()).tolist() == pytest.approx(
        [Slow(lists, 5).log_prob(row) for row in lists]
    )


def test_counting_ends_with_the_budget(monkeypatch):
    monkeypatch.setattr(windows, "BLOCK", 50)
    lists, seen = chain(200), []
    clock = Clock(Budget(seconds=1e-9))
    model = learn(Ngram(order=2), records_of(lists), 0, Run(clock, report=seen.append))
    assert int(model.levels[0].counts.counts.sum()) < 40 and len(seen) == 1
    whole = fit(lists, order=1).levels[0].counts
    assert int(whole.counts.sum()) == sum(len(row) + 1 for row in lists)


def test_long_streams_choose_by_some_of_their_blocks(monkeypatch):
    monkeypatch.setattr(windows, "BLOCK", 50)
    monkeypatch.setattr(choice, "LEARNED", 300)
    stream = Stream(records_of(chain(300)), CLASSES)
    every = -(-len(stream) // 300)
    starts = [start for start, _ in stream.windows(3, every)]
    assert starts == list(range(1, len(stream), 50 * every)) and every > 3
    assert choice.best_order(stream, 4, 1, 0) in (1, 2, 3, 4)


def test_held_out_stretches_are_short():
    stream = Stream(records_of([[0] * 30_000, [1, 2], [0] * 9]), CLASSES)
    count, longest = stream.stretches()
    numbers = stream.stretch_of(np.arange(1, len(stream)))
    assert longest == 300 and np.array_equal(np.unique(numbers), np.arange(count)) and count == 103
    assert np.bincount(numbers).max() == 300 and numbers[30_000] == 100 and numbers[30_001:30_004].tolist() == [101] * 3
    assert Stream(records_of([[0] * 3_000_000]), CLASSES).stretches() == (301, 10_000)


def test_order_is_lowered_where_windows_are_too_many():
    stream = Stream(records_of(chain(200)), CLASSES)
    found = tallied((w for _, w in stream.windows(6)), 6, CLASSES, most=60)
    plain = Tally.of(next(stream.windows(6))[1], found.order, CLASSES)
    assert 1 < found.order < 6 and len(found) <= 60
    assert np.array_equal(found.counts, plain.counts) and np.array_equal(found.words[0], plain.words[0])


def test_windows_reach_back_to_the_beginning_only():
    found = windows_of(np.array([5, 1, 2, 5, 5, 3, 5]), 5, 4)
    assert found.symbols.tolist() == [1, 2, 5, 5, 3, 5]
    assert found.before.tolist() == [[5, 6, 6], [1, 5, 6], [2, 1, 5], [5, 6, 6], [5, 6, 6], [3, 5, 6]]
    part = windows_of(np.array([1, 2, 5, 5, 3, 5]), 5, 4, first=3)
    assert part.before.tolist() == found.before[3:].tolist()


def test_the_order_is_chosen_on_held_out_records():
    lists = chain(1_500)
    chosen = fit(lists).order
    fresh = records_of(chain(400, seed=0)[300:]).batch()
    scores = {n: float(fit(lists[400:], order=n).log_prob(fresh).mean()) for n in (1, 2, 3, 5)}
    assert chosen == 3 and max(scores, key=scores.__getitem__) == 3
    assert fit([[0, 1]] * 2, highest=1).order == 1
    one = records_of([list(np.random.default_rng(0).integers(0, 4, 3_000))])
    assert learn(Ngram(), one, 0, Run()).order == 1  # a single record is held out in parts


def test_the_losses_of_the_choice_are_those_of_fitted_models():
    lists = [row for row in chain(400) if len(row) < 12]
    stream = Stream(records_of(lists), CLASSES)
    held = choice.held_out(stream, 0)
    seen = choice.losses_of(stream, held, 4, 2)
    learned = [row for row, out in zip(lists, held, strict=True) if not out]
    apart = records_of([row for row, out in zip(lists, held, strict=True) if out])
    for order, loss in enumerate(seen, 1):
        total = float(fit(learned, order=order, least=2).log_prob(apart.batch()).sum())
        assert -total / (len(apart.table) + len(apart)) == pytest.approx(loss, rel=1e-9)


def test_rare_ngrams_are_not_kept():
    lists = [[0, 1, 2, 3]] + [[0, 1]] * 5
    kept = fit(lists, order=6, least=2)
    assert kept.order == 4 and len(kept.levels[3].counts.symbols) == 1  # begin, 0, 1, end
    two = kept.levels[1].counts
    pairs = set(zip(two.contexts[two.owners].tolist(), two.symbols.tolist(), strict=True))
    assert pairs == {(5, 0), (0, 1), (1, 5)}
    assert (1, 2) not in pairs and len(kept.levels[0].counts.symbols) == 5


def test_missing_records():
    lists, lengths = [[0, 1], [2]], np.array([2, MISSING_LENGTH, 1, MISSING_LENGTH])
    event = Ragged(event_of().element, 2, missing=True)
    records = Sequences(event, np.array([[0], [1], [2]]), lengths=lengths)
    model = learn(Ngram(order=2), records, 0, Run())
    seen = model.log_prob(records.batch())
    plain = fit(lists, order=2).log_prob(records_of(lists).batch()) + math.log(0.5)
    assert seen[[0, 2]].tolist() == pytest.approx(plain.tolist()) and float(seen[1]) == pytest.approx(math.log(0.5))


def test_state_is_narrow():
    arrays = fit(chain(100), order=3).arrays()
    assert arrays["2.symbols"].dtype == torch.uint8 and arrays["discounts"].dtype == torch.float64
    assert sum(a.numel() * a.element_size() for a in arrays.values()) < 2_500
    again = smoothed(Tally.of(windows_of(np.array([5, 1, 5]), 5, 2), 2, 5), 1)
    assert [len(level.symbols) for level in again] == [2, 2]


def test_refusals():
    number = Ragged(Mixed((Span("a", Discrete(2)), Span("b", Discrete(2)))), 3)
    assert "one category a step" in Ngram().refuses_sequences(number, None)
    assert "given" in Ngram().refuses_sequences(event_of(), Mixed((Span("a", Discrete(2)),)))
    assert "no order" in Ngram().refuses_sequences(Ragged(event_of().element, 3, ordered=False), None)
    with pytest.raises(InputError, match="ngram, order"):
        Ngram(order=0)
