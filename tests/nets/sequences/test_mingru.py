"""The minGRU against a loop over tokens, its gradient by hand, and what it keeps of a text."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ensample.nets.random import seeded
from ensample.nets.sequences.mingru import MinGru, gated

WIDTH = 6


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def numbers(*shape, seed=1):
    return torch.randn(*shape, generator=gen(seed), dtype=torch.float64)


def net_of():
    """A network of float64, away from its start, where it adds nothing."""
    g = gen(3)
    with seeded(g):
        net = MinGru(WIDTH, 2).double().eval()
        for weight in net.parameters():
            weight.data += 0.3 * torch.randn(weight.shape, generator=g, dtype=torch.float64)
    return net


def normed(x):
    return x / (x.square().mean() + 1e-6).sqrt()


def looped(net, x, begins):
    """One row, token after token and number after number by the equations of the class."""
    for block in net.blocks:
        h, nothing, out = torch.zeros(len(block.bias), dtype=x.dtype), torch.zeros(WIDTH, dtype=x.dtype), []
        before = middle_before = nothing
        for token, begin in zip(x, begins, strict=True):
            if begin:
                h, before, middle_before = torch.zeros_like(h), nothing, nothing
            n = normed(token)
            shifted = n + block.mix_state * (before - n)
            z, c, g = (matrix @ shifted for matrix in block.parts)
            f = 1.0 / (1.0 + (-z - block.bias).exp())
            h = f * h + (1.0 - f) * c
            middle = token + block.mix.weight @ (g / (1.0 + (-g).exp()) * h)
            m = normed(middle)
            inner = block.up.weight @ (m + block.mix_mlp * (middle_before - m))
            out.append(middle + block.down.weight @ inner.clamp(min=0.0) ** 2)
            before, middle_before = n, m
        x = torch.stack(out)
    return x


@pytest.mark.parametrize("several", [False, True])
def test_all_tokens_at_once_are_what_a_loop_gives(several):
    net, x = net_of(), numbers(3, 9, WIDTH)
    begins = torch.zeros(3, 9, dtype=torch.bool)
    if several:
        begins[0, 0] = begins[0, 4] = begins[0, 5] = begins[1, 8] = True
    with torch.no_grad():
        out = net(x, begins if several else None)
        for row in range(3):
            assert torch.allclose(out[row], looped(net, x[row], begins[row]), atol=1e-12)


def test_what_is_kept_goes_on_like_the_whole_and_does_not_grow():
    net, x = net_of(), numbers(2, 40, WIDTH)
    with torch.no_grad():
        whole = net(x, None)
        out, memory = net.read(x[:, :7], torch.tensor([7, 3]))
        assert torch.allclose(out, whole[[0, 1], [6, 2]], atol=1e-12)

        def size():
            return sum(t.numel() for kept in memory.kept for t in (kept.state, kept.before, kept.middle))

        first = size()
        for t in range(33):
            out = memory.step(x[[0, 1], [7 + t, 3 + t]])
        assert torch.allclose(out, whole[[0, 1], [39, 35]], atol=1e-12)
    assert size() == first == 2 * 2 * (9 + WIDTH + WIDTH)


@pytest.mark.parametrize("several", [False, True])
def test_its_gradient_by_hand_is_that_of_differences(several):
    parts, bias = numbers(2, 5, 9).requires_grad_(), numbers(3, seed=2).requires_grad_()
    stays = (torch.rand(2, 5, 1, generator=gen(4)) < 0.6).double() if several else None
    assert torch.autograd.gradcheck(lambda p, b: gated(p, b, stays)[0], (parts, bias))


def test_its_states_remember_from_two_to_some_thirty_tokens_at_first():
    with seeded(gen()):
        bias = MinGru(WIDTH, 1).blocks[0].bias
    parts = torch.zeros(1, 40, 3 * len(bias))
    parts[0, 0, len(bias) : 2 * len(bias)] = 1.0  # one impulse
    _, h = gated(parts, bias.detach(), None)
    left = h[:, 0] / h[0, 0]
    assert torch.allclose(left[1], torch.sigmoid(bias))
    assert left[1, 0] == 0.5 and 0.3 < left[32, -1] < 0.42
    assert torch.allclose(h.sum(0)[0], 1.0 - torch.sigmoid(bias) ** 40)  # a mean: weights of all time sum to 1


def test_in_learning_of_short_numbers_states_are_kept_whole():
    net, x = MinGru(WIDTH, 1), numbers(2, 5, WIDTH).float()
    with torch.autocast("cpu", torch.bfloat16):
        parts = F.linear(x, net.blocks[0].parts.flatten(0, 1))
        out, h = gated(parts, net.blocks[0].bias, None)
    assert parts.dtype == out.dtype == torch.bfloat16 and h.dtype == torch.float32
