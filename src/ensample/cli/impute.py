"""`ensample impute`: fill the holes of a table."""

from __future__ import annotations

import argparse
from pathlib import Path

from ensample.cli.console import Answer, Console
from ensample.cli.options import SOURCES, add_reading, add_seed, count_from, read
from ensample.cli.output import records, table
from ensample.errors import InputError


def add(parser: argparse.ArgumentParser) -> None:
    """The options of `impute`."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model file")
    parser.add_argument("data", metavar="ROWS", help=f"records with holes: {SOURCES}")
    parser.add_argument(
        "--how",
        choices=("draw", "mean", "mode"),
        default="draw",
        help="draw: from what is known of the record; mean: least squared error; mode: most probable (%(default)s)",
    )
    parser.add_argument(
        "--m", type=count_from(1), default=1, metavar="M", help="how many completions, for --how draw (%(default)s)"
    )
    add_seed(parser)
    parser.add_argument(
        "--save",
        type=Path,
        metavar="FILE",
        help="write there instead of standard output; with --m, FILE-1, FILE-2, ...",
    )
    add_reading(parser, kinds=False)


def run(args: argparse.Namespace, console: Console) -> Answer:
    """Complete the records."""
    if args.m > 1 and args.save is None and not args.json:
        raise InputError("Several completions need a file name.", f"--m {args.m}", "no --save", "add --save filled.csv")
    import ensample

    model = ensample.load(args.model)
    holes = read(args.data, args, console, model)
    filled = model.impute(holes, how=args.how, m=args.m, seed=args.seed)
    if not isinstance(filled, list):
        return table(filled, args.save, args.json)
    if args.save is None:
        return Answer("", {"rows": len(holes), "completions": [records(one) for one in filled]})
    paths = [numbered(args.save, i + 1) for i in range(args.m)]
    for one, path in zip(filled, paths, strict=True):
        one.save(path)
    words = f"{args.m} completions of {len(holes):,} records saved to {paths[0]} ... {paths[-1]}"
    return Answer(words, {"rows": len(holes), "saved": [str(path) for path in paths]})


def numbered(path: Path, number: int) -> Path:
    """`filled.csv.gz` as `filled-2.csv.gz`.

    Example:
        >>> str(numbered(Path("out/filled.csv.gz"), 2))
        'out/filled-2.csv.gz'
    """
    stem, dot, ending = path.name.partition(".")
    return path.with_name(f"{stem}-{number}{dot}{ending}")
