"""A policy trained in a learned world: what it earns in the real one.

    OMP_NUM_THREADS=1 python bench/worlds.py
    OMP_NUM_THREADS=1 python bench/worlds.py --env Pendulum-v1 --steps 4000 --spread 3 --generations 10

Transitions of random actions are recorded, each family learns p(next state, reward, end | state, action) from them, and
a linear policy is trained by the cross-entropy method (Rubinstein 1999; Mannor, Rubinstein and Gat 2003): a
normal distribution of weights moves to the best tenth of those drawn from it, judged by their return. Once in the
learned world alone, and once, with the same numbers, in the real one, `--trainings` times each. `random` is the mean
return of random actions, `real` and `learned` those of the policies, all over `--judged` real episodes; `real_steps`
tells how many real steps a training took that had them. `log_prob` is that of held-out transitions, nats, `horizon` the
number of steps until a rollout under random actions is as far from the real one as states are from each other (`errors`
along the way, in units of their spread), `steps_per_second` those of many rows. Times are of the processor. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

import ensample as en
from ensample import worlds

POPULATION, ELITE, EPISODES = 32, 6, 3
"""Weights drawn in a generation, how many of them are kept, and episodes that each plays."""


def features(observations: np.ndarray, env: str) -> np.ndarray:
    """What a policy is linear in: the observations and 1; for a swing-up also their products."""
    ones = np.ones((len(observations), 1))
    if not env.startswith("Pendulum"):
        return np.concatenate([observations, ones], 1)
    cos, sin, speed = observations.T
    up = (cos > 0.7)[:, None]  # near the top to balance, elsewhere to pump energy
    near = np.stack([sin, speed], 1)
    return np.concatenate([near * up, np.stack([speed, speed * cos], 1) * ~up, ones], 1)


def act(scores: np.ndarray, space: gym.Space[Any]) -> np.ndarray:
    """Actions from linear scores [rows]: of two classes the sign, of a number its value."""
    if isinstance(space, gym.spaces.Discrete):
        return np.where(scores > 0, space.n - 1, 0)
    return np.clip(scores[:, None], space.low, space.high).astype(np.float32)


def returns(envs: Any, weights: np.ndarray, env: str, limit: int, seed: int) -> tuple[np.ndarray, int]:
    """Return of one episode in each row, played by that row's weights; and the number of steps taken."""
    observations, _ = envs.reset(seed=seed)
    total, alive, taken = np.zeros(len(weights)), np.ones(len(weights), bool), 0
    for _ in range(limit):
        scores = (features(observations, env) * weights).sum(1)
        observations, reward, terminated, truncated, _ = envs.step(act(scores, envs.single_action_space))
        total += reward * alive
        taken += int(alive.sum())
        alive &= ~(terminated | truncated)
        if not alive.any():
            break
    return total, taken


def trained(envs: Any, options: argparse.Namespace, seed: int) -> tuple[np.ndarray, int]:
    """Weights that the cross-entropy method finds, and how many steps of the environment it took."""
    rng, env, generations = np.random.default_rng(seed), options.env, options.generations
    width = features(np.zeros((1, envs.single_observation_space.shape[0])), env).shape[1]
    mean, sd, steps = np.zeros(width), np.full(width, options.spread), 0
    for generation in range(generations):
        drawn = mean + sd * rng.standard_normal((POPULATION, width))
        total, taken = returns(envs, drawn.repeat(EPISODES, 0), env, options.limit, seed + generation)
        best = np.argsort(-total.reshape(POPULATION, EPISODES).mean(1), kind="stable")[:ELITE]
        mean, sd, steps = drawn[best].mean(0), drawn[best].std(0) + 0.3 * 0.8**generation, steps + taken
    return mean, steps


def earned(env: str, weights: np.ndarray | None, episodes: int, limit: int) -> float:
    """Mean return of a policy in the real environment, over episodes that nothing has seen."""
    envs = gym.make_vec(env, num_envs=episodes, vectorization_mode="sync")
    if weights is not None:
        return float(returns(envs, np.tile(weights, (episodes, 1)), env, limit, 10_000)[0].mean())
    data = worlds.transitions(envs, episodes=episodes, seed=10_000)
    return float(np.asarray(data.column("reward")).sum() / episodes)


def clocked(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work gives, and the seconds of the processor that it took."""
    began = time.process_time()
    found = work()
    return found, time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="CartPole-v1")
    parser.add_argument("--steps", type=int, default=3_000, help="real transitions to learn from")
    parser.add_argument("--families", nargs="+", default=["trees", "boosted"])
    parser.add_argument("--budget", default="20s", help="of learning each family")
    parser.add_argument("--limit", type=int, default=200, help="steps of an episode in training")
    parser.add_argument("--spread", type=float, default=1.0, help="standard deviation of the first weights")
    parser.add_argument("--generations", type=int, default=8)
    parser.add_argument("--trainings", type=int, default=3, help="policies that are trained in each world")
    parser.add_argument("--judged", type=int, default=50, help="real episodes that judge a policy")
    parser.add_argument("--next", action="store_true", help="learn next states, not changes")
    parser.add_argument("--no-training", action="store_true", help="measure the worlds alone")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    env, limit, rows = options.env, options.limit, POPULATION * EPISODES
    full, seeds = gym.make(env).spec.max_episode_steps, range(options.seed, options.seed + options.trainings)
    data = worlds.transitions(env, steps=options.steps, seed=options.seed)
    unseen = worlds.transitions(env, steps=2_000, seed=options.seed + 1)
    result: dict[str, Any] = {"bench": "worlds", "env": env, "steps": options.steps}
    result["random"] = round(earned(env, None, options.judged, full), 1)
    if not options.no_training:
        real = gym.make_vec(env, num_envs=rows, vectorization_mode="sync")
        found = [clocked(lambda s=s: trained(real, options, s)) for s in seeds]
        result["real"] = [round(earned(env, weights, options.judged, full), 1) for (weights, _), _ in found]
        result["real_steps"] = round(float(np.mean([steps for (_, steps), _ in found])))
    print(json.dumps(result), flush=True)
    result["worlds"] = {}
    for family in options.families:
        model, seconds = clocked(
            lambda family=family: worlds.learn(
                data, family, changes=not options.next, budget=options.budget, seed=options.seed
            )
        )
        known = unseen if options.next else worlds.with_changes(unseen)
        far = worlds.horizon(model, unseen, like=env, steps=full, starts=300, seed=0)
        found: dict[str, Any] = {"learn_seconds": round(seconds, 1), "horizon": far.steps, "longest": len(far.errors)}
        found["errors"] = {h: round(float(far.errors[h - 1]), 3) for h in (1, 5, 10, 20, 50) if h <= len(far.errors)}
        if "log_prob" in model.can:
            found["log_prob"] = round(float(model.log_prob(known).mean()), 2)
        learned = worlds.environments(rows, model, data, like=env, steps=limit)
        if not options.no_training:
            tried = [clocked(lambda w=learned, s=s: trained(w, options, s)) for s in seeds]
            found["learned"] = [round(earned(env, weights, options.judged, full), 1) for (weights, _), _ in tried]
            found["seconds"] = [round(seconds, 1) for _, seconds in tried]
        learned.reset(seed=0)
        _, seconds = clocked(lambda w=learned: [w.step(w.action_space.sample()) for _ in range(20)])
        found["steps_per_second"] = round(20 * rows / seconds)
        result["worlds"][family] = found
        print(family, json.dumps(found), flush=True)
    print(json.dumps({**result, "version": en.__version__}))


if __name__ == "__main__":
    main()
