"""The small parts of the engine: the moving average, the guard, the choice of threads, the machine's settings."""

from __future__ import annotations

import math

import pytest
import torch

from ensample.nets.machine import careful_products, machine, threads_for
from ensample.train.average import Average
from ensample.train.guards import Guard


def test_average_is_the_exponential_one_after_its_youth():
    w = torch.zeros(2)
    average = Average([w], 0.9)
    expected = 0.0
    for t in range(200):
        w.fill_(math.sin(t))
        average.update(t)
        d = min(0.9, (1 + t) / (10 + t))
        expected = d * expected + (1 - d) * math.sin(t)
    assert average.values[0].tolist() == pytest.approx([expected] * 2, rel=1e-5)


def test_average_in_place_comes_and_goes():
    w = torch.ones(3)
    average = Average([w], 0.5)
    w.fill_(5.0)
    with pytest.raises(RuntimeError), average.in_place():
        assert w.tolist() == [1.0] * 3
        raise RuntimeError
    assert w.tolist() == [5.0] * 3


def scalars(*values: float) -> list[torch.Tensor]:
    return [torch.tensor(v) for v in values]


def test_guard_passes_noise_and_sees_jumps_whatever_the_scale():
    rng = torch.Generator().manual_seed(0)
    for scale, shift in ((1.0, 0.0), (1e-3, -50.0), (1e4, 1e5)):
        guard, norms = Guard(), scalars(*[1.0] * 20)
        for _ in range(50):
            noise = torch.randn(20, generator=rng) * scale + shift
            assert guard.trouble(list(noise.unbind()), norms) is None
        assert "jumped" in str(guard.trouble(list((noise + 20 * scale + 0.2 * abs(shift)).unbind()), norms))
        assert guard.trouble(list(noise.unbind()), norms) is None


def test_a_small_setback_after_much_gain_is_no_spike():
    guard, norms = Guard(), scalars(*[1.0] * 3)
    assert guard.trouble(scalars(10.0, 10.0, 10.0), norms) is None
    assert guard.trouble(scalars(1.0, 1.0, 1.0), norms) is None
    assert guard.trouble(scalars(5.0, 5.0, 5.0), norms) is None
    assert guard.trouble(scalars(1.0, 1.0, 1.0), norms) is None
    assert guard.trouble(scalars(6.0, 6.0, 6.0), norms) is not None
    guard.forget()
    assert guard.trouble(scalars(6.0, 6.0, 6.0), norms) is None


def test_guard_of_several_players_lets_losses_jump_but_not_vanish():
    guard = Guard(spikes=False)
    assert guard.trouble(scalars(1.0, 1.0), scalars(1.0, 1.0)) is None
    assert guard.trouble(scalars(900.0, 900.0), scalars(1.0, 1.0)) is None
    assert guard.trouble(scalars(1.0, math.nan), scalars(1.0, 1.0)) == "the loss is not finite"
    assert guard.trouble(scalars(1.0, 1.0), scalars(1.0, math.inf)) == "the gradient is not finite"


def test_threads_are_chosen_and_put_back():
    assert threads_for(10_000, rows=64) == 1
    assert threads_for(10**9, rows=4_096) == torch.get_num_threads()
    before, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    with pytest.raises(RuntimeError), machine(before + 1):
        assert torch.get_num_threads() == before + 1
        with careful_products():
            assert torch.get_float32_matmul_precision() == "highest"
        raise RuntimeError
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (before, precision)
