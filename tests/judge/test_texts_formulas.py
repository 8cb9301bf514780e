"""Measures of texts against brute force, closed forms and other libraries."""

import itertools
import math
import random
import re

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from ensample.errors import InputError
from ensample.judge.texts.likelihood import bytes_of, likelihood
from ensample.judge.texts.novelty import ORDERS, novelty, runs_of
from ensample.judge.texts.paired import bleu, chrf
from ensample.judge.texts.shapes import characters_distance, lengths, words_distance
from ensample.judge.texts.suffixes import Suffixes
from ensample.judge.texts.tokens import characters, counted, grams, words
from ensample.judge.texts.twosample import two_sample
from ensample.judge.texts.variety import distinct, repeated, repetition, self_bleus
from tests.judge.texts import sentences


def scraps(count, most, letters="ab ", seed=0):
    rng = random.Random(seed)
    return ["".join(rng.choice(letters) for _ in range(rng.randint(0, most))) for _ in range(count)]


def runs(text, n):
    return [text[i : i + n] for i in range(len(text) - n + 1)]


def test_words_are_those_of_a_regular_expression():
    texts = [*sentences(50, 0), *scraps(60, 20, "ab_ 1,.\n'é—"), "", " ", "x"]
    found, whole = words(texts), "".join(texts)
    expected = [re.findall(r"\w+|[^\w\s]", text) for text in texts]
    assert found.lengths.tolist() == [len(each) for each in expected]
    flat = list(itertools.chain.from_iterable(expected))
    assert [whole[a:b] for a, b in found.places] == flat
    assert len(np.unique(found.ids)) == len(set(flat)) and len(dict(zip(flat, found.ids.tolist(), strict=True))) == len(
        set(flat)
    )


def test_characters_of_some_scripts_are_words():
    assert words(["漢字かな ab", "한국"]).lengths.tolist() == [5, 2]
    assert words(["👍🏽 ok"]).lengths.tolist() == [3]


def test_ngrams_have_numbers_of_their_own():
    texts = scraps(40, 12)
    for n, keys, owners in grams(characters(texts), 1, 5):
        expected = [(run, i) for i, text in enumerate(texts) for run in runs(text, n)]
        assert owners.tolist() == [i for _, i in expected]
        pairs = {(run, int(key)) for (run, _), key in zip(expected, keys, strict=True)}
        assert len(pairs) == len({run for run, _ in pairs}) == len({key for _, key in pairs})


def test_counts_of_groups_add_up():
    texts, others = scraps(40, 12), scraps(30, 9, seed=1)
    one, other = counted([characters(texts), characters(others)], 2, (0, 1))
    every = sorted({run for text in [*texts, *others] for run in runs(text, 2)})
    assert one.shape[1] == other.shape[1] == len(every)
    assert sorted(one.sum(0)) == sorted(sum(runs(t, 2).count(run) for t in texts) for run in every)


def test_cut_texts_keep_their_beginning():
    cut = characters(["abc", "de", "f"]).first(4)
    assert cut.lengths.tolist() == [3, 1, 0] and len(cut.ids) == 4


@pytest.mark.parametrize("longest", [None, 12, 40])
def test_longest_common_spans_by_brute_force(longest):
    for seed in range(40):
        texts = scraps(7, 12, "ab", seed)
        own, pool = np.array([0, 1, 2]), np.array([2, 3, 4, 5, 6])
        found = Suffixes(texts, longest).spans(own, pool)
        for row, i in enumerate(own):
            best = 0
            for a, b in itertools.combinations(range(len(texts[i]) + 1), 2):
                there = [(j, k) for j in pool for k in range(len(texts[j])) if texts[j].startswith(texts[i][a:b], k)]
                if [place for place in there if place != (i, a)]:
                    best = max(best, b - a)
            assert found.sizes[row] == best
            if best:
                start, place = found.starts[row], found.places[row]
                span = texts[i][start : start + best]
                assert texts[found.others[row]][place : place + best] == span and found.others[row] in pool
            else:
                assert found.others[row] == -1


def test_covered_characters():
    texts = ["xx to be or not yy", "qto be or q", "not", "be or not"]
    first, second = Suffixes(texts).covered(np.array([0, 1]), np.array([2, 3]), 5)
    assert "".join(c for c, inside in zip(texts[0], first, strict=True) if inside) == "be or not"
    assert "".join(c for c, inside in zip(texts[1], second, strict=True) if inside) == "be or "


def test_self_bleu_is_that_of_sacrebleu():
    sacrebleu = pytest.importorskip("sacrebleu")
    options = {"tokenize": "none", "smooth_method": "floor", "smooth_value": 0.1, "effective_order": True}
    metric = sacrebleu.BLEU(**options)
    rng = random.Random(1)
    texts = [" ".join(rng.choice(["a", "b", "c", "d", "e"]) for _ in range(rng.randint(1, 12))) for _ in range(30)]
    for side in (texts, ["a b c", "a b c d e a", "b c d a e a b c d", "a b c d"]):  # in the second, lengths are apart
        for i, score in enumerate(self_bleus(words(side))):
            others = [text for j, text in enumerate(side) if j != i]
            assert score == pytest.approx(metric.sentence_score(side[i], others).score / 100, abs=1e-9)


def test_repeats_by_brute_force():
    texts = [*scraps(60, 25, "abc"), "", "aaaa", "x"]
    found = repeated(characters(texts))
    for i, text in enumerate(texts):
        longest = max((n for n in range(1, len(text)) if len(set(runs(text, n))) < len(runs(text, n))), default=0)
        again = [k for k, run in enumerate(runs(text, 4)) if runs(text, 4).count(run) > 1]
        assert found.longest[i] == longest and found.tokens[i] == len(text)
        assert found.inside[i] == len({k + j for k in again for j in range(4)})


def test_variety_of_known_texts():
    one, other = characters(["aaab"] * 10), characters(["abcd"] * 10)
    found = {m.name: m for m in distinct(one, other, "character", 0)}
    assert found["distinct-1"].value == 2 / 40 and found["distinct-1"].target == 4 / 40
    assert found["distinct-3"].value == 2 / 20 and found["distinct-3"].better == "nearer"
    share, longest = repetition(characters(["abcdabcd", "abcdefgh"] * 10), other, "character", 0)
    assert share.value == 0.5 and share.low < 0.5 < share.high and share.target == 0.0
    assert longest.value == 2.0 and longest.parts["longest of all"] == 4.0


def test_distinct_compares_as_many_tokens():
    many, few = (characters(scraps(count, 30, "abcdefgh", seed)) for count, seed in ((900, 1), (150, 2)))
    for one, other in ((many, few), (few, many)):
        for measure in distinct(one, other, "character", 0):
            assert measure.low < measure.target < measure.high, measure


def test_novelty_by_sets():
    made, real, train = scraps(60, 30, "ab"), scraps(60, 30, "ab", 1), scraps(20, 30, "ab", 2)
    found = novelty(characters(made), characters(real), runs_of(characters(train)), "character", 0)
    for n in ORDERS:
        known = {run for text in train for run in runs(text, n)}
        for before, side in (("", made), ("held out ", real)):
            every = [run for text in side for run in runs(text, n)]
            assert found.parts[f"{before}{n}"] == pytest.approx(np.mean([run not in known for run in every]))
    assert found.value == pytest.approx(np.mean([found.parts[str(n)] for n in ORDERS]))
    assert found.target == pytest.approx(np.mean([found.parts[f"held out {n}"] for n in ORDERS]))


def test_novelty_leaves_out_lengths_that_few_texts_have():
    made, real, train = (characters([*scraps(300, 8, "abcd", seed), "a" * 13]) for seed in range(3))
    found = novelty(made, real, runs_of(train), "character", 0)
    assert "held out 5" in found.parts and "8" not in found.parts
    assert "runs of 4 to" in found.words and found.value > 0.05 and found.high - found.low < 0.1


def test_distances_are_those_of_scipy():
    made, real = sentences(80, 0), [text.upper() if i % 3 else text for i, text in enumerate(sentences(90, 1))]
    one, other = ([len(t) for t in side] for side in (made, real))
    found = lengths(np.array(one), np.array(other), 0)
    assert found.value == pytest.approx(wasserstein_distance(one, other) / np.mean(other))
    for measure, cut in (
        (characters_distance(characters(made), characters(real), 0), lambda text: runs(text, 3)),
        (words_distance(words(made), words(real), 0), lambda text: re.findall(r"\w+|[^\w\s]", text)),
    ):
        sides = [list(itertools.chain.from_iterable(map(cut, side))) for side in (made, real)]
        every = sorted(set(sides[0]) | set(sides[1]))
        counts = [[side.count(each) for each in every] for side in sides]
        assert measure.value == pytest.approx(jensenshannon(*counts, base=2) ** 2)
        assert measure.low < measure.value < measure.high


def test_intervals_of_distances_hold_the_truth():
    """Of real texts against real ones, 20 times: the interval of the length distance moves with its value."""
    apart = [lengths(*(np.array([len(t) for t in sentences(200, 2 * k + j)]) for j in (0, 1)), 0) for k in range(20)]
    assert np.mean([m.value for m in apart]) < 0.1 and all(m.low <= m.value <= m.high for m in apart)


def test_likelihood_is_divided_by_characters_and_bytes():
    nats = np.array([-3.0, -5.0, -1.0])
    per_character, per_byte, perplexity = likelihood(nats, ["été", "ab", ""], np.array([4, 3, 1]))
    assert per_character.value == pytest.approx(9 / math.log(2) / 5)
    assert per_byte.value == pytest.approx(9 / math.log(2) / 7)
    assert perplexity.value == pytest.approx(math.exp(9 / 8))
    assert per_character.low <= per_character.value <= per_character.high and per_character.better == "lower"
    (impossible,) = likelihood(np.array([-1.0, -np.inf]), ["a", "b"], None)
    assert impossible.value == math.inf and "1 of 2 held-out texts have no probability" in impossible.words


def test_bytes_are_those_of_utf_8():
    texts = ["", "a", "é", "\u07ff\u0800", "漢字", "\uffff😀", "a" * 5]
    assert bytes_of(texts).tolist() == [len(text.encode()) for text in texts]


def test_a_classifier_finds_what_differs_and_nothing_else():
    real = sentences(300, 0)
    same, other = sentences(300, 1), [t.replace("The", "A") for t in sentences(300, 1)]
    short = [t[:-1] for t in sentences(300, 1)]
    scores = [two_sample(characters(made), characters(real), 0) for made in (same, other, short)]
    assert scores[0].low < 0.5 < scores[0].high and "cannot tell" in scores[0].words
    assert scores[1].value > 0.99 and scores[2].value > 0.99  # also the ends of texts are seen
    assert "tells nearly every made text" in scores[1].words


def test_pairs_are_scored_as_sacrebleu_scores_them():
    sacrebleu = pytest.importorskip("sacrebleu")
    made, right = (
        sentences(60, 0),
        [a if i % 2 else b for i, (a, b) in enumerate(zip(*(sentences(60, s) for s in (0, 1)), strict=True))],
    )
    for mine, metric in ((bleu(made, right), sacrebleu.BLEU()), (chrf(made, right), sacrebleu.CHRF())):
        assert mine.value == pytest.approx(metric.corpus_score(made, [right]).score)
        assert mine.low < mine.value < mine.high and mine.better == "higher"
    assert bleu(made, right, lowercase=True).value >= bleu(made, right).value
    several = [[a, b] if i % 3 else [a] for i, (a, b) in enumerate(zip(right, made, strict=True))]
    second = [row[1] if len(row) > 1 else None for row in several]
    expected = sacrebleu.BLEU().corpus_score(made, [right, second]).score
    assert bleu(made, several).value == pytest.approx(expected) and expected > bleu(made, right).value
    assert bleu(made, made).value == pytest.approx(100) == bleu(made, made).high
    with pytest.raises(InputError, match="59"):
        bleu(made, right[1:])
