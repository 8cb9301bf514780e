"""Law 1 of tokenizers: what is encoded and decoded is what it was; prices of what was never met sum to one."""

import json
import math
import sys

import numpy as np
import pyarrow as pa
import pytest

from ensample.errors import CapabilityError, FormatError, InputError
from ensample.kinds.textprofile import TextProfile
from ensample.kinds.tokens import BPE, TOKENIZERS, Bytes, Characters, Unigram, Words, base, blocks
from tests.kinds.nasty import NASTY, random_texts

PROSE = ["The cat sat on the mat, and the cat ate.", "the dog can't", "A cat! A dog?\n\nThe end."] * 40


def profile(texts):
    return TextProfile.of(pa.array(texts, pa.string()))


def learned(name, texts, size=None):
    return TOKENIZERS[name].learn(profile(texts), size)


def there_and_back(tokens, texts):
    column = pa.array(texts, pa.string())
    parts = [(tokens.encode(block), rows) for block, rows in blocks(column, tokens)]
    lengths = np.zeros(len(texts), np.int64)
    for (_, counts), rows in parts:
        lengths[rows] += counts
    whole = np.concatenate([np.zeros(0, np.int64), *(classes for (classes, _), _ in parts)])
    assert lengths.sum() == len(whole) and (whole >= 0).all() and (whole < tokens.classes).all()
    return whole, lengths, tokens.decode(whole, lengths).to_pylist()


@pytest.mark.parametrize("name", TOKENIZERS)
def test_what_was_met_comes_back(name):
    texts = NASTY + random_texts(300, seed=1)
    tokens = learned(name, texts, {"bpe": 400, "unigram": 400}.get(name))
    classes, _, back = there_and_back(tokens, texts)
    assert back == texts
    assert tokens.unknown is None or not (classes == tokens.unknown).any()
    assert not tokens.prices(pa.array(texts)).any()
    again = TOKENIZERS[name].restored(json.loads(json.dumps(tokens.state)))
    assert np.array_equal(there_and_back(again, texts)[0], classes) and again.pieces == tokens.pieces


@pytest.mark.parametrize("name", ["bytes", "bpe", "unigram"])
def test_texts_never_met_come_back_from_bytes_and_pieces(name):
    tokens = learned(name, PROSE, 300 if name != "bytes" else None)
    texts = NASTY + random_texts(300, seed=2)
    assert there_and_back(tokens, texts)[2] == texts and tokens.unknown is None


def test_characters_and_words_never_met_become_one_class():
    letters = learned("characters", ["abc", "cab"])
    classes, lengths, back = there_and_back(letters, ["abxé", ""])
    assert classes.tolist() == [0, 1, 3, 3] and lengths.tolist() == [4, 0] and back == ["ab\ufffd\ufffd", ""]
    words = learned("words", ["the cat, the dog"])
    assert words.vocabulary[:2] == (" ", "the") and set(words.vocabulary) == {"the", "cat", "dog", " ", ", "}
    assert there_and_back(words, ["the cow, the dog"])[2] == ["the \ufffd, the dog"]


def test_a_character_never_met_is_one_of_all_others():
    letters = learned("characters", ["abc"])
    others = 0x110000 - 0x800 - 3
    assert letters.prices(pa.array(["abc", "axbx", "日"])) == pytest.approx(
        [0, -2 * math.log(others), -math.log(others)]
    )


def test_spellings_of_words_never_met_sum_to_one(monkeypatch):
    """Over an alphabet of two letters and three others, all runs but those of the vocabulary; longer ones by bound."""
    monkeypatch.setattr("ensample.kinds.tokens.words.UNICODE", 0x800 + 5)
    words = Words(("a", "b", "ab", "ba", "bbb", "aaab"))
    table, on, stop = words._letters
    met, other = math.exp(table[ord("a")]), math.exp(table[ord("z")])
    assert 2 * met + 3 * other == pytest.approx(1)
    assert math.exp(on) + math.exp(stop) == pytest.approx(1)
    letters = "abxyz"
    total, runs = 0.0, [""]
    for _ in range(5):
        runs = [run + letter for run in runs for letter in letters]
        new = [run for run in runs if run not in words.vocabulary]
        total += np.exp(words.prices(pa.array(new))).sum()
    longer = math.exp(5 * on) / (1 - words._known_share)  # runs of six letters and more
    assert total + longer == pytest.approx(1, rel=1e-9)


def test_subwords_agree_with_their_own_library_and_join_what_is_frequent():
    tokenizers = pytest.importorskip("tokenizers")
    for kind in (BPE, Unigram):
        tokens = kind.learn(profile(PROSE), 300)
        (classes, lengths), texts = tokens.encode(pa.array(PROSE[:3])), PROSE[:3]
        assert classes.tolist() == [number for text in texts for number in tokens._made.encode(text).ids]
        decoder, shown = tokenizers.decoders.ByteLevel(), tokens._made.id_to_token
        for number in (j for j, piece in enumerate(tokens.pieces) if piece.isascii()):
            assert decoder.decode([shown(number)]).encode() == tokens.pieces[number]
        assert any(piece.startswith(b" ca") for piece in tokens.pieces)
        assert lengths.sum() < 0.9 * sum(len(text) for text in texts)
        assert kind.learn(profile(PROSE), 300).state == tokens.state  # the same texts, the same vocabulary
        assert kind.learn(profile(PROSE), 258).classes <= 258 < tokens.classes <= 300


@pytest.mark.parametrize("name", TOKENIZERS)
def test_long_texts_are_cut_where_it_makes_no_difference(name, monkeypatch):
    long = ("The cat — 日本 — sat on the mat.\n" * 400) + "x" * 3000 + "é" * 2000
    tokens = learned(name, [long], {"bpe": 300, "unigram": 300}.get(name))
    whole = tokens.encode(pa.array([long]))[0]
    monkeypatch.setattr(base, "BLOCK", 1000)
    found = list(blocks(pa.array(["", "ab", long, "cd"]), tokens))
    assert len(found) > 15 and max(len(base.bytes_of(block)[0]) for block, _ in found) <= 1000
    classes, lengths, back = there_and_back(tokens, ["", "ab", long, "cd"])
    assert back[2] == long if tokens.unknown is None or name == "characters" else True
    if name in ("characters", "bytes"):
        assert np.array_equal(classes[lengths[:2].sum() : lengths[:3].sum()], whole)
    else:  # but for runs without a blank the borders are those of words
        prose = long[: long.index("x")]
        own = tokens.encode(pa.array([prose]))[0]
        start = lengths[:2].sum()
        assert np.array_equal(classes[start : start + len(own) - 2], own[:-2])
    alone = there_and_back(tokens, [long])[0]
    assert np.array_equal(alone, classes[lengths[:2].sum() : lengths[:3].sum()])  # whatever stands around it


def test_bytes_that_are_no_text_are_replaced():
    made = Bytes().decode(np.array([0x61, 0xFF, 0x62, 0xE2, 0x82]), np.array([3, 0, 2]))
    assert made.to_pylist() == ["a\ufffdb", "", "\ufffd"]


def test_sizes_of_vocabularies():
    assert learned("characters", ["aabbbc"], 3).alphabet == "ab"
    assert learned("words", ["a a a b b c"], 3).vocabulary == (" ", "a")
    with pytest.raises(InputError, match="256 bytes"):
        learned("bpe", PROSE, 200)


@pytest.mark.parametrize(
    "name, state",
    [
        ("characters", "ba"),
        ("characters", "\ud800"),
        ("bytes", "x"),
        ("words", "[1]"),
        ("words", '["a", "a"]'),
        ("words", "{"),
        ("bpe", "no"),
        ("bpe", "{}"),
        ("unigram", '{"model": 3}'),
    ],
)
def test_a_damaged_vocabulary_is_refused(name, state):
    with pytest.raises(FormatError, match="stored tokenizer"):
        TOKENIZERS[name].restored(state).encode(pa.array(["a"]))


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(CapabilityError, match=r"ensample\[text\]"):
        learned("bpe", PROSE)
    assert learned("characters", PROSE).classes > 10  # the others need nothing


def test_a_bounded_random_part_is_kept_to_learn_from(monkeypatch):
    monkeypatch.setattr("ensample.kinds.textprofile.KEPT", 50_000)
    monkeypatch.setattr("ensample.kinds.textprofile.PIECE", 1_000)
    texts = [f"{number:05d} " * 50 for number in range(2_000)] + ["é" * 40_000]
    found = TextProfile("text", pa.string())
    for start in range(0, len(texts), 100):
        found.add(pa.array(texts[start : start + 100]))
    kept = list(found.texts())
    size = sum(len(text.encode()) for text in kept)
    assert not found.whole and 25_000 < size <= 101_000
    numbers = [int(text[:5]) for text in kept if text[0] != "é"]
    assert 600 < np.median(numbers) < 1400  # from everywhere
    assert found.characters[ord("é")] == 40_000 and found.characters[ord("0")] > 100_000
    assert found.longest == 40_000 and found.longest_bytes == 80_000 and found.rows == 2_001
    few = profile(["ab", None, "c"])
    assert few.whole and list(few.texts()) == ["ab", "c"] and few.missing == 1


def test_names_of_letters_are_those_of_the_alphabet():
    assert Characters("abc").describe() == "3 characters (abc)"
    assert Characters("a\nb").pieces == (b"a", b"\n", b"b", b"")
