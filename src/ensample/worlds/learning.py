"""Tables of transitions made ready to learn from, and learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ensample.data.dataset import Dataset
from ensample.errors import InputError
from ensample.families.base import Family
from ensample.fitting import fit
from ensample.kinds import guess
from ensample.worlds.fields import ACTION, CHANGE, EPISODE, NEXT, REWARD, STATE, TERMINATED, having, needed, renamed

if TYPE_CHECKING:
    from ensample.model import Model


def learn(data: Dataset, family: str | Family | None = None, *, changes: bool = True, **options: Any) -> Model:
    """Learn p(next state, reward, end | state, action) from transitions: `ensample.fit` with the fields put in place.

    Arguments:
        data: as `transitions` makes it.
        family: of tables with given fields, as for `ensample.fit`.
        changes: learn next state minus state where the state is a number: most worlds move by small steps, of which a
            family of limited sharpness tells more. False learns the next state itself, which is better where it hardly
            depends on the state.
        options: `budget`, `seed`, `out`, `start` and `progress` of `ensample.fit`.

    Raises:
        InputError: a field of a transition is not there.

    Example:
        >>> from ensample.worlds import transitions
        >>> model = learn(transitions("CartPole-v1", steps=100, seed=0), "independent", seed=0)
        >>> model.codec.given
        ('state_0', 'state_1', 'state_2', 'state_3', 'action')
        >>> model.codec.model
        ('change_0', 'change_1', 'change_2', 'change_3', 'reward', 'terminated')
    """
    table = with_changes(data) if changes else data
    states, actions = having(table.names, STATE), having(table.names, ACTION)
    outcome = tuple(_outcome(name, table.names) for name in states)
    needed(table.names, (*(states or (STATE,)), *(actions or (ACTION,)), REWARD, TERMINATED), "learn, data")
    learned = (*outcome, REWARD, TERMINATED)
    return fit(table, family, model=learned, given=(*states, *actions), **options)


def with_changes(data: Dataset) -> Dataset:
    """Transitions with `change_...` (next minus before) in place of `next_...` wherever the state is a number.

    Changes that are there already stay.

    Raises:
        InputError: a next state is not there.
    """
    table, schema = data.to_arrow(), data.schema or guess(data)
    classes = {field.name: "category" for field in schema if field.kind.name == "category"}
    for name in having(table.column_names, STATE):
        after = renamed(name, STATE, NEXT)
        if renamed(name, STATE, CHANGE) in table.column_names:
            continue
        needed(table.column_names, (after,), "transitions")
        if name in classes or after in classes or not _is_number(table.schema.field(name).type):
            continue
        moved = _numbers(table, after) - _numbers(table, name)
        place = table.column_names.index(after)
        table = table.set_column(place, renamed(name, STATE, CHANGE), pa.array(moved, from_pandas=True))
    made = Dataset.from_arrow(table, None, data.source)
    return made.with_schema(guess(made, {name: kind for name, kind in classes.items() if name in made.names}))


def joined(*data: Dataset) -> Dataset:
    """Transitions of several sources as one table: real and made ones, or those of several policies.

    Episodes are numbered anew. Fields stand as in the first; the schema is found anew, classes staying classes.

    Raises:
        InputError: there is nothing to join, or fields are not the same.
    """
    if not data:
        raise InputError("There must be something to join.", "joined", "no data", "give two tables of transitions")
    tables: list[pa.Table] = []
    first = 0
    for part in data:
        table = part.to_arrow()
        if set(table.column_names) != set(data[0].names):
            raise InputError(
                "Transitions of one world have the same fields.",
                "joined",
                f"{', '.join(table.column_names)}; {', '.join(data[0].names)}",
                "leave out what the others do not have",
            )
        if EPISODE in table.column_names and len(table):
            number = np.unique(_numbers(table, EPISODE), return_inverse=True)[1] + first
            table = table.set_column(table.column_names.index(EPISODE), EPISODE, pa.array(number.astype(np.int64)))
            first = int(number.max()) + 1
        tables.append(table.select(data[0].names).cast(tables[0].schema if tables else table.schema))
    whole = Dataset.from_arrow(pa.concat_tables(tables), None, data[0].source)
    schema = data[0].schema or guess(data[0])
    return whole.with_schema(guess(whole, {f.name: "category" for f in schema if f.kind.name == "category"}))


def _outcome(state: str, names: list[str]) -> str:
    """The field that tells where this part of the state goes."""
    change = renamed(state, STATE, CHANGE)
    return change if change in names else renamed(state, STATE, NEXT)


def _is_number(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_floating(dtype) or pa.types.is_integer(dtype))


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table.column(name).to_numpy(zero_copy_only=False), np.float64)
