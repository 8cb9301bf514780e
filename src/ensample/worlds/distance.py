"""How far a learned world stays with the real one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ensample.data.dataset import Dataset
from ensample.errors import InputError
from ensample.sampling import counted
from ensample.worlds.fields import ACTION, EPISODE, NEXT, STATE, STEP, Columns, needed, renamed
from ensample.worlds.layout import Layout
from ensample.worlds.spaces import Like, spaces_like
from ensample.worlds.world import World, columns_of, generator_from

if TYPE_CHECKING:
    from ensample.model import Model


@dataclass(frozen=True)
class Horizon:
    """Error of rollouts against what really happened, by the number of steps.

    Arguments:
        errors: root mean square distance of the states in units of their spread, float64 [steps]; 1 is as far as the
            mean of all states would be, sqrt(2) as far as a state drawn at random.
        counts: how many real sequences were that long, int64 [steps].
    """

    errors: np.ndarray
    counts: np.ndarray

    @property
    def steps(self) -> int | None:
        """The first number of steps at which the error is as large as the spread; None if that was not reached."""
        far = np.flatnonzero(self.errors >= 1.0)
        return int(far[0]) + 1 if len(far) else None

    def __str__(self) -> str:
        if self.steps is None:
            return f"after {len(self.errors)} steps the error is {self.errors[-1]:.2f} of the spread"
        return f"the error is as large as the spread after {self.steps} steps"


def horizon(
    model: Model, real: Dataset, *, like: Like = None, steps: int = 100, starts: int = 500, seed: int | None = None
) -> Horizon:
    """How far the learned world comes from the real one when both take the same actions from the same states.

    The error after h steps is sqrt(mean_j E (s_j - s'_j)^2 / Var s_j) over the parts j of the state, of one draw s of
    the world against the real s'. Of a part with classes it is that of its indicator vectors, 2 P(s != s') / P(two real
    ones differ), which has the same meaning.

    Arguments:
        model: of `environment`.
        real: transitions that the model has not seen, with their `episode` and `step`.
        like: of `environment`.
        steps: the longest that is looked at; less where no episode is as long.
        starts: number of real states to begin from, chosen at random.
        seed: of the choice and of the draws.

    Raises:
        InputError: fields are lacking.
    """
    observed, acted, _ = spaces_like(like, model)
    world = World(model, Layout.of(observed, STATE), Layout.of(acted, ACTION))
    after = tuple(renamed(name, STATE, NEXT) for name in world.states.names)
    names = (EPISODE, STEP, *world.states.names, *world.actions.names, *after)
    needed(real.names, names, "horizon, real")
    columns = columns_of(real, names)
    if len(real) == 0:
        raise InputError("A horizon needs real steps.", "horizon, real", "no rows", "record some by `transitions`")
    rng = np.random.default_rng(seed)
    first = np.sort(rng.permutation(len(real))[: counted(starts, "starts")])
    return _followed(world, columns, first, counted(steps, "steps"), rng)


def _followed(world: World, real: Columns, first: np.ndarray, steps: int, rng: np.random.Generator) -> Horizon:
    """Errors along the real sequences that begin at rows `first`."""
    generator = generator_from(rng)
    measures = {name: _Measure(real, name, world) for name in world.states.names}
    state, rows = {name: real[name][first] for name in world.states.names}, first
    errors, counts = [], []
    for _ in range(steps):
        outcome = world.step(state, {name: real[name][rows] for name in world.actions.names}, generator)
        parts = [measures[name].squared(outcome.state[name], rows) for name in measures if measures[name].spread > 0]
        errors.append(np.sqrt(np.mean(parts)) if parts else 0.0)
        counts.append(len(rows))
        more = _goes_on(real, rows)
        if not more.any():
            break
        state, rows = {name: values[more] for name, values in outcome.state.items()}, rows[more] + 1
    return Horizon(np.array(errors), np.array(counts))


def _goes_on(real: Columns, rows: np.ndarray) -> np.ndarray:
    """Whether the next row is the next step of the same episode, bool [rows]."""
    behind = np.minimum(rows + 1, len(real[EPISODE]) - 1)
    same = real[EPISODE][behind] == real[EPISODE][rows]
    return np.asarray(same & (real[STEP][behind] == real[STEP][rows] + 1))


class _Measure:
    """Squared distance of one part of the state from the real one, over its variance."""

    def __init__(self, real: Columns, name: str, world: World) -> None:
        self.real = real[renamed(name, STATE, NEXT)]
        self.classes = name in world.states.classes or self.real.dtype == bool
        if self.classes:
            shares = np.unique(self.real, return_counts=True)[1] / len(self.real)
            self.spread = float(1.0 - (shares**2).sum())
        else:
            self.spread = float(np.var(self.real.astype(np.float64)))

    def squared(self, made: np.ndarray, rows: np.ndarray) -> float:
        """Mean over the rows, in units of the variance."""
        if self.classes:
            return 2.0 * float(np.mean(made != self.real[rows])) / self.spread
        return float(np.mean((made.astype(np.float64) - self.real[rows]) ** 2)) / self.spread
