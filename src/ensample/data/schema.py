"""What the fields of a data set are: names, types, kinds, and how a missing value is spelled."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensample.errors import InputError
from ensample.storage import write_json

if TYPE_CHECKING:
    from ensample.kinds.base import Kind

FORMAT = 1
"""Version of the stored form."""


@dataclass(frozen=True)
class Field:
    """One column: its name, its Arrow type as text, its fitted kind, and how its values are written.

    `missing` is the text that stands for a missing value, `wording` the form of the others (see `data.wording`).
    `wished` says that the user chose the kind; a stored schema does not tell.
    """

    name: str
    dtype: str
    kind: Kind
    missing: str = ""
    wording: str = ""
    wished: bool = dataclasses.field(default=False, compare=False)


@dataclass(frozen=True, repr=False)
class Schema:
    """The fields of a data set, in the order of its columns.

    Example:
        >>> import pyarrow as pa
        >>> from ensample.kinds import fit_kind
        >>> schema = Schema((Field("age", "int64", fit_kind("number", pa.chunked_array([[17, 90, 35, 40, 41]]))),))
        >>> schema.names
        ('age',)
        >>> print(schema)
        field  type   kind    values
        age    int64  number  integer, 17 to 90
    """

    fields: tuple[Field, ...]

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise InputError(
            "A field must be in the schema.", "schema", repr(name), f"choose from {', '.join(map(repr, self.names))}"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all fields, in order."""
        return tuple(field.name for field in self.fields)

    def select(self, names: Iterable[str]) -> Schema:
        """The schema of these fields, in the order asked for."""
        return Schema(tuple(self[name] for name in names))

    def __repr__(self) -> str:
        rows = [("field", "type", "kind", "values"), *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{text}</th>" for text in ("field", "type", "kind", "values"))
        body = "".join("<tr>" + "".join(f"<td>{html.escape(t)}</td>" for t in row) + "</tr>" for row in self._rows())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _rows(self) -> list[tuple[str, str, str, str]]:
        return [(f.name, _short(f.dtype), f.kind.name, f.kind.describe()) for f in self.fields]

    def to_plain(self) -> dict[str, Any]:
        """As JSON values; `ensample.kinds.schema_from_plain` is the inverse."""
        return {"format": FORMAT, "fields": [_plain(field) for field in self.fields]}

    def save(self, path: str | Path) -> None:
        """Write as a JSON file. Raises FormatError if that cannot be done."""
        write_json(Path(path), self.to_plain())


def _plain(field: Field) -> dict[str, Any]:
    written = {"name": field.name, "dtype": field.dtype, "missing": field.missing, "wording": field.wording}
    return {**written, "kind": field.kind.name, "measured": _measured(field.kind)}


def _measured(kind: Kind) -> dict[str, Any]:
    return {f.name: _listed(getattr(kind, f.name)) for f in fields(kind)}  # type: ignore[arg-type]


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


def _short(dtype: str) -> str:
    if "fixed_shape_tensor" in dtype:
        return "picture"
    return dtype if len(dtype) <= 24 else dtype[:23] + "…"
