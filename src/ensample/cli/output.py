"""Records as an answer: into a file, or as CSV or JSON on standard output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensample.cli.console import Answer
from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset


def table(data: Dataset, save: Path | None, as_json: bool) -> Answer:
    """Save the records, or hand them over whole: as CSV, as JSON lines where a cell holds a list, or as mere texts."""
    if save is not None:
        data.save(save)
        return Answer(f"{len(data):,} records saved to {save}", {"rows": len(data), "saved": str(save)})
    if as_json:
        return Answer("", {"rows": len(data), "records": records(data)})
    from ensample.data.nested import is_sequence
    from ensample.data.texts import is_free_text

    fields = list(data.arrow_schema)
    if len(fields) == 1 and is_free_text(fields[0]):
        return Answer(text_of(data, ".txt"), {})
    lists = any(is_sequence(field.type) for field in fields)
    return Answer(text_of(data, ".jsonl" if lists else ".csv"), {})


def records(data: Dataset) -> list[dict[str, Any]]:
    """One dict per record."""
    return [row for batch in data.batches() for row in batch.to_pylist()]


def text_of(data: Dataset, suffix: str) -> str:
    """The records as `Dataset.save` writes them to a file of this suffix."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"records{suffix}"
        data.save(path)
        return path.read_text(encoding="utf-8").removesuffix("\n")


def check_page(path: Path | None) -> None:
    """See that a page can be saved under this name before the work that it is to show.

    Raises:
        InputError: the name has another ending than .html or .json.
    """
    if path is not None and path.suffix not in (".html", ".htm", ".json"):
        raise InputError("A page is saved as .html or .json.", f"--save {path}", repr(path.suffix), "use one of these")


def save_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    from ensample.storage import write_atomically

    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
