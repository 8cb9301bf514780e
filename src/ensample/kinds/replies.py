"""Which turns of a dialogue are learned: those of some roles, written `chat.assistant`, given the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ensample.data.schema import Schema
from ensample.errors import InputError
from ensample.kinds.dialogue import Dialogue


def parted(
    schema: Schema, model: Sequence[str] | None, given: Sequence[str] | str | None
) -> tuple[Schema, tuple[str, ...] | None, tuple[str, ...]]:
    """Names of fields to learn and to be given, in which `field.role` stood for turns of a dialogue.

    `model=["chat.assistant"]` and `given=["chat.user"]` mean the field `chat` whose kind learns the turns of these
    roles, or of all but these. A dialogue of which nothing is said so is as it was.

    Raises:
        InputError: no turn of that role was met, a role is learned and given, or none is left to learn.
    """
    conditions = (given,) if isinstance(given, str) else tuple(given or ())
    fields = list(schema)
    for place, field in enumerate(fields):
        if not isinstance(field.kind, Dialogue):
            continue
        learned, told = (_roles(schema, field.name, names or ()) for names in (model, conditions))
        if learned or told:
            fields[place] = replace(field, kind=_of_replies(field.kind, field.name, learned, told))
        if learned and model is not None:
            model = tuple(dict.fromkeys(field.name if _is_part(schema, field.name, n) else n for n in model))
        conditions = tuple(name for name in conditions if not _is_part(schema, field.name, name))
    return Schema(tuple(fields)), None if model is None else tuple(model), conditions


def _is_part(schema: Schema, field: str, name: str) -> bool:
    return name not in schema.names and name.startswith(f"{field}.")


def _roles(schema: Schema, field: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.removeprefix(f"{field}.") for name in names if _is_part(schema, field, name))


def _of_replies(kind: Dialogue, field: str, learned: tuple[str, ...], told: tuple[str, ...]) -> Dialogue:
    for role in told:
        kind.number_of(role, field)  # there is such a role
    left = learned or kind.beside(told)
    if both := set(learned) & set(told):
        fix, seen = "name each once", ", ".join(f"{field}.{role}" for role in sorted(both))
        raise InputError("Turns of a role are learned or given, not both.", "model, given", seen, fix)
    if not left:
        raise InputError("There must be turns to learn.", "model, given", "all roles are given", "give fewer of them")
    return kind.of_replies(left, field)
