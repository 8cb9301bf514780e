"""Transitions of an environment as a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ensample.data.dataset import Dataset
from ensample.data.frames import optional
from ensample.errors import InputError
from ensample.kinds import guess
from ensample.sampling import counted
from ensample.worlds.fields import ACTION, EPISODE, NEXT, REWARD, STATE, STEP, TERMINATED, TRUNCATED, renamed
from ensample.worlds.layout import Layout
from ensample.worlds.spaces import named

if TYPE_CHECKING:
    import gymnasium as gym

Policy = Callable[[Any], Any]
"""A batch of observations, as a vector environment gives it, to a batch of actions."""


def transitions(
    env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any] | str,
    policy: Policy | None = None,
    *,
    steps: int | None = None,
    episodes: int | None = None,
    seed: int | None = None,
) -> Dataset:
    """What happened in an environment: one row for each step.

    Fields are `episode` and `step` (counted from 0), the state before (`state_0`, ... or, of a Dict space, its keys),
    the action, the state after (`next_0`, ...), the `reward`, `terminated` (the state after is an end: nothing follows
    from it) and `truncated` (a time limit cut the episode there, which says nothing of the state). Rows of an episode
    stand together, in order.

    Arguments:
        env: an environment, a vector environment (which resets at the next or at the same step), or the name of one.
            Its spaces are Box, Discrete, MultiDiscrete, MultiBinary, or a Dict of these.
        policy: a function of a batch of observations [rows, ...] that gives a batch of actions [rows, ...], also where
            `env` is a single environment (rows = 1). None acts at random, evenly over the action space.
        steps: how many transitions, over all rows of a vector environment.
        episodes: how many whole episodes instead; each row plays its share, so that short ones are not preferred.
        seed: of the environment and of random actions.

    Raises:
        InputError: neither `steps` nor `episodes` or both, no such environment, a space that is not a row of fields, or
            actions that are not of their space, one for each row.
        MissingPackage: gymnasium is not installed.

    Example:
        >>> data = transitions("CartPole-v1", steps=100, seed=0)
        >>> len(data), data.names[-4:]
        (100, ['next_3', 'reward', 'terminated', 'truncated'])
    """
    gym = optional("gymnasium", "gym")
    if (steps is None) == (episodes is None):
        raise InputError(
            "Say how much to record.",
            "transitions",
            f"steps={steps}, episodes={episodes}",
            "say steps=4000, or episodes=50",
        )
    made = named(env) if isinstance(env, str) else env
    envs = made if isinstance(made, gym.vector.VectorEnv) else gym.vector.SyncVectorEnv([lambda: made])
    quota = _shares(counted(steps or episodes or 0, "episodes" if steps is None else "steps"), envs.num_envs)
    layout, actions = Layout.of(envs.single_observation_space, STATE), Layout.of(envs.single_action_space, ACTION)
    rows = _walked(envs, policy or _random(envs, seed), layout, actions, quota, steps is not None, seed)
    if made is not env:
        made.close()
    return described(rows, (*layout.classes, *actions.classes, *(renamed(n, STATE, NEXT) for n in layout.classes)))


def described(columns: Mapping[str, np.ndarray], classes: tuple[str, ...]) -> Dataset:
    """Columns as a data set whose schema knows which of them are classes."""
    table = Dataset.from_arrow(pa.table({name: pa.array(values) for name, values in columns.items()}))
    return table.with_schema(guess(table, dict.fromkeys(classes, "category")))


def _shares(count: int, rows: int) -> np.ndarray:
    """A number as one for each row, as even as can be. [rows]."""
    return count // rows + (np.arange(rows) < count % rows)


def _random(envs: gym.vector.VectorEnv[Any, Any, Any], seed: int | None) -> Policy:
    """Even over the action space, from a copy of it: its own random state is left alone."""
    space = optional("gymnasium.vector.utils", "gym").batch_space(envs.single_action_space, envs.num_envs)
    space.seed(seed)
    return lambda observations: space.sample()


def _walked(
    envs: gym.vector.VectorEnv[Any, Any, Any],
    policy: Policy,
    layout: Layout,
    actions: Layout,
    quota: np.ndarray,
    by_step: bool,
    seed: int | None,
) -> dict[str, np.ndarray]:
    """Columns of all transitions until each row has its quota, of steps or of episodes."""
    same_step = _resets_at_once(envs)
    observation, _ = envs.reset(seed=seed)
    state = layout.columns(observation)
    step, episode = np.zeros(len(quota), np.int64), np.zeros(len(quota), np.int64)
    resetting, done, parts = np.zeros(len(quota), bool), quota == 0, []
    while not done.all():
        action = policy(observation)
        taken = actions.columns(action, len(quota))
        observation, reward, terminated, truncated, info = envs.step(action)
        after = layout.columns(observation)
        reached = _final(after, info, layout) if same_step else after
        kept = ~(resetting | done)
        parts.append(
            {
                EPISODE: episode,
                STEP: step,
                **state,
                **taken,
                **{renamed(name, STATE, NEXT): values for name, values in reached.items()},
                REWARD: np.asarray(reward, np.float64),
                TERMINATED: np.asarray(terminated, bool),
                TRUNCATED: np.asarray(truncated, bool),
                "kept": kept,
            }
        )
        over = np.logical_or(terminated, truncated)
        counts = kept if by_step else kept & over
        quota = quota - counts
        done, state = quota <= 0, after
        step = np.where(over | resetting, 0, step + 1)
        episode = episode + (kept & over)
        resetting = np.zeros_like(over) if same_step else over
    return _by_episode(parts)


def _by_episode(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Kept rows of all steps, those of each row of the environment together; episodes get a number each."""
    joined = {name: np.stack([part[name] for part in parts], 1).reshape(-1) for name in parts[0]}
    kept = joined.pop("kept")
    found = {name: values[kept] for name, values in joined.items()}
    row = np.repeat(np.arange(len(parts[0]["kept"])), len(parts))[kept]
    fresh = np.r_[False, (np.diff(row) != 0) | (np.diff(found[EPISODE]) != 0)][: len(row)]
    return {**found, EPISODE: np.cumsum(fresh)}


def _resets_at_once(envs: gym.vector.VectorEnv[Any, Any, Any]) -> bool:
    """Whether a row that ends shows its new beginning in the same step.

    Raises:
        InputError: rows are not reset at all.
    """
    modes = optional("gymnasium.vector", "gym").AutoresetMode
    mode = envs.metadata.get("autoreset_mode", modes.NEXT_STEP)
    if mode == modes.DISABLED:
        raise InputError(
            "A vector environment has to reset its rows.",
            "transitions, env",
            str(mode),
            "make it with autoreset_mode=AutoresetMode.NEXT_STEP",
        )
    return bool(mode == modes.SAME_STEP)


def _final(after: dict[str, np.ndarray], info: Mapping[str, Any], layout: Layout) -> dict[str, np.ndarray]:
    """The states that were reached, where rows that ended show a new beginning already."""
    reached = {name: values.copy() for name, values in after.items()}
    for row in np.flatnonzero(info.get("_final_obs", ())):
        last = layout.columns(_batched(info["final_obs"][row]))
        for name, values in last.items():
            reached[name][row] = values[0]
    return reached


def _batched(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _batched(part) for key, part in value.items()}
    return np.asarray(value)[None]
