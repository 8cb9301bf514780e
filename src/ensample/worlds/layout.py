"""Observations and actions of gymnasium as columns of a table, and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ensample.data.dataset import refuse_twins
from ensample.data.frames import optional
from ensample.errors import InputError
from ensample.worlds.fields import Columns

if TYPE_CHECKING:
    import gymnasium as gym

MOST_COLUMNS = 1_000
"""A space of more numbers than this is a picture, not a row of fields."""


@dataclass(frozen=True)
class Leaf:
    """A plain space, one or more columns.

    Arguments:
        path: keys that lead to it through Dict spaces.
        names: of its columns, its coordinates in order.
        shape: of one value.
        dtype: of its columns.
        low, high: smallest and largest value of each coordinate, [coordinates].
        classes: whether its numbers are classes.
    """

    path: tuple[str, ...]
    names: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    low: np.ndarray
    high: np.ndarray
    classes: bool

    def columns(self, values: Any) -> dict[str, np.ndarray]:
        """Columns of values [rows, *shape].

        Raises:
            InputError: they are no numbers, of another shape, or there is no such class.
        """
        given = np.asarray(values)
        shapes = {self.shape, (len(self.names),)} | ({()} if len(self.names) == 1 else set())
        if given.dtype.kind not in "buif" or given.ndim == 0 or given.shape[1:] not in shapes:
            seen = f"{given.dtype} of shape {given.shape}"
            shape = ", ".join(map(str, ("rows", *self.shape)))
            raise InputError("Values are numbers, in the shape of their space.", self.names[0], seen, f"give [{shape}]")
        table = given.reshape(-1, len(self.names))
        if self.classes and (wrong := table.clip(self.low, self.high) != table).any():
            row, column = np.argwhere(wrong)[0]
            raise InputError(
                "A class must be one of its space.",
                self.names[column],
                str(table[row, column]),
                f"choose {self.low[column]} to {self.high[column]}",
            )
        return {name: table[:, j].astype(self.dtype) for j, name in enumerate(self.names)}

    def values(self, columns: Columns) -> np.ndarray:
        """Inverse of `columns`: [rows, *shape]; what lies beyond the bounds is taken to the bounds."""
        table = np.stack([columns[name] for name in self.names], 1)
        if self.dtype.kind in "iu":
            table = np.rint(table)
        stored = np.dtype(np.int8) if self.dtype == bool else self.dtype  # as a MultiBinary space holds its truths
        return table.clip(self.low, self.high).astype(stored).reshape(-1, *self.shape)


@dataclass(frozen=True)
class Layout:
    """The plain spaces inside of a space, each with its columns.

    Example:
        >>> from gymnasium.spaces import Box, Dict, Discrete
        >>> layout = Layout.of(Dict({"place": Box(-1.0, 1.0, (2,)), "room": Discrete(3)}), "state")
        >>> layout.names
        ('state_place_0', 'state_place_1', 'state_room')
        >>> columns = layout.columns({"place": np.array([[0.5, -0.5]]), "room": np.array([2])})
        >>> layout.batch(columns)
        {'place': array([[ 0.5, -0.5]], dtype=float32), 'room': array([2])}
    """

    leaves: tuple[Leaf, ...]

    @classmethod
    def of(cls, space: gym.Space[Any], role: str) -> Layout:
        """The layout of a space; names of its columns begin with the role.

        Raises:
            InputError: a space of another sort, or one as large as a picture.
        """
        layout = cls(tuple(_leaves(space, role, ())))
        if not 0 < len(layout.names) <= MOST_COLUMNS:
            raise InputError(
                f"A world of fields has 1 to {MOST_COLUMNS:,} of them in its {role}.",
                str(space)[:80],
                f"{len(layout.names):,} numbers",
                "wrap the environment so that it shows fewer",
            )
        refuse_twins(layout.names, f"columns of {space}")
        return layout

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, in order."""
        return tuple(name for leaf in self.leaves for name in leaf.names)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of those that hold classes."""
        return tuple(name for leaf in self.leaves if leaf.classes and leaf.dtype != bool for name in leaf.names)

    def columns(self, batch: Any, rows: int | None = None) -> dict[str, np.ndarray]:
        """Columns of a batch of values, as a vector environment gives and takes it; `rows` is how many it must be.

        Raises:
            InputError: a class that the space does not have, or values of another shape or number.
        """
        found: dict[str, np.ndarray] = {}
        for leaf in self.leaves:
            part = batch
            for key in leaf.path:
                part = part[key]
            found |= leaf.columns(part)
        if rows is not None and (counts := {len(column) for column in found.values()}) != {rows}:
            seen = " and ".join(map(str, sorted(counts)))
            raise InputError("Every row has one value.", self.names[0], f"{seen} values", f"give {rows}")
        return found

    def batch(self, columns: Columns) -> Any:
        """Inverse of `columns`; arrays are new."""
        found: dict[str, Any] = {}
        for leaf in self.leaves:
            if not leaf.path:
                return leaf.values(columns)
            *outer, last = leaf.path
            place = found
            for key in outer:
                place = place.setdefault(key, {})
            place[last] = leaf.values(columns)
        return found

    def inside(self, columns: Columns) -> dict[str, np.ndarray]:
        """The columns with what lies beyond the bounds of the space at the bounds, in the types of the space."""
        return self.columns(self.batch(columns))

    def one(self, columns: Columns) -> Any:
        """The first row as a single value of the space."""
        return _first(self.batch(columns), {leaf.path: leaf for leaf in self.leaves}, ())


def _first(batch: Any, leaves: dict[tuple[str, ...], Leaf], path: tuple[str, ...]) -> Any:
    if isinstance(batch, dict):
        return {key: _first(part, leaves, (*path, key)) for key, part in batch.items()}
    leaf = leaves[path]
    scalar_class = leaf.classes and not leaf.shape
    return batch[0] if scalar_class else np.asarray(batch[0], leaf.dtype)


def _leaves(space: gym.Space[Any], name: str, path: tuple[str, ...]) -> Iterator[Leaf]:
    spaces = optional("gymnasium", "gym").spaces
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _leaves(part, f"{name}_{key}", (*path, str(key)))
        return
    if isinstance(space, spaces.Box):
        low, high, classes = space.low, space.high, False
    elif isinstance(space, spaces.Discrete):
        low, high, classes = np.array(space.start), np.array(space.start + space.n - 1), True
    elif isinstance(space, spaces.MultiDiscrete):
        low, high, classes = space.start, space.start + space.nvec - 1, True
    elif isinstance(space, spaces.MultiBinary):
        low, high, classes = np.zeros(space.shape, bool), np.ones(space.shape, bool), True
    else:
        raise InputError(
            "A world is learned from numbers and classes.",
            name,
            str(space)[:80],
            "wrap the environment to show Box, Discrete, MultiDiscrete, MultiBinary or a Dict of these",
        )
    shape, size = tuple(space.shape or ()), int(np.prod(space.shape or ()))
    names = (name,) if size == 1 else tuple(f"{name}_{j}" for j in range(size))
    dtype = np.dtype(bool) if isinstance(space, spaces.MultiBinary) else np.dtype(space.dtype)
    yield Leaf(path, names, shape, dtype, low.reshape(-1), high.reshape(-1), classes)
