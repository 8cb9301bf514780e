"""Environments whose laws are known."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
from gymnasium import spaces

ROOMS, SLIP = 5, 0.2


class Corridor(gym.Env):
    """Five rooms in a row, from 10 to 14; a step to the side goes the other way with probability 0.2.

    It begins in 11 or 12, and ends, with reward 1, in 14; the walls are solid.
    """

    observation_space = spaces.Discrete(ROOMS, start=10)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.room = int(self.np_random.integers(11, 13))
        return np.int64(self.room), {}

    def step(self, action):
        side = 1 if action == 1 else -1
        side = -side if self.np_random.random() < SLIP else side
        self.room = int(np.clip(self.room + side, 10, 14))
        return np.int64(self.room), float(self.room == 14), self.room == 14, False, {}


class Cart(gym.Env):
    """Every sort of space. A push p moves: place' = place + 0.1 speed, speed' = 0.9 speed + 0.1 p.

    `gear` is the one chosen, and the light that is chosen is the only one on. Reward is place; past 1 it ends.
    """

    observation_space = spaces.Dict(
        {
            "gear": spaces.Discrete(3),
            "lights": spaces.MultiBinary(2),
            "motion": spaces.Box(-2.0, 2.0, (2,), np.float32),
        }
    )
    action_space = spaces.Dict({"push": spaces.Box(-1.0, 1.0, (), np.float32), "switch": spaces.MultiDiscrete([3, 2])})

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.gear, self.lights = 0, np.zeros(2, np.int8)
        self.motion = self.np_random.uniform(-0.5, 0.5, 2).astype(np.float32)
        return self.seen(), {}

    def seen(self):
        return {"gear": np.int64(self.gear), "lights": self.lights.copy(), "motion": self.motion.copy()}

    def step(self, action):
        place, speed = self.motion
        push, (gear, light) = float(action["push"]), action["switch"]
        self.motion = np.array([place + 0.1 * speed, 0.9 * speed + 0.1 * push], np.float32)
        self.gear, self.lights = int(gear), np.eye(2, dtype=np.int8)[int(light)]
        return self.seen(), float(place), bool(self.motion[0] > 1), False, {}


class Noise(gym.Env):
    """States without memory: four standard normal numbers, or one of four classes, for ever."""

    action_space = spaces.Discrete(2)

    def __init__(self, classes):
        self.classes = classes
        self.observation_space = spaces.Discrete(4) if classes else spaces.Box(-np.inf, np.inf, (4,), np.float32)

    def seen(self):
        if self.classes:
            return np.int64(self.np_random.integers(4))
        return self.np_random.standard_normal(4).astype(np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.seen(), {}

    def step(self, action):
        return self.seen(), 1.0, False, False, {}
