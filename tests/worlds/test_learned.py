"""Learned worlds against the laws of the real ones."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pyarrow as pa
import pytest
from gymnasium.utils.env_checker import check_env

import ensample as en
from ensample import worlds
from ensample.errors import CapabilityError, InputError
from tests.worlds.test_recording import values
from tests.worlds.toys import Cart, Corridor, Noise


@pytest.fixture(scope="module")
def rooms():
    return worlds.transitions(Corridor(), steps=3000, seed=0)


@pytest.fixture(scope="module")
def corridor(rooms):
    return worlds.learn(rooms, "bayesnet", budget="20 steps", seed=0)


@pytest.fixture(scope="module")
def rides():
    return worlds.transitions(gym.wrappers.TimeLimit(Cart(), 40), steps=800, seed=0)


@pytest.fixture(scope="module")
def cart(rides):
    return worlds.learn(rides, en.families.Trees(trees=8), budget="20 steps", seed=0)


def test_learned_chances_are_those_of_the_corridor(corridor, rooms):
    envs = worlds.environments(4000, corridor, rooms, like=Corridor())
    for room, action in ((11, 1), (12, 0), (13, 1)):
        envs.reset(seed=0, options={"state": np.full(4000, room)})
        after, reward, terminated, truncated, _ = envs.step(np.full(4000, action))
        there = room + (1 if action else -1)
        assert np.isin(after, (room - 1, room + 1)).mean() > 0.99
        assert abs((after == there).mean() - 0.8) < 0.06
        assert ((after == 14) == terminated).mean() > 0.99 and ((reward == 1) == terminated).mean() > 0.99
        assert not truncated.any()


def test_changes_are_learned_where_states_are_numbers(rides, cart):
    table = worlds.with_changes(rides)
    assert "next_motion_0" not in table.names and "next_gear" in table.names
    moved = values(table, "change_motion_0")
    assert np.array_equal(moved, values(rides, "next_motion_0").astype(float) - values(rides, "state_motion_0"))
    assert cart.codec.model[:3] == ("next_gear", "next_lights_0", "next_lights_1")
    assert cart.codec.model[3:5] == ("change_motion_0", "change_motion_1")
    assert worlds.with_changes(table).to_arrow().equals(table.to_arrow())


@pytest.mark.parametrize("changes", [True, False])
def test_a_learned_cart_moves_as_the_real_one(rides, cart, changes):
    model = cart if changes else worlds.learn(rides, cart.family, changes=False, budget="20 steps", seed=0)
    envs = worlds.environments(300, model, rides, like=Cart())
    state, _ = envs.reset(seed=1)
    action = {"push": np.linspace(-1, 1, 300, dtype=np.float32), "switch": np.tile([2, 1], (300, 1))}
    after, reward, *_ = envs.step(action)
    place, speed = state["motion"].T
    error = after["motion"] - np.stack([place + 0.1 * speed, 0.9 * speed + 0.1 * action["push"]], 1)
    assert np.sqrt((error**2).mean()) < (0.02 if changes else 0.1)
    assert np.corrcoef(reward, place)[0, 1] > 0.98
    assert (after["gear"] == 2).mean() > 0.95
    assert (after["lights"] == [0, 1]).mean() > 0.95


def test_states_and_actions_stay_within_the_spaces(rides, cart):
    envs = worlds.environments(50, cart, rides, like=Cart())
    edge = {
        "gear": np.zeros(50, np.int64),
        "lights": np.zeros((50, 2), np.int8),
        "motion": np.full((50, 2), 2.0, np.float32),
    }
    envs.reset(seed=0, options={"state": edge})
    far = {"push": np.full(50, 900.0, np.float32), "switch": np.zeros((50, 2), np.int64)}
    after = envs.step(far)[0]
    assert after["motion"].max() == 2.0 and after in envs.observation_space
    envs.reset(seed=0, options={"state": edge})
    near = envs.step({**far, "push": np.ones(50, np.float32)})[0]
    assert all(np.array_equal(after[key], near[key]) for key in after)
    with pytest.raises(InputError, match="choose 0 to 2"):
        envs.step({**far, "switch": np.full((50, 2), 3)})


@pytest.mark.parametrize("name", ["corridor", "cart"])
def test_gymnasium_finds_nothing_to_mend(name, request, rooms, rides):
    model, data, like = request.getfixturevalue(name), {"corridor": rooms, "cart": rides}[name], None
    like = {"corridor": Corridor(), "cart": Cart()}[name]
    env = worlds.environment(model, data, like=like, steps=30)
    assert env.observation_space == like.observation_space and env.action_space == like.action_space
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*not having a spec.*|.*env.spec.*")
        check_env(env)
    fresh = worlds.environment(model, data, like=like)
    with pytest.raises(gym.error.ResetNeeded):
        fresh.step(env.action_space.sample())


def test_one_row_is_a_vector_of_one(corridor, rooms):
    one = worlds.environment(corridor, rooms, like=Corridor(), steps=9)
    many = worlds.environments(1, corridor, rooms, like=Corridor(), steps=9)
    seen = []
    for seed in range(6):
        state, states = one.reset(seed=seed)[0], many.reset(seed=seed)[0]
        assert state == states[0]
        over = False
        while not over:
            state, reward, terminated, truncated, _ = one.step(1)
            found = many.step(np.array([1]))[:4]
            assert (state, reward, terminated, truncated) == tuple(part[0] for part in found)
            over = terminated or truncated
        seen.append((terminated, truncated))
    assert (True, False) in seen
    assert one.reset(options={"state": np.int64(13)})[0] == 13


def test_rows_begin_anew_behind_their_end(corridor, rooms):
    envs = worlds.environments(200, corridor, rooms, like=Corridor(), steps=6)
    state, _ = envs.reset(seed=0)
    assert set(state.tolist()) == {11, 12}
    over, taken = np.zeros(200, bool), np.zeros(200, int)
    late = 0
    for number in range(15):
        state, reward, terminated, truncated, _ = envs.step(np.full(200, number % 2))
        assert np.isin(state[over], (11, 12)).all() and not (reward[over].any() or terminated[over].any())
        taken = np.where(over, 0, taken + 1)
        assert np.array_equal(truncated, taken == 6)
        over, late = terminated | truncated, late + int(truncated.sum())
    assert late > 50


def test_same_seed_same_experience_and_after_loading(tmp_path, cart, rides):
    cart.save(tmp_path / "cart.ens")
    made, again, other = (
        worlds.rollout(model, rides, episodes=3, like=Cart(), steps=15, seed=seed).to_arrow()
        for model, seed in ((cart, 4), (en.load(tmp_path / "cart.ens"), 4), (cart, 5))
    )
    assert made.equals(again) and not made.equals(other)
    assert made.schema.names == rides.names and made.column("episode").to_pylist()[-1] == 2
    with pytest.raises(InputError, match="Episodes must end"):
        worlds.rollout(cart, rides, like=Cart())


def test_made_and_real_transitions_are_one_table(corridor, rooms):
    made = worlds.rollout(corridor, rooms, episodes=20, like=Corridor(), steps=50, seed=0)
    both = worlds.joined(rooms, made)
    assert len(both) == len(rooms) + len(made)
    episodes = values(both, "episode")
    assert episodes[len(rooms)] == values(rooms, "episode")[-1] + 1 and (np.diff(episodes) >= 0).all()
    assert both.schema["state"].kind.name == "category"
    assert worlds.learn(both, "bayesnet", budget="5 steps").codec.model == corridor.codec.model
    with pytest.raises(InputError, match="same fields"):
        worlds.joined(rooms, made.select(["state", "action"]))
    with pytest.raises(InputError, match="something to join"):
        worlds.joined()


def test_beginnings_may_be_learned_or_a_table_of_states(corridor, rooms):
    first = rooms.take(np.flatnonzero(values(rooms, "step") == 0)).select(["state"])
    starts = en.fit(first, "independent", seed=0)
    for given in (starts, first):
        state, _ = worlds.environments(300, corridor, given, like=Corridor()).reset(seed=0)
        assert np.isin(state, (11, 12)).mean() > 0.98
        assert abs((state == 11).mean() - (values(first, "state") == 11).mean()) < 0.15
    with pytest.raises(InputError, match="begins somewhere"):
        worlds.environment(corridor, rooms.take(values(rooms, "step") > 0), like=Corridor())
    holes = en.read(pa.table({"state": pa.array([11, None])}))
    with pytest.raises(InputError, match="whole"):
        worlds.environment(corridor, holes, like=Corridor())


def test_spaces_of_fields_alone(corridor, rooms):
    env = worlds.environment(corridor, rooms, steps=5)
    assert env.observation_space == Corridor.observation_space and env.action_space == Corridor.action_space
    rng = np.random.default_rng(0)
    table = {"state_0": rng.random(60), "state_1": rng.random(60), "action": rng.uniform(-2, 3, 60).round(2)}
    table |= {"next_0": rng.random(60), "next_1": rng.random(60), "reward": rng.random(60), "terminated": [False] * 60}
    model = worlds.learn(en.read(table), "independent")
    env = worlds.environment(model, en.read(table), like=None, steps=5)
    assert env.observation_space.shape == (2,) and env.observation_space.dtype == np.float64
    assert env.action_space.low == [min(table["action"])] and env.action_space.high == [max(table["action"])]
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[0] in env.observation_space
    assert worlds.environment(corridor, rooms, like=(Corridor.observation_space, Corridor.action_space)).steps is None
    with pytest.raises(InputError, match="takes its spaces from another"):
        worlds.environment(corridor, rooms, like=3)


def test_what_is_no_world_is_refused(rooms, corridor, cart):
    with pytest.raises(InputError, match="no terminated among"):
        worlds.learn(rooms.select(["state", "action", "next", "reward"]))
    with pytest.raises(InputError, match="no state, action"):
        worlds.environment(cart, rooms, like=Corridor())
    with pytest.raises(InputError, match="tell its spaces"):
        worlds.environment(cart, rooms)
    with pytest.raises(InputError, match="no reward"):
        model = en.fit(rooms, "independent", model=["next", "terminated"], given=["state", "action"])
        worlds.environment(model, rooms, like=Corridor())
    with pytest.raises(InputError, match="also step"):
        names = ["next", "reward", "terminated"]
        model = en.fit(rooms, "independent", model=names, given=["state", "action", "step"])
        worlds.environment(model, rooms, like=Corridor())
    texts = en.fit(["a", "b", "ab"], "ngram", budget="1s")
    with pytest.raises(CapabilityError, match="model of a table"):
        worlds.environment(texts, rooms, like=Corridor())


@pytest.mark.parametrize("classes", [True, False])
def test_horizon_of_states_without_memory_is_the_root_of_two(classes):
    real = worlds.transitions(Noise(classes), steps=1500, seed=0)
    model = worlds.learn(real, "independent", changes=False)
    far = worlds.horizon(model, real, like=Noise(classes), steps=5, starts=1400, seed=0)
    assert np.abs(far.errors - np.sqrt(2)).max() < 0.05 and far.steps == 1
    assert "after 1 steps" in str(far)


def test_horizon_of_a_sure_world_is_never_reached(rides, cart):
    """Nothing is random, and sequences end with their episodes."""
    far = worlds.horizon(cart, rides, like=Cart(), steps=60, starts=300, seed=0)
    assert len(far.errors) == 40 and (np.diff(far.counts) <= 0).all() and far.counts[0] == 300
    assert far.steps is None and far.errors[0] < 0.2 and far.errors.max() < 0.5
    assert "after 40 steps the error is 0." in str(far)
    again = worlds.horizon(cart, rides, like=Cart(), steps=7, starts=300, seed=0)
    assert np.array_equal(far.errors[:7], again.errors)
