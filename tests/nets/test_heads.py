"""The hand-written gradient of the heads against autograd, and the formula against a loop."""

from __future__ import annotations

import math

import pytest
import torch

from ensample.nets.heads import HEIGHT, Head, cross_entropy

ROWS, WIDTH, INPUTS, BUMPS = 5, 6, 3, 2


def heads(generator: torch.Generator) -> list[Head]:
    """One number of seven bins, one class of four, in double precision and away from their start."""

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    pair = [
        Head(normal(7).log_softmax(0), normal(7).sort().values, WIDTH, INPUTS, BUMPS, generator).double(),
        Head(normal(4).log_softmax(0), None, WIDTH, INPUTS, BUMPS, generator).double(),
    ]
    with torch.no_grad():
        for head in pair:
            for p in head.parameters():
                p += 0.5 * normal(*p.shape)
    return pair


@pytest.mark.parametrize(
    ("push", "smoothing"), [(0.0, 0.0), (20.0, 0.0), (0.0, 0.3)], ids=["free", "clamped", "smooth"]
)
def test_gradient_by_hand_is_that_of_autograd(push, smoothing):
    g = torch.Generator().manual_seed(0)
    pair = heads(g)
    with torch.no_grad():
        pair[0].bias[7 + INPUTS + BUMPS] += push  # the log rate of one bump far beyond its bound
    h = torch.randn(2, ROWS, WIDTH, generator=g, dtype=torch.float64).requires_grad_()
    values = torch.randn(2, ROWS, INPUTS, generator=g, dtype=torch.float64)
    index, weight = torch.randint(0, 4, (2, ROWS), generator=g), torch.rand(2, ROWS, generator=g, dtype=torch.float64)
    plain = torch.zeros((), dtype=torch.float64)
    for j, head in enumerate(pair):
        log_p = head.logits(h[j], values[j]).log_softmax(1)
        wanted = torch.nn.functional.one_hot(index[j], head.bins).double() * (1 - smoothing) + smoothing / head.bins
        plain = plain - ((log_p * wanted).sum(1) * weight[j]).sum()
    fast = cross_entropy(pair, h, values, index, weight, smoothing)
    assert math.isclose(plain.item(), fast.item(), rel_tol=1e-12)
    inputs = [h, *(p for head in pair for p in head.parameters())]
    for ours, theirs in zip(torch.autograd.grad(3 * fast, inputs), torch.autograd.grad(3 * plain, inputs), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_logits_are_free_plus_bumps():
    g = torch.Generator().manual_seed(1)
    head = heads(g)[0]
    h = torch.randn(1, WIDTH, generator=g, dtype=torch.float64)
    values = torch.randn(1, INPUTS, generator=g, dtype=torch.float64)
    out = (h @ head.weight + head.bias)[0].tolist()
    free, slopes, offsets = out[:7], out[7 : 7 + INPUTS], out[7 + INPUTS : 7 + INPUTS + BUMPS]
    rates, heights = out[-2 * BUMPS : -BUMPS], out[-BUMPS:]
    location = sum(a * b for a, b in zip(slopes, values[0].tolist(), strict=True))
    assert head.centers is not None
    for b, center in enumerate(head.centers.tolist()):
        expected = free[b]
        for offset, log_rate, height in zip(offsets, rates, heights, strict=True):
            expected += HEIGHT * height / (1 + (math.exp(log_rate) * (center - location - offset)) ** 2)
        assert math.isclose(head.logits(h, values)[0, b].item(), expected, rel_tol=1e-6)
