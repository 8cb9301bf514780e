"""Transitions: what stands in them is what happened."""

from __future__ import annotations

import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from ensample import worlds
from ensample.errors import InputError, MissingPackage
from ensample.worlds.layout import Layout
from tests.worlds.toys import Cart, Corridor


def values(data, name):
    return np.asarray(data.column(name).to_numpy(zero_copy_only=False))


ROOM = spaces.Dict(
    {
        "b": spaces.Dict({"x": spaces.Box(-1.0, 1.0, (2, 2), np.float64), "n": spaces.Box(0, 9, (1,), np.int32)}),
        "c": spaces.MultiDiscrete([2, 5], start=[3, -1]),
        "d": spaces.Discrete(4, start=-2),
        "e": spaces.MultiBinary((3,)),
    }
)


def test_columns_of_a_space_and_back():
    layout = Layout.of(ROOM, "state")
    assert layout.names[:5] == ("state_b_n", "state_b_x_0", "state_b_x_1", "state_b_x_2", "state_b_x_3")
    assert layout.names[5:] == ("state_c_0", "state_c_1", "state_d", "state_e_0", "state_e_1", "state_e_2")
    assert layout.classes == ("state_c_0", "state_c_1", "state_d")
    many = gym.vector.utils.batch_space(ROOM, 50)
    many.seed(0)
    batch = many.sample()
    columns = layout.columns(batch)
    assert columns["state_b_x_2"].tolist() == batch["b"]["x"][:, 1, 0].tolist()
    again = layout.batch(columns)
    for part, other in ((again["b"]["x"], batch["b"]["x"]), (again["c"], batch["c"]), (again["e"], batch["e"])):
        assert part.shape == other.shape and (part == other).all()
    assert again["e"].dtype == batch["e"].dtype == np.int8 and again["c"].dtype == batch["c"].dtype
    assert layout.one(columns) in ROOM
    beyond = layout.batch({**columns, "state_b_x_0": np.full(50, 7.0), "state_d": np.full(50, 1.4)})
    assert (beyond["b"]["x"][:, 0, 0] == 1).all() and (beyond["d"] == 1).all()


def test_what_cannot_be_a_row_is_refused():
    for space, seen in (
        (spaces.Text(5), "Text"),
        (spaces.Box(0, 255, (96, 96, 3), np.uint8), "27,648 numbers"),
        (spaces.Dict({"a_0": spaces.Discrete(2), "a": spaces.Box(0, 1, (2,))}), "state_a_0"),
    ):
        with pytest.raises(InputError) as error:
            Layout.of(space, "state")
        assert seen in str(error.value)
    with pytest.raises(InputError, match="choose 10 to 14"):
        Layout.of(Corridor.observation_space, "state").columns(np.array([10, 15]))


def test_transitions_are_what_happened():
    data = worlds.transitions(gym.wrappers.TimeLimit(Cart(), 20), steps=150, seed=3)
    env, row = gym.wrappers.TimeLimit(Cart(), 20), 0
    state, _ = env.reset(seed=3)
    for number in range(150):
        at = {name: values(data, name)[number] for name in data.names}
        action = {"push": at["action_push"], "switch": (int(at["action_switch_0"]), int(at["action_switch_1"]))}
        assert (at["state_motion_0"], at["state_motion_1"]) == tuple(state["motion"])
        after, reward, terminated, truncated, _ = env.step(action)
        assert (at["next_motion_0"], at["next_motion_1"]) == tuple(after["motion"])
        assert (at["next_gear"], at["next_lights_1"]) == (after["gear"], after["lights"][1])
        assert (at["reward"], at["terminated"], at["truncated"]) == (reward, terminated, truncated)
        assert at["step"] == row
        state, row = after, row + 1
        if terminated or truncated:
            (state, _), row = env.reset(), 0
    assert values(data, "truncated").sum() == 7 and not values(data, "terminated").any()
    assert values(data, "episode")[-1] == 7
    kinds = {field.name: field.kind.name for field in data.schema}
    assert kinds["state_gear"] == kinds["action_switch_0"] == kinds["next_gear"] == "category"
    assert kinds["state_motion_0"] == "number"


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_rows_of_a_vector_environment_are_episodes_of_single_ones(mode):
    """Whole episodes of a policy, in the order of the rows, whatever way rows are reset; short ones not preferred."""

    def right(observations):
        return np.where(np.asarray(observations) > 0, 1, 0)

    envs = SyncVectorEnv([Corridor] * 3, autoreset_mode=mode)
    data = worlds.transitions(envs, right, episodes=8, seed=5)
    expected = []
    for row, episodes in enumerate((3, 3, 2)):
        env = Corridor()
        state, _ = env.reset(seed=5 + row)
        for _ in range(episodes):
            step, terminated = 0, False
            while not terminated:
                after, reward, terminated, _, _ = env.step(1)
                expected.append((step, int(state), 1, int(after), reward, terminated, False))
                state, step = after, step + 1
            state, _ = env.reset()
    found = list(zip(*(values(data, name).tolist() for name in data.names[1:]), strict=True))
    assert found == expected
    assert np.unique(values(data, "episode")).tolist() == list(range(8))
    assert (values(data, "next")[values(data, "terminated")] == 14).all()


def test_steps_are_shared_by_the_rows():
    data = worlds.transitions(SyncVectorEnv([Corridor] * 3), steps=31, seed=0)
    assert len(data) == 31
    begun = np.flatnonzero(np.diff(values(data, "episode"), prepend=-1))
    assert (values(data, "step")[begun] == 0).all()
    follows = np.diff(values(data, "episode")) == 0
    assert (values(data, "state")[1:][follows] == values(data, "next")[:-1][follows]).all()


def test_seeds_and_the_state_of_the_action_space():
    env = Corridor()
    env.action_space.seed(1)
    kept = str(env.action_space.np_random.bit_generator.state)
    one, two, other = (worlds.transitions(env, steps=40, seed=seed).to_arrow() for seed in (1, 1, 2))
    assert one.equals(two) and not one.equals(other)
    assert str(env.action_space.np_random.bit_generator.state) == kept


def test_wishes_that_cannot_be_met(monkeypatch):
    with pytest.raises(InputError, match="how much to record"):
        worlds.transitions(Corridor())
    with pytest.raises(InputError, match="how much to record"):
        worlds.transitions(Corridor(), steps=3, episodes=3)
    with pytest.raises(InputError, match="whole number"):
        worlds.transitions(Corridor(), steps=0)
    with pytest.raises(InputError, match="has to reset its rows"):
        worlds.transitions(SyncVectorEnv([Corridor], autoreset_mode=AutoresetMode.DISABLED), steps=3)
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(MissingPackage, match=r"ensample\[gym\]"):
        worlds.transitions(Corridor(), steps=3)


@pytest.mark.parametrize("action", [np.array(["left"]), np.zeros(3, int), np.zeros((1, 2), int), 0], ids=str)
def test_actions_that_are_not_of_their_space_are_refused(action):
    with pytest.raises(InputError, match=r"Values are numbers|Every row has one value"):
        worlds.transitions(Corridor(), lambda observations: action, steps=2)
    assert len(worlds.transitions(Corridor(), lambda observations: np.zeros((1, 1), int), steps=2, seed=0)) == 2


def test_unknown_environments_are_refused():
    with pytest.raises(InputError, match="doesn't exist"):
        worlds.transitions("Nowhere-v7", steps=2)
    with pytest.raises(InputError, match="where: steps"):
        worlds.transitions(Corridor(), steps=0)
