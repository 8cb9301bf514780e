"""Masked conditioners: against plain products, gradients by hand, causality, one position after the other."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional as F

from ensample.nets.random import seeded
from ensample.nets.staircase import Conditioner, Staircase, _back, _product

INPUTS, OUTPUTS, CONTEXT = [1, 3, 1, 2], [2, 4, 2, 5], 3


@pytest.fixture(autouse=True)
def double():
    """To many digits."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def causal(context: int = CONTEXT, waves: int = 0, depth: int = 2) -> Conditioner:
    with seeded(torch.Generator().manual_seed(0)):
        net = Conditioner.causal(INPUTS, OUTPUTS, context, width=11, depth=depth, waves=waves)
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.5 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    return net


def rows(context: int = CONTEXT, n: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.Generator().manual_seed(2)
    return torch.randn(sum(INPUTS), n, generator=noise), torch.randn(context, n, generator=noise)


def plain(net: Conditioner, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    """The same network in torch's own operations."""
    h = torch.cat([context, net.features(x)])
    for i, layer in enumerate(net.stairs()):
        out = (layer.weight * layer.mask) @ h + layer.bias
        if layer is net.last:
            return out
        h = F.silu(out) + (h if i else 0)
    raise AssertionError


@pytest.mark.parametrize("waves", [0, 2])
def test_forward_and_backward_by_hand(waves):
    net, (x, context) = causal(waves=waves), rows()
    x, context = x.requires_grad_(), context.requires_grad_()
    assert torch.allclose(net(x, context), plain(net, x, context), atol=1e-12)
    wanted = torch.randn(sum(OUTPUTS), 5)
    free = [x, context, *net.parameters()]
    found = torch.autograd.grad((net(x, context) * wanted).sum(), free)
    for a, b in zip(found, torch.autograd.grad((plain(net, x, context) * wanted).sum(), free), strict=True):
        assert torch.allclose(a, b, atol=1e-11)


@pytest.mark.parametrize("context", [0, CONTEXT])
@pytest.mark.parametrize("depth", [1, 3])
def test_law_15_nothing_later_is_looked_at(context, depth):
    net, (x, given) = causal(context, waves=1, depth=depth), rows(context)
    starts = list(itertools.accumulate([0, *INPUTS]))
    ends = list(itertools.accumulate([0, *OUTPUTS]))
    before = net(x, given)
    for i in range(len(INPUTS)):
        moved = x.clone()
        moved[starts[i] : starts[i + 1]] += 1.0
        after = net(moved, given)
        assert torch.equal(after[: ends[i + 1]], before[: ends[i + 1]])
        assert i == len(INPUTS) - 1 or bool((after[ends[i + 1] :] != before[ends[i + 1] :]).any(1).all())


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("context", [0, CONTEXT])
def test_position_by_position_gives_the_same(context, grad):
    net, (x, given) = causal(context, waves=1), rows(context)
    with torch.set_grad_enabled(grad):
        stepper, found = net.stepper(given), []
        for part in x.split(INPUTS):
            found.append(stepper.theta())
            stepper.push(part)
        assert torch.allclose(torch.cat(found), net(x, given), atol=1e-12)


def test_products_by_blocks_are_the_whole_products():
    reach = torch.arange(200) * 300 // 200
    with seeded(torch.Generator().manual_seed(0)):
        stair = Staircase(300, reach)
    assert len(stair.blocks) == 3 and stair.blocks[0][0] == 0 and stair.blocks[-1][1] == 200
    x, g, weight = torch.randn(300, 7), torch.randn(200, 7), stair.masked().detach()
    assert torch.allclose(_product(weight, stair.bias.detach(), x, stair.blocks), weight @ x)
    of_weight, of_x = _back(weight, x, g, stair.blocks)
    assert torch.allclose(of_weight * stair.mask, (g @ x.T) * stair.mask) and torch.allclose(of_x, weight.T @ g)


def test_dropout_leaves_out_units_in_learning_alone():
    with seeded(torch.Generator().manual_seed(0)):
        net = Conditioner.whole(3, 2, 0, width=64, depth=2, dropout=0.5)
    x, nothing = torch.randn(3, 400), torch.zeros(0, 400)
    still = net.eval()(x, nothing).detach()
    assert torch.equal(still, net(x, nothing))
    with seeded(torch.Generator().manual_seed(1)):
        kept = torch.stack([net.train()(x, nothing).detach() for _ in range(200)])
    assert not torch.equal(kept[0], kept[1]) and float((kept.mean(0) - still).abs().mean()) < 0.1 * float(
        kept.std(0).mean()
    )


def test_waves_are_sines_and_cosines_of_every_number():
    with seeded(torch.Generator().manual_seed(0)):
        net = Conditioner.whole(2, 1, 0, width=4, depth=1, waves=2)
    out = net.features(torch.tensor([[0.3], [99.0]]))
    expected = [0.3, *(f(k * 0.3) for f in (torch.sin, torch.cos) for k in torch.tensor([1.0, 2.0]))]
    assert out[:5, 0].tolist() == pytest.approx([float(v) for v in expected])
    assert float(out[5]) == Conditioner.FAR
