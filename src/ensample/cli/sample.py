"""`ensample sample`: new records from a model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ensample.cli import where
from ensample.cli.console import Answer, Console
from ensample.cli.options import add_reading, add_seed, count_from, read
from ensample.cli.output import table
from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset
    from ensample.model import Model

USUAL = 1000
"""Records made if nobody says how many."""

COLUMNS = 8
"""Pictures side by side on a sheet if nobody says how many."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options of `sample`."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model file")
    parser.add_argument("-n", type=count_from(1), metavar="N", help=f"how many records ({USUAL})")
    parser.add_argument(
        "--grid",
        type=count_from(1),
        metavar="COLUMNS",
        help="of pictures: a sheet with so many columns; a row for each value where one category is given",
    )
    parser.add_argument("--where", action="append", default=[], metavar="WISH", help=where.HELP)
    add_seed(parser)
    parser.add_argument(
        "--save",
        type=Path,
        metavar="FILE",
        help="write there, format by its ending (default: CSV on standard output; pictures: a sheet, MODEL.png)",
    )
    add_reading(parser, kinds=False)


def run(args: argparse.Namespace, console: Console) -> Answer:
    """Draw the records."""
    import ensample
    from ensample.kinds.imagecodec import ImageCodec

    model = ensample.load(args.model)
    if isinstance(model.codec, ImageCodec) and (args.grid or args.save is None):
        return sheet(model, args, console)
    if args.grid:
        fields = ", ".join(model.codec.model)
        raise InputError("A grid is of pictures.", f"--grid {args.grid}", f"a model of {fields}", "leave it out")
    return table(drawn(model, args, console), args.save, args.json)


def drawn(model: Model, args: argparse.Namespace, console: Console) -> Dataset:
    """The records asked for."""
    if (rows := rows_file(args.where)) is not None:
        return model.sample(args.n, where=read(rows, args, console), seed=args.seed)
    return model.sample(args.n or USUAL, where=where.conditions(args.where, model.schema), seed=args.seed)


def sheet(model: Model, args: argparse.Namespace, console: Console) -> Answer:
    """Pictures on one sheet: a row for each value of the given category, or as many rows as columns."""
    from ensample.data.pictures.save import save_sheet

    columns, path = args.grid or COLUMNS, args.save or args.model.with_suffix(".png")
    if args.n is None and not args.where and (values := every_value(model, columns)) is not None:
        made = model.sample(where=values, seed=args.seed)
    else:
        args.n = args.n or columns * columns
        made = drawn(model, args, console)
    save_sheet(made, path, columns)
    return Answer(f"{len(made):,} pictures on one sheet, {path}", {"rows": len(made), "saved": str(path)})


def every_value(model: Model, times: int) -> Dataset | None:
    """Each level of the one given category, `times` in a row; None if something else is given."""
    import pyarrow as pa

    from ensample.data.dataset import Dataset
    from ensample.kinds.category import Category

    kinds = [model.schema[name].kind for name in model.codec.given]
    if len(kinds) != 1 or not isinstance(kinds[0], Category):
        return None
    levels = [level for level in kinds[0].levels for _ in range(times)]
    return Dataset.from_arrow(pa.table({model.codec.given[0]: levels}))


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
