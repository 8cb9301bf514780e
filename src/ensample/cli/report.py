"""`ensample report`: how good a model is, against rows that it has not seen."""

from __future__ import annotations

import argparse
from pathlib import Path

from ensample.cli.console import Answer, Console
from ensample.cli.options import SOURCES, add_extractor, add_reading, add_seed, read
from ensample.cli.output import check_page


def add(parser: argparse.ArgumentParser) -> None:
    """The options of `report`."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model file")
    parser.add_argument("data", metavar="TEST", help=f"rows that the model was not fitted on: {SOURCES}")
    parser.add_argument(
        "--train", metavar="DATA", help="the rows it was fitted on, for the copy check (default: no check)"
    )
    add_extractor(parser)
    add_seed(parser, default=0)
    parser.add_argument(
        "--save", type=Path, default=Path("report.html"), metavar="FILE", help="the HTML page (%(default)s)"
    )
    add_reading(parser, kinds=False)


def run(args: argparse.Namespace, console: Console) -> Answer:
    """Judge and write the page."""
    check_page(args.save)
    import ensample

    train = None if args.train is None else read(args.train, args, console)
    model = ensample.load(args.model)
    test = read(args.data, args, console, model)
    report = model.report(test, train=train, seed=args.seed, extractor=args.extractor)
    report.save(args.save)
    return Answer(f"{report}\nreport saved to {args.save}", {**report.to_plain(), "saved": str(args.save)})
