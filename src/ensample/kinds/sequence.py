"""Sequences: a value is a list of steps, and each step a number, a category, ... or a struct of several."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from ensample.data.nested import lengths_of, lists_of, step_fields, steps_of
from ensample.data.schema import Field, Schema
from ensample.errors import FormatError
from ensample.events import MISSING_LENGTH, Ragged, Span
from ensample.kinds.arrow import type_from_text
from ensample.kinds.base import Ranges, Rule, cannot_be, impossible, never_seen, priced
from ensample.kinds.codec import TableCodec
from ensample.kinds.profile import Profile, SequenceProfile


@dataclass(frozen=True)
class Sequence:
    """A list of steps, whose fields have kinds of their own; `steps` is the codec of a step.

    As a kind its rows are the steps of all records: `encode` gives cells [steps, spans], `decode` their values. A
    record that is missing as a whole is a value of its length (`MISSING_LENGTH`).

    Arguments:
        dtype: Arrow type of the column, as text.
        element: schema of a step, as JSON; a step that is no struct has one field called "value".
        longest: steps of the longest record met.
        missing: whether whole records were missing.
        unseen: probability of a missing record where none was met.
        shortest: steps of the shortest record met.

    Example:
        >>> walks = Sequence.fit(Profile.of(pa.array([[1.5, 2.0], [], [2.5, 1.0, None]])))
        >>> walks.describe()
        '0 to 3 steps of value (number, 1 to 2.5, in steps of 0.1; may be missing)'
        >>> walks.decode(walks.encode(pa.array([[2.0]]), "walk"), np.random.default_rng(0)).to_pylist()
        [2.0]
    """

    dtype: str
    element: str
    longest: int
    missing: bool
    unseen: float
    shortest: int = 0

    name: ClassVar[str] = "sequence"

    @classmethod
    def recognise(cls, profile: Profile) -> float:
        """Lists of plain values, or of structs of them."""
        return 1.0 if isinstance(profile, SequenceProfile) and profile.steps else 0.0

    @classmethod
    def fit(cls, profile: Profile, kinds: Mapping[str, str] = MappingProxyType({})) -> Self:
        """Fit the kind of every field of the steps: the one in `kinds`, or the one that is recognised.

        Raises:
            InputError: there is no step, nothing of a step can be learned, or a field cannot be of its kind.
        """
        from ensample.kinds.guessing import fit_profile

        if not isinstance(profile, SequenceProfile):
            raise cannot_be(profile, cls.name, f"values of type {profile.dtype}", "make lists of them first")
        if not profile.steps:
            raise cannot_be(profile, cls.name, "no step in any row", "leave the column out")
        dtype = _variable(profile.dtype)
        if _type_from(str(dtype)) != dtype:
            raise cannot_be(
                profile, cls.name, f"names {profile.dtype}", "rename the fields of the steps in plain words"
            )
        fitted = {
            name: fit_profile(kinds.get(name) or cls._means(found), found) for name, found in profile.fields.items()
        }
        types = {field.name: str(field.type) for field in step_fields(dtype)}
        schema = Schema(tuple(Field(name, types[name], kind) for name, kind in fitted.items()))
        if not any(kind.spans(name) for name, kind in fitted.items()):
            raise cannot_be(profile, cls.name, "steps of which nothing can be learned", "leave the column out")
        plain = json.dumps(schema.to_plain())
        return cls(str(dtype), plain, profile.longest, profile.missing > 0, never_seen(profile), profile.shortest)

    @classmethod
    def _means(cls, profile: Profile) -> str | None:
        """The kind of a field of steps where its values are not enough to recognise it."""
        return None

    @cached_property
    def type(self) -> pa.DataType:
        """Arrow type of the column."""
        return type_from_text(self.dtype)

    @cached_property
    def steps(self) -> TableCodec:
        """The codec of a step."""
        from ensample.kinds.guessing import schema_from_plain

        try:
            schema = schema_from_plain(json.loads(self.element))
        except json.JSONDecodeError as error:
            raise FormatError("A stored schema must be whole.", "a sequence", str(error), "write it anew") from error
        return TableCodec(schema, schema.names)

    @property
    def fixed(self) -> bool:
        """Whether every record has the same number of steps, and none is missing."""
        return 0 < self.shortest == self.longest and not self.missing

    @property
    def event(self) -> Ragged:
        """What one record looks like to a family."""
        return Ragged(self.steps.event, self.longest, missing=self.missing, fixed=self.fixed)

    def spans(self, field: str) -> tuple[Span, ...]:
        """Those of a step."""
        return self.steps.event.spans

    def lengths(self, column: pa.Array) -> np.ndarray:
        """Steps of each record, int64 [rows], `MISSING_LENGTH` for a missing one."""
        return lengths_of(column, MISSING_LENGTH)

    def encode(self, column: pa.Array, field: str) -> np.ndarray:
        """Cells of all steps [steps, spans]."""
        return self.steps.cells(self._steps(column))

    def encode_holes(self, column: pa.Array) -> np.ndarray:
        """The same, with what is missing inside a step unset instead of being a state."""
        return self.steps.cells(self._steps(column), holes=True)

    def decode(self, table: np.ndarray, rng: np.random.Generator, first: int = 0) -> pa.Array:
        """Values of steps [steps, spans]: of its one field, or structs."""
        parts = self.steps.columns(table, rng, first)
        if pa.types.is_struct(self.type.value_type):
            return pa.StructArray.from_arrays(
                [part.cast(f.type) for part, f in zip(parts, step_fields(self.type), strict=True)],
                fields=step_fields(self.type),
            )
        return parts[0]

    def lists(self, table: np.ndarray, lengths: np.ndarray, rng: np.random.Generator) -> pa.Array:
        """Records [rows] from cells of all steps and the length of each record."""
        return lists_of(self.steps.columns(table, rng), lengths, self.type)

    def log_volume(self, column: pa.Array, field: str) -> np.ndarray:
        """The price of values never met, summed over the steps of each record, and of records never missing."""
        lengths = self.lengths(column)
        of_steps = np.zeros(int(lengths.clip(min=0).sum()))
        for name in self.steps.model:
            of_steps += self.steps.schema[name].kind.log_volume(self._steps(column).column(name), name)
        rows = np.repeat(np.arange(len(lengths)), lengths.clip(min=0))
        total = np.bincount(rows, of_steps, len(lengths)).astype(np.float64)
        return total if self.missing else total + priced(self.unseen, lengths == MISSING_LENGTH)

    def limits(self, rule: Rule, field: str) -> tuple[Ranges, ...]:
        """None: a wish about a whole sequence cannot be told."""
        fix = "leave it out, or filter samples afterwards"
        raise impossible(field, "a wish about a field of sequences", fix)

    def present(self) -> Ranges | None:
        """None: a record of unknown length gets one."""
        return None

    def describe(self) -> str:
        """How long, and of what."""
        of = ", ".join(f"{field.name} ({field.kind.describe()})" for field in self.steps.schema)
        count = f"{self.longest:,}" if self.fixed else f"{self.shortest:,} to {self.longest:,}"
        return f"{count} steps of {of}" + ("; may be missing" if self.missing else "")

    def _steps(self, column: pa.Array) -> pa.RecordBatch:
        steps = steps_of(column)
        lacking = [name for name in self.steps.model if name not in steps.schema.names]
        if lacking:
            raise impossible("steps", f"no {', '.join(lacking)} in a step", "give steps the fields of learning")
        return steps.select(list(self.steps.model))


def _variable(dtype: pa.DataType) -> pa.DataType:
    """The type of lists of any length of the same steps."""
    item: Any = dtype.value_type
    return pa.large_list(item) if pa.types.is_large_list(dtype) else pa.list_(item)


def _type_from(text: str) -> pa.DataType | None:
    try:
        return type_from_text(text)
    except FormatError:
        return None
