"""The tutorial and the README run as they are printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


MADE = {
    "docs/tutorial.md": {"adult.ens": 1_000, "report.html": 10_000},
    "README.md": {"adult.ens": 1_000, "report.html": 10_000},
    "docs/choosing.md": {"graph.svg": 500},
    "docs/worlds.md": {},
    "docs/series.md": {"ahead.svg": 3_000, "ahead.csv": 1_000},
    "docs/texts.md": {"made.txt": 10, "names.ens": 500},
    "docs/translation.md": {},
    "docs/dialogues.md": {"replies.html": 10_000},
    "docs/pictures.md": {"threes.png": 300, "morph.gif": 500, "digits.html": 10_000},
}
"""Files that a page makes, and bytes that each has at least."""


NEEDS = {"docs/worlds.md": "gymnasium"}
"""Packages without which a page cannot be run."""


@pytest.mark.parametrize("page", list(MADE))
def test_every_block_of_python_runs(page, tmp_path, monkeypatch):
    if page in NEEDS:
        pytest.importorskip(NEEDS[page])
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text()
    names: dict[str, object] = {}
    for match in re.finditer(r"```python\n(.*?)```", text, re.DOTALL):
        line = text[: match.start()].count("\n") + 1  # error messages then name the page and its line
        exec(compile("\n" * line + match.group(1), page, "exec"), names)
    for name, size in MADE[page].items():
        assert (tmp_path / name).stat().st_size > size


def test_commands_of_the_readme_parse():
    import shlex

    from ensample.cli.main import build_parser

    text = (ROOT / "README.md").read_text()
    commands = re.findall(r"^ensample (.+)$", text, re.MULTILINE)
    assert len(commands) >= 6
    for command in commands:
        build_parser().parse_args(shlex.split(command))
