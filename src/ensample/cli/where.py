"""Conditions as text: `--where age=30..40 --where sex=Male,Female`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ensample.cli.options import split
from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.schema import Schema

HELP = (
    "a condition: FIELD=VALUE, FIELD=A,B,C (one of these), FIELD=LOW..HIGH (both ends included; either may be left "
    "out), FIELD= (missing). Repeatable; all must hold. Or @FILE: a table of which each row is completed to one record"
)


def conditions(texts: Sequence[str], schema: Schema) -> dict[str, Any] | None:
    """The `where` of `Model.sample`; None without conditions.

    Raises:
        InputError: no "=", a field that the model does not have, or a field twice.
    """
    found: dict[str, Any] = {}
    kinds = {field.name: field.kind.name for field in schema.fields}
    for text in texts:
        name, wish = _parts(text, list(kinds))
        if name in found:
            raise InputError(
                "A field takes one condition.", f"--where {text}", f"{name} twice", "join them: A,B or A..B"
            )
        found[name] = condition(wish, numbers=kinds[name] == "number", ranges=kinds[name] in RANGED)
    return found or None


RANGED = ("number", "datetime")
"""Kinds whose values have an order; elsewhere ".." is part of a value."""


def condition(text: str, numbers: bool, ranges: bool) -> Any:
    """One wish: a value, a list of values, or (low, high); None is a missing value, or an end that is open.

    Example:
        >>> condition("30..40", numbers=True, ranges=True)
        (30, 40)
        >>> condition("..2.5", numbers=True, ranges=True)
        (None, 2.5)
        >>> condition("Male,Female", numbers=False, ranges=False)
        ['Male', 'Female']
        >>> condition("", numbers=True, ranges=True) is None
        True
    """
    if ranges and ".." in text:
        low, _, high = text.partition("..")
        return _value(low, numbers), _value(high, numbers)
    values = [_value(word, numbers) for word in split(text)]
    return values if len(values) > 1 else values[0]


def _parts(text: str, fields: list[str]) -> tuple[str, str]:
    """Field and wish; the longest field that fits counts, for names that hold "="."""
    fitting = [name for name in fields if text.startswith(name + "=")]
    if fitting:
        name = max(fitting, key=len)
        return name, text[len(name) + 1 :]
    if "=" not in text:
        raise InputError(
            "A condition is FIELD=VALUE.", f"--where {text}", repr(text), "write --where FIELD=VALUE, in quotes"
        )
    name = text.partition("=")[0]
    raise InputError(
        "A condition names a field of the model.", f"--where {text}", repr(name), f"choose among {', '.join(fields)}"
    )


def _value(text: str, numbers: bool) -> Any:
    if text == "":
        return None
    for kind in (int, float) if numbers else ():
        with contextlib.suppress(ValueError):
            return kind(text)
    return text
