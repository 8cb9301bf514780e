"""Arrays and plain facts on disk, safely: safetensors and JSON, written to a temporary name and renamed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ensample.errors import FormatError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` on a temporary file beside `path` and rename it: readers see the old file or the new one, whole.

    Raises:
        FormatError: the disk is full, the folder is missing, or it may not be written; nothing is left behind.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise FormatError(
            "A file must be writable to its end.", str(path), str(error), "free some space or choose another path"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_json(path: Path, facts: dict[str, Any]) -> None:
    """Write plain values as indented JSON, atomically."""
    write_atomically(
        path, lambda p: p.write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        FormatError: the file is missing or is not a JSON object.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FormatError("The file must exist.", str(path), "nothing there", "check the path") from error
    except (ValueError, OSError) as error:
        raise FormatError(
            "The file must be whole JSON.", str(path), str(error), "it is truncated or damaged: write it anew"
        ) from error
    if not isinstance(facts, dict):
        raise FormatError("The file must hold a JSON object.", str(path), type(facts).__name__, "write it anew")
    return facts


def write_arrays(path: Path, arrays: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, atomically."""
    packed = save({name: tensor.detach().cpu().contiguous() for name, tensor in arrays.items()})
    write_atomically(path, lambda p: p.write_bytes(packed))


def read_arrays(path: Path) -> dict[str, Tensor]:
    """Read tensors; nothing in the file is executed.

    Raises:
        FormatError: the file is missing or truncated.
    """
    try:
        return load(path.read_bytes())
    except FileNotFoundError as error:
        raise FormatError("The file must exist.", str(path), "nothing there", "check the path") from error
    except (SafetensorError, ValueError) as error:
        raise FormatError(
            "The weights must be a whole safetensors file.", str(path), str(error), "copy or write the file anew"
        ) from error


def replace_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Like `write_atomically` for a folder of files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        write(temporary)
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
