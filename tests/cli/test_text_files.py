"""Models of text files at the command line."""

from __future__ import annotations

import json

import pytest

import ensample as en
from ensample.cli.main import command

NAMES = [f"{first}{last}" for first in ("an", "ber", "cla", "do", "el", "fri") for last in ("na", "ta", "ra", "la")]
HOW = ["--family", "markov", "--budget", "5 steps", "--seed", "0", "--quiet"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("texts")
    (root / "names.txt").write_text("\n".join(NAMES) + "\n")
    (root / "book.txt").write_text("To be, or not to be:\nthat is the question.\n\nWhether 'tis nobler\nin the mind.\n")
    assert command(["fit", str(root / "names.txt"), *HOW, "--save", str(root / "names.ens")]) == 0
    return root


def answer(capsys, *words):
    assert command(list(words)) == 0
    return capsys.readouterr().out


def test_show_tells_what_the_texts_are(folder, capsys):
    shown = answer(capsys, "show", str(folder / "names.txt"), "--quiet")
    assert "24 rows, 1 fields" in shown
    assert "tokens: 12 characters (abcdefilnort)" in shown
    one = answer(capsys, "show", str(folder / "book.txt"), "--kind", "text=text:words")
    assert "1 rows" in one and "words and gaps" in one
    several = answer(capsys, "show", str(folder / "book.txt"), "--records", "paragraphs", "--json")
    assert json.loads(several)["rows"] == 2
    assert "12 characters" in answer(capsys, "show", str(folder / "names.ens"))


def test_samples_are_texts(folder, capsys):
    made = en.load(folder / "names.ens").sample(7, seed=1).column("text").to_pylist()
    shown = answer(capsys, "sample", str(folder / "names.ens"), "-n", "7", "--seed", "1")
    assert shown == "\n".join(made) + "\n"
    for name in ("made.txt", "made.jsonl", "made.txt.gz"):
        answer(capsys, "sample", str(folder / "names.ens"), "-n", "7", "--seed", "1", "--save", str(folder / name))
        how = {"records": "lines"} if ".txt" in name else {"texts": ["text"]}
        assert en.read(folder / name, kinds={"text": "text"}, **how).column("text").to_pylist() == made


def test_scores_are_those_of_the_texts_as_they_stand(folder, capsys):
    (folder / "new.jsonl").write_text('{"text": "anna"}\n{"text": ""}\n{"text": "12"}\n')
    told = json.loads(answer(capsys, "score", str(folder / "names.ens"), str(folder / "new.jsonl"), "--json"))
    expected = en.load(folder / "names.ens").log_prob(["anna", "", "12"])
    assert told["mean"] == pytest.approx(expected.mean())


def test_a_tokenizer_is_chosen_by_the_kind(folder, capsys):
    words = ["fit", str(folder / "book.txt"), "--kind", "text=text:bytes", *HOW, "--save", str(folder / "book.ens")]
    assert command(words) == 0
    assert en.load(folder / "book.ens").schema["text"].kind.tokenizer == "bytes"
    assert command(["show", str(folder / "book.txt"), "--kind", "text=text:runes"]) == 1
    assert "text:bpe" in capsys.readouterr().err
    (folder / "bad.txt").write_bytes(b"fine\n\xff")
    assert command(["show", str(folder / "bad.txt")]) == 1
    error = capsys.readouterr().err
    assert "line 2" in error and "offset 5" in error and "encoding=" in error
