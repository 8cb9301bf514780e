"""`ensample forecast`: what comes next in a series."""

from __future__ import annotations

import argparse
from pathlib import Path

from ensample.cli.console import Answer, Console
from ensample.cli.options import SOURCES, add_reading, add_seed, count_from, read
from ensample.cli.output import table
from ensample.errors import InputError


def add(parser: argparse.ArgumentParser) -> None:
    """The options of `forecast`."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="the file of a model of series")
    parser.add_argument("data", metavar="HISTORY", help=f"what is known: {SOURCES}")
    parser.add_argument("--steps", type=count_from(1), metavar="N", help="how many (default: half a window)")
    parser.add_argument(
        "--level", default="0.5,0.9", metavar="SHARES", help="masses of the bands, with commas (%(default)s)"
    )
    parser.add_argument("--draws", type=count_from(1), default=200, metavar="N", help="paths (%(default)s)")
    parser.add_argument(
        "--at-once", type=count_from(1), metavar="N", help="steps drawn together (default: a quarter of a window)"
    )
    parser.add_argument(
        "--calibration", metavar="DATA", help="data from after learning: bands are made as wide as it takes to hold it"
    )
    add_seed(parser)
    parser.add_argument(
        *("--save", "--out"),
        type=Path,
        metavar="FILE",
        help="write there instead of standard output: a table, or .svg for a picture of the bands",
    )
    add_reading(parser, kinds=False)


def run(args: argparse.Namespace, console: Console) -> Answer:
    """Forecast."""
    levels = shares(args.level)
    import ensample

    model = ensample.load(args.model)
    history = read(args.data, args, console, model)
    later = None if args.calibration is None else read(args.calibration, args, console, model)
    made = model.forecast(history, args.steps, levels, args.draws, args.seed, args.at_once, later)
    if args.save is None or args.save.suffix != ".svg":
        return table(made.to_dataset(), args.save, args.json)
    made.save(args.save)
    return Answer(f"{made} saved to {args.save}", {"saved": str(args.save)})


def shares(text: str) -> tuple[float, ...]:
    """Numbers between commas.

    Example:
        >>> shares("0.5, 0.9")
        (0.5, 0.9)

    Raises:
        InputError: one is no number.
    """
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError as error:
        fix = "write --level 0.5,0.9"
        raise InputError("Levels are numbers.", f"--level {text}", repr(text), fix) from error
