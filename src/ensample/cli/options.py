"""Options that several verbs share, and how their text is read."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.cli.console import Console
    from ensample.data.dataset import Dataset
    from ensample.model import Model

COMMON = argparse.ArgumentParser(add_help=False)
_common = COMMON.add_argument_group("every verb")
_common.add_argument("--json", action="store_true", help="one JSON object on standard output and nothing else there")
_common.add_argument("--quiet", "-q", action="store_true", help="no notes and no progress on standard error")
_common.add_argument("--debug", action="store_true", help="show the traceback of an error")


def add_source(parser: argparse.ArgumentParser, name: str = "data", words: str = "the data", **more: str) -> None:
    """A positional argument that names a data set."""
    parser.add_argument(name, metavar=name.upper(), help=f"{words}: {SOURCES}", **more)  # type: ignore[arg-type]


SOURCES = (
    "a file (.csv .tsv .jsonl .parquet .arrow .npz .txt .md, also .gz .xz .zst), a folder of pictures or texts, "
    "a database URL, or sample:NAME"
)


def add_reading(parser: argparse.ArgumentParser, kinds: bool = True) -> None:
    """How the data is to be read; `kinds=False` where a model says what the fields are."""
    group = parser.add_argument_group("reading the data")
    if kinds:
        group.add_argument(
            "--kind",
            action="append",
            default=[],
            metavar="FIELD=KIND",
            help="overrule the kind of a field or variable (zip=category, text=text:bpe:4096); repeatable",
        )
    group.add_argument("--missing", action="append", metavar="WORDS", help="what means a missing value, with commas")
    group.add_argument("--encoding", metavar="NAME", help="of a CSV, TSV or text file (utf-8)")
    group.add_argument(
        "--records", choices=("whole", "lines", "paragraphs"), help="of a text file (lines of a list, else whole)"
    )
    group.add_argument("--delimiter", metavar="CHAR", help="of a CSV file (default: told from its line of names)")
    group.add_argument("--size", metavar="N", help="of pictures: bring all to N x N pixels, or HEIGHTxWIDTH")
    group.add_argument("--fit", choices=("crop", "pad", "stretch"), help="how pictures come to that size (crop)")
    group.add_argument("--mode", choices=("L", "RGB", "RGBA"), help="of pictures: grey, colours, or these with a mask")
    if kinds:
        _add_series(parser)


SERIES = ("window", "time", "by", "variable", "value", "stride", "step", "calendar", "keep")
"""Options that make series of a table, by the names of `Dataset.series`."""


def _add_series(parser: argparse.ArgumentParser) -> None:
    """How a table is cut into series; a model remembers it."""
    group = parser.add_argument_group("reading time series")
    group.add_argument("--window", type=count_from(1), metavar="STEPS", help="cut series into windows of so many steps")
    group.add_argument("--time", metavar="FIELD", help="the field of times (default: the one of dates that there is)")
    group.add_argument("--by", action="append", metavar="FIELDS", help="fields that say which series a row is of")
    group.add_argument("--variable", metavar="FIELD", help="of a table with a row a value: the name of the variable")
    group.add_argument("--value", metavar="FIELD", help="of such a table: its value")
    group.add_argument("--stride", type=count_from(1), metavar="STEPS", help="between the beginnings of windows (1)")
    group.add_argument("--step", metavar="TIME", help='"15min", "1h", "1d", "1b", "1mo" or "irregular" (found)')
    group.add_argument(
        "--calendar",
        action="append",
        metavar="FIELDS",
        help="fields of the first step to have beside: hour, weekday, month, or all that vary",
    )
    group.add_argument("--keep", action="append", metavar="FIELDS", help="fields that are the same in a whole series")


def read(source: str, args: argparse.Namespace, console: Console, model: Model | None = None) -> Dataset:
    """The records of a source, read as the options of `add_reading` say, with their schema if `--kind` is offered.

    Where a model is to see them, its texts are read as such.
    """
    import ensample
    from ensample.data.readers import read as read_records
    from ensample.kinds.text import texts_in

    wishes: dict[str, Any] = {"missing": names(args.missing), "encoding": args.encoding, "delimiter": args.delimiter}
    wishes |= {"size": _size(args.size), "fit": args.fit, "mode": args.mode, "records": args.records}
    wishes = {name: wish for name, wish in wishes.items() if wish is not None}
    if hasattr(args, "kind"):
        found = _series(args)
        rows = source if found is None else read_records(source, **wishes).series(**found)
        kinds = pairs(args.kind, "--kind", "zip=category") or None
        data = ensample.read(rows, kinds=kinds, **({} if found else wishes))
    else:
        data = read_records(source, texts=() if model is None else texts_in(model.schema), **wishes)
    for note in data.notes:
        console.note(f"{source}: {note}")
    return data


def _series(args: argparse.Namespace) -> dict[str, Any] | None:
    """The options of `Dataset.series`, None if there are none."""
    found: dict[str, Any] = {name: getattr(args, name) for name in SERIES if getattr(args, name) is not None}
    found |= {name: names(found[name]) for name in ("by", "calendar", "keep") if name in found}
    if found.get("calendar") == ["all"]:
        found["calendar"] = True
    return found or None


def _size(text: str | None) -> int | tuple[int, int] | None:
    """`--size 32` or `--size 32x48`, height first; raises InputError for anything else."""
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdigit() for side in sides):
        raise InputError("--size is a number of pixels, or two.", f"--size {text}", repr(text), "say 32 or 32x48")
    return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


def add_learning(parser: argparse.ArgumentParser, budget: str) -> None:
    """`--budget` and `--seed`."""
    parser.add_argument(
        "--budget", default=budget, metavar="B", help='"90s", "5m", "50 steps", "10 epochs" or several (%(default)s)'
    )
    add_seed(parser, default=0)


def add_seed(parser: argparse.ArgumentParser, default: int | None = None) -> None:
    """`--seed`; None means a new one each time."""
    words = "%(default)s" if default is not None else "a new one each time"
    parser.add_argument("--seed", type=count_from(0), default=default, metavar="N", help=f"seed ({words})")


def add_extractor(parser: argparse.ArgumentParser) -> None:
    """`--extractor`, for pictures."""
    parser.add_argument(
        "--extractor",
        metavar="NAME",
        help="what makes features of pictures: own (a small network trained here, the default), pixels, "
        "efficientnet-lite0, or a file of weights of Inception-v3, DINOv2 or EfficientNet-lite0",
    )


class count_from:
    """An argparse type: whole numbers of at least `low`."""

    def __init__(self, low: int) -> None:
        self.low = low

    def __call__(self, text: str) -> int:
        """The number, or a usage error."""
        try:
            number = int(text)
        except ValueError:
            number = self.low - 1
        if number < self.low:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {self.low}")
        return number


def pairs(texts: Sequence[str], flag: str, example: str) -> dict[str, str]:
    """`["zip=category"]` as a dict.

    Example:
        >>> pairs(["zip=category", "a=b=c"], "--kind", "zip=category")
        {'zip': 'category', 'a': 'b=c'}

    Raises:
        InputError: a text has no "=", or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"{flag} takes NAME=VALUE.", flag, repr(text), f"write {flag} {example}")
        if name in found:
            raise InputError(f"{flag} takes each name once.", flag, f"{name} twice", "keep one of them")
        found[name] = value
    return found


def names(texts: Sequence[str] | None) -> list[str] | None:
    """Comma-separated names, of one option or several; a name that holds a comma goes in double quotes.

    Example:
        >>> names(["age,sex", '"a, b"'])
        ['age', 'sex', 'a, b']
    """
    if not texts:
        return None
    return [word.strip() for text in texts for word in split(text)]


def split(text: str) -> list[str]:
    """The words between commas; double quotes protect a comma.

    Example:
        >>> split('Craft,"Sales, retail"')
        ['Craft', 'Sales, retail']
    """
    return next(csv.reader([text], skipinitialspace=True), None) or [""]
