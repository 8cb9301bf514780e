"""Restricted Boltzmann machines: sums by enumeration, free energies, annealing, Gibbs sampling, evidence."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Limit, Mixed, Span, unknown
from ensample.families.energy.machine import Machine
from ensample.families.energy.rbm import Boltzmann, BoltzmannRows, contrastive, persistent
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run
from ensample.train import learn

EVENT = Mixed(
    (
        Span("kind", Discrete(3)),
        Span("amount?", Discrete(2)),
        Span("amount", Continuous(Lattice(0, 3, shift=1.5, scale=1.1)), (1, (1,))),
    )
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(count: int = 2_000, seed: int = 0) -> Records:
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, count, p=[0.5, 0.3, 0.2])
    has = (rng.random(count) < np.array([0.3, 0.6, 0.8])[kind]).astype(np.int64)
    amount = np.clip(kind + rng.integers(0, 2, count), 0, 3)
    return Records(EVENT, np.stack([kind, has, np.where(has == 1, amount, ABSENT)], 1))


def everything() -> Batch:
    cells = [(k, 0, ABSENT) for k in range(3)] + [(k, 1, a) for k, a in itertools.product(range(3), range(4))]
    return Records(EVENT, np.array(cells, dtype=np.int64)).batch()


def wild(hidden: int, seed: int = 0, strength: float = 0.8) -> BoltzmannRows:
    """A machine with random weights, far from independent bins."""
    module = Boltzmann(hidden=hidden).build(rows(300), seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(strength * torch.randn(weight.shape, generator=generator(seed)))
    return module.eval()


def joint(machine: Machine, index: torch.Tensor) -> torch.Tensor:
    """`-E(v, h)` of every record and every hidden state by the definition, [records, states] float64."""
    states = list(itertools.product((0.0, 1.0), repeat=len(machine.hidden)))
    out = torch.zeros(len(index), len(states), dtype=torch.float64)
    for i, record in enumerate(index.tolist()):
        v = torch.zeros(machine.units.width, dtype=torch.float64)
        v[[column for column in record if column < machine.units.width]] = 1.0
        for k, state in enumerate(states):
            h = torch.tensor(state, dtype=torch.float64)
            bilinear = v @ machine.weight.double() @ h
            out[i, k] = machine.visible.double() @ v + machine.hidden.double() @ h + bilinear
    return out


@torch.no_grad()
def test_free_energies_and_the_partition_function_are_sums_over_all_states():
    module = wild(5)
    machine, index = module.machine, module.machine.units.index(everything())
    terms = joint(machine, index)
    assert torch.allclose(-machine.free_energy(index).double(), terms.logsumexp(1), atol=1e-5)
    assert float(module.normaliser().value) == pytest.approx(float(terms.flatten().logsumexp(0)), abs=1e-6)
    assert float(module.normaliser().error) == 0.0
    assert torch.allclose(machine.log_states(machine.anything()).sort()[0], terms.logsumexp(0).sort()[0], atol=1e-6)


@torch.no_grad()
def test_annealing_gives_the_partition_function_within_its_interval():
    module = wild(13)
    machine, index = module.machine, module.machine.units.index(everything())
    exact = float((-machine.free_energy(index).double()).logsumexp(0))
    estimate = module.normaliser()
    assert 0 < float(estimate.error) < 0.1
    assert abs(float(estimate.value) - exact) < 4 * float(estimate.error)
    low, high = module.log_prob_interval(everything(), 0.9999).T
    truth = -machine.free_energy(index).double() - exact + machine.units.log_inside(everything())
    assert bool(((low <= truth) & (truth <= high)).all())


@torch.no_grad()
def test_unknown_coordinates_are_summed_over_few_and_many_hidden_units():
    for hidden, tolerance in ((6, 1e-6), (13, 0.1)):
        module = wild(hidden)
        whole, batch = module.log_prob(everything()).exp(), everything()
        kinds = Batch(torch.tensor([[0, 0, 0], [2, 0, 0]]), torch.tensor([[True, False, False]] * 2))
        expected = torch.stack([whole[batch.cells[:, 0] == kind].sum() for kind in (0, 2)]).log()
        # what lies beyond the bins keeps one part in some hundred
        assert torch.allclose(module.log_prob(kinds), expected, atol=tolerance + 0.02)
        known = Batch(torch.tensor([[0, 0, 2]]), torch.tensor([[False, False, True]]))
        there = (batch.cells[:, 2] == 2) & batch.mask[:, 2]
        assert float(module.log_prob(known)) == pytest.approx(float(whole[there].sum().log()), abs=tolerance + 1e-6)


def shares(index: torch.Tensor) -> torch.Tensor:
    names = {tuple(row): i for i, row in enumerate(rows_index().tolist())}
    counts = torch.zeros(len(names), dtype=torch.float64)
    for row in index.tolist():
        counts[names[tuple(row)]] += 1
    return counts / len(index)


def rows_index() -> torch.Tensor:
    return wild(1).machine.units.index(everything())


@torch.no_grad()
@pytest.mark.parametrize("hidden", [4, 13])
def test_gibbs_and_exact_draws_follow_the_probabilities(hidden):
    module = wild(hidden, strength=0.5)
    machine = module.machine
    p = (-machine.free_energy(machine.units.index(everything())).double()).softmax(0)
    allowed = machine.anything().expand(8_000, -1, -1)
    assert (shares(machine.gibbs(allowed, 40, generator())) - p).abs().sum() < 0.06
    if hidden == 4:
        assert (shares(machine.exact_draw(allowed, generator(1))) - p).abs().sum() < 0.06


@torch.no_grad()
def test_the_stationary_distribution_of_a_sweep_is_the_machine():
    module = wild(4)
    machine = module.machine
    p = (-machine.free_energy(machine.units.index(everything())).double()).softmax(0)
    start = machine.exact_draw(machine.anything().expand(20_000, -1, -1), generator(2))
    after = machine.sweep(start, generator(3), machine.anything())
    assert (shares(after) - p).abs().sum() < 0.05


@torch.no_grad()
@pytest.mark.parametrize("hidden", [4, 13])
def test_draws_keep_evidence_and_limits_and_follow_the_conditional(hidden):
    module = wild(hidden, strength=0.5)
    batch = unknown(6_000, EVENT)
    batch.cells[:, 0], batch.mask[:, 0] = 1, True
    made, weight = module.draw(batch, generator(), [Limit(2, ((1, 2),))])
    assert bool((made.cells[:, 0] == 1).all()) and bool((weight == 0).all())
    amounts = made.cells[:, 2][made.mask[:, 2]]
    assert bool(((amounts >= 1) & (amounts <= 2)).all()) and bool((made.mask[:, 2] == (made.cells[:, 1] == 1)).all())
    p, every = module.log_prob(everything()).exp(), everything()
    fits = (every.cells[:, 0] == 1) & (~every.mask[:, 2] | ((every.cells[:, 2] >= 1) & (every.cells[:, 2] <= 2)))
    absent = float(p[fits & ~every.mask[:, 2]].sum() / p[fits].sum())
    assert float((~made.mask[:, 2]).double().mean()) == pytest.approx(absent, abs=0.03)
    known = unknown(50, EVENT)
    known.cells[:, 2], known.mask[:, 2] = 3, True  # an amount needs its state
    assert bool((module.draw(known, generator())[0].cells[:, 1] == 1).all())
    nowhere = module.draw(batch, generator(), [Limit(1, ((7, 9),))])[1]
    assert bool((nowhere == -math.inf).all())


@pytest.mark.parametrize("loss", [contrastive, persistent])
def test_the_gradient_is_that_of_the_likelihood_where_chains_are_at_rest(loss):
    """With many sweeps both estimates tend to `d/dw -log p(data)`, here by enumeration."""
    module = wild(3, strength=0.4).train()
    with torch.no_grad():
        module.chains = module.machine.exact_draw(module.machine.anything().expand(40_000, -1, -1), generator(1))
    batch = rows(500, seed=2).batch()
    repeated = batch.repeat(80) if loss is contrastive else batch
    machine = module.machine
    estimate = torch.autograd.grad(loss(module, repeated, 6, generator()), list(machine.parameters()))
    index = machine.units.index(everything())
    log_z = (-machine.free_energy(index)).logsumexp(0)
    exact = torch.autograd.grad(
        machine.free_energy(machine.units.index(batch)).mean() + log_z, list(machine.parameters())
    )
    for ours, theirs in zip(estimate, exact, strict=True):
        assert torch.allclose(ours, theirs, atol=0.02)


def test_it_learns_what_independent_columns_cannot():
    family = Boltzmann(hidden=8, learning_rate=0.1, batch_size=128)
    module = learn(family, rows(3_000), 0, Run(Clock(Budget(steps=250))))
    fresh = rows(2_000, seed=7)
    start = family.build(rows(3_000), 0).eval()
    gain = float((module.log_prob(fresh.batch()) - start.log_prob(fresh.batch())).mean())
    assert gain > 0.3
    assert "chains" not in " ".join(module.arrays())


def test_what_cannot_be_modelled_is_refused_in_words():
    assert "given" in str(Boltzmann().refuses(EVENT, EVENT))
    assert Boltzmann().refuses(EVENT, None) is None
    with pytest.raises(InputError):
        Boltzmann(method="sml")
