"""The model file: `model.json`, `weights.safetensors`, `CARD.md`, in a zip or a folder. Nothing in it is executed."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ensample.errors import CapabilityError, FormatError, MissingPackage
from ensample.families import TABLE
from ensample.families.options import from_plain, to_plain
from ensample.hub import is_checkpoint, opened
from ensample.kinds import schema_from_plain
from ensample.kinds.codecs import codec_of
from ensample.model import Model
from ensample.storage import read_arrays, read_json, replace_folder, write_arrays, write_atomically, write_json

FORMAT = 1
"""Version of the model file that this package writes, and the newest that it reads."""

FILES = ("model.json", "weights.safetensors", "CARD.md")


def save(model: Model, path: str | Path) -> None:
    """Write a model; see `Model.save`."""
    if not model.distribution.storable:
        raise CapabilityError(
            "A model file never holds training rows.",
            str(path),
            f"{model.family.name} is made of them",
            "save another family",
        )
    path = Path(path)
    if path.suffix:
        with TemporaryDirectory() as folder:
            _write(model, Path(folder))
            write_atomically(path, lambda target: _pack(Path(folder), target))
    else:
        replace_folder(path, lambda folder: _write(model, folder))


def load(path: str | Path) -> Model:
    """Open a model file, or the folder of a causal language model of Hugging Face (`ensample.hub.opened`).

    Raises:
        FormatError: it is missing, truncated, not a model, or of a newer format than this version reads.
        CapabilityError: a checkpoint is of a sort that cannot be read.
    """
    path = Path(path)
    if is_checkpoint(path):
        return opened(path)
    if path.is_dir():
        return _read(path, str(path))
    if not path.exists():
        raise FormatError("The model file must exist.", str(path), "nothing there", "check the path")
    with TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as packed:
                for name in FILES:
                    with packed.open(name) as source, (Path(folder) / name).open("wb") as target:
                        shutil.copyfileobj(source, target)
        except (zipfile.BadZipFile, KeyError, EOFError, zlib.error) as error:
            raise FormatError(
                "A model file must be whole.", str(path), str(error), "copy it again, or save the model anew"
            ) from error
        return _read(Path(folder), str(path))


def _pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in FILES:
            packed.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes(), zipfile.ZIP_DEFLATED)


def _write(model: Model, folder: Path) -> None:
    facts = {
        "format": FORMAT,
        "schema": model.schema.to_plain(),
        "model": list(model.codec.model),
        "given": list(model.codec.given),
        "family": model.family.name,
        "options": to_plain(model.family),
        "learned": model.distribution.facts(),
        "facts": model.facts,
    }
    write_json(folder / "model.json", facts)
    write_arrays(folder / "weights.safetensors", model.distribution.arrays())
    (folder / "CARD.md").write_text(card(model), encoding="utf-8")


def _read(folder: Path, place: str) -> Model:
    facts = read_json(folder / "model.json")
    version = facts.get("format")
    if not isinstance(version, int) or version > FORMAT:
        raise FormatError(
            "The format must be one that this version reads.",
            place,
            f"format {version}, newest known {FORMAT}",
            "update ensample",
        )
    try:
        return _composed(facts, folder)
    except MissingPackage:
        raise
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
        raise FormatError(
            "A model file must be whole.", place, f"{type(error).__name__}: {error}", "save the model anew"
        ) from error


def _composed(facts: dict[str, Any], folder: Path) -> Model:
    codec = codec_of(schema_from_plain(facts["schema"]), tuple(facts["model"]), tuple(facts["given"]))
    family = from_plain(TABLE[facts["family"]], facts["options"])
    arrays = read_arrays(folder / "weights.safetensors")
    distribution = family.restore(codec.event, codec.given_event, arrays, facts["learned"])
    return Model(codec, family, distribution, facts["facts"])


def card(model: Model) -> str:
    """What a reader should know of the model, in Markdown."""
    facts = model.facts
    verbs = ", ".join(f"{name} ({guarantee})" for name, guarantee in model.can.items())
    lines = [
        f"# A model of {len(model.codec.model)} fields by ensample",
        "",
        f"- family: `{model.family!r}`",
        f"- learned from {facts['rows']:,} records in {facts['seconds']:.1f} s, seed {facts['seed']}",
        f"- given: {', '.join(model.codec.given) or 'nothing'}",
        f"- can: {verbs}",
        "",
        "The file holds learned parameters and no training record, but single values that were met: the levels of",
        "category fields, also those that one record alone has, the bounds and grids of number fields, and numbers at",
        "which bins and trees begin and end. Whether samples repeat training records is for `ensample report` to say.",
        "",
        "| field | kind |",
        "|---|---|",
    ]
    lines += [f"| {field.name} | {field.kind.describe()} |".replace("\n", " ") for field in model.schema]
    return "\n".join(lines) + "\n"
