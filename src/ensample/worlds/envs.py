"""Learned worlds as environments of gymnasium: one row, or many rows that are stepped in one draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Generator

from ensample.errors import InputError
from ensample.worlds.fields import Columns
from ensample.worlds.world import Learned, Recorded, World, generator_from

Starts = Recorded | Learned


class LearnedEnv(gym.Env[Any, Any]):
    """A learned world as an ordinary environment. Made by `ensample.worlds.environment`.

    `reset(options={"state": observation})` begins at that state.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  # as gymnasium declares it

    def __init__(
        self, world: World, starts: Starts, spaces: tuple[gym.Space[Any], gym.Space[Any]], steps: int | None
    ) -> None:
        self.world, self.starts, self.steps = world, starts, steps
        self.observation_space, self.action_space = spaces
        self._state: Columns | None = None
        self._taken = 0
        self._generator = Generator()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self._generator = generator_from(self.np_random)
        chosen = (options or {}).get("state")
        states = self.world.states
        self._state = self.starts.draw(1, self.np_random) if chosen is None else states.columns(_one_row(chosen))
        self._taken = 0
        return states.one(self._state), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Go on by one draw of the model. Raises ResetNeeded (of gymnasium) before the first `reset`."""
        if self._state is None:
            raise gym.error.ResetNeeded("a learned world begins with reset()")
        taken = self.world.actions.columns(_one_row(action))
        outcome = self.world.step(self._state, taken, self._generator)
        self._state, self._taken = outcome.state, self._taken + 1
        over = self.steps is not None and self._taken >= self.steps
        observation = self.world.states.one(outcome.state)
        return observation, float(outcome.reward[0]), bool(outcome.terminated[0]), over, {}


class LearnedVectorEnv(VectorEnv[Any, Any, np.ndarray]):
    """Many rows of a learned world, stepped in one draw. Made by `ensample.worlds.environments`.

    A row that ended begins anew at the next step, whose action is not looked at. `reset(options={"state":
    observations})` begins all rows at these states.
    """

    def __init__(
        self, world: World, starts: Starts, spaces: tuple[gym.Space[Any], gym.Space[Any]], steps: int | None, rows: int
    ) -> None:
        self.world, self.starts, self.steps, self.num_envs = world, starts, steps, rows
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        self.single_observation_space, self.single_action_space = spaces
        self.observation_space, self.action_space = (batch_space(space, rows) for space in spaces)
        self._state: Columns | None = None
        self._taken, self._over = np.zeros(rows, np.int64), np.zeros(rows, bool)
        self._generator = Generator()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every row."""
        super().reset(seed=seed)
        self._generator = generator_from(self.np_random)
        chosen = (options or {}).get("state")
        states = self.world.states
        self._state = self.starts.draw(self.num_envs, self.np_random) if chosen is None else states.columns(chosen)
        if len(next(iter(self._state.values()))) != self.num_envs:
            raise InputError(
                "Every row begins at a state.", "reset, state", "another number of states", f"give {self.num_envs}"
            )
        self._taken, self._over = np.zeros(self.num_envs, np.int64), np.zeros(self.num_envs, bool)
        return states.batch(self._state), {}

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """All rows go on by one draw of the model. Raises ResetNeeded (of gymnasium) before the first `reset`."""
        if self._state is None:
            raise gym.error.ResetNeeded("a learned world begins with reset()")
        again = self._over
        outcome = self.world.step(self._state, self.world.actions.columns(actions, self.num_envs), self._generator)
        state = dict(outcome.state)
        if again.any():
            fresh = self.starts.draw(int(again.sum()), self.np_random)
            for name, values in fresh.items():
                state[name] = state[name].copy()
                state[name][again] = values
        self._state, self._taken = state, np.where(again, 0, self._taken + 1)
        reward, terminated = np.where(again, 0.0, outcome.reward), outcome.terminated & ~again
        late = np.zeros_like(again) if self.steps is None else self._taken >= self.steps
        self._over = terminated | late
        return self.world.states.batch(state), reward, terminated, late, {}


def _one_row(value: Any) -> Any:
    """A single value of a space as a batch of one."""
    if isinstance(value, Mapping):
        return {key: _one_row(part) for key, part in value.items()}
    return np.asarray(value)[None]
