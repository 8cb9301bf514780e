"""`ensample edit`, `restyle` and `morph`: pictures made from other pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensample.cli import where
from ensample.cli.console import Answer, Console
from ensample.cli.options import SOURCES, add_reading, add_seed, count_from, read
from ensample.cli.output import table
from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.schema import Schema

WAYS = ("inpaint", "outpaint", "enlarge", "colourise", "deblur", "denoise", "vary", "translate")


def add_edit(parser: argparse.ArgumentParser) -> None:
    """The options of `edit`."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model file of pictures")
    parser.add_argument("data", metavar="PICTURES", help=f"a picture, a folder of them, or {SOURCES}")
    parser.add_argument("--how", choices=WAYS, default="inpaint", help="what to make of them (%(default)s)")
    parser.add_argument("--mask", type=Path, metavar="FILE", help="for inpaint: a picture, bright where to fill")
    parser.add_argument(
        "--sd", type=float, default=1.5, metavar="X", help="for deblur: of the blur, pixels (%(default)s)"
    )
    parser.add_argument(
        "--strength", type=float, default=0.6, metavar="X", help="for vary: 0 keeps all, 1 nothing (%(default)s)"
    )
    parser.add_argument(
        "--noise", type=float, default=0.0, metavar="X", help="of what is there, share of half a pixel's range (0)"
    )
    parser.add_argument(
        "--travel", type=count_from(1), default=1, metavar="N", help="times each step is taken (%(default)s)"
    )
    parser.add_argument("--steps", type=count_from(1), default=50, metavar="N", help="of the chain (%(default)s)")
    parser.add_argument(
        "--to", action="append", default=[], metavar="VALUE", help="for translate: of the given field, or FIELD=VALUE"
    )
    parser.add_argument("--where", action="append", default=[], metavar="WISH", help="given fields, FIELD=VALUE")
    add_seed(parser)
    _add_save(parser)
    add_reading(parser, kinds=False)


def run_edit(args: argparse.Namespace, console: Console) -> Answer:
    """Edit each picture."""
    import ensample

    model = ensample.load(args.model)
    made = model.edit(
        read(args.data, args, console),
        args.how,
        mask=args.mask,
        sd=args.sd,
        noise=args.noise,
        strength=args.strength,
        travel=args.travel,
        steps=args.steps,
        to=_target(args.to, model.codec.given, model.schema),
        where=where.conditions(args.where, model.schema) if args.where else None,
        seed=args.seed,
    )
    return table(made, args.save, args.json)


def _target(wishes: list[str], given: Sequence[str], schema: Schema) -> dict[str, Any] | None:
    """What `--to` says: a bare value is that of the only given field."""
    bare = f"{given[0]}=" if len(given) == 1 else ""
    whole = [wish if wish.startswith(bare) else bare + wish for wish in wishes]
    return where.conditions(whole, schema) if whole else None


def add_restyle(parser: argparse.ArgumentParser) -> None:
    """The options of `restyle`."""
    parser.add_argument("data", metavar="PICTURES", help=f"what to show: a picture, a folder of them, or {SOURCES}")
    parser.add_argument("style", metavar="STYLE", help="the picture whose texture to take")
    parser.add_argument(
        "--keep", type=float, default=1.0, metavar="X", help="weight of what is shown; 0 makes texture (%(default)s)"
    )
    parser.add_argument("--steps", type=count_from(1), default=150, metavar="N", help="of the descent (%(default)s)")
    _add_save(parser)
    add_reading(parser, kinds=False)


def run_restyle(args: argparse.Namespace, console: Console) -> Answer:
    """Give pictures the texture of another."""
    import ensample

    content, style = (read(source, args, console) for source in (args.data, args.style))
    return table(ensample.restyle(content, style, keep=args.keep, steps=args.steps), args.save, args.json)


def add_morph(parser: argparse.ArgumentParser) -> None:
    """The options of `morph`."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model file with a latent space (image-vae)")
    parser.add_argument("first", metavar="FIRST", help="the picture, or record, to start from: its first row")
    parser.add_argument("last", metavar="LAST", help="the one to end with")
    parser.add_argument("--steps", type=count_from(2), default=24, metavar="N", help="frames (%(default)s)")
    parser.add_argument("--how", choices=("spherical", "linear"), default="spherical", help="the way (%(default)s)")
    add_seed(parser)
    _add_save(parser)
    add_reading(parser, kinds=False)


def run_morph(args: argparse.Namespace, console: Console) -> Answer:
    """Go from one to the other through the latent space."""
    import ensample

    model = ensample.load(args.model)
    ends = [read(source, args, console) for source in (args.first, args.last)]
    for end, source in zip(ends, (args.first, args.last), strict=True):
        if not len(end):
            raise InputError("A morph has two ends.", source, "no record", "name a file with one")
    made = model.interpolate(ends[0].head(1), ends[1].head(1), steps=args.steps, how=args.how, seed=args.seed)
    return table(made, args.save, args.json)


def _add_save(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--save",
        type=Path,
        metavar="FILE",
        required=True,
        help=".png .jpg .webp: one sheet of all; .gif: a film; a folder: a file each; .npz .parquet .arrow: as data",
    )
