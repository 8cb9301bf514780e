"""A learned world: where it begins, and one step of many rows in one draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import torch
from torch import Generator

from ensample.data.dataset import Dataset
from ensample.errors import CapabilityError, InputError
from ensample.events import Batch
from ensample.families.base import Distribution
from ensample.kinds.codec import TableCodec
from ensample.kinds.records import ABSENT, Records
from ensample.worlds.fields import (
    ACTION,
    CHANGE,
    NEXT,
    REWARD,
    STATE,
    STEP,
    TERMINATED,
    Columns,
    having,
    needed,
    renamed,
)
from ensample.worlds.layout import Layout

if TYPE_CHECKING:
    from ensample.model import Model


@dataclass(frozen=True)
class Outcome:
    """What a step led to: the state after by name, reward float64 [rows], and whether it is an end, bool [rows]."""

    state: Columns
    reward: np.ndarray
    terminated: np.ndarray


@dataclass(frozen=True)
class World:
    """A model p(next state, reward, end | state, action) that is stepped.

    Arguments:
        model: its given fields are the state and the action, it has learned `next_...` or `change_...` of each state,
            `reward` and `terminated`.
        states, actions: how these fields lie in the spaces of an environment.
    """

    model: Model
    states: Layout
    actions: Layout

    def __post_init__(self) -> None:
        codec = self.model.codec
        if not isinstance(codec, TableCodec) or "sample" not in self.model.can:
            raise CapabilityError(
                "A world is a model of a table with given fields.",
                "worlds, model",
                repr(self.model)[:80],
                "learn it by `worlds.learn`",
            )
        needed(codec.given, (*self.states.names, *self.actions.names), "worlds, given fields of the model")
        told = [self._told(name) for name in self.states.names]
        needed(codec.model, (*told, REWARD, TERMINATED), "worlds, learned fields of the model")
        if other := set(codec.given) - {*self.states.names, *self.actions.names}:
            raise InputError(
                "A world depends on its state and the action alone.",
                "worlds, given fields of the model",
                f"also {', '.join(sorted(other))}",
                "learn it by `worlds.learn`, or name them state_...",
            )

    @cached_property
    def _given(self) -> TableCodec:
        return TableCodec(self.model.schema, self.model.codec.given, ())

    def step(self, state: Columns, action: Columns, generator: Generator) -> Outcome:
        """One draw of the model for all rows."""
        columns = {**state, **self.actions.inside(action)}
        arrays = [pa.array(columns[name]) for name in self._given.model]
        cells = self._given.cells(pa.record_batch(arrays, list(self._given.model)))
        cond = Records(self._given.event, cells).batch()
        drawn = self._drawn(cast(Distribution, self.model.distribution).sample(len(cells), generator, cond))
        after = {name: self._after(name, state, drawn) for name in self.states.names}
        return Outcome(self.states.inside(after), drawn[REWARD].astype(np.float64), drawn[TERMINATED].astype(bool))

    def _drawn(self, batch: Batch) -> dict[str, np.ndarray]:
        codec = cast(TableCodec, self.model.codec)
        table = np.where(batch.mask.numpy(), batch.cells.numpy(), ABSENT)
        arrays = codec.columns(table, np.random.default_rng(0))
        names = codec.model
        return {name: made.to_numpy(zero_copy_only=False) for name, made in zip(names, arrays, strict=True)}

    def _told(self, name: str) -> str:
        change = renamed(name, STATE, CHANGE)
        return change if change in self.model.codec.model else renamed(name, STATE, NEXT)

    def _after(self, name: str, state: Columns, drawn: Mapping[str, np.ndarray]) -> np.ndarray:
        told = self._told(name)
        return state[name] + drawn[told] if told.startswith(CHANGE) else drawn[told]


@dataclass(frozen=True)
class Recorded:
    """Beginnings that were met: one of them at random."""

    columns: Columns

    def draw(self, rows: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """States of new episodes, by name."""
        chosen = rng.integers(len(next(iter(self.columns.values()))), size=rows)
        return {name: values[chosen] for name, values in self.columns.items()}


@dataclass(frozen=True)
class Learned:
    """Beginnings that a model of the fields of the state makes."""

    model: Model
    states: Layout

    def draw(self, rows: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """States of new episodes, by name."""
        made = self.model.sample(rows, seed=int(rng.integers(2**48)))
        return self.states.inside(columns_of(made, self.states.names))


def starts_of(source: Dataset | Model, states: Layout) -> Recorded | Learned:
    """Where episodes begin: states of recorded first steps (all rows, where steps are not numbered), or a model.

    Raises:
        InputError: a field of the state is not there, or there is no first step.
    """
    if not isinstance(source, Dataset):
        needed(source.codec.model, states.names, "worlds, starts")
        return Learned(source, states)
    needed(source.names, states.names, "worlds, starts")
    if STEP in source.names:
        source = source.take(np.flatnonzero(columns_of(source, (STEP,))[STEP] == 0))
    if len(source) == 0:
        raise InputError("A world begins somewhere.", "worlds, starts", "no row with step 0", "give states to begin at")
    return Recorded(states.inside(columns_of(source, states.names)))


def columns_of(data: Dataset, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Columns of a table as arrays, by name.

    Raises:
        InputError: a value is missing.
    """
    table = data.select(list(names)).to_arrow()
    for name in names:
        if table.column(name).null_count:
            raise InputError(
                "States and actions are whole.", f"column {name!r}", "a missing value", "leave the row out"
            )
    return {name: table.column(name).to_numpy(zero_copy_only=False) for name in names}


def generator_from(rng: np.random.Generator) -> Generator:
    """A generator of torch whose seed is drawn from one of numpy."""
    return torch.Generator().manual_seed(int(rng.integers(2**63 - 1)))


def roles(model: Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the fields of the state and of the action of a model."""
    return having(model.codec.given, STATE), having(model.codec.given, ACTION)
