"""The run folder: what a run was asked for, so that it goes on only as it began, and the model at its end."""

from __future__ import annotations

import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ensample.budget import Budget
from ensample.data.dataset import Dataset
from ensample.data.samples import PREFIX
from ensample.errors import InputError
from ensample.families.base import Family
from ensample.families.options import to_plain
from ensample.kinds.codecs import Codec
from ensample.model import Model
from ensample.modelfile import load
from ensample.storage import read_json, write_json

RUN_FORMAT = 1
"""Version of the run folder."""

START = "start.ens"
"""The model that a run goes on from, in the run folder."""


def limits_of(budget: Budget) -> dict[str, str]:
    """The limits of a budget as they are written down."""
    return {name: str(value) for name, value in asdict(budget).items() if value != float("inf")}


def plan_of(
    data: Dataset, codec: Codec, family: Family, budget: Budget, seed: int, before: Model | None
) -> dict[str, Any]:
    """What a run was asked for, as JSON values."""
    return {
        "format": RUN_FORMAT,
        "family": family.name,
        "options": to_plain(family),
        "model": list(codec.model),
        "given": list(codec.given),
        "budget": limits_of(budget),
        "seed": seed,
        "start": None if before is None else _print_of(before),
        "source": _lasting(data.source),
        "rows": len(data),
        "first_rows": zlib.crc32(str(data.head(20).to_arrow().to_pydict()).encode()),
        "schema": codec.schema.to_plain(),
    }


def _print_of(model: Model) -> int:
    """A number that tells one fitted model from another."""
    total = 0
    for name, array in sorted(model.distribution.arrays().items()):
        total = zlib.crc32(array.detach().contiguous().numpy().tobytes(), zlib.crc32(name.encode(), total))
    return total


def _lasting(source: str) -> str:
    """A source as a run folder keeps it: an absolute path or a bundled sample.

    It is "" for memory and for addresses, which may hold a password.
    """
    if source.startswith(PREFIX):
        return source
    return str(Path(source).resolve()) if source and Path(source).exists() else ""


def entered(folder: Path, plan: dict[str, Any]) -> Model | None:
    """Open the run folder for this plan: new, stopped (None), or finished (its model)."""
    path = folder / "run.json"
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise InputError(
                "A run folder must be new or hold this run.", str(folder), "other files", "choose another folder"
            )
        write_json(path, plan)
        return None
    before = read_json(path)
    changed = [key for key in plan if key != "source" and before.get(key) != plan[key]]
    if changed:
        raise InputError(
            "A run goes on only as it began.",
            str(folder),
            f"other {', '.join(changed)}",
            "use the same call, or another folder",
        )
    finished = folder / "model.ens"
    return load(finished) if finished.exists() else None
