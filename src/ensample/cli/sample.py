"""`ensample sample`: new records from a model."""

from __future__ import annotations

import argparse
from pathlib import Path

from ensample.cli import where
from ensample.cli.console import Answer, Console
from ensample.cli.options import add_reading, add_seed, count_from, read
from ensample.cli.output import table
from ensample.errors import InputError

USUAL = 1000
"""Records made if nobody says how many."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options of `sample`."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model file")
    parser.add_argument("-n", type=count_from(1), metavar="N", help=f"how many records ({USUAL})")
    parser.add_argument("--where", action="append", default=[], metavar="WISH", help=where.HELP)
    add_seed(parser)
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="write there, format by its ending (default: CSV on standard output)"
    )
    add_reading(parser, kinds=False)


def run(args: argparse.Namespace, console: Console) -> Answer:
    """Draw the records."""
    import ensample

    model = ensample.load(args.model)
    if (rows := rows_file(args.where)) is not None:
        made = model.sample(args.n, where=read(rows, args, console), seed=args.seed)
    else:
        made = model.sample(args.n or USUAL, where=where.conditions(args.where, model.schema), seed=args.seed)
    return table(made, args.save, args.json)


def rows_file(wishes: list[str]) -> str | None:
    """The file of `--where @FILE`, which stands alone.

    Example:
        >>> rows_file(["@buyers.csv"]), rows_file(["age=3"])
        ('buyers.csv', None)
    """
    files = [wish for wish in wishes if wish.startswith("@") and "=" not in wish]
    if files and len(wishes) > 1:
        raise InputError(
            "A table of conditions stands alone.",
            f"--where {files[0]}",
            f"{len(wishes)} conditions",
            "put them all into the table",
        )
    return files[0][1:] if files else None
