"""The spaces of a learned world: those of a real one, or what the fields of a model tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ensample.data.frames import optional
from ensample.errors import InputError
from ensample.kinds.boolean import Boolean
from ensample.kinds.category import Category
from ensample.kinds.constant import Constant
from ensample.kinds.number import Number
from ensample.worlds.fields import NEXT, STATE, renamed
from ensample.worlds.world import roles

if TYPE_CHECKING:
    import gymnasium as gym

    from ensample.model import Model

Like = Any
"""An environment, a vector environment, the name of one, a pair (observation space, action space), or None."""


def spaces_like(like: Like, model: Model) -> tuple[gym.Space[Any], gym.Space[Any], int | None]:
    """Observation space, action space, and the time limit of episodes if one is known.

    Raises:
        InputError: `like` is nothing of the sort, or None and the fields of the model do not tell the spaces.
    """
    gymnasium = optional("gymnasium", "gym")
    if like is None:
        states, actions = roles(model)
        after = tuple(renamed(name, STATE, NEXT) for name in states)
        return _space(model, states, after, bounded=False), _space(model, actions, (), bounded=True), None
    if isinstance(like, str):
        like = named(like)
    if isinstance(like, tuple) and len(like) == 2 and all(isinstance(part, gymnasium.Space) for part in like):
        return (*like, None)
    limit = getattr(getattr(like, "spec", None), "max_episode_steps", None)
    if isinstance(like, gymnasium.vector.VectorEnv):
        return like.single_observation_space, like.single_action_space, limit
    if isinstance(like, gymnasium.Env):
        return like.observation_space, like.action_space, limit
    raise InputError(
        "A learned world takes its spaces from another.",
        "worlds, like",
        repr(like)[:80],
        "give an environment, its name, or (observation space, action space)",
    )


def _space(model: Model, names: tuple[str, ...], after: tuple[str, ...], bounded: bool) -> gym.Space[Any]:
    """A Box of numbers, a Discrete of one class, or else it cannot be told; `after` are next states, if they are known.

    Some states are reached and never left: their classes are met in `after` alone.
    """
    from gymnasium import spaces

    kinds: list[Any] = [model.schema[name].kind for name in names]
    if kinds and all(isinstance(kind, Number | Constant) for kind in kinds):
        dtype = np.dtype(kinds[0].type.to_pandas_dtype())
        ends = np.array([_ends(kind) if bounded else (-np.inf, np.inf) for kind in kinds], np.float64)
        dtype = dtype if dtype.kind == "f" or bounded else np.dtype(np.float64)
        return spaces.Box(ends[:, 0].astype(dtype), ends[:, 1].astype(dtype), dtype=dtype.type)
    classes = [_classes(kind) for kind in (*kinds, *(model.schema[n].kind for n in after if n in model.schema))]
    if len(kinds) == 1 and (found := [ends for ends in classes if ends is not None]) and len(found) == len(classes):
        low, high = min(ends[0] for ends in found), max(ends[1] for ends in found)
        return spaces.Discrete(high - low + 1, start=low)
    raise InputError(
        "The fields of a model tell its spaces where all are numbers, or one is a whole-numbered class.",
        f"worlds, {', '.join(names) or 'fields'}",
        ", ".join(kind.name for kind in kinds) or "no such field",
        "say like=(observation space, action space), or like=an environment",
    )


def _ends(kind: Any) -> tuple[float, float]:
    """Lowest and highest value met."""
    cells = np.zeros((2, 1), np.int64) if not isinstance(kind, Number) else np.array([[0], [kind.high]])
    if isinstance(kind, Number) and kind.classes > 1:
        cells = np.concatenate([np.zeros_like(cells), cells], 1)
    low, high = kind.decode(cells, np.random.default_rng(0)).to_pylist()
    return float(low), float(high)


def _classes(kind: Any) -> tuple[int, int] | None:
    """Lowest and highest whole number among the classes, None if they are something else."""
    if isinstance(kind, Boolean):
        return 0, 1
    if not isinstance(kind, Category) or not all(level.lstrip("-").isdigit() for level in kind.levels):
        return None
    numbers = [int(level) for level in kind.levels]
    return min(numbers), max(numbers)


def named(name: str) -> gym.Env[Any, Any]:
    """The environment of this name. Raises InputError if gymnasium cannot make it."""
    gym = optional("gymnasium", "gym")
    try:
        return gym.make(name)  # type: ignore[no-any-return]
    except gym.error.Error as error:
        raise InputError(
            "An environment must be one that gymnasium can make.",
            f"env {name!r}",
            str(error),
            "choose from gymnasium.envs.registry, or give an environment",
        ) from error
