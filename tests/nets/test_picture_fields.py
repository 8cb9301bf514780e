"""Networks of fields of pictures: what they start as, what they look at, sizes that do not divide, default sizes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ensample.families.training import Training
from ensample.nets.images.blocks import Setting, channel_rms, from_patches, padded, to_patches
from ensample.nets.images.patches import PatchTransformer
from ensample.nets.images.sizes import SIZES, size_for
from ensample.nets.images.unet import UNet
from ensample.nets.machine import operations
from ensample.nets.random import seeded
from ensample.train.optimisers import optimiser_for, orthogonal


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def patches(seed: int = 0, times: int = 1) -> nn.Module:
    with seeded(generator(seed)):
        return PatchTransformer(2, 3, (6, 5), patch=2, width=16, layers=2, heads=2, times=times, given=4)


def unet(seed: int = 0, times: int = 1) -> nn.Module:
    with seeded(generator(seed)):
        return UNet(2, 3, widths=(8, 16), blocks=1, fold=1, heads=2, times=times, given=4)


each = pytest.mark.parametrize("build", [patches, unet])


def stirred(net: nn.Module) -> nn.Module:
    """The network with weights that are nowhere 0."""
    with torch.no_grad():
        for i, weight in enumerate(net.parameters()):
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator(i)))
    return net


def inputs(rows: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    g = generator(9)
    return torch.randn(rows, 2, 6, 5, generator=g), torch.rand(rows, generator=g), torch.rand(rows, 4, generator=g)


@each
def test_starts_at_zero_and_every_weight_can_learn(build):
    net, (x, t, cond) = build(), inputs()
    assert not net(x, t, cond).any() and net(x, t, cond).shape == (3, 3, 6, 5)
    net = stirred(net)
    net(x, t, cond).square().sum().backward()
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in net.parameters())


@each
def test_sees_the_whole_picture_the_time_and_what_is_given_and_no_other_row(build):
    net, (x, t, cond) = stirred(build()), inputs()
    before = net(x, t, cond).detach()
    for place in ((0, 0, 0), (1, 5, 4)):
        changed = x.clone()
        changed[(0, *place)] += 1.0
        moved = (net(changed, t, cond) - before).detach().abs()
        assert bool((moved[0].amax(0) > 0).all()) and not moved[1:].any()
    for later, told in ((t + torch.tensor([0.3, 0, 0]), cond), (t, cond + torch.tensor([[1.0], [0], [0]]))):
        moved = (net(x, later, told) - before).detach().abs()
        assert float(moved[0].mean()) > 1e-3 and float(moved[1:].max()) < 1e-5


@each
def test_two_times_are_told_apart(build):
    net, (x, t, cond) = stirred(build(times=2)), inputs()
    one, other = (net(x, torch.stack(pair, 1), cond) for pair in ((t, t * 0.5), (t * 0.5, t)))
    assert not torch.allclose(one, other, atol=1e-3)


@each
def test_weights_come_from_the_seed(build):
    one, two, three = (build(seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], three[name]) for name in one)


def test_a_norm_of_channels_is_that_of_each_place():
    x = torch.randn(2, 5, 3, 4, generator=generator(0))
    assert torch.allclose(channel_rms(x), x / x.square().mean(1, keepdim=True).sqrt(), atol=1e-5)


def test_patches_hold_neighbours_and_padding_repeats_the_edge():
    x = torch.arange(24.0).view(1, 1, 4, 6)
    assert to_patches(x, 2)[0, 4].tolist() == [14.0, 15.0, 20.0, 21.0]
    assert torch.equal(from_patches(to_patches(x, 2), 2, 4, 6), x)
    assert padded(x, 4).shape == (1, 1, 4, 8) and padded(x, 4)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 5, 5]


def test_settings_tell_times_and_fields_apart():
    with seeded(generator(0)):
        setting = Setting(1, 2, 16)
    t = torch.linspace(0, 1, 9)
    out = setting(t, torch.zeros(9, 2)).detach()
    assert float(torch.cdist(out, out).fill_diagonal_(1).min()) > 0.01


def test_sizes_rise_with_the_picture():
    sides = [side for side, _ in SIZES]
    assert sides == sorted(sides)
    for side in (1, 8, 9, 28, 32, 64, 100, 128, 500):
        size = size_for(side, side // 2 + 1)
        tokens = -(-side // size.patch) * -(-(side // 2 + 1) // size.patch)
        assert tokens <= 256 and size.width % 4 == 0
    assert size_for(8, 40) == size_for(40, 8)


def test_operations_of_a_convolution_count_its_places():
    layer = nn.Conv2d(2, 3, 3, padding=1, bias=False)
    assert operations(lambda: layer(torch.zeros(1, 2, 5, 4))) == 2 * 3 * 9 * 20


def test_muon_takes_the_kernels_of_a_convolution_as_one_matrix():
    kernel = nn.Parameter(torch.zeros(4, 2, 3, 3))
    muon = optimiser_for(Training(optimiser="muon", learning_rate=0.1), [kernel])
    kernel.grad = torch.randn(4, 2, 3, 3, generator=generator(0))
    muon.step()
    wanted = -0.1 * 0.2 * 18**0.5 * orthogonal(kernel.grad.flatten(1))
    assert torch.allclose(kernel.detach().flatten(1), wanted, atol=1e-4)
    brief = nn.Parameter(torch.zeros(4, 18))
    other = optimiser_for(Training(optimiser="muon", learning_rate=0.1, precision="bfloat16"), [brief])
    brief.grad = kernel.grad.flatten(1).clone()
    other.step()
    away = float((brief.detach() - wanted).norm() / wanted.norm())
    assert 0.0 < away < 0.06  # products in bfloat16, and good enough for a direction
