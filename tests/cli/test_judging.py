"""Splits, reports and the leaderboard from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest

import ensample as en
from ensample.cli.main import command
from ensample.cli.split import split_by
from ensample.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judging")
    rng = np.random.default_rng(0)
    lines = ["x,y,z,part"]
    for i in range(400):
        x = rng.normal()
        lines.append(
            f"{x:.2f},{x + rng.normal() / 4:.2f},{rng.choice(['a', 'b'])},{'test' if i % 4 == 0 else ' Train'}"
        )
    (folder / "points.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_split_column_sends_each_row_to_its_side(folder):
    data = en.read(folder / "points.csv")
    train, test = split_by(data, "part")
    assert list(train.names) == list(test.names) == ["x", "y", "z"]
    whole = data.to_pandas()
    held = whole["part"].str.strip() == "test"
    assert test.to_pandas().equals(whole.loc[held, ["x", "y", "z"]].reset_index(drop=True))
    assert train.to_pandas().equals(whole.loc[~held, ["x", "y", "z"]].reset_index(drop=True))


def test_pictures_are_judged_by_the_features_that_are_named(tmp_path, capsys):
    """Two classes of grey: a floor and a ceiling, ranked by a distance, with labels given."""
    rng = np.random.default_rng(0)
    labels = np.array(["dark", "light"])[np.arange(120) % 2]
    pixels = (rng.integers(0, 100, (120, 6, 6)) + 150 * (np.arange(120) % 2)[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "grey.npz", image=pixels, label=labels)
    options = ["--families", "independent", "--given", "label", "--extractor", "pixels", "--budget", "2s", "--quiet"]
    page = tmp_path / "board.html"
    assert command(["compare", str(tmp_path / "grey.npz"), *options, "--save", str(page), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ranked_by"] == "Frechet distance" and "pixels" in told["entries"][0]["measures"][0]["words"]
    assert "data:image/png;base64," not in page.read_text(encoding="utf-8")  # no model to show, floor and ceiling only


def test_split_column_needs_both_sides_and_no_other_word():
    for words in (["train", "train"], ["train", "tset"], ["train", None]):
        with pytest.raises(InputError) as told:
            split_by(en.read({"x": [1, 2], "part": words}), "part")
        assert "part" in told.value.place


def test_compare_writes_the_leaderboard(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    line = ["compare", "points.csv", "--split-column", "part", "--families", "independent,trees", "--budget", "30s"]
    code = command([*line, "--targets", "y", "--save", "board.html", "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    facts = json.loads(out)
    assert {entry["name"] for entry in facts["entries"]} >= {"independent", "trees"}
    assert facts["rows"] == {"train": 300, "test": 100} and facts["saved"] == "board.html"
    assert "300 rows" in err and "trees" in (folder / "board.html").read_text()


def test_report_is_a_page_of_its_own(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert command(["fit", "points.csv", "--family", "trees", "--model", "x,y,z", "--save", "m.ens", "-q"]) == 0
    capsys.readouterr()
    code = command(["report", "m.ens", "points.csv", "--save", "page.html"])
    out, err = capsys.readouterr()
    assert code == 0, err
    page = (folder / "page.html").read_text()
    assert "page.html" in out and "<html" in page.lower()
    assert (
        "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page and "<script src" not in page
    )


def test_wrong_ending_of_a_page_is_told_before_any_work(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    assert command(["compare", "points.csv", "--families", "independent", "--save", "board.pdf"]) == 1
    _, err = capsys.readouterr()
    assert ".pdf" in err and "independent" not in err
