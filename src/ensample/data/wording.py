"""How values are written as text, so that a column is saved in the form it was read in.

A *wording* is a short text stored with the column (in the metadata of its Arrow field): "%Y-%m-%dT%H:%M:%S" for
moments, ".2f" for numbers with two decimals, "True/False" for truths. It is found by writing: the wording that best
reproduces the texts that were read is the one.
"""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.nested import is_sequence, lengths_of, lists_of, steps_of

PLAIN = "g"
"""Whole numbers in a float column without ".0"."""
_TRUTHS = ("true/false", "True/False", "TRUE/FALSE")
_MOMENTS = tuple(f"%Y-%m-%d{gap}{clock}" for gap in (" ", "T") for clock in ("%H:%M:%S", "%H:%M", "%H:%M:%SZ"))


def wording_of(values: pa.Array, texts: pa.Array) -> str | None:
    """The wording that writes the most of `values` as `texts` have them; None for the default one."""
    best, most = None, _agreement(write(values), texts)
    for wording in _candidates(values, texts):
        if most == 1:
            break
        share = _agreement(write(values, wording), texts)
        if share > most:
            best, most = wording, share
    return best


def _agreement(left: pa.Array, right: pa.Array) -> float:
    return float(pc.mean(pc.cast(pc.equal(left, right), pa.float64())).as_py())


def _candidates(values: pa.Array, texts: pa.Array) -> tuple[str, ...]:
    kind = values.type
    if pa.types.is_floating(kind):
        decimals = len(texts[0].as_py().strip().partition(".")[2])
        return (PLAIN, f".{decimals}f") if 0 < decimals <= 9 else (PLAIN,)
    if pa.types.is_boolean(kind):
        return _TRUTHS
    return _MOMENTS if pa.types.is_timestamp(kind) else ()


def write(values: pa.Array, wording: str | None = None) -> pa.Array:
    """Values as texts, null where missing.

    Floats keep a ".0" and as many digits as tell them apart; a wording with fewer decimals than a value has is
    not used for that batch, so nothing is ever lost in writing.
    """
    kind = values.type
    if is_sequence(kind):
        return json_lists(values)
    if pa.types.is_dictionary(kind):
        return write(values.dictionary_decode(), wording)
    if pa.types.is_floating(kind):
        return _write_floats(values, wording)
    if pa.types.is_boolean(kind):
        yes, no = (wording or _TRUTHS[0]).split("/")
        return pc.if_else(values, yes, no)
    if pa.types.is_temporal(kind) and wording is not None:
        return _write_times(values, wording)
    if pa.types.is_null(kind):
        return pa.nulls(len(values), pa.string())
    return pc.cast(values, pa.string())


def json_cells(values: pa.Array, wording: str | None = None) -> pa.Array:
    """Values as JSON texts, null where missing."""
    kind = values.type
    if is_sequence(kind):
        return json_lists(values)
    if pa.types.is_boolean(kind):
        return write(values)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return write(values, wording)
    texts = write(values, wording).dictionary_encode()  # each distinct text is escaped once
    levels = [json.dumps(text, ensure_ascii=False) for text in texts.dictionary.to_pylist()]
    return pa.array(levels, pa.string()).take(texts.indices)


def json_lists(values: pa.Array) -> pa.Array:
    """Lists as JSON texts, null where a whole list is missing.

    Example:
        >>> json_lists(pa.array([[{"x": 1.5, "y": None}], []])).to_pylist()
        ['[{"x": 1.5, "y": null}]', '[]']
    """
    steps, lengths = steps_of(values), lengths_of(values, -1)
    parts = [pc.fill_null(json_cells(column), "null") for column in steps.columns]
    if pa.types.is_struct(values.type.value_type):
        keys = [json.dumps(name, ensure_ascii=False) + ": " for name in steps.schema.names]
        members = [pc.binary_join_element_wise(key, part, "") for key, part in zip(keys, parts, strict=True)]
        inside = pc.binary_join_element_wise(*members, ", ") if len(members) > 1 else members[0]
        parts = [pc.binary_join_element_wise("{", inside, "}", "")]
    joined = pc.binary_join(lists_of([parts[0].cast(pa.string())], lengths, pa.list_(pa.string())), ", ")
    return pc.binary_join_element_wise("[", joined, "]", "")


def _write_floats(values: pa.Array, wording: str | None) -> pa.Array:
    if wording is not None and wording.endswith("f"):
        fixed = _write_fixed(values, int(wording[1:-1]))
        if fixed is not None:
            return fixed
    texts = pc.cast(values, pa.string())
    whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 1e15))
    if not pc.any(whole).as_py():
        return texts
    # Arrow would write 1e+10 for ten thousand million.
    digits = pc.cast(pc.cast(values, pa.int64(), safe=False), pa.string())
    return pc.if_else(whole, digits if wording == PLAIN else pc.binary_join_element_wise(digits, "0", "."), texts)


def _write_fixed(values: pa.Array, decimals: int) -> pa.Array | None:
    try:
        texts = pc.cast(pc.cast(values, pa.decimal128(38, decimals), safe=False), pa.string())
    except pa.ArrowInvalid:
        return None
    exact = pc.all(pc.equal(pc.cast(texts, values.type), values)).as_py()
    return texts if exact is not False else None


def _write_times(values: pa.Array, wording: str) -> pa.Array:
    if pa.types.is_timestamp(values.type) and "%S" not in wording:
        rounded = pc.floor_temporal(values, unit="minute" if "%M" in wording else "day")
        if pc.all(pc.equal(rounded, values)).as_py() is False:
            return write(values)
    return pc.strftime(values, wording)
