"""Dialogues at the command line."""

from __future__ import annotations

import io
import json

import pytest

import ensample as en
from ensample.cli.main import command

TALKS = [
    [
        {"role": "user", "content": f"hi, {name} here"},
        {"role": "assistant", "content": f"hello {name}!"},
        {"role": "user", "content": "bye"},
        {"role": "assistant", "content": f"bye {name}!"},
    ]
    for name in ["anna", "ben", "carla"] * 20
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("talks") / "talks.ens"
    en.fit(en.read({"chat": TALKS}), "ngram", model=["chat.assistant"], budget="2s", seed=0).save(path)
    return path


def test_one_message_has_one_reply(model, capsys, tmp_path):
    (tmp_path / "before.json").write_text(json.dumps(TALKS[0][:2]))
    asked = ["chat", str(model), "--message", "bye", "--history", str(tmp_path / "before.json"), "--seed", "1"]
    wanted = en.load(model).chat([*TALKS[0][:2], ("user", "bye")], seed=1)
    assert command(asked) == 0 and capsys.readouterr().out == f"{wanted}\n"
    assert command([*asked, "--json"]) == 0 and json.loads(capsys.readouterr().out)["text"] == wanted


def test_lines_are_replied_to_with_a_line_each_and_nothing_behind(model, capsys, monkeypatch):
    chatty = en.load(model)
    first = chatty.chat("hi, ben here", greedy=True)
    second = chatty.chat([("user", "hi, ben here"), ("assistant", first), ("user", "bye")], greedy=True)
    for said, replies in (("", []), ("hi, ben here\nbye\n", [first, second]), ("hi, ben here\nbye", [first, second])):
        monkeypatch.setattr("sys.stdin", io.StringIO(said))
        assert command(["chat", str(model), "--greedy"]) == 0
        assert capsys.readouterr().out == "".join(f"{reply}\n" for reply in replies)
