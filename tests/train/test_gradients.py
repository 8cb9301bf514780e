"""What the gradient engine promises: budgets, schedule, guards, early stopping, seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from ensample.budget import Budget, Clock
from ensample.errors import TrainingError
from ensample.families.base import Player
from ensample.run import Run
from ensample.train import learn
from ensample.train.gradients import WINDOW, Loop, Order, fit_by_gradients, training
from ensample.train.guards import LOWER, SETBACKS
from tests.train.toys import Toy, ToyNet, records


def run_of(**limits: float) -> Run:
    return Run(Clock(Budget(**limits)))


def weights(net: ToyNet) -> list[torch.Tensor]:
    return [p.detach() for p in net.parameters()]


def test_it_learns_the_conditional_shares():
    data = records(2_000)
    net = learn(Toy(noise=0.0), data, 0, run_of(steps=1_500))
    a, b = data.table.T
    for value in range(4):
        share = np.bincount(b[a == value], minlength=3) / (a == value).sum()
        learned = (torch.tanh(net.hidden[value]) @ net.out).softmax(0).detach().numpy()
        assert np.abs(share - learned).max() < 0.05


def test_same_seed_same_weights_other_seed_others_and_no_global_state():
    before, threads, precision = torch.get_rng_state(), torch.get_num_threads(), torch.get_float32_matmul_precision()
    one, two, other = (learn(Toy(), records(), seed, run_of(steps=100)) for seed in (1, 1, 2))
    assert all(torch.equal(x, y) for x, y in zip(weights(one), weights(two), strict=True))
    assert not torch.equal(weights(one)[0], weights(other)[0])
    assert torch.equal(before, torch.get_rng_state())
    assert (threads, precision) == (torch.get_num_threads(), torch.get_float32_matmul_precision())


@pytest.mark.parametrize(
    ("limits", "steps"),
    [({"steps": 130}, 130), ({"epochs": 3}, 33), ({"steps": 500, "epochs": 2}, 22), ({"steps": 1}, 1)],
)
def test_the_first_limit_to_be_reached_ends_the_run(limits, steps):
    seen = []
    run = Run(Clock(Budget(**limits)), report=seen.append)
    fit_by_gradients(Toy(), records(200), 0, run)  # 180 rows to learn from, 11 batches of 16 an epoch
    assert seen[-1].done == 1.0
    loop = Loop(Toy(), Toy().build(records(), 0), training(Toy()), records(200), 0, Run(Clock(Budget(**limits))))
    list(loop.windows())
    assert loop.learner.facts.step == steps


def test_a_budget_in_seconds_decays_in_time_and_ends_in_time():
    seen = []
    run = Run(Clock(Budget(seconds=1.0)), report=seen.append)
    fit_by_gradients(Toy(patience=10**6), records(), 0, run)
    assert 1.0 <= run.clock.seconds < 3.0
    done = [p.done for p in seen]
    assert done == sorted(done)
    assert all(p.left == pytest.approx(1.0 - p.done, abs=0.2) for p in seen[1:])


def test_rate_warms_up_then_falls_to_nothing():
    loop = Loop(Toy(), ToyNet(0), training(Toy()), records(), 0, run_of(steps=1_000))
    rates = np.array([loop._rate(step) for step in range(1_001)])
    assert rates[0] < 0.03 * rates.max()
    top = int(rates.argmax())
    assert top < 100
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[-1] == 0.0
    assert rates[500] == pytest.approx(0.5 * Toy().learning_rate)


def test_order_visits_every_row_once_an_epoch_and_depends_on_seed_epoch_index_alone():
    order = Order(np.arange(100, 148), 16, 5)
    epoch = [order.rows(i) for i in range(3)]
    assert sorted(np.concatenate(epoch)) == list(range(100, 148))
    later = order.rows(3)
    assert not np.array_equal(later, epoch[0])
    assert np.array_equal(order.rows(1), epoch[1])
    assert not np.array_equal(Order(np.arange(100, 148), 16, 6).rows(0), epoch[0])


def test_the_noise_of_every_step_is_its_own():
    class Noted(Toy):
        def players(self, module):
            def loss(batch, generator):
                drawn.append(float(torch.rand((), generator=generator)))
                return module.nats(batch).mean()

            return (Player("net", loss, tuple(module.parameters())),)

    drawn: list[float] = []
    for seed in (0, 1):
        learn(Noted(), records(), seed, run_of(steps=3 * WINDOW))
    assert len(set(drawn)) == 6 * WINDOW


@dataclass(frozen=True)
class Broken(Toy):
    """A toy whose loss goes wrong at chosen calls of one training run; the calls are counted in `calls`."""

    at: int = 50
    times: int = 1
    value: float = float("nan")
    calls: ClassVar[list[int]] = [0]

    def players(self, module: ToyNet) -> tuple[Player, ...]:
        self.calls[0] = 0

        def loss(batch, generator):
            self.calls[0] += 1
            wrong = self.at <= self.calls[0] < self.at + self.times
            return self.loss(module, batch, generator) * (self.value if wrong else 1.0)

        return (Player("net", loss, tuple(module.parameters())),)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_undone_at_a_lower_rate(value):
    family = Broken(value=value)
    loop = Loop(family, ToyNet(0), training(family), records(), 0, run_of(steps=200))
    list(loop.windows())
    facts = loop.learner.facts
    assert (facts.setbacks, facts.step) == (1, 200)
    assert facts.scale == pytest.approx(LOWER)
    assert all(bool(torch.isfinite(w).all()) for w in weights(loop.module))


def test_a_gradient_that_is_no_number_is_undone():
    class Rough(Toy):
        def players(self, module):
            calls = []

            def loss(batch, generator):
                calls.append(1)
                edge = torch.sqrt((module.out * 0).sum()) if len(calls) == 30 else 0.0  # value 0, slope infinite
                return self.loss(module, batch, generator) + edge

            return (Player("net", loss, tuple(module.parameters())),)

    loop = Loop(Rough(), ToyNet(0), training(Rough()), records(), 0, run_of(steps=100))
    list(loop.windows())
    assert loop.learner.facts.setbacks == 1
    assert all(bool(torch.isfinite(w).all()) for w in weights(loop.module))


def test_a_jump_of_the_loss_is_undone():
    family = Broken(at=101, times=WINDOW, value=500.0)
    loop = Loop(family, ToyNet(0), training(family), records(), 0, run_of(steps=200))
    list(loop.windows())
    assert (loop.learner.facts.setbacks, loop.learner.facts.step) == (1, 200)


@pytest.mark.parametrize(("at", "step"), [(1, "step 20"), (61, "step 80")])
def test_a_loss_that_stays_broken_is_told_in_words(at, step):
    family = Broken(at=at, times=10**9)
    with pytest.raises(TrainingError, match="loss is not finite") as error:
        learn(family, records(), 0, run_of(steps=400))
    assert (error.value.place, str(SETBACKS) in error.value.seen) == (step, True)
    assert "learning_rate" in error.value.fix


@pytest.mark.parametrize("seconds", [0.05, 1e-9])
def test_an_unlearned_model_is_never_handed_over(seconds):
    with pytest.raises(TrainingError):
        learn(Broken(at=1, times=10**9), records(), 0, run_of(seconds=seconds))


def test_early_stopping_ends_an_overfitting_run_with_its_best_weights():
    data = records(120)
    data.table[:, 1] = np.random.default_rng(3).integers(0, 3, 120)  # nothing to learn: noise
    family = Toy(learning_rate=0.05, noise=0.0, patience=3)
    loop = Loop(family, ToyNet(4), training(family), data, 0, run_of(steps=100_000))
    losses = []
    for _ in loop.windows():
        if loop.held_loss is not None:
            losses.append(loop.held_loss)
    facts = loop.learner.facts
    assert facts.stopped and facts.step < 10_000
    assert facts.best == min(losses)
    loop.learner.take_best()
    assert float(loop.module.nats(loop.held).detach().mean()) == pytest.approx(facts.best, abs=1e-6)


def test_two_players_take_their_own_steps_on_their_own_parameters():
    class Duel(Toy):
        def players(self, module):
            def push(batch, generator):
                return (module.hidden * module.out.sum()).sum()

            def pull(batch, generator):
                return -(module.hidden.sum() * module.out).sum()

            return (Player("a", push, (module.hidden,), steps=2), Player("b", pull, (module.out,)))

    family = Duel()
    loop = Loop(family, ToyNet(0), training(family), records(), 0, run_of(steps=20))
    list(loop.windows())
    counts = [int(o.state[o.param_groups[0]["params"][0]]["step"]) for o in loop.learner.optimisers]
    assert counts == [40, 20]


def test_a_player_may_set_its_own_rate():
    class Slow(Toy):
        def players(self, module):
            return (
                Player("a", lambda b, g: (module.hidden * 2.0).sum(), (module.hidden,)),
                Player("b", lambda b, g: (module.out * 2.0).sum(), (module.out,), rate=lambda: 0.0),
            )

    family = Slow()
    loop = Loop(family, ToyNet(0), training(family), records(), 0, run_of(steps=20))
    list(loop.windows())
    assert torch.equal(loop.module.out, ToyNet(0).out) and not torch.equal(loop.module.hidden, ToyNet(0).hidden)


@pytest.mark.parametrize("rows", [1, 2, 19, 21])
def test_few_rows_are_learned_from(rows):
    net = learn(Toy(), records(rows), 0, run_of(steps=30))
    assert all(bool(torch.isfinite(w).all()) for w in weights(net))
