"""`ensample compare`: the leaderboard of families on one table."""

from __future__ import annotations

import argparse
from pathlib import Path

from ensample.cli.console import Answer, Console
from ensample.cli.options import SOURCES, add_extractor, add_learning, add_reading, add_source, names, read
from ensample.cli.output import check_page
from ensample.cli.split import split_by


def add(parser: argparse.ArgumentParser) -> None:
    """The options of `compare`."""
    add_source(parser, "train", "rows to learn from")
    parser.add_argument(
        "test", nargs="?", metavar="TEST", help=f"rows held out (default: 20 %% of TRAIN, drawn at random): {SOURCES}"
    )
    parser.add_argument(
        "--split-column", metavar="FIELD", help='the column of TRAIN that says "train" or "test"; it is not modelled'
    )
    parser.add_argument("--families", action="append", metavar="NAMES", help="with commas (default: all)")
    parser.add_argument(
        "--targets",
        action="append",
        metavar="FIELDS",
        help="fields to predict in the measure of usefulness (default: chosen)",
    )
    parser.add_argument(
        "--given", action="append", metavar="FIELDS", help="fields to condition on, with commas (default: none)"
    )
    add_extractor(parser)
    add_reading(parser)
    add_learning(parser, "20m")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the leaderboard as an HTML page there")


def run(args: argparse.Namespace, console: Console) -> Answer:
    """Fit every family within its share of the budget, and rank them."""
    check_page(args.save)
    import ensample

    data = read(args.train, args, console)
    if args.test is not None:
        train, test = data, read(args.test, args, console)
    elif args.split_column is not None:
        train, test = split_by(data, args.split_column)
    else:
        train, test = data.split(test=0.2, seed=args.seed)
    console.note(f"learn from {len(train):,} rows, judge on {len(test):,} others, {len(train.names)} fields")
    chosen = names(args.families)
    families = "all" if chosen in (None, ["all"]) else chosen
    board = ensample.compare(
        train,
        test,
        families=families,
        given=names(args.given),
        budget=args.budget,
        seed=args.seed,
        targets=names(args.targets),
        extractor=args.extractor,
        progress=console.progress,
    )
    console.close()
    facts = board.to_plain()
    if args.save is None:
        return Answer(str(board), facts)
    board.save(args.save)
    return Answer(f"{board}\n\nreport: {args.save.resolve()}", {**facts, "saved": str(args.save)})
