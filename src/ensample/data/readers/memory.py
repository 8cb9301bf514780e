"""Objects in memory: pandas, polars, Arrow, NumPy, and a dict of columns."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ensample.data.cells import is_text
from ensample.data.dataset import refuse_twins
from ensample.data.dialogues import COLUMN as DIALOGUE_COLUMN
from ensample.data.dialogues import are_dialogues, is_pairs
from ensample.data.infer import ANYTHING, TEXT_ONLY, Ladder
from ensample.data.nested import is_sequence
from ensample.data.pictures.arrays import pictures_of, tensor_of
from ensample.data.readers.arrays import table_of_array, table_of_arrays
from ensample.data.readers.feed import Feed
from ensample.data.texts import COLUMN as TEXT_COLUMN
from ensample.data.texts import TEXT, unicode_of
from ensample.errors import InputError

LONGEST_PATH = 256
"""Characters; what is longer is no path but a text."""

_NESTED = (list, tuple, set, frozenset, Mapping, np.ndarray)


def feed(source: Any) -> Feed | None:
    """The feed of an object, or None if it is none of those known."""
    for matches, reader in _READERS:
        if matches(source):
            return reader(source)
    return None


def of_table(
    table: pa.Table, label: str, ladder: Ladder = TEXT_ONLY, notes: Sequence[str] = (), mixed: Sequence[str] = ()
) -> Feed:
    """A feed of a table in memory; columns that `mixed` types stay the texts they were made."""

    def batches(names: Sequence[str] | None) -> Any:
        chosen = table if names is None else table.select(list(names))
        return iter(chosen.to_batches() or [pa.RecordBatch.from_pylist([], chosen.schema)])

    return Feed(label, batches, ladder, dict.fromkeys(mixed, TEXT_ONLY), table.num_rows, tuple(notes), table.schema)


def _arrow(source: Any) -> Feed:
    table = pa.Table.from_batches([source]) if isinstance(source, pa.RecordBatch) else source
    return of_table(table, "Arrow table")


def _polars(source: Any) -> Feed:
    frame = source.collect() if hasattr(source, "collect") else source
    return of_table(frame.to_arrow(), "polars frame")


def _numpy(source: np.ndarray) -> Feed:
    if source.dtype == object and source.ndim == 2:
        return replace(_columns({f"x{j}": source[:, j] for j in range(source.shape[1])}), label="NumPy array")
    return of_table(table_of_array(source, "NumPy array"), "NumPy array", ANYTHING)


def _pandas(source: Any) -> Feed:
    """Text columns of pandas are often what `read_csv` could not read as numbers, so they are looked at anew."""
    import pandas as pd

    label = "pandas frame"
    if isinstance(source.columns, pd.MultiIndex):
        raise InputError("A column has one name.", label, "names of several levels", "join the levels of each name")
    notes, mixed = list[str](), list[str]()
    if not isinstance(source.index, pd.RangeIndex):
        notes.append("the index is left out; frame.reset_index() makes it a column")
    frame = source.rename(columns=str).reset_index(drop=True)
    refuse_twins(list(frame.columns), label)
    plain = [name for name in frame.columns if frame[name].dtype != object]
    table = _pandas_table(frame[plain], label)
    columns = {name: table.column(name) for name in plain}
    for name in frame.columns:
        if name not in columns:
            columns[name], note = _objects(frame[name].tolist(), name, label)
            notes.extend(note)
            mixed.extend([name] if note else [])
    whole = pa.table([columns[name] for name in frame.columns], names=list(frame.columns))
    return of_table(whole.replace_schema_metadata(_frame_types(table)), label, ANYTHING, notes, mixed)


def _pandas_table(frame: Any, label: str) -> pa.Table:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
        raise InputError(
            "A column holds numbers, texts, truths, dates or times.",
            label,
            "; ".join(map(str, error.args)),
            "convert the column",
        ) from error


def _frame_types(table: pa.Table) -> dict[bytes, bytes]:
    """What Arrow remembers of a frame's types, but for its texts: those may turn out to be numbers or dates."""
    facts = json.loads(table.schema.metadata[b"pandas"])
    texts = {f.name for f in table.schema if is_text(f.type)}
    facts["columns"] = [column for column in facts["columns"] if column["name"] not in texts]
    return {b"pandas": json.dumps(facts).encode()}


def _texts(source: Sequence[str]) -> Feed:
    label = "list of texts"
    if all(0 < len(text) < LONGEST_PATH and Path(text).exists() for text in source):
        fix = 'read one at a time, or name their folder; give texts as {"text": [...]}'
        raise InputError("A source is one path.", label, f"{len(source):,} paths, {source[0]!r} first", fix)
    table = pa.table([unicode_of(source, label)], schema=pa.schema([TEXT_COLUMN]))
    return replace(of_table(table, label), texts=(TEXT,))


def _dialogues(source: Sequence[Any]) -> Feed:
    return replace(_columns({DIALOGUE_COLUMN: source}), label="list of dialogues")


def are_texts(source: Any) -> bool:
    """Whether an object is a list of texts, at least one."""
    return isinstance(source, list | tuple) and len(source) > 0 and all(isinstance(text, str) for text in source)


def _columns(source: Mapping[Any, Any]) -> Feed:
    label = "dict of columns"
    refuse_twins([str(name) for name in source], label)
    if not source:
        raise InputError("A table has at least one column.", label, "an empty dict", "give it columns")
    arrays: dict[str, pa.Array | pa.ChunkedArray] = {}
    notes, mixed = list[str](), list[str]()
    for key, column in source.items():
        name = str(key)
        if isinstance(column, pa.Array | pa.ChunkedArray):
            arrays[name] = column
        elif isinstance(column, np.ndarray) and column.dtype != object:
            arrays[name] = _array(column, name, label)
        else:
            arrays[name], note = _objects(_values(column, name), name, label)
            notes.extend(note)
            mixed.extend([name] if note else [])
    lengths = {name: len(column) for name, column in arrays.items()}
    if len(set(lengths.values())) > 1:
        seen = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError("The columns of a table have one length.", label, seen, "cut or fill the shorter ones")
    return of_table(pa.table(arrays), label, ANYTHING, notes, mixed)


def _array(column: np.ndarray, name: str, label: str) -> pa.Array | pa.ChunkedArray:
    if column.ndim == 1:
        return table_of_arrays({name: column}, label).column(0)
    if (pictures := tensor_of(column, f"{label}, column {name!r}")) is not None:
        return pictures
    raise InputError("A column has one value per record.", f"column {name!r}", "an array of several axes", "split it")


def _values(column: Any, name: str) -> list[Any]:
    if isinstance(column, str | bytes | Mapping) or not hasattr(column, "__iter__"):
        raise InputError(
            "A column is a sequence of values.", f"column {name!r}", type(column).__name__, "give a list of values"
        )
    return list(column)


def _objects(values: list[Any], name: str, label: str) -> tuple[pa.Array, list[str]]:
    """Python values as one Arrow column: of their common type, else as text with a note."""
    if (pictures := pictures_of(values, f"{label}, column {name!r}")) is not None:
        return pictures, []
    first = next((j for j, value in enumerate(values) if isinstance(value, _NESTED)), None)
    if first is not None and (lists := _lists(values)) is not None:
        return lists, []
    if first is not None:
        raise InputError(
            "A cell holds one number, text, truth, date or time, or a list of such values or of dicts of them.",
            f"{label}, column {name!r}, record {first + 1:,}",
            f"a {type(values[first]).__name__}",
            "give each part a column of its own",
        )
    try:
        return pa.array(values, from_pandas=True), []
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        pass
    except OverflowError:
        return pa.array([None if value is None else float(value) for value in values], pa.float64()), []
    kept = [None if _is_gone(value) else value for value in values]
    kinds = sorted({type(value).__name__ for value in kept if value is not None})
    texts = unicode_of([None if value is None else str(value) for value in kept], f"{label}, column {name!r}")
    return texts, [f"column {name!r} mixes {', '.join(kinds)}: read as text"] if len(kinds) > 1 else []


def _lists(values: list[Any]) -> pa.Array | None:
    """Sequences as an Arrow column of lists; None if some value is no list, or lists are of no common type."""
    kept = [None if not isinstance(value, list | tuple | np.ndarray) and _is_gone(value) else value for value in values]
    if not all(value is None or isinstance(value, list | tuple | np.ndarray) for value in kept):
        return None
    try:
        made = pa.array([value.tolist() if isinstance(value, np.ndarray) else value for value in kept])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return None
    return made if is_sequence(made.type) or is_pairs(made.type) else None


def _is_gone(value: Any) -> bool:
    is_nan = isinstance(value, float | np.floating) and bool(np.isnan(value))
    return value is None or is_nan or type(value).__name__ in ("NaTType", "NAType")


def _is_a(module: str, *names: str) -> Callable[[Any], bool]:
    """Whether an object is of a class of a module, without importing the module."""

    def matches(source: Any) -> bool:
        loaded = sys.modules.get(module)
        return loaded is not None and isinstance(source, tuple(getattr(loaded, name) for name in names))

    return matches


_READERS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Feed]], ...] = (
    (_is_a("pyarrow", "Table", "RecordBatch"), _arrow),
    (_is_a("pandas", "DataFrame"), _pandas),
    (_is_a("polars", "DataFrame", "LazyFrame"), _polars),
    (_is_a("numpy", "ndarray"), _numpy),
    (lambda source: isinstance(source, Mapping), _columns),
    (are_texts, _texts),
    (are_dialogues, _dialogues),
)
