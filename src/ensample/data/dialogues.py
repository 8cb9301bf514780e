"""Dialogues as columns: lists of turns, each a role and what it says; which types are dialogues, and their turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.nested import is_list
from ensample.errors import InputError

ROLE, TEXT = "role", "content"
"""Names of the fields of a turn where the source has none."""

COLUMN = "messages"
"""Name of the column where the source has none."""

ROLES, TEXTS = (ROLE, "from", "speaker"), (TEXT, "value", "text")
"""Names that these fields may have."""


def _is_text(dtype: pa.DataType) -> bool:
    if pa.types.is_dictionary(dtype):
        return _is_text(dtype.value_type)
    return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype))


def turn_fields(dtype: pa.DataType) -> tuple[str, str] | None:
    """Names of the role and of the text of a turn, None for a type that holds no turns.

    A turn is a struct of these two fields. It may have more, which are left aside, where the two are named `ROLE` and
    `TEXT`.

    Example:
        >>> turn_fields(pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})))
        ('role', 'content')
        >>> turn_fields(pa.list_(pa.struct({"role": pa.string(), "age": pa.int64()})))
    """
    if not is_list(dtype) or not pa.types.is_struct(dtype.value_type):
        return None
    names = dtype.value_type.names
    possible = (ROLES, TEXTS) if len(names) == 2 else ((ROLE,), (TEXT,))
    role, text = (next((name for name in names if name in known), None) for known in possible)
    return None if role is None or text is None else (role, text)


def is_dialogue(dtype: pa.DataType) -> bool:
    """Whether values are lists of turns, whose role and text are texts."""
    names = turn_fields(dtype)
    return names is not None and all(_is_text(dtype.value_type.field(name).type) for name in names)


def left_aside(dtype: pa.DataType) -> tuple[str, ...]:
    """Names of what turns say besides their role and their text.

    Example:
        >>> left_aside(pa.list_(pa.struct({"role": pa.string(), "content": pa.string(), "name": pa.string()})))
        ('name',)
    """
    return tuple(name for name in dtype.value_type.names if name not in (turn_fields(dtype) or ()))


def is_pairs(dtype: pa.DataType) -> bool:
    """Whether values are lists of lists of texts, which may be pairs of a role and a text."""
    return is_list(dtype) and is_list(dtype.value_type) and _is_text(dtype.value_type.value_type)


def from_pairs(column: pa.Array) -> pa.Array | None:
    """Lists of [role, text] as lists of turns; None if some inner list is no pair."""
    pairs = pc.list_flatten(column)
    if pairs.null_count or pc.any(pc.not_equal(pc.list_value_length(pairs), 2)).as_py():
        return None
    parts = [pc.list_element(pairs, j).cast(pa.string()) for j in range(2)]
    turns = pa.StructArray.from_arrays(parts, [ROLE, TEXT])
    offsets = np.concatenate([[0], np.asarray(pc.list_value_length(column).fill_null(0)).cumsum()])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), turns, mask=pc.is_null(column))


@dataclass(frozen=True)
class Turns:
    """The turns of all dialogues of a column, one after the other.

    Arguments:
        roles, texts: of each turn, type string, none of them null: a turn without text is empty.
        counts: turns of each dialogue, int64 [rows], 0 for a missing one.
    """

    roles: pa.Array
    texts: pa.Array
    counts: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        """Number of the first turn of each dialogue, and behind the last one how many there are; int64 [rows + 1]."""
        return np.concatenate([[0], self.counts.cumsum()])


def turns_of(column: pa.Array | pa.ChunkedArray, field: str) -> Turns:
    """The turns of a column of dialogues.

    Raises:
        InputError: a turn is missing, or has no role.
    """
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    names = turn_fields(column.type)
    assert names is not None
    counts = np.asarray(pc.list_value_length(column).fill_null(0)).astype(np.int64)
    turns = pc.list_flatten(column)
    roles, texts = (pc.struct_field(turns, name).cast(pa.string()) for name in names)
    if roles.null_count:
        turn = int(np.flatnonzero(pc.is_null(roles).to_numpy(zero_copy_only=False))[0])
        row = int(np.searchsorted(counts.cumsum(), turn, side="right"))
        raise InputError(
            "A turn says whose it is.", f"column {field!r}, row {row}", "no role", "add one, or leave it out"
        )
    return Turns(roles, pc.fill_null(texts, ""), counts)


def dialogues(turns: Turns, missing: np.ndarray, dtype: pa.DataType) -> pa.Array:
    """Inverse of `turns_of`: a column of this type, null where `missing` [rows], as is what was left aside."""
    names = turn_fields(dtype)
    assert names is not None
    made = {names[0]: turns.roles, names[1]: turns.texts}
    fields = list(dtype.value_type)
    parts = [
        _typed(made[field.name], field.type) if field.name in made else pa.nulls(len(turns.roles), field.type)
        for field in fields
    ]
    values = pa.StructArray.from_arrays(parts, fields=fields)
    sort, offsets = (pa.LargeListArray, pa.int64()) if pa.types.is_large_list(dtype) else (pa.ListArray, pa.int32())
    return sort.from_arrays(pa.array(turns.starts, offsets), values, mask=pa.array(missing)).cast(dtype)


def _typed(texts: pa.Array, dtype: pa.DataType) -> pa.Array:
    return texts.dictionary_encode().cast(dtype) if pa.types.is_dictionary(dtype) else texts.cast(dtype)


def messages_of(dialogue: Any, place: str) -> list[tuple[str, str]]:
    """Turns as (role, text), from mappings of the two or from pairs.

    Raises:
        InputError: something else stands in it.

    Example:
        >>> messages_of([{"role": "user", "content": "Hi"}, ("assistant", "Hello")], "chat")
        [('user', 'Hi'), ('assistant', 'Hello')]
    """
    if not isinstance(dialogue, Sequence) or isinstance(dialogue, str):
        raise no_turn(place, dialogue)
    return [_message(turn, place) for turn in dialogue]


def is_message(turn: Any) -> bool:
    """Whether this may be one turn: a mapping, or a pair of strings."""
    pair = isinstance(turn, list | tuple) and len(turn) == 2 and all(isinstance(part, str) for part in turn)
    return isinstance(turn, Mapping) or pair


def are_dialogues(source: Any) -> bool:
    """Whether an object is a list of dialogues, None for missing ones, at least one of them there."""
    if not isinstance(source, list | tuple) or all(each is None for each in source):
        return False
    there = [each for each in source if each is not None]
    return all(isinstance(each, list | tuple) and all(map(is_message, each)) for each in there)


def _message(turn: Any, place: str) -> tuple[str, str]:
    if isinstance(turn, Mapping):
        role, text = (next((turn[name] for name in known if name in turn), None) for known in (ROLES, TEXTS))
        text = "" if text is None else text
    elif is_message(turn):
        role, text = turn
    else:
        raise no_turn(place, turn)
    if not isinstance(role, str) or not isinstance(text, str):
        raise no_turn(place, turn)
    return role, text


def no_turn(place: str, seen: Any) -> InputError:
    """What to raise for something that is no dialogue."""
    return InputError(
        "A dialogue is a list of turns, each with its role and its text.",
        place,
        repr(seen)[:80],
        f'write {{"{ROLE}": "user", "{TEXT}": "..."}}',
    )
