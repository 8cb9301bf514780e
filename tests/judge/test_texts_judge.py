"""Texts judged as a whole: good, bad, repeating and copied ones, the page, the leaderboard."""

import json
import re

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

import ensample as en
from ensample.data.dataset import Dataset
from ensample.errors import InputError
from ensample.judge.dotplots import track
from ensample.judge.leaderboard import compare_on
from ensample.judge.report import report
from ensample.judge.texts.copies import exact_copies
from ensample.judge.texts.doctor import check_made, check_texts
from ensample.judge.texts.evaluate import judge_texts, loose_characters, real_texts
from ensample.judge.texts.reference import Side, Sizes, TextReference
from ensample.judge.texts.view import curve, marked, usage
from tests.judge.test_board import fit
from tests.judge.texts import reference, sentences, table


@pytest.fixture(scope="module")
def real():
    return reference()


def thief(share, long=False):
    """Fresh texts, of which some are training texts with a word put before."""
    fresh, train = sentences(250, 5), sentences(600, 0)
    train = sorted(train, key=len)[-250:] if long else train
    return [f"Well. {train[i]}" if i % 10 < 10 * share else text for i, text in enumerate(fresh)]


@pytest.fixture(scope="module")
def judged(real):
    made = {
        "fresh": table(sentences(300, 5)),
        "ceiling": real_texts(real, 300),
        "floor": loose_characters(real, 300),
        "thief": table(thief(0.4, long=True)),
        "parrot": table([text.split(". ")[0] + " again and again and again and again." for text in sentences(250, 6)]),
        "short": table([text[:9] for text in sentences(250, 6)]),
        "strange": table([text.replace("e", "€") for text in sentences(250, 6)]),
        "one": table(sentences(1, 7) * 250),
    }
    return {name: judge_texts(real, each) for name, each in made.items()}


def test_good_texts_are_near_and_bad_ones_far(judged):
    for name in ("two-sample test", "character n-grams", "word shares"):
        fresh, floor = (judged[k][name] for k in ("fresh", "floor"))
        assert fresh.beats(floor) and not floor.beats(fresh), name
        assert fresh.low <= fresh.parts["real texts"] * 1.5, name
    assert judged["fresh"]["two-sample test"].low < 0.5 and judged["floor"]["two-sample test"].value > 0.95
    assert "real texts get" in judged["fresh"]["word shares"].words
    assert judged["short"]["length distance"].value > 0.7 > 0.2 > judged["fresh"]["length distance"].value


def test_targets_are_those_of_held_out_texts(judged):
    for name in ("distinct-1", "distinct-2", "distinct-3", "self-BLEU", "repetition", "novelty", "copied span"):
        fresh = judged["fresh"][name]
        assert fresh.better == "nearer" and abs(fresh.value - fresh.target) < 0.15 * fresh.target + 0.02, name
    assert judged["parrot"]["repetition"].value > 0.3 > 0.1 > judged["parrot"]["repetition"].target
    assert judged["one"]["self-BLEU"].value == pytest.approx(1.0)
    assert judged["strange"]["unknown characters"].value > 0.05 > judged["fresh"]["unknown characters"].value == 0
    assert (
        judged["ceiling"]["novelty"].value == 0.0 < judged["fresh"]["novelty"].value < judged["floor"]["novelty"].value
    )


def test_copies_are_found(judged):
    check = judged["thief"].copy
    assert (
        check.copied
        and check.long.low > 0.2 > check.long.target
        and "It copies training texts" in check.sentence(None, "text")
    )
    for k, size in enumerate(check.found.sizes):  # every span stands where it is said to stand
        if size:
            mine, other = check.judged.texts[k], check.learned.texts[check.found.others[k]]
            start, place = int(check.found.starts[k]), int(check.found.places[k])
            assert mine[start : start + size] == other[place : place + size]
            assert bool(check.marks[k][start]) == (size >= check.told)
    assert not judged["fresh"].copy.copied and not judged["floor"].copy.copied and judged["ceiling"].copy.copied
    assert judged["ceiling"].copy.exact.value == 1.0 and judged["thief"].copy.share.value > 0.5
    assert judged["ceiling"]["texts with copies"].value > 0.3
    sizes = [check.found.sizes[pair.made] for pair in check.closest]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] == check.found.sizes.max()


def test_short_texts_met_again_are_no_copies():
    """Names of three letters, each once in the data: a fair model makes both sides alike, a thief only one."""
    rng = np.random.default_rng(0)
    names = ["".join(rng.choice(list("abcdefgh"), 3)) for _ in range(3_000)]
    names = sorted(set(names), key=names.index)
    train, test = Side(tuple(names[100:])), Side(tuple(names[:100]))
    fair, luck = exact_copies(train, test, Side(tuple(rng.choice(names, 1_000))))
    assert fair.value > 0.5 and luck > 0.01 and fair.low < fair.target
    stolen, chance = exact_copies(train, test, Side(tuple(rng.choice(names[100:], 1_000))))
    assert stolen.value == 1.0 and chance < 1e-6 and stolen.value > stolen.target
    expected = stats.binomtest(970, 1_000, (len(names) - 100) / len(names), alternative="greater").pvalue
    made = Side((*rng.choice(names[100:], 970), *rng.choice(names[:100], 30)))
    assert exact_copies(train, test, made)[1] == pytest.approx(expected)


def test_warnings_in_words(real, judged):
    words = {name: " ".join(map(str, check_made(real, each))) for name, each in judged.items()}
    assert "copies:" in words["thief"] and "word for word" in words["thief"]
    assert "repeats itself" in words["parrot"] and "too short" in words["short"]
    assert "unknown characters" in words["strange"] and "'€'" in words["strange"]
    assert "occur twice or more" in words["one"] and "all alike" in words["one"] and "little variety" in words["one"]
    assert words["fresh"] == ""
    assert "half of them have at most 9 characters" in words["short"]
    leaky = reference(sentences(100, 0), sentences(100, 0)[:50] + sentences(50, 1))
    found = " ".join(map(str, check_texts(leaky)))
    assert "leak" in found and "only 100" in found
    damaged = reference([t.replace("o", "�") for t in sentences(40, 0)], sizes=Sizes(train=700))
    assert "wrong encoding" in " ".join(map(str, check_texts(damaged)))
    assert re.search(r"looked for in \d+ of 40 training texts", " ".join(map(str, check_texts(damaged))))


def test_floor_keeps_lengths_and_characters_only(real):
    made = loose_characters(real, 4_000).column("text").to_pylist()
    train = sentences(600, 0)
    assert {len(text) for text in made} <= {len(text) for text in train}
    share = [sum(text.count("e") for text in side) / sum(map(len, side)) for side in (made, train)]
    assert share[0] == pytest.approx(share[1], rel=0.03)
    pairs = [sum(text.count("he") for text in side) / sum(map(len, side)) for side in (made, train)]
    assert pairs[0] == pytest.approx(share[1] * sum(t.count("h") for t in train) / sum(map(len, train)), rel=0.1)
    assert pairs[1] > 5 * pairs[0]


def test_report_page(real, judged, tmp_path):
    nats = -2.0 * np.array([len(text) for text in real.side(real.scored).texts])
    judgement = judge_texts(real, judged["thief"].made.table, nats, "bound")
    page = report("the <b>thief</b>", real, judgement)
    assert "bits per character" in page.words[0] and "It copies training texts" in page.words[1]
    assert judgement["bits"].value == pytest.approx(2 / np.log(2)) and judgement["bits"].sort == "bound"
    assert judgement["perplexity"].value < np.exp(2)  # the ends of texts are tokens too
    page.save(tmp_path / "report.html")
    page.save(tmp_path / "report.json")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<mark>" in text and "&lt;b&gt;thief" in text and not re.search(r"https?://|<script|<link", text)
    assert "characters in common" in text and "real, held out" in text
    assert json.loads((tmp_path / "report.json").read_text())["rows"] == {"train": 600, "test": 300}


def test_pieces_of_the_page(real, judged):
    assert marked("x" * 2_000, None).count("x") == 700 and str(marked("ab" * 800, None, 1_000)).startswith("… ")
    assert str(marked("", None)) == ""
    rows = usage(judged["parrot"].made.side, real.test)
    assert {row["word"] for row in rows[:2]} == {"again", "and"}
    assert all(row["made"] > 0.1 > row["real"] for row in rows[:2])
    assert rows[-1]["made"] < rows[-1]["real"]
    named = {
        row["word"]: row
        for row in usage(real.side(table(["the cat", "the dog dog"])), real.side(table(["the cat"] * 3)))
    }
    assert set(named) == {"dog", "cat", "the"} and named["dog"] == {"word": "dog", "made": 0.4, "real": 0.0}
    assert curve(judged["fresh"]["novelty"]).count("<circle") == 20


def test_marks_of_what_is_best_near_a_target(judged):
    measure, floor, ceiling = (judged[name]["novelty"] for name in ("fresh", "floor", "ceiling"))
    drawn = track(measure, floor, ceiling)
    assert f"best {100 * measure.target:.1f}%" in drawn and ">ceiling" not in drawn
    plain = track(judged["fresh"]["word shares"], judged["floor"]["word shares"], judged["ceiling"]["word shares"])
    assert ">ceiling 0." in plain and "best" not in plain


class Fake:
    """A "model" of texts that hands out a list."""

    def __init__(self, made: list[str], nats: float | None = None) -> None:
        self.made, self.nats = made, nats
        self.can = {"sample": "exact"} | ({} if nats is None else {"log_prob": "exact"})

    def sample(self, n: int, *, seed: int) -> Dataset:
        return Dataset.from_arrow(table(self.made))

    def log_prob(self, data: pa.Table) -> np.ndarray:
        return self.nats * np.array([len(text) for text in data.column("text").to_pylist()])


def test_leaderboard_of_texts(real, tmp_path):
    families = {
        "good": Fake(sentences(300, 5), -1.0),
        "bad": Fake(["cat the sees " + text for text in sentences(300, 5)], -1.5),
        "thief": Fake(thief(0.5, long=True)),
    }
    train = Dataset.from_arrow(real.train_table, real.schema)
    board = compare_on(real, train, families, fit, budget="9s", seed=0)
    assert board.best == "good" and board["good"].rank == 1 and board["bad"].rank == 2
    assert board["thief"].rank is None and board["thief"].copied
    assert board.entries[0].name == "training texts" and "loose characters" in str(board)
    assert board["good"].judgement["bits"].value == pytest.approx(1 / np.log(2))
    board.save(tmp_path / "board.html")
    assert "loose characters" in (tmp_path / "board.html").read_text(encoding="utf-8")


def test_models_are_compared_and_reported(tmp_path):
    data = en.read({"text": sentences(500, 0)}, kinds={"text": "text:words"})
    train, test = data.split(test=0.3, seed=0)
    board = en.compare(train, test, [en.families.Ngram(order=4), en.families.Ngram(order=1)], budget="20s")
    assert board.best == "ngram" and board["ngram 2"].rank == 2
    assert "words" in board.reference.schema["text"].kind.describe()  # the tokenizer is kept
    model = en.fit(train, en.families.Ngram(order=4))
    page = model.report(test, train)
    judgement = page.judgement
    expected = -model.log_prob(test).sum() / sum(map(len, test.column("text").to_pylist())) / np.log(2)
    assert judgement["bits"].value == pytest.approx(expected) and len(judgement.made) == 1_000


def test_long_texts_are_made_in_smaller_numbers(real):
    long = reference([" ".join(sentences(100, k)) for k in range(30)])
    assert real.subject.made == 1_000 and 80 <= long.subject.made < 100


def test_short_records_are_read_by_characters(real):
    names = reference([text.split()[1] + str(k) for k, text in enumerate(sentences(200, 0))])
    assert real.unit == "word" and names.unit == "word"
    short = reference(["cat", "dog"] * 20, ["cow", "pig"] * 20)
    assert short.unit == "character"
    judgement = judge_texts(short, table(["cat", "cog"] * 20))
    assert judgement["exact copies"].value == 0.5 and "character" in judgement["distinct-1"].words


def test_without_training_texts_nothing_is_said_about_copies(real):
    alone = TextReference(None, table(sentences(100, 0)), real.schema, text="text")
    judgement = judge_texts(alone, table(sentences(50, 1)))
    assert judgement.copy is None and judgement.get("novelty") is None and len(alone.train) == 50
    assert "Copies" not in report("m", alone, judgement).html()


def test_missing_and_empty_texts_are_judged(real):
    made = judge_texts(real, pa.table({"text": pa.array([None, "", *sentences(60, 3)])}))
    assert made.made.side.texts[:2] == ("", "") and np.isfinite(made["two-sample test"].value)
    nothing = judge_texts(real, table([""] * 40))
    assert "empty texts" in " ".join(map(str, check_made(real, nothing)))
    report("empty", real, nothing).html()


def test_refusals(real):
    with pytest.raises(InputError, match="at least 20"):
        judge_texts(real, table(sentences(19, 0)))
    with pytest.raises(InputError, match="same field of texts"):
        judge_texts(real, pa.table({"other": ["a"] * 30}))
    with pytest.raises(InputError, match="all are empty"):
        TextReference(table([""] * 30), real.test_table, real.schema, text="text")
