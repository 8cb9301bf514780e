"""`ensample report`: how good a model is, against rows that it has not seen."""

from __future__ import annotations

import argparse
from pathlib import Path

from ensample.cli.console import Answer, Console
from ensample.cli.options import SOURCES, add_seed


def add(parser: argparse.ArgumentParser) -> None:
    """The options of `report`."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model file")
    parser.add_argument("data", metavar="TEST", help=f"rows that the model was not fitted on: {SOURCES}")
    parser.add_argument(
        "--train", metavar="DATA", help="the rows it was fitted on, for the copy check (default: no check)"
    )
    add_seed(parser, default=0)
    parser.add_argument(
        "--save", type=Path, default=Path("report.html"), metavar="FILE", help="the HTML page (%(default)s)"
    )


def run(args: argparse.Namespace, console: Console) -> Answer:
    """Judge and write the page."""
    import ensample

    report = ensample.load(args.model).report(args.data, train=args.train, seed=args.seed)
    report.save(args.save)
    return Answer(f"{report}\nreport saved to {args.save}", {**report.facts(), "saved": str(args.save)})
