"""`ensample fit` and `ensample resume`: learn p(row) from a table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensample.cli.console import Answer, Console, duration
from ensample.cli.options import add_learning, add_reading, add_source, names, pairs, read
from ensample.errors import CapabilityError, InputError

if TYPE_CHECKING:
    from ensample.families.base import Family
    from ensample.model import Model


def add(parser: argparse.ArgumentParser) -> None:
    """The options of `fit`."""
    add_source(parser)
    parser.add_argument(
        "--family", metavar="NAME", help="family of models (default: chosen; see ensample show families)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="an option of the family; repeatable (ensample fit --family NAME --help lists them)",
    )
    parser.add_argument(
        "--model",
        action="append",
        metavar="FIELDS",
        help="fields to learn, with commas (default: all that are not given)",
    )
    parser.add_argument(
        "--given", action="append", metavar="FIELDS", help="fields to condition on, with commas (default: none)"
    )
    parser.add_argument(
        "--start", type=Path, metavar="MODEL", help="go on from this model file: its family, its kinds of field"
    )
    add_reading(parser)
    add_learning(parser, "5m")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="run folder, from which a stopped run goes on")
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="the model file (default: model.ens in the run folder, else NAME.ens)"
    )


def run(args: argparse.Namespace, console: Console) -> Answer:
    """Fit and save."""
    import ensample
    from ensample.families.options import build
    from ensample.fitting import event_of

    settings = pairs(args.set, "--set", "components=16")
    start = None if args.start is None else ensample.load(args.start)
    check_name(args.family, settings, start)
    data = read(args.data, args, console)
    console.note(f"read {len(data):,} rows, {len(data.names)} fields from {args.data}")
    learned, given = names(args.model), names(args.given)
    if args.family is not None:
        family: Family | None = chosen(args.family, event_of(data, learned, given), settings)
    else:
        family = None if start is None else build(type(start.family), settings, start.family)
    model = ensample.fit(
        data,
        family,
        model=learned,
        given=given,
        budget=args.budget,
        seed=args.seed,
        out=args.out,
        start=start,
        progress=console.progress,
    )
    console.close()
    return saved(model, args.save or default_name(args.data, args.out))


def add_resume(parser: argparse.ArgumentParser) -> None:
    """The options of `resume`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder of a stopped fit (fit --out RUN)")
    parser.add_argument(
        "--data", metavar="DATA", help="the same data again, if it has moved, was no file, or was read with options"
    )
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="the model file (default: model.ens in the run folder)"
    )
    add_reading(parser, kinds=False)


def run_resume(args: argparse.Namespace, console: Console) -> Answer:
    """Go on from where a fit was stopped; the result is the one it would have reached."""
    import ensample

    data = None if args.data is None else read(args.data, args, console)
    model = ensample.resume(args.run, data, progress=console.progress)
    console.close()
    return saved(model, args.save or args.run / "model.ens")


def check_name(name: str | None, settings: dict[str, str], start: Model | None) -> None:
    """Say what is wrong with `--family` and `--set` before the data is read.

    Raises:
        InputError: no such family, or options of none.
    """
    from ensample.fitting import as_family

    as_family(name)
    if name is None and start is None and settings:
        raise InputError("--set needs a family.", "--set", "no --family", "add --family NAME")


def chosen(name: str, event: Any, settings: dict[str, str]) -> Family:
    """The family of this name for what is to be learned.

    Raises:
        InputError: no such option.
        CapabilityError: the family cannot be saved, so that nothing would be left of the fit.
    """
    from ensample.fitting import as_family

    family = as_family(name, event, settings)
    if not family.distribution.storable:
        raise CapabilityError(
            "A fit on the command line ends in a model file, and a model file never holds training rows.",
            f"--family {name}",
            f"{name} is made of training rows",
            f"choose another family, or use it where nothing is saved: ensample compare --families {name}",
        )
    return family


def default_name(source: str, out: Path | None) -> Path:
    """Where the model goes if the user does not say.

    Example:
        >>> str(default_name("data/adult.csv.xz", None)), str(default_name("a.csv", Path("run")))
        ('adult.ens', 'run/model.ens')
    """
    if out is not None:
        return out / "model.ens"
    stem = Path(source.rpartition(":")[2].partition("?")[0]).name.split(".")[0]
    return Path(f"{stem or 'model'}.ens")


def saved(model: Model, path: Path) -> Answer:
    """Save the model; say what it can do and where it lies."""
    model.save(path)
    rows, seconds, can = model.facts["rows"], model.facts["seconds"], dict(model.can)
    lines = [
        f"{model.family.name}: learned from {rows:,} records in {duration(seconds)}, saved to {path}",
        "can: " + ", ".join(f"{verb} ({sort})" for verb, sort in can.items()),
    ]
    facts = {"model": str(path), "family": model.family.name, "rows": rows, "seconds": seconds, "can": can}
    return Answer("\n".join(lines), facts)
