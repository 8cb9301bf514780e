"""Pages that are made from the package itself when the documentation is built, so that they cannot be out of date."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

FAMILIES = """# Families

A family is one way to learn a distribution and to draw from it. Each is a frozen dataclass: its arguments are all the
settings it has, and the command line takes the same ones as `--set NAME=VALUE`. `family=None` means `{default}`.

{table}

*exact*: right up to rounding. *estimate*: by drawing or by a numerical rule, as good as the number of draws or points.
*bound*: never above the truth. *where* is sampling under conditions; *mean or mode* is `impute` with that `how`.
"""

KINDS = """# Kinds of field

A kind turns the values of one field into integer cells and back. It is recognised from the data, and can be overruled:
`en.read("people.csv", kinds={"zip": "category"})` or `--kind zip=category`.
"""

COMMANDS = """# Command line

`ensample VERB` and `python -m ensample VERB` are the same. Verbs and options have the names that they have in Python.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | an error that you can repair, told in four parts: the rule, the place, what was seen, one fix |
| 2 | wrong usage |
| 130 | stopped by Ctrl-C; the last line says how to go on |

Answers go to standard output, notes and progress to standard error. With `--json` standard output holds one JSON object
and nothing else; an error is an object as well, `{"error": {"rule": ..., "place": ..., "seen": ..., "fix": ...}}`.
Numbers that JSON cannot say (infinities) are null. Files are written whole or not at all.
"""

REFERENCE = """::: {path}
    options:
      show_root_heading: false
      show_root_toc_entry: false
      heading_level: 3
      members: false
"""


COPIED = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""Pages that are files of the project."""

LINK = re.compile(r"\]\(docs/")
"""Links from there into docs/ lose the folder."""


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    pages = {"families.md": families(), "kinds.md": kinds(), "command-line.md": commands()}
    for name, source in COPIED.items():
        pages[name] = LINK.sub("](", (Path(config.config_file_path).parent / source).read_text(encoding="utf-8"))
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def families() -> str:
    """One section a family, from its docstring."""
    from ensample.capabilities import markdown
    from ensample.families import TABLE
    from ensample.fitting import DEFAULT_FAMILY

    head = FAMILIES.format(default=DEFAULT_FAMILY, table=markdown())
    return "\n".join([head, *(section(name, family) for name, family in TABLE.items())])


def kinds() -> str:
    """One section a kind, from its docstring."""
    from ensample.kinds import TABLE

    return "\n".join([KINDS, *(section(name, kind) for name, kind in TABLE.items())])


def section(name: str, described: type) -> str:
    """A heading and the docstring of a class."""
    return f"## {name}\n\n" + REFERENCE.format(path=f"{described.__module__}.{described.__qualname__}")


def commands() -> str:
    """The help of every verb."""
    from ensample.cli.main import VERBS, build_parser

    os.environ["COLUMNS"] = "100"
    parsers = next(iter(a.choices for a in build_parser()._actions if a.choices))
    parts = [f"## {name}\n\n```text\n{parsers[name].format_help()}```\n" for name in VERBS]
    return "\n".join([COMMANDS, *parts])
