"""Networks over ordered columns: what reaches a target, by gradients, on networks away from their start."""

from __future__ import annotations

import pytest
import torch

from ensample.nets.columns import ColumnNet
from ensample.nets.lstm import Lstm
from ensample.nets.made import Made
from ensample.nets.ordered import Ordered
from ensample.nets.random import seeded
from ensample.nets.sequence import SequenceNet
from ensample.nets.transformer import RmsNorm, Transformer

TARGETS, GIVEN, WIDTH, ROWS = 4, 1, 12, 6


def build(name):
    g = torch.Generator().manual_seed(0)
    with seeded(g):
        if name == "columns":
            return ColumnNet(TARGETS, WIDTH, 2, 0.0, g)
        if name == "made":
            return Made(TARGETS, WIDTH, 2, 0.0, g)
        body = Transformer(WIDTH, 2, heads=3) if name == "transformer" else Lstm(WIDTH, 2)
        return SequenceNet(body, TARGETS, [2, 0, 3, 1], TARGETS + GIVEN, WIDTH, g)


@pytest.mark.parametrize("name", ["columns", "made", "transformer", "lstm"])
def test_a_target_hears_of_all_known_earlier_inputs_and_of_no_others(name):
    g = torch.Generator().manual_seed(1)
    slots = [2, 0, 3, 1] if name in ("transformer", "lstm") else [0, 1, 2, 3]
    place = torch.rand(ROWS, TARGETS, generator=g).argsort(1)
    seen_at = torch.full((ROWS, TARGETS + GIVEN), -1)
    seen_at[:, slots] = place
    known = (torch.rand(ROWS, TARGETS + GIVEN, generator=g) < 0.8).to(torch.float32)
    x = torch.randn(ROWS, TARGETS + GIVEN, WIDTH, generator=g, requires_grad=True)
    rows, net = Ordered(x, known, seen_at, place), build(name).eval()
    states = net.states(rows)
    assert states.shape == (TARGETS, ROWS, WIDTH)
    for j in range(TARGETS):
        direction = torch.randn(ROWS, WIDTH, generator=g)
        (slope,) = torch.autograd.grad((states[j] * direction).sum(), x, retain_graph=True)
        assert torch.equal(slope.abs().amax(2) > 0, rows.use()[:, j] > 0)
        assert torch.equal(rows.use_of(j), rows.use()[:, j])
        assert torch.allclose(net.state(j, rows), states[j], atol=1e-5)


def test_transformer_without_order_sees_all_and_with_it_nothing_ahead():
    x = torch.randn(2, 5, WIDTH, generator=torch.Generator().manual_seed(2))
    moved = x.clone()
    moved[:, 3] += 1.0
    for causal in (True, False):
        with seeded(torch.Generator().manual_seed(3)):
            net = Transformer(WIDTH, 2, heads=3, causal=causal).eval()
        before, after = net(x), net(moved)
        assert torch.equal(before[:, :3], after[:, :3]) == causal
        assert not torch.equal(before[:, 3:], after[:, 3:])


def test_norm_has_unit_mean_square_and_the_gradient_of_autograd():
    norm = RmsNorm(WIDTH).double()
    with torch.no_grad():
        norm.gain += torch.randn(WIDTH, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    x = torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(5), dtype=torch.float64, requires_grad=True)
    plain = x / torch.sqrt(x.square().mean(1, keepdim=True) + 1e-6) * norm.gain
    assert torch.allclose(norm(x), plain)
    direction = torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    ours, theirs = (torch.autograd.grad((y * direction).sum(), [x, norm.gain]) for y in (norm(x), plain))
    assert all(torch.allclose(a, b) for a, b in zip(ours, theirs, strict=True))
