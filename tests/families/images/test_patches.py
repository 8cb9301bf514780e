"""Mixtures over patches: tiles, likelihood by enumeration, restoring against closed forms and on digits."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from tests.families.images.toys import GIVEN, grid, halves, labels
from torch.nn import functional as F

from ensample.budget import Budget, Clock
from ensample.errors import CapabilityError, InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Span
from ensample.families.compose.flat import Flat
from ensample.families.images.patches import ImagePatches
from ensample.families.images.patches.restoration import restored, started, wiener
from ensample.families.images.patches.tiles import Tiles
from ensample.families.mixture.components import Components
from ensample.families.mixture.family import Mixture
from ensample.infer.likelihood import cell_log_prob
from ensample.kinds.images import Images
from ensample.run import Run
from ensample.train import learn


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def learned(family, records: Images, steps: int = 20):
    return learn(family, records, 0, Run(Clock(Budget(steps=steps))))


def digits() -> tuple[Images, Images]:
    """Scikit-learn's digits, 17 levels, as pictures to learn from and others."""
    table = load_digits().images.astype(np.uint8)[:, None]
    return Images(grid(17, 1, 8, 8), table[:1_500]), Images(grid(17, 1, 8, 8), table[1_500:])


def gaussians() -> Components:
    """Two components over patches of 2 by 2 pixels."""
    root = torch.randn(2, 4, 4, generator=generator(), dtype=torch.float64)
    means = torch.tensor([[0.0, 0.5, -0.5, 0.2], [3.0, 3.0, 3.5, 3.0]], dtype=torch.float64)
    return Components(torch.tensor([0.3, 0.7], dtype=torch.float64).log(), means, root @ root.mT, {}, {})


@pytest.mark.parametrize("size", [(2, 2), (3, 2), (5, 7), (4, 3)])
def test_tiles_join_to_the_picture_that_they_were_cut_from(size):
    tiles = Tiles((3, 5, 7), *size)
    pictures = torch.randn(4, 3, 5, 7, generator=generator())
    cut = tiles.cut(pictures)
    assert cut.shape == (4 * tiles.count, 3 * size[0] * size[1])
    assert torch.equal(tiles.join(cut), pictures)
    assert torch.equal(cut[0].view(3, *size), pictures[0, :, : size[0], : size[1]])


def test_pictures_of_the_size_of_a_patch_have_the_density_of_the_mixture():
    train, test = digits()
    own, flat = learned(ImagePatches(components=4), train), learned(Flat(of=Mixture(components=4)), train)
    batch = test.batch(slice(0, 40))
    assert torch.allclose(cell_log_prob(own, batch), cell_log_prob(flat, batch), atol=1e-6)
    assert torch.equal(own.log_prob(batch)[3:4], own.log_prob(batch.take(slice(3, 4))))


def test_probabilities_of_pictures_of_several_tiles_sum_to_one():
    """2 by 5 pixels in tiles of 2 by 2: those beyond the edge are left out."""
    rng = np.random.default_rng(0)
    records = Images(grid(2, 1, 2, 5), (rng.random((500, 1, 2, 5)) < 0.3).astype(np.uint8))
    own = learned(ImagePatches(size=2, components=3), records)
    every = torch.tensor(list(itertools.product((0, 1), repeat=10))).view(-1, 1, 2, 5)
    batch = Batch(every, torch.ones(every.shape, dtype=torch.bool))
    assert float(own.log_prob(batch).exp().sum()) == pytest.approx(1.0, abs=1e-9)
    assert bool((own.log_prob(batch) != own.log_prob(batch)[:1]).any())


def test_tiles_of_a_picture_are_told_the_same_given_fields():
    records = halves(400, 1, 4, 8, given=True)
    own = learned(ImagePatches(size=4, components=2), records)
    made = own.sample(100, generator(), labels([0, 1] * 50)).cells.to(torch.float64)
    assert made.shape == (100, 1, 4, 8) and float(made.min()) >= 0 and float(made.max()) <= 255
    batch = records.batch(slice(0, 50))
    right = own.log_prob(batch).mean()
    wrong = own.log_prob(Batch(batch.cells, batch.mask, labels((1 - batch.cond.cells[:, 0]).tolist()))).mean()
    assert float(right) >= float(wrong) - 1.0


def test_known_pixels_stay_and_unknown_ones_follow_them():
    train, test = digits()
    own = learned(ImagePatches(components=8), train)
    batch = test.batch(slice(0, 60))
    mask = torch.ones_like(batch.mask).clone()
    mask[..., 3:6] = False
    asked = Batch(torch.where(mask, batch.cells, 0), mask)
    drawn = own.draw(asked, generator())[0]
    assert torch.equal(drawn.cells[mask], batch.cells[mask]) and bool(drawn.mask.all())
    other = own.sample(60, generator()).cells
    error = lambda cells: float((cells - batch.cells)[~mask].to(torch.float64).abs().mean())  # noqa: E731
    assert error(drawn.cells) < 0.8 * error(other)
    filled = own.fill(asked)
    assert torch.allclose(filled[mask], batch.cells[mask].to(torch.float64))
    begun = started(asked.cells.to(torch.float64), mask)
    assert error(filled) < 0.8 * error(begun) and error(filled.round()) < 1.1 * error(drawn.cells)


def test_the_estimate_of_a_patch_is_the_posterior_mean_of_its_component():
    """By the precisions: `(C^-1 + I / v)^-1 (C^-1 m + p / v)`."""
    own, variance = gaussians(), 0.3
    patches = torch.randn(6, 4, generator=generator(1), dtype=torch.float64) + 3.0 * (torch.arange(6) % 2)[:, None]
    eye = torch.eye(4, dtype=torch.float64)
    laws = [
        torch.distributions.MultivariateNormal(m, c + variance * eye)
        for m, c in zip(own.means, own.covariances, strict=True)
    ]
    best = torch.stack([w + law.log_prob(patches) for w, law in zip(own.log_weights, laws, strict=True)]).argmax(0)
    assert len(set(best.tolist())) == 2
    for patch, k, found in zip(patches, best.tolist(), wiener(own, patches, variance), strict=True):
        precision = own.covariances[k].inverse()
        expected = torch.linalg.solve(precision + eye / variance, precision @ own.means[k] + patch / variance)
        assert torch.allclose(found, expected, atol=1e-8)


def test_restoring_one_patch_by_hand():
    own, y, s = gaussians(), torch.tensor([[0.1, 0.9], [-0.3, 0.4]], dtype=torch.float64), 0.2
    x = y.clone()
    for strength in (1, 4, 8, 16, 32):
        tightness = strength / s**2
        z = wiener(own, x.view(1, 4), 1 / tightness).view(2, 2)
        x = (y / s**2 + tightness * z) / (1 / s**2 + tightness)
    seen = torch.ones(1, 1, 2, 2, dtype=torch.bool)
    assert torch.allclose(restored(own, y[None, None], seen, s, (2, 2))[0, 0], x, atol=1e-10)


def test_holes_are_started_from_their_edges():
    known = torch.tensor([[True, False, False], [True, False, False], [True, True, False]])[None, None]
    seen = torch.tensor([[6.0, 0, 0], [3, 0, 0], [3, 9, 0]])[None, None]
    begun = started(seen.double(), known)[0, 0]
    assert torch.allclose(begun[:2, 1], torch.tensor([4.5, 21 / 4], dtype=torch.float64))
    assert float(begun[2, 2]) == 9.0 and float(begun[1, 2]) == 9.0
    assert float(begun[0, 2]) == pytest.approx((4.5 + 5.25 + 9) / 3)
    assert torch.equal(started(seen.double(), ~known & False)[0, 0], torch.zeros(3, 3, dtype=torch.float64))


def test_noise_is_taken_from_pictures_larger_than_patches():
    train, test = digits()
    large = lambda records: records.table.reshape(-1, 3, 1, 8, 8).transpose(0, 2, 3, 1, 4).reshape(-1, 1, 8, 24)  # noqa: E731
    own = learned(ImagePatches(size=6, components=12, patches=8_000), Images(grid(17, 1, 8, 24), large(train)))
    clean = torch.from_numpy(large(test)[:20]).to(torch.float64)
    noisy = clean + 3.0 * torch.randn(clean.shape, generator=generator(), dtype=torch.float64)
    error = lambda x: float((x - clean).square().mean())  # noqa: E731
    smooth = min(error(a * noisy + (1 - a) * F.avg_pool2d(noisy, 3, 1, 1)) for a in (0.2, 0.4, 0.6, 0.8, 1.0))
    assert error(own.denoise(noisy, 3.0)) < 0.9 * smooth


def test_every_option_changes_what_is_learned_and_a_restored_model_is_the_same():
    records = halves(200, 1, 6, 6)
    first = ImagePatches(size=4, components=2, patches=100)
    before = learned(first, records)
    batch = records.batch(slice(0, 9))
    for change in ({"size": 3}, {"components": 3}, {"patches": 150}):
        options = {"size": 4, "components": 2, "patches": 100, **change}
        assert not torch.allclose(before.log_prob(batch), learned(ImagePatches(**options), records).log_prob(batch))
    copy = first.restore(before.event, before.given, before.arrays(), before.facts())
    assert torch.equal(copy.log_prob(batch), before.log_prob(batch))
    assert torch.equal(copy.sample(5, generator()).cells, before.sample(5, generator()).cells)


def test_pictures_are_restored_whatever_is_given():
    records = halves(300, 1, 4, 6, given=True)
    numbers = Mixed((Span("x", Continuous(Lattice(0, 1))),))
    for given in (records.given, numbers):
        own = learned(ImagePatches(size=3, components=2), replace(records, given=given))
        noisy = torch.full((2, 1, 4, 6), 99.0, dtype=torch.float64)
        kept = own.denoise(noisy, 1e-3)
        assert kept.shape == noisy.shape and float((kept - noisy).abs().max()) < 0.1
        assert float((own.denoise(noisy, 50.0) - noisy).abs().mean()) > 1.0


def test_what_it_cannot_do_is_refused():
    family = ImagePatches()
    assert family.refuses(Mixed(()), None) is not None
    assert family.refuses_arrays(grid(256, 1, 28, 28), GIVEN) is None
    assert "smaller" in (ImagePatches(size=20).refuses_arrays(grid(256, 1, 28, 28), None) or "")
    assert "classes" in (family.refuses_arrays(Discrete(5, (1, 8, 8)), None) or "")
    with pytest.raises(InputError):
        ImagePatches(components=0)
    binary = learned(ImagePatches(size=2, components=2), halves(100, levels=2))
    with pytest.raises(CapabilityError):
        binary.denoise(torch.zeros(1, 1, 8, 8), 1.0)
