"""Optimisers, schedules, penalties, precision, frozen parts and adapters: against formulas and reference twins."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.families.base import Player
from ensample.families.training import Training
from ensample.run import Run
from ensample.train import learn
from ensample.train.gradients import Loop
from ensample.train.optimisers import Muon, as_matrix, is_matrix, optimiser_for, orthogonal, shrink
from ensample.train.schedule import SCHEDULES, factor
from ensample.train.tuning import Free
from tests.train.toys import Toy, ToyNet, records


@dataclass(frozen=True, kw_only=True)
class Trained(Toy, Training):
    """The toy family with every option of the engine."""

    noise: float = 0.0
    learning_rate: float = 0.01
    batch_size: int = 16
    average: float = 0.0


def run_of(**limits: float) -> Run:
    return Run(Clock(Budget(**limits)))


def fitted(steps: int = 60, **options: object) -> ToyNet:
    return learn(Trained(**options), records(400), 0, run_of(steps=steps))


def state(net: ToyNet) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


OTHER = {
    "learning_rate": 0.1,
    "optimiser": "sgd",
    "momentum": 0.5,
    "schedule": "constant",
    "warm_up": 5,
    "weight_decay": 1.0,
    "l1": 0.1,
    "batch_size": 32,
    "clip": 0.01,
    "average": 0.9,
    "precision": "bfloat16",
    "patience": 1,
    "reductions": 0,
    "holdout": 0.3,
    "freeze": "out",
    "adapters": 1,
}
STALLED = {"learning_rate": 0.5}


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Training)])
def test_law_9_every_option_of_the_engine_changes_something(name):
    stalling = {"patience": STALLED, "reductions": {"learning_rate": 0.05, "patience": 1}}
    base, steps = stalling.get(name, {}), 2_000 if name in stalling else 60
    assert not torch.equal(state(fitted(steps, **base)), state(fitted(steps, **{**base, name: OTHER[name]})))


def test_options_out_of_range_are_refused():
    for name, value in (("optimiser", "adagrad"), ("momentum", 1.0), ("adapters", -1), ("l1", -0.1), ("freeze", "(")):
        with pytest.raises(InputError, match=name):
            Trained(**{name: value})


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_optimisers_are_their_reference_twins(name):
    """Two steps by hand from the papers."""
    options = Training(optimiser=name, learning_rate=0.1, momentum=0.9, weight_decay=0.01)
    weight, w, m, v = nn.Parameter(torch.tensor([1.0, -2.0])), torch.tensor([1.0, -2.0]), 0.0, 0.0
    optimiser = optimiser_for(options, [weight])
    for step, gradient in enumerate((torch.tensor([0.3, 0.1]), torch.tensor([-0.2, 0.4])), 1):
        weight.grad = gradient.clone()
        optimiser.step()
        g = gradient if name == "adamw" else gradient + 0.01 * w
        w = w * (1 - 0.1 * 0.01) if name == "adamw" else w
        if name == "sgd":
            m = 0.9 * m + g
            w = w - 0.1 * (g + 0.9 * m)
        else:
            m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
            w = w - 0.1 * (m / (1 - 0.9**step)) / ((v / (1 - 0.99**step)).sqrt() + 1e-8)
        assert torch.allclose(weight.detach(), w, atol=1e-6)


def test_orthogonal_steps_have_singular_values_near_one_and_the_singular_vectors_of_the_gradient():
    matrix = torch.randn(3, 6, 10, generator=torch.Generator().manual_seed(0))
    for x in (matrix, matrix.mT):
        out = orthogonal(x)
        values = torch.linalg.svdvals(out)
        assert out.shape == x.shape and float(values.min()) > 0.6 and float(values.max()) < 1.3
        u, _, v = torch.linalg.svd(x, full_matrices=False)
        inner = u.mT @ out @ v.mT
        off = inner - torch.diag_embed(torch.diagonal(inner, dim1=-2, dim2=-1))
        assert float(off.abs().max()) < 1e-4


def test_muon_takes_orthogonal_steps_of_matrices_and_those_of_adamw_elsewhere():
    g = torch.Generator().manual_seed(1)
    matrix, vector = nn.Parameter(torch.randn(4, 6, generator=g)), nn.Parameter(torch.randn(5, generator=g))
    twin = nn.Parameter(vector.detach().clone())
    muon = optimiser_for(Training(optimiser="muon", learning_rate=0.1, weight_decay=0.02), [matrix, vector])
    adamw = optimiser_for(Training(learning_rate=0.1, weight_decay=0.02), [twin])
    assert isinstance(muon, Muon) and is_matrix(matrix) and not is_matrix(vector[None])
    before, gradient = matrix.detach().clone(), torch.randn(4, 6, generator=g)
    for step in range(3):
        matrix.grad = gradient.clone()
        vector.grad = torch.randn(5, generator=torch.Generator().manual_seed(step))
        twin.grad = vector.grad.clone()
        muon.step()
        adamw.step()
        if step == 0:
            moved = (before * (1 - 0.1 * 0.02) - matrix.detach()) / 0.1
            assert torch.allclose(moved, orthogonal(gradient) * 0.2 * 6**0.5, atol=1e-4)
    assert torch.allclose(vector, twin, atol=1e-5)


def test_matrices_of_one_size_are_made_orthogonal_together_as_each_alone():
    g, options = torch.Generator().manual_seed(3), Training(optimiser="muon", learning_rate=0.1)
    shapes = ((4, 6), (6, 4), (2, 4, 6), (6, 2, 1, 2))
    start = [torch.randn(shape, generator=g) for shape in shapes]
    slopes = [torch.randn(shape, generator=g) for shape in shapes]

    def moved(which):
        weights = [nn.Parameter(start[i].clone()) for i in which]
        muon = optimiser_for(options, weights)
        for i, weight in zip(which, weights, strict=True):
            weight.grad = slopes[i].clone()
        muon.step()
        return [weight.detach() for weight in weights]

    for i, together in enumerate(moved(range(4))):
        assert torch.allclose(together, moved([i])[0], atol=1e-5)
        slope = as_matrix(slopes[i])  # a first momentum lies along the slope
        step = 0.1 * 0.2 * max(slope.shape[-2:]) ** 0.5 * orthogonal(slope).reshape(shapes[i])
        assert torch.allclose(together, start[i] - step, atol=1e-5)


def test_muon_looks_ahead_along_the_mean_of_gradients():
    g = torch.Generator().manual_seed(2)
    matrix, gradients = nn.Parameter(torch.randn(4, 6, generator=g)), torch.randn(2, 4, 6, generator=g)
    muon = optimiser_for(Training(optimiser="muon", learning_rate=0.1, momentum=0.9), [matrix])
    for gradient in gradients:
        before, matrix.grad = matrix.detach().clone(), gradient.clone()
        muon.step()
    mean = 0.9 * 0.1 * gradients[0] + 0.1 * gradients[1]
    ahead = 0.1 * gradients[1] + 0.9 * mean
    assert torch.allclose((before - matrix.detach()) / 0.1, orthogonal(ahead) * 0.2 * 6**0.5, atol=1e-4)


def test_adapters_start_anew_from_other_weights_and_a_checkpoint_knows_them():
    family = Trained(adapters=1)
    loop = Loop(family, family.build(records(), 0), family, records(), 0, run_of(steps=40))
    list(loop.windows())
    learner, free = loop.learner, loop.learner.free[0]
    kept = learner.state()
    assert float(free.leaves[0].abs().max()) > 0
    for weight in free.weights:
        weight.data.fill_(2.0)
    free.rebase()
    free.write()
    assert all(bool((weight == 2.0).all()) for weight in free.weights)
    learner.restore(kept)
    free.write()
    assert not any(bool((weight == 2.0).all()) for weight in free.weights)
    assert all(torch.equal(value, kept[0][name]) for name, value in learner.state()[0].items())


def test_l1_shrinks_towards_zero_and_stops_there():
    weight = torch.tensor([0.5, -0.02, 0.02, -1.0])
    shrink([weight], 0.05)
    assert torch.allclose(weight, torch.tensor([0.45, 0.0, 0.0, -0.95]))
    net = fitted(400, l1=0.3)
    assert int((state(net) == 0).sum()) > 5 > int((state(fitted(400)) == 0).sum())


def test_schedules_begin_at_one_end_at_zero_and_warm_up():
    assert all(SCHEDULES[name](0.0) == 1.0 for name in SCHEDULES)
    assert all(SCHEDULES[name](1.0) == pytest.approx(0.0) for name in SCHEDULES if name != "constant")
    assert SCHEDULES["cosine"](0.25) == pytest.approx(0.5 + math.sqrt(0.5) / 2)
    assert SCHEDULES["late"](0.6) == 1.0 and SCHEDULES["late"](5 / 6) == pytest.approx(0.5)
    assert factor("constant", 0.001, 4, 100) == pytest.approx(0.05)
    assert factor("constant", 0.03, 4, 100) == pytest.approx(0.6)


def test_frozen_parameters_stay_and_the_others_move():
    start, net = ToyNet(0), fitted(60, freeze="^out$")
    assert torch.equal(net.out, start.out) and not torch.equal(net.hidden, start.hidden)
    with pytest.raises(InputError, match="left to learn"):
        fitted(5, freeze=".")


def test_adapters_change_matrices_by_a_low_rank():
    start, net = ToyNet(0), fitted(200, adapters=1)
    for before, after in ((start.hidden, net.hidden), (start.out, net.out)):
        values = torch.linalg.svdvals((after - before).detach())
        assert float(values[0]) > 0.05 and float(values[1]) < 1e-5


def test_gradients_of_adapters_are_those_of_autograd():
    g = torch.Generator().manual_seed(0)
    weight = nn.Parameter(torch.randn(2, 4, 3, generator=g))
    module = nn.Module()
    module.weight = weight
    player = Player("p", lambda b, r: weight.sum(), (weight,))
    free = Free.of(module, player, Training(adapters=2), g)
    up, down = (leaf.copy_(torch.randn(leaf.shape, generator=g)).requires_grad_() for leaf in free.leaves)
    pull = torch.randn(2, 4, 3, generator=g)
    ((free.fixed[0] + up @ down) * pull).sum().backward()
    wanted = up.grad.clone(), down.grad.clone()
    free.leaves = [up.detach(), down.detach()]
    free.take([pull])
    assert all(torch.allclose(leaf.grad, w) for leaf, w in zip(free.leaves, wanted, strict=True))


@pytest.mark.parametrize("options", [{"optimiser": "muon"}, {"optimiser": "sgd"}, {"adapters": 2}, STALLED])
def test_a_stop_is_harmless_with_every_optimiser(tmp_path, options):
    family = Trained(**options)
    whole = Loop(family, family.build(records(), 0), family, records(), 0, run_of(steps=80))
    list(whole.windows())
    for _ in range(3):
        run = Run(Clock(Budget(steps=80)), tmp_path)
        loop = Loop(family, family.build(records(), 0), family, records(), 0, run)
        for _ in loop.windows():
            loop.save()
            break
    run = Run(Clock(Budget(steps=80)), tmp_path)
    loop = Loop(family, family.build(records(), 0), family, records(), 0, run)
    list(loop.windows())
    assert torch.equal(state(loop.module), state(whole.module))


def test_products_are_rounded_to_bfloat16_when_asked():
    seen = []

    class Watch(Trained):
        def loss(self, module, batch, generator):
            seen.append((module.hidden @ module.out).dtype)
            return super().loss(module, batch, generator)

    for precision in ("float32", "bfloat16"):
        learn(Watch(precision=precision), records(), 0, run_of(steps=2))
    assert seen == [torch.float32] * 2 + [torch.bfloat16] * 2
