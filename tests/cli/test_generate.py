"""Texts at the command line."""

from __future__ import annotations

import io
import json

import pytest

import ensample as en
from ensample.cli.main import command

NAMES = ["anna", "bob", "hannah", "otto", "nathan", "ann", "bobby", "ottoman", "nan", "tom", "tommy"] * 10


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "names.ens"
    en.fit(en.read({"name": NAMES}, kinds={"name": "text"}), "ngram", budget="2s", seed=0).save(path)
    return path


def run(capsys, *words) -> str:
    assert command(["generate", *map(str, words)]) == 0
    return capsys.readouterr().out


def test_the_command_line_writes_what_python_writes(model, capsys):
    wanted = en.load(model).generate("an", n=3, seed=1, temperature=0.7, top_p=0.9, min_p=0.01, no_repeat=4)
    words = ["an", "-n", 3, "--seed", 1, "--temperature", 0.7, "--top-p", 0.9, "--min-p", 0.01, "--no-repeat", 4]
    assert run(capsys, model, *words) == "\n".join(wanted) + "\n"
    told = json.loads(run(capsys, model, *words, "--json", "--log-probs"))["texts"]
    assert [one["text"] for one in told] == wanted
    assert [len(one["log_probs"]) for one in told] == [len(one["tokens"]) + 1 for one in told]


def test_a_stream_is_the_text(model, capsys):
    for prompt in ("b", ""):
        alone = run(capsys, model, prompt, "--seed", 2, "--stop", "m")
        assert run(capsys, model, prompt, "--seed", 2, "--stop", "m", "--stream") == alone


def test_prompts_come_from_files_and_standard_input(model, capsys, tmp_path, monkeypatch):
    (tmp_path / "prompt.txt").write_text("to")
    wanted = run(capsys, model, "to", "--greedy")
    assert run(capsys, model, "--file", tmp_path / "prompt.txt", "--greedy") == wanted
    monkeypatch.setattr("sys.stdin", io.StringIO("to"))
    assert run(capsys, model, "-", "--greedy") == wanted


def test_a_prompt_may_stand_behind_the_options(model, capsys):
    wanted = run(capsys, model, "to", "--seed", 1, "--tokens", 5)
    assert run(capsys, model, "--seed", 1, "to", "--tokens", 5) == wanted
    assert run(capsys, "--seed", 1, "--tokens", 5, model, "to") == wanted
    with pytest.raises(SystemExit):
        command(["generate", str(model), "--seed", "1", "to", "and", "more"])
    assert "unrecognized arguments: and more" in capsys.readouterr().err


def test_bytes_that_are_no_text_are_refused(model, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("to\udcff"))
    assert command(["generate", str(model), "-"]) == 1
    assert "standard input" in capsys.readouterr().err


def test_constraints_beams_and_drafts(model, capsys, tmp_path):
    assert run(capsys, model, "--regex", "b[ab]", "--seed", 0, "-n", 5).split().pop() in ("ba", "bb")
    assert run(capsys, model, "--choice", "otto", "--seed", 0) == "otto\n"
    (tmp_path / "g.lark").write_text('start: "tom"')
    assert run(capsys, model, "--grammar", tmp_path / "g.lark", "--seed", 0) == "tom\n"
    beams = en.load(model).generate("", n=2, beams=4, length_power=0.5)
    assert run(capsys, model, "--beams", 4, "-n", 2, "--length-power", 0.5) == "\n".join(beams) + "\n"
    drafted = run(capsys, model, "b", "--draft", model, "--greedy", "--ahead", 2)
    assert drafted == run(capsys, model, "b", "--greedy")


def test_texts_are_saved_as_a_table(model, capsys, tmp_path):
    run(capsys, model, "b", "-n", 4, "--seed", 3, "--save", tmp_path / "made.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "made.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == en.load(model).generate("b", n=4, seed=3)
    assert {row["prompt"] for row in rows} == {"b"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a", "--greedy", "--temperature", "2"], "Only what is drawn at random"),
        (["a", "--stream", "-n", "2"], "One text at a time"),
        (["a", "--stream", "--json"], "One text at a time"),
        (["a", "--file", "x"], "There is one prompt"),
        (["--file", "nowhere.txt"], "A text file is UTF-8"),
        (["a", "--stop", ""], "A stop string"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told(model, capsys, words, told):
    assert command(["generate", str(model), *words]) == 1
    assert told in capsys.readouterr().err
