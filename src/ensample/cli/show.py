"""`ensample show`: a model file, a data set, the families, or the options of one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensample.cli.console import Answer, Console, columns, plain
from ensample.cli.options import add_reading, read

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset
    from ensample.data.schema import Schema


def add(parser: argparse.ArgumentParser) -> None:
    """The options of `show`."""
    parser.add_argument("what", metavar="WHAT", help='a model file, a data set, "families", or the name of a family')
    add_reading(parser)


def run(args: argparse.Namespace, console: Console) -> Answer:
    """Look at it."""
    if args.what == "families":
        return families()
    path = Path(args.what)
    if path.suffix == ".ens" or (path / "model.json").exists():
        return model(path)
    if not path.exists() and "://" not in args.what and ":" not in args.what and "." not in args.what:
        return family(args.what)
    return data(args.what, read(args.what, args, console))


def families() -> Answer:
    """Every family and how far each of its verbs can be trusted."""
    from ensample.capabilities import table
    from ensample.families import TABLE
    from ensample.families.options import describe

    can = table()
    text = columns([(name, describe(TABLE[name])) for name in TABLE])
    facts = {name: {"about": describe(TABLE[name]), "can": can[name]} for name in TABLE}
    return Answer(text, {"families": facts})


def family(name: str) -> Answer:
    """One family: what it is, what it can do, its options."""
    from ensample.capabilities import table
    from ensample.families.options import describe, options
    from ensample.fitting import as_family

    kind = type(as_family(name))
    can = table()[name]
    rows = [(f"  {o.name}={o.text}", o.wanted, o.help) for o in options(kind) if o.settable]
    text = [f"{name}: {describe(kind)}", "", "can", *(f"  {verb}: {sort}" for verb, sort in can.items())]
    if rows:
        text += ["", "options (--set NAME=VALUE)", columns(rows)]
    found = [
        {"name": o.name, "type": o.wanted, "default": o.plain, "help": o.help} for o in options(kind) if o.settable
    ]
    return Answer("\n".join(text), {"family": name, "about": describe(kind), "can": can, "options": found})


def data(source: str, found: Dataset) -> Answer:
    """Rows and schema of a data set."""
    text = f"{source}: {len(found):,} rows, {len(found.names)} fields\n\n{found.schema}"
    return Answer(text, {"source": source, "rows": len(found), "schema": schema_facts(found.schema)})


def model(path: Path) -> Answer:
    """Schema, family, capabilities and training facts of a model file."""
    import ensample

    found = ensample.load(path)
    can, facts = dict(found.can), plain(found.facts)
    text = [f"{path}: {found.family!r}", "", str(found.schema), "", "can"]
    text += [f"  {verb}: {sort}" for verb, sort in can.items()]
    text += ["", "training", *(f"  {name}: {value}" for name, value in facts.items())]
    answer: dict[str, Any] = {"model": str(path), "family": found.family.name, "options": repr(found.family)}
    return Answer("\n".join(text), answer | {"can": can, "training": facts, "schema": schema_facts(found.schema)})


def schema_facts(schema: Schema | None) -> list[dict[str, str]]:
    """The fields as plain values."""
    fields = () if schema is None else schema.fields
    return [{"name": f.name, "kind": f.kind.name, "type": f.dtype, "values": f.kind.describe()} for f in fields]
