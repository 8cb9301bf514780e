"""JSON lines: one object a line; its keys are the columns, a key that is absent is a missing value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.json as pj

from ensample.data.dialogues import turn_fields
from ensample.data.infer import TIMES
from ensample.data.readers.feed import Feed
from ensample.data.sources import File, lines_of
from ensample.errors import InputError

_BLOCK = 1 << 22
_CHANGED = re.compile(r"Column\(/(.*)\) changed from (\w+) to (\w+)")


def feed(file: File) -> Feed:
    """A file of JSON lines. A first pass settles the type of each key; keys of several types become text.

    Raises:
        InputError: a line is no object, or a cell is nested.
    """
    parser = _Parser(file)
    schema = parser.schema()
    notes = tuple(f"column {name!r} mixes types: read as text" for name in sorted(parser.mixed))
    return Feed(str(file.path), _Open(parser, schema), TIMES, notes=notes)


@dataclass(frozen=True)
class _Open:
    parser: _Parser
    schema: pa.Schema

    def __call__(self, names: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        for table in self.parser.tables(self.schema):
            yield from (table if names is None else table.select(list(names))).to_batches()


class _Parser:
    """Passes over the file; `mixed` gathers the keys whose values are of several types."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.mixed: set[str] = set()

    def schema(self) -> pa.Schema:
        """The type of every key over the whole file."""
        schema = pa.schema([])
        for table in self.tables(None):
            schema = self._unified(schema, table.schema)
        # Arrow takes ISO dates for moments; as texts they are told apart later, with the form they were written in.
        return pa.schema([f.with_type(_settled(f.type)) for f in schema])

    def _unified(self, known: pa.Schema, new: pa.Schema) -> pa.Schema:
        new = pa.schema([f.with_type(_settled(f.type)) for f in new])
        for f in new:
            if f.name in known.names:
                try:
                    pa.unify_schemas([pa.schema([known.field(f.name)]), pa.schema([f])], promote_options="permissive")
                except pa.ArrowTypeError:
                    self.mixed.add(f.name)
        texts = [pa.field(name, pa.string()) for name in self.mixed]
        known, new = (
            pa.schema([next((t for t in texts if t.name == f.name), f) for f in schema]) for schema in (known, new)
        )
        return pa.unify_schemas([known, new], promote_options="permissive")

    def tables(self, schema: pa.Schema | None) -> Iterator[pa.Table]:
        """The records piece by piece, under a schema or each piece as it looks."""
        line = 0
        with self.file.open() as stream:
            for piece in lines_of(stream, _BLOCK):
                if line == 0 and piece.lstrip()[:1] == b"[":
                    raise InputError(
                        "A JSON file must hold one object a line.",
                        str(self.file.path),
                        "one array around all records",
                        'write it anew, in pandas: frame.to_json(path, orient="records", lines=True)',
                    )
                if piece.strip():
                    yield self._table(piece, schema, line)
                line += piece.count(b"\n")

    def _table(self, piece: bytes, schema: pa.Schema | None, line: int) -> pa.Table:
        options = pj.ParseOptions(explicit_schema=schema, newlines_in_values=False)
        while True:
            text = _as_text(piece, self.mixed) if self.mixed else piece
            try:
                table = pj.read_json(pa.BufferReader(text), pj.ReadOptions(block_size=len(text) + 1), options)
                return table if schema is None else table.select(schema.names)
            except pa.ArrowInvalid as error:
                changed = _CHANGED.search(str(error))
                if changed is None or {"object", "array"} & {changed[2], changed[3]} or changed[1] in self.mixed:
                    raise self._explained(error, line) from error
                self.mixed.add(changed[1])

    def _explained(self, error: Exception, line: int) -> InputError:
        row = re.search(r"in row (\d+)", str(error))
        where = f", line {line + int(row[1]) + 1}" if row else ""
        changed = _CHANGED.search(str(error))
        nested = changed is not None and bool({"object", "array"} & {changed[2], changed[3]})
        return InputError(
            "A line of a JSON file must hold one object of plain values.",
            f"{self.file.path}{where}",
            str(error).removeprefix("JSON parse error: "),
            "give each part of a nested value a key of its own" if nested else "repair the line",
        )


def _settled(kind: pa.DataType) -> pa.DataType:
    if turn_fields(kind) is not None:  # a turn may be a date and nothing else
        fields = [kind.value_type.field(j) for j in range(2)]
        return pa.list_(pa.struct([f.with_type(_settled(f.type)) for f in fields]))
    return pa.string() if pa.types.is_timestamp(kind) else kind


def _as_text(piece: bytes, names: set[str]) -> bytes:
    """The same lines with the values of some keys as texts: a way round for files of mixed types, line by line."""
    lines = []
    for line in piece.splitlines():
        record = json.loads(line) if line.strip() else {}
        for name in names & record.keys():
            if record[name] is not None and not isinstance(record[name], str):
                record[name] = json.dumps(record[name])
        lines.append(json.dumps(record))
    return "\n".join(lines).encode()
