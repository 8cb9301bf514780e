"""Adversarial networks: closed forms of losses, penalties and weights, modes, what does not exist, given fields."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.laws.cases import toy_records
from torch.nn.utils.parametrizations import spectral_norm

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Span
from ensample.families.gan.family import Gan
from ensample.families.gan.modes import Modes, fit_modes
from ensample.families.gan.networks import CriticNet
from ensample.families.gan.objectives import OBJECTIVES, importance, interpolated, zero_centred
from ensample.families.gan.score import sample_score
from ensample.families.gan.view import RELAXATIONS, View
from ensample.kinds.records import ABSENT, Records
from ensample.nets.mlp import Affine
from ensample.run import Run
from ensample.train import learn

SMALL = {"width": 32, "layers": 2, "latent": 8}
ABLE = {"width": 64, "layers": 2, "latent": 8, "batch_size": 128, "learning_rate": 6e-3}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def learned(family: Gan, records: Records, steps: int, seed: int = 0):
    return learn(family, records, seed, Run(Clock(Budget(steps=steps))))


@pytest.mark.parametrize("loss", ["non-saturating", "relativistic"])
def test_the_best_critic_of_two_gaussians_is_their_log_odds(loss):
    """p = N(1, 1), q = N(-1, 1): log p - log q = 2 x; a linear critic finds the slope 2 (and no offset)."""
    noise = generator()
    weight = torch.zeros(2, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=50, line_search_fn="strong_wolfe")
    real, made = torch.randn(200_000, generator=noise) + 1, torch.randn(200_000, generator=noise) - 1

    def closure():
        optimiser.zero_grad()
        value = OBJECTIVES[loss].critic(weight[0] * real + weight[1], weight[0] * made + weight[1])
        value.backward()
        return value

    optimiser.step(closure)
    assert float(weight[0].detach()) == pytest.approx(2.0, abs=0.03)
    assert float(weight[1].detach()) == pytest.approx(0.0, abs=0.03)


def test_losses_of_both_players_in_numbers():
    real, made = torch.tensor([2.0]), torch.tensor([-0.5])
    soft = lambda x: math.log1p(math.exp(x))  # noqa: E731
    expected = {
        "non-saturating": (soft(-2.0) + soft(-0.5), soft(0.5)),
        "wasserstein": (-2.5, 0.5),
        "hinge": (0.0 + 0.5, 0.5),
        "relativistic": (soft(-2.5), soft(2.5)),
        "likelihood": (soft(-2.0) + soft(-0.5), 0.5),
    }
    for name, (critic, maker) in expected.items():
        assert float(OBJECTIVES[name].critic(real, made)) == pytest.approx(critic, rel=1e-6), name
        assert float(OBJECTIVES[name].generator(real, made)) == pytest.approx(maker, rel=1e-6), name


def test_penalties_of_a_quadratic_critic_by_hand():
    """C(x) = x'Ax / 2 has the slope Ax."""
    a = torch.tensor([[2.0, 0.5], [0.5, 1.0]], requires_grad=True)
    score = lambda x: 0.5 * ((x @ a) * x).sum(1)  # noqa: E731
    real, made = torch.randn(5, 2, generator=generator(1)), torch.randn(5, 2, generator=generator(2))
    both = torch.cat([real, made]) @ a.detach()
    penalty = zero_centred(score, real, made, generator())
    assert float(penalty.detach()) == pytest.approx(float(both.square().sum(1).mean()), rel=1e-5)
    (slope,) = torch.autograd.grad(penalty, a)  # d mean |Ax|^2 / dA, symmetric part: A X'X + X'X A over rows
    second = torch.cat([real, made]).T @ torch.cat([real, made]) / 10
    assert torch.allclose(slope + slope.T, 2 * (a @ second + second @ a).detach(), atol=1e-4)
    between = torch.lerp(made, real, torch.rand(5, 1, generator=generator(3)))
    expected = ((between @ a.detach()).norm(dim=1) - 1).square().mean()
    assert float(interpolated(score, real, made, generator(3)).detach()) == pytest.approx(float(expected), rel=1e-4)


def test_importance_weights_are_density_ratios_and_their_gradient_that_of_the_divergence():
    """q = N(m, 1), p = N(0, 1): C(y) = log p/q = m^2/2 - m y, and d KL(p || q) / dm = m."""
    m = torch.tensor(0.4, requires_grad=True)
    y = m + torch.randn(400_000, generator=generator())
    odds = 0.5 * m.detach() ** 2 - m.detach() * y
    weights = importance(odds)
    assert float(weights.sum()) == pytest.approx(1.0, abs=1e-4)
    ratio = torch.exp(-0.5 * y.square() + 0.5 * (y - m).square()).detach()
    assert torch.allclose(weights * len(y), ratio / ratio.mean(), rtol=1e-3)
    (slope,) = torch.autograd.grad(OBJECTIVES["likelihood"].generator(odds, odds), m)
    assert float(slope) == pytest.approx(0.4, abs=0.01)


def test_spectral_normalisation_makes_the_largest_singular_value_one():
    critic = learned(Gan(spectral=True, **SMALL), toy_records(300), 60).critic
    layers = [m for m in critic.modules() if isinstance(m, Affine)]
    assert len(layers) == 4
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) == pytest.approx(1.0, abs=0.05)
    free = Affine(7, 5)
    torch.nn.init.normal_(free.weight, std=3.0, generator=generator())
    assert float(torch.linalg.matrix_norm(spectral_norm(free, n_power_iterations=20).weight.detach(), 2)) < 1.01


def test_modes_are_found_and_joined_again():
    noise = generator()
    peaks = torch.tensor([-3.0, 0.0, 5.0])[
        torch.multinomial(torch.tensor([0.2, 0.5, 0.3]), 6_000, True, generator=noise)
    ]
    values = (peaks + 0.2 * torch.randn(6_000, generator=noise))[:, None]
    modes = fit_modes(values, torch.ones_like(values, dtype=torch.bool), 3)
    assert torch.allclose(modes.mean, torch.tensor([[-3.0, 0.0, 5.0]]), atol=0.05)
    assert torch.allclose(modes.scale, torch.tensor(0.2), atol=0.02)
    assert torch.allclose(modes.log_weight.exp(), torch.tensor([[0.2, 0.5, 0.3]]), atol=0.03)
    mode, place = modes.split(values, noise)
    assert torch.allclose(modes.join(mode, place), values, atol=1e-5)
    assert float(place.std()) == pytest.approx(1.0, abs=0.03)


def test_a_mode_is_drawn_in_proportion_to_its_share_of_the_density():
    modes = Modes(torch.tensor([[0.25, 0.75]]).log(), torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 1.0]]))
    mode, _ = modes.split(torch.zeros(20_000, 1), generator())
    assert float(mode.to(torch.float32).mean()) == pytest.approx(0.75, abs=0.015)


def view() -> tuple[View, Batch]:
    batch = toy_records(500).batch()
    modes = fit_modes(torch.randn(500, 1, generator=generator()), batch.mask[:, 2:3], 2)
    return View(toy_records(1).event, modes), batch


def test_what_does_not_exist_is_hidden_from_both_players():
    seen, batch = view()
    real = seen.of(batch, generator())
    absent = ~batch.mask[:, 2]
    own = [0, 1, *range(2, 2 + seen.sizes[0])]  # place, number, modes
    assert bool((real[absent][:, own] == 0).all()) and bool((real[~absent][:, own] != 0).any())
    outputs = torch.randn(400, seen.outputs, generator=generator(1))
    made = seen.made(outputs, generator(2), RELAXATIONS["gumbel"], 0.5)
    state = made[:, 2 + seen.sizes[0] + 3 :][:, :2]
    gone = state[:, 0] > 0.5
    assert bool((made[gone][:, own] == 0).all()) and bool((made[~gone][:, 1] != 0).all())


def test_made_rows_hold_exact_indicators_and_records_the_same_choices():
    seen, _ = view()
    outputs = torch.randn(300, seen.outputs, generator=generator(1))
    made = seen.made(outputs, generator(2), RELAXATIONS["gumbel"], 0.5)
    kind = made[:, 2 + seen.sizes[0] :][:, :3]
    assert bool(torch.isclose(kind, kind.round(), atol=1e-6).all())
    batch = seen.batch(outputs, generator(2), None)
    assert torch.equal(kind.argmax(1), batch.cells[:, 0])
    assert torch.equal(batch.mask[:, 2], batch.cells[:, 1] == 1)


def test_the_straight_through_gradient_is_that_of_the_soft_choice():
    logits = torch.randn(6, 4, generator=generator()).requires_grad_(True)
    noise, pull = torch.randn(6, 4, generator=generator(1)), torch.randn(6, 4, generator=generator(2))
    (through,) = torch.autograd.grad((RELAXATIONS["gumbel"](logits, noise, 0.7) * pull).sum(), logits)
    (soft,) = torch.autograd.grad((((logits + noise) / 0.7).softmax(1) * pull).sum(), logits)
    assert torch.allclose(through, soft, atol=1e-6)


def test_a_packed_critic_sees_rows_side_by_side():
    torch_rows = torch.arange(14.0).reshape(7, 2)
    critic = CriticNet(2, 0, 3, 8, 1)
    assert critic.packed(torch_rows).tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert critic.packed(torch_rows[:2]).tolist() == [[0, 1, 2, 3, 0, 1]]
    assert critic.packed(torch.zeros(7, 0)).shape == (2, 0)


def test_a_projection_critic_adds_what_is_given_linearly():
    """C(x, g) - C(x, 0) is linear in g and depends on x: the log odds of p(g | x), a product of g and features."""
    critic = CriticNet(2, 3, 1, 16, 2)
    x, g = torch.randn(5, 2, generator=generator()), torch.randn(2, 5, 3, generator=generator(1))
    with torch.no_grad():
        alone = critic(x, torch.zeros(5, 3))
        parts = [critic(x, each) - alone for each in g]
        assert torch.allclose(critic(x, 2 * g[0] - g[1]) - alone, 2 * parts[0] - parts[1], atol=1e-5)
        same = critic(x, g[0, :1].expand(5, 3)) - alone
    assert float(same.std()) > 1e-3


def test_the_held_out_score_is_least_for_the_truth():
    noise = generator()
    x = torch.randn(4_000, 2, generator=noise)
    truth = torch.randn(2_000, 2, generator=noise)
    score = lambda made: float(sample_score(x, made[None]).mean())  # noqa: E731
    best = score(truth)
    for other in (truth * 1.3, truth * 0.7, truth + 0.3, truth.round()):
        assert score(other) > best
    each = torch.randn(4_000, 8, 2, generator=noise)
    assert float(sample_score(x, each).mean()) == pytest.approx(best, abs=0.05)


def test_balance_slows_the_critic_only_once_it_is_right_too_often():
    module = Gan(balance=0.8, **SMALL).build(toy_records(100), 0)
    for right, caution in ((0.5, 1.0), (0.8, 1.0), (0.9, 0.5), (1.0, 0.0)):
        module.right.fill_(right)
        assert module.caution() == pytest.approx(caution, abs=1e-5)
    free = Gan(**SMALL).build(toy_records(100), 0)
    free.right.fill_(1.0)
    assert free.caution() == 1.0


PAIR = Mixed((Span("a", Discrete(3)), Span("b", Discrete(3))))


@pytest.mark.parametrize(
    "options",
    [{}, *({"loss": loss} for loss in ("wasserstein", "hinge", "likelihood")), {"loss": "non-saturating", "pack": 2}],
    ids=lambda o: "-".join(map(str, o.values())) or "default",
)
def test_every_game_learns_how_two_columns_hang_together(options):
    """Total variation between made and learned rows; independent columns are 0.4 away."""
    rng = np.random.default_rng(0)
    a = rng.choice(3, 2_000, p=[0.5, 0.3, 0.2])
    table = np.stack([a, np.where(rng.random(2_000) < 0.8, (a + 1) % 3, rng.integers(0, 3, 2_000))], 1)
    made = learned(Gan(**ABLE, **options), Records(PAIR, table.astype(np.int64)), 120).sample(10_000, generator(1))
    share = torch.bincount(made.cells @ torch.tensor([3, 1]), minlength=9) / 10_000
    met = np.bincount(table @ [3, 1], minlength=9) / 2_000
    assert 0.5 * float(np.abs(share.numpy() - met).sum()) < 0.15


def test_given_fields_decide_what_is_made():
    given = Mixed((Span("side", Discrete(2)),))
    event = Mixed((Span("x", Continuous(Lattice(0, 100, shift=50.0, scale=25.0))), Span("c", Discrete(2))))
    rng = np.random.default_rng(0)
    side = rng.integers(0, 2, 3_000)
    x = np.rint(50 + 25 * (2 * side - 1) + 4 * rng.standard_normal(3_000)).astype(np.int64)
    records = Records(event, np.stack([x, side ^ (rng.random(3_000) < 0.1)], 1), given, side[:, None].astype(np.int64))
    model = learned(Gan(**ABLE), records, 300)
    for wanted in (0, 1):
        cond = Batch(torch.full((2_000, 1), wanted), torch.ones(2_000, 1, dtype=torch.bool))
        made = model.sample(2_000, generator(1), cond)
        assert made.cond is cond
        assert float(made.cells[:, 0].to(torch.float64).mean()) == pytest.approx(25 + 50 * wanted, abs=4)
        assert float((made.cells[:, 1] == wanted).to(torch.float64).mean()) == pytest.approx(0.9, abs=0.06)


def test_missing_amounts_are_made_as_often_as_they_are_met():
    made = learned(Gan(**SMALL), toy_records(3_000), 100).sample(10_000, generator(1))
    met = float((toy_records(3_000).table[:, 2] == ABSENT).mean())
    assert float((~made.mask[:, 2]).to(torch.float64).mean()) == pytest.approx(met, abs=0.05)


@pytest.mark.parametrize("wrong", [{"loss": "best"}, {"penalty": "l2"}, {"relaxation": "hard"}, {"balance": 0.2}])
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(InputError):
        Gan(**wrong)
