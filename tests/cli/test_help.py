"""The command line costs milliseconds until a verb has work to do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ensample.cli.main import VERBS, build_parser

HEAVY = {"torch", "numpy", "pyarrow", "lightgbm", "sklearn", "pandas", "polars", "jinja2", "safetensors", "scipy"}

PROGRAM = """
import sys, time
began = time.process_time()
from ensample.cli.main import command
try:
    command(sys.argv[1:])
except SystemExit as stop:
    assert not stop.code, stop.code
print(time.process_time() - began, *sorted(m for m in sys.modules if "." not in m), file=sys.stderr)
"""


def helped(*arguments: str) -> tuple[str, float, set[str]]:
    """(standard output, CPU seconds, modules) of one command in a new process."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seconds, *modules = done.stderr.split()
    return done.stdout, float(seconds), set(modules)


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), *((verb, "--help") for verb in VERBS)], ids=" ".join
)
def test_help_imports_nothing_heavy(arguments):
    text, seconds, modules = helped(*arguments)
    assert text.strip()
    assert not modules & HEAVY
    assert seconds < 0.3


def test_help_is_there_in_300_milliseconds():
    """The whole process, interpreter included; processor time, as other work may hold the machine."""
    times = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "ensample", "--help"], capture_output=True, check=True)
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(times) < 0.3


def test_every_verb_shows_an_example_and_the_common_options():
    for verb in VERBS:
        text, _, _ = helped(verb, "--help")
        assert f"ensample {verb}" in text.split("Example:")[1]
        assert "--json" in text and "--debug" in text and "--quiet" in text


def test_every_example_is_understood():
    """What the help shows must parse."""
    import shlex

    for verb in VERBS.values():
        build_parser().parse_args(shlex.split(verb.example)[1:])


def test_help_of_a_family_lists_its_options():
    text, _, _ = helped("fit", "--family", "independent", "--help")
    assert "bins=256" in text and "most bins of a span" in text
    assert "--budget" in text


def test_unknown_verb_is_a_usage_error():
    done = subprocess.run([sys.executable, "-m", "ensample", "fti"], capture_output=True, text=True)
    assert done.returncode == 2 and "fti" in done.stderr and done.stdout == ""
