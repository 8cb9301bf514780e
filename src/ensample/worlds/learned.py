"""The public doors to a learned world: an environment, many of them, and what a policy meets in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ensample.data.dataset import Dataset
from ensample.data.frames import optional
from ensample.errors import InputError
from ensample.sampling import counted
from ensample.worlds.fields import ACTION, STATE
from ensample.worlds.layout import Layout
from ensample.worlds.recording import Policy, transitions
from ensample.worlds.spaces import Like, spaces_like
from ensample.worlds.world import World, starts_of

if TYPE_CHECKING:
    from ensample.model import Model
    from ensample.worlds.envs import LearnedEnv, LearnedVectorEnv

AT_ONCE = 256
"""Episodes that `rollout` plays side by side."""


def environment(model: Model, starts: Dataset | Model, *, like: Like = None, steps: int | None = None) -> LearnedEnv:
    """A learned world as a `gymnasium.Env`: each step is a draw of the model.

    A draw of one row costs nearly as much as one of hundreds: to train in the world take `environments`.

    Arguments:
        model: p(next state, reward, end | state, action), of any family; see `learn`.
        starts: where episodes begin: recorded transitions (their first steps), a table of states, or a model of the
            fields of the state.
        like: whose spaces it has: an environment, its name, or (observation space, action space). None reads them off
            the fields: a Box where all are numbers (an action within the values met), Discrete where one is a class.
        steps: the time limit after which an episode is truncated; that of `like` if None, or none.

    Raises:
        InputError: fields are lacking, or do not tell the spaces.
        MissingPackage: gymnasium is not installed.

    Example:
        >>> from ensample.worlds import learn, transitions
        >>> data = transitions("CartPole-v1", steps=200, seed=0)
        >>> world = environment(learn(data, "independent", seed=0), data, like="CartPole-v1")
        >>> observation, _ = world.reset(seed=0)
        >>> observation, reward, terminated, truncated, _ = world.step(1)
        >>> observation.shape, reward
        ((4,), 1.0)
    """
    optional("gymnasium", "gym")
    from ensample.worlds.envs import LearnedEnv

    observed, acted, limit = spaces_like(like, model)
    world = World(model, Layout.of(observed, STATE), Layout.of(acted, ACTION))
    return LearnedEnv(world, starts_of(starts, world.states), (observed, acted), _limit(steps, limit))


def environments(
    rows: int, model: Model, starts: Dataset | Model, *, like: Like = None, steps: int | None = None
) -> LearnedVectorEnv:
    """A learned world as a `gymnasium.vector.VectorEnv` of so many rows, all stepped in one draw of the model.

    A row that ended begins anew at the next step (`AutoresetMode.NEXT_STEP`). Other arguments are those of
    `environment`.
    """
    optional("gymnasium", "gym")
    from ensample.worlds.envs import LearnedVectorEnv

    observed, acted, limit = spaces_like(like, model)
    world = World(model, Layout.of(observed, STATE), Layout.of(acted, ACTION))
    beginnings = starts_of(starts, world.states)
    return LearnedVectorEnv(world, beginnings, (observed, acted), _limit(steps, limit), counted(rows, "rows"))


def rollout(
    model: Model,
    starts: Dataset | Model,
    policy: Policy | None = None,
    *,
    episodes: int = 100,
    like: Like = None,
    steps: int | None = None,
    seed: int | None = None,
) -> Dataset:
    """Synthetic experience: whole episodes of a policy in the learned world, in the form of `transitions`.

    Mix it with real transitions by `joined`.

    Arguments:
        model: as in `environment`.
        starts: as in `environment`.
        policy: as in `transitions`; None acts at random.
        episodes: how many; up to 256 are played side by side.
        like: as in `environment`.
        steps: the time limit; that of `like` if None.
        seed: same seed, same experience.

    Raises:
        InputError: there is no time limit: an episode might never end.

    Example:
        >>> from ensample.worlds import learn, transitions
        >>> data = transitions("CartPole-v1", steps=200, seed=0)
        >>> made = rollout(learn(data, "independent", seed=0), data, episodes=3, like="CartPole-v1", seed=0)
        >>> made.names == data.names
        True
    """
    envs = environments(min(AT_ONCE, counted(episodes, "episodes")), model, starts, like=like, steps=steps)
    if envs.steps is None:
        raise InputError("Episodes must end.", "rollout, steps", "no time limit", "say steps=200")
    return transitions(envs, policy, episodes=episodes, seed=seed)


def _limit(steps: int | None, limit: int | None) -> int | None:
    return limit if steps is None else counted(steps, "steps")
