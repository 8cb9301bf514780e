"""Neural style: Gram matrices, what is kept, what is taken over."""

from __future__ import annotations

import pytest
import torch

from ensample.infer.style import RandomFeatures, gram, stylised


def waves(*, across: bool, period: int = 4, size: int = 24) -> torch.Tensor:
    """A picture of stripes, [1, 1, size, size]."""
    line = torch.sin(torch.arange(size) * 2 * torch.pi / period) * 0.8
    picture = line.expand(size, size)
    return (picture if across else picture.T)[None, None].clone()


def disc(size: int = 24) -> torch.Tensor:
    place = torch.arange(size) - size / 2
    inside = (place[:, None].square() + place.square()) < (size / 3) ** 2
    return (inside.to(torch.float32) - 0.5)[None, None]


def texture_gap(made: torch.Tensor, style: torch.Tensor) -> float:
    looks = RandomFeatures(1)
    pairs = zip(looks(made), looks(style), strict=True)
    return sum(float((gram(a) - gram(b)).square().sum() / gram(b).square().sum()) for a, b in pairs)


def test_gram_matrices_forget_places():
    maps = torch.randn(2, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    expected = torch.einsum("rahw,rbhw->rab", maps, maps) / 42
    assert torch.allclose(gram(maps), expected, atol=1e-5)
    mixed = maps.flatten(2)[:, :, torch.randperm(42, generator=torch.Generator().manual_seed(1))]
    assert torch.allclose(gram(mixed.view(2, 5, 42, 1)), expected, atol=1e-5)


def test_a_picture_in_its_own_manner_stays():
    assert torch.allclose(stylised(disc(), disc(), steps=20, rate=0.02), disc(), atol=1e-4)


def test_texture_comes_from_the_style_and_shape_from_the_content():
    content, style = disc(), waves(across=True)
    made = stylised(content, style, keep=0.1, steps=80)
    assert texture_gap(made, style) < 0.3 * texture_gap(content, style)
    other = stylised(content, waves(across=False), keep=0.1, steps=80)
    assert texture_gap(made, style) < 0.5 * texture_gap(other, style)
    alike = lambda x: float(torch.corrcoef(torch.stack([x.flatten(), content.flatten()]))[0, 1])  # noqa: E731
    firm = stylised(content, style, keep=30.0, steps=80)
    assert alike(firm) > alike(made) > alike(stylised(content, style, keep=0.0, steps=80)) - 0.05
    assert alike(firm) > 0.9 and float(made.abs().max()) <= 1.0


def test_rows_are_found_each_on_their_own_and_nothing_global_is_touched():
    contents = torch.cat([disc(), -disc()])
    state = torch.get_rng_state()
    both, alone = stylised(contents, waves(across=True), steps=10), stylised(contents[1:], waves(across=True), steps=10)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.allclose(both[1:], alone, atol=1e-4)


def test_the_cost_is_lowered_in_any_features():
    """With the pixels themselves as features the Gram matrix is the mean square: a factor brings it there."""
    content, style = torch.full((1, 1, 4, 4), 0.2), torch.full((1, 1, 3, 3), 0.6)
    made = stylised(content, style, lambda x: [x], keep=0.0, steps=200, rate=0.02)
    assert float(made.square().mean()) == pytest.approx(0.36, abs=0.01)
    held = stylised(content, style, lambda x: [x], keep=1e4, steps=200, rate=0.02)
    assert torch.allclose(held, content, atol=0.02)
