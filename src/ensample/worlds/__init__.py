"""World models for reinforcement learning: a table of transitions, learned, is an environment to train in.

A world model is p(next state, reward, end | state, action) (Sutton 1991, "Dyna"; Ha and Schmidhuber 2018), and here any
family of tables with given fields is one. Environments are those of gymnasium (extra `gym`).

Example:
    >>> import ensample as en
    >>> data = en.worlds.transitions("CartPole-v1", steps=200, seed=0)
    >>> model = en.worlds.learn(data, "independent", seed=0)
    >>> envs = en.worlds.environments(8, model, data, like="CartPole-v1")
    >>> observations, _ = envs.reset(seed=0)
    >>> observations.shape
    (8, 4)
"""

from ensample.worlds.distance import Horizon, horizon
from ensample.worlds.learned import environment, environments, rollout
from ensample.worlds.learning import joined, learn, with_changes
from ensample.worlds.recording import transitions

__all__ = [
    "Horizon",
    "environment",
    "environments",
    "horizon",
    "joined",
    "learn",
    "rollout",
    "transitions",
    "with_changes",
]
