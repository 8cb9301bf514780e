"""Heads of pixels: tables against likelihoods, sums, starts, coupled channels."""

from __future__ import annotations

import pytest
import torch
from torch import Generator

from ensample.nets.images.pixelhead import HEADS, Logistics, invert, usual_head

CASES = [("bernoulli", 2, 3), ("softmax", 2, 2), ("softmax", 7, 3), ("logistic", 256, 3), ("logistic", 40, 1)]
heads = pytest.mark.parametrize(("name", "levels", "channels"), CASES)


@heads
@torch.no_grad()
def test_tables_are_the_chain_of_the_likelihood(name, levels, channels):
    head, generator = HEADS[name](levels, channels, 4), Generator().manual_seed(0)
    raw = 1.5 * torch.randn(9, head.outputs, generator=generator)
    codes = torch.randint(levels, (9, channels), generator=generator)
    log_p = head.log_prob(raw, codes)
    for c in range(channels):
        table = head.table(raw, codes, c)
        assert torch.allclose(table.exp().sum(1), torch.ones(9), atol=1e-4)
        assert torch.allclose(table.gather(1, codes[:, c : c + 1])[:, 0], log_p[:, c], atol=1e-4, rtol=1e-4)
        u = torch.rand(9, generator=generator, dtype=torch.float64)
        assert torch.equal(head.choose(raw, codes, c, u), invert(table.double(), u))
        later = torch.where(torch.arange(channels) >= c, levels - 1 - codes, codes)
        assert torch.equal(head.table(raw, later, c), table), "a channel sees the earlier ones alone"
        if c:
            earlier = torch.where(torch.arange(channels) < c, levels - 1 - codes, codes)
            assert not torch.allclose(head.table(raw, earlier, c), table, atol=1e-3)


@heads
@torch.no_grad()
def test_it_starts_where_pixels_are_by_themselves(name, levels, channels):
    generator = Generator().manual_seed(1)
    bright = torch.linspace(0.1, 0.9, 4)  # of four pixels
    noise = torch.randn(4_000, channels, 4, generator=generator) * 0.15
    codes = ((bright + noise).clamp(0, 1) * (levels - 1)).round().to(torch.int64)
    head = HEADS[name](levels, channels, 10)
    for table in head.parameters():
        table.data.zero_()
    raw = head.begin(codes).t()  # [pixels, outputs]
    nats = -head.log_prob(raw.expand(len(codes), -1, -1), codes.transpose(1, 2)).mean((0, 2))  # of each pixel
    for pixel in range(4):
        own = codes[..., pixel] if name != "logistic" else codes  # a mixture starts alike everywhere
        counts = torch.stack([torch.bincount(own[:, c].flatten(), minlength=levels) for c in range(channels)]).double()
        share = counts / counts.sum(1, keepdim=True)
        entropy = -(share * share.clamp(min=1e-12).log()).sum(1).mean()
        if name != "logistic":
            assert float(nats[pixel]) == pytest.approx(float(entropy), abs=0.02)
    if name == "logistic":  # and knows already that the channels of a pixel are alike
        assert float(entropy) - 0.5 * (channels - 1) < float(nats.mean()) < float(entropy) + 0.15


def test_a_narrow_logistic_puts_its_mass_on_one_level():
    head = Logistics(256, 1, 1)
    raw = torch.tensor([[0.0, 2 * 77 / 255 - 1, -7.0]])
    assert float(head.table(raw, torch.zeros(1, 1, dtype=torch.int64), 0).exp()[0, 77]) > 0.97
    wide = head.table(torch.tensor([[0.0, -3.0, -1.0]]), torch.zeros(1, 1, dtype=torch.int64), 0).exp()
    assert float(wide[0, 0]) > 0.99, "the lowest level holds all below"


def test_usual_heads():
    assert [usual_head(2, True), usual_head(17, True), usual_head(256, True), usual_head(512, False)] == [
        "bernoulli",
        "softmax",
        "logistic",
        "softmax",
    ]


def test_levels_are_the_inverse_of_the_distribution_function():
    p = torch.tensor([[0.2, 0.0, 0.5, 0.3]]).double()
    levels = [int(invert(p.log(), torch.tensor([u]))) for u in (0.0, 0.1999, 0.2001, 0.6999, 0.7001, 1 - 1e-12)]
    assert levels == [0, 0, 2, 2, 3, 3]
