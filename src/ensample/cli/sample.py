"""`ensample sample`: new records from a model."""

from __future__ import annotations

import argparse
from pathlib import Path

from ensample.cli import where
from ensample.cli.console import Answer, Console
from ensample.cli.options import add_seed, count_from
from ensample.cli.output import table


def add(parser: argparse.ArgumentParser) -> None:
    """The options of `sample`."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model file")
    parser.add_argument("-n", type=count_from(1), default=1000, metavar="N", help="how many records (%(default)s)")
    parser.add_argument("--where", action="append", default=[], metavar="FIELD=WISH", help=where.HELP)
    add_seed(parser)
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="write there (format by its ending) instead of CSV on standard output"
    )


def run(args: argparse.Namespace, console: Console) -> Answer:
    """Draw the records."""
    import ensample

    model = ensample.load(args.model)
    wish = where.conditions(args.where, model.schema)
    return table(model.sample(args.n, where=wish, seed=args.seed), args.save, args.json)
