"""Adversarial networks of pictures: players, knobs, groups, given fields, places of pictures."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from tests.families.images.toys import GIVEN, halves, labels, learned, sorts, stripes

from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed
from ensample.families.gan.objectives import interpolated, slope, slope_of
from ensample.families.images.gan.changes import MOST, PACE, Changes
from ensample.families.images.gan.family import ImageGan
from ensample.families.images.gan.groups import Groups, Views
from ensample.families.images.gan.levels import Levels
from ensample.families.images.gan.networks import ConvolutionalGenerator, even, pyramid
from ensample.families.images.gan.residual import ResidualFeatures, ResidualGenerator, doubled
from ensample.families.images.gan.texture import Texture
from ensample.families.training import Training
from ensample.kinds.images import Images

SMALL = {"width": 4, "latent": 4, "groups": 3, "batch_size": 16, "warm_up": 1, "holdout": 0.0}
PAIRS = ("residual", "dcgan")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [(4, 4), (5, 9), (8, 8), (13, 28), (17, 17)])
def test_networks_make_and_take_pictures_of_any_size(size):
    for channels in (1, 3):
        shape = (channels, *size)
        for network in (ConvolutionalGenerator(6, shape, 4), ResidualGenerator(6, shape, 4, 1)):
            assert network(torch.randn(2, 6, generator=generator())).shape == (2, *shape)
        records = halves(4, channels, *size)
        for pair in PAIRS:
            module = ImageGan(network=pair, penalty="none", **SMALL).build(records, 0)
            assert module.critic(torch.zeros(2, *shape), torch.zeros(2, module.critic.match.weight.shape[1])).shape == (
                2,
            )


def test_maps_are_halved_rounding_up_and_doubled_back():
    assert pyramid(32, 32) == ((32, 32), (16, 16), (8, 8), (4, 4))
    x = torch.arange(15.0).view(1, 1, 3, 5)
    assert even(x).shape == (1, 1, 4, 6) and torch.equal(even(x)[:, :, 3, :5], x[:, :, 2])
    assert doubled(torch.ones(1, 2, 3, 2), (5, 4)).shape == (1, 2, 5, 4)
    assert bool((doubled(torch.ones(1, 2, 3, 2), (5, 4)) == 1).all())


def test_residual_networks_start_with_the_variance_they_are_given():
    pictures = torch.randn(64, 1, 28, 28, generator=generator())
    torch.manual_seed(0)
    features = ResidualFeatures((1, 28, 28), 16, 2)(pictures)
    made = ResidualGenerator(32, (1, 28, 28), 16, 2)(torch.randn(64, 32, generator=generator()))
    assert 0.1 < float(made.detach().std()) < 3.0 and 0.1 < float(features.detach().std()) < 3.0


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("loss", ["relativistic", "non-saturating", "wasserstein", "hinge", "likelihood"])
def test_gradients_reach_every_weight_of_both_players(pair, loss):
    for records in (halves(64), halves(64, given=True)):
        family = ImageGan(network=pair, loss=loss, **{**SMALL, "groups": 3})
        module = learned(family, records, 3).train()  # the last layer of a residual block starts at 0
        with torch.no_grad():
            module.critic.head.weight.mul_(30)  # some verdicts beyond the margins of a hinge
        for player in family.players(module):
            value = player.loss(records.batch(slice(0, 16)), generator())
            slopes = torch.autograd.grad(value, player.parameters, allow_unused=True)
            for slope_, weight in zip(slopes, player.parameters, strict=True):
                assert slope_ is not None and bool(torch.isfinite(slope_).all())
                assert bool((slope_ != 0).any()), tuple(weight.shape)


KNOBS = {
    "network": "residual",
    "loss": "hinge",
    "penalty": "none",
    "penalty_weight": 5.0,
    "spectral": True,
    "critic_steps": 2,
    "balance": 0.5,
    "groups": 2,
    "augment": "both",
    "target": 0.3,
    "latent": 6,
    "width": 6,
    "blocks": 2,
}


@pytest.mark.parametrize("knob", KNOBS)
def test_every_knob_changes_what_is_learned(knob):
    records = stripes(200)
    network = "residual" if knob == "blocks" else "dcgan"
    start = ImageGan(network=network, **SMALL, learning_rate=3e-3, average=0.5)
    if knob in ("augment", "target"):  # from the first step on, or never
        start = replace(
            start, target=0.99 if knob == "target" else 0.3, augment="moves" if knob == "target" else "none"
        )
    before, after = (learned(each, records, 40) for each in (start, replace(start, **{knob: KNOBS[knob]})))
    assert not torch.equal(before.sample(20, generator()).cells, after.sample(20, generator()).cells)


def test_every_option_of_its_own_is_a_knob():
    assert set(KNOBS) == {f.name for f in fields(ImageGan)} - {f.name for f in fields(Training)}


def test_seeds_decide_and_the_global_state_is_left_alone():
    records, family = stripes(100), ImageGan(network="dcgan", **SMALL)
    state = torch.get_rng_state()
    first, again, other = (learned(family, records, 4, seed).arrays() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first if first[name].shape == other[name].shape)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("given", [False, True])
def test_a_restored_network_makes_the_same_pictures_and_finds_the_same_places(pair, given):
    records = halves(64, given=given)
    family = ImageGan(network=pair, spectral=given, **SMALL)
    module = learned(family, records, 3)
    copy = family.restore(module.event, module.given, module.arrays(), module.facts())
    cond = labels([0, 1, 1]) if given else None
    made = module.sample(3, generator(), cond)
    assert torch.equal(made.cells, copy.sample(3, generator(), cond).cells)
    assert torch.equal(module.encode(made), copy.encode(made))
    assert made.cond is cond and bool(made.mask.all())


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_samples_are_levels_and_a_batch_of_one_is_learned_from(pair, levels):
    records = halves(30, levels=levels)
    module = learned(ImageGan(network=pair, penalty="none", **{**SMALL, "batch_size": 1}), records, 3)
    cells = module.sample(9, generator()).cells
    assert cells.dtype == torch.int64 and int(cells.min()) >= 0 and int(cells.max()) < levels
    assert module.sample(1, generator()).cells.shape == (1, 1, 8, 8)


def test_rounding_to_levels_passes_gradients_as_they_are():
    levels = Levels(Continuous(Lattice(0, 4, shift=2.0, scale=2.0), (1, 1, 4)))
    numbers = torch.tensor([-1.4, -0.3, 0.3, 0.9], requires_grad=True)
    rounded = levels.rounded(numbers)
    assert rounded.tolist() == pytest.approx([-1.5, -0.5, 0.5, 1.0])
    pull = torch.tensor([1.0, -2.0, 3.0, 0.5])
    assert torch.equal(torch.autograd.grad(rounded @ pull, numbers)[0], pull)


def test_slopes_of_critics_of_pictures_by_hand():
    """C(x) = |x|^2 / 2 has the slope x."""
    pictures, made = (torch.randn(5, 2, 3, 4, generator=generator(s)).requires_grad_(True) for s in (1, 2))
    score = lambda x: 0.5 * x.square().flatten(1).sum(1)  # noqa: E731
    expected = pictures.detach().square().flatten(1).sum(1)
    assert torch.allclose(slope(score, pictures).detach(), expected)
    assert torch.allclose(slope_of(score(pictures), pictures).detach(), expected)
    share = torch.rand(5, 1, 1, 1, generator=generator(3))
    norm = torch.lerp(made, pictures, share).detach().flatten(1).norm(dim=1)
    value = interpolated(score, pictures.detach(), made.detach(), generator(3))
    assert float(value.detach()) == pytest.approx(float((norm - 1).square().mean()), rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"penalty": "none", "spectral": True}, {"penalty": "interpolated"}])
def test_a_penalised_critic_judges_each_picture_alone(options):
    module = ImageGan(network="dcgan", **SMALL, **options).build(halves(30, 1, 16, 16), 0).train()
    more = torch.randn(9, 1, 16, 16, generator=generator())
    module.critic(more, torch.zeros(9, len(module.groups)))  # one more power iteration
    module.eval() if options.get("spectral") else module.train()
    x, told = torch.randn(4, 1, 16, 16, generator=generator(1)), torch.zeros(4, len(module.groups))
    assert torch.allclose(module.critic(x, told)[:1], module.critic(x[:1], told[:1]), atol=1e-6)


def test_normalisations_are_settled_for_the_weights_that_are_kept():
    """In evaluation the generator works as it did in learning: by the means of many pictures."""
    module = ImageGan(network="dcgan", **{**SMALL, "groups": 0}).build(halves(30), 0)
    noise = torch.randn(2_000, 4, generator=generator(1))
    with torch.no_grad():
        truth, before = module.train().generator(noise), module.eval().generator(noise)
        module.train().generator(noise[:16])
        module.eval().settle(halves(30).batch(), generator(2))
        after = module.generator(noise)
    assert float((after - truth).abs().mean()) < 0.05 * float(truth.std())
    assert float((before - truth).abs().mean()) > 5 * float((after - truth).abs().mean())


@pytest.mark.parametrize("pair", PAIRS)
def test_given_fields_decide_which_half_is_bright(pair):
    module = learned(
        ImageGan(
            network=pair, width=8, latent=4, batch_size=64, learning_rate=1e-2, warm_up=10, average=0.9, holdout=0.0
        ),
        halves(600, given=True),
        150,
    )
    made = module.sample(200, generator(1), labels([0, 1] * 100)).cells.to(torch.float64)
    right_is_brighter = made[:, :, :, 4:].mean((1, 2, 3)) > made[:, :, :, :4].mean((1, 2, 3))
    assert float((right_is_brighter == torch.tensor([False, True] * 100)).to(torch.float64).mean()) > 0.97


def test_groups_find_the_sorts_of_pictures_and_their_shares():
    records = stripes(3_000)
    batch = records.batch()
    views = Views.of(Levels(records.event).numbers(batch.cells))
    seen = views(Levels(records.event).numbers(batch.cells))
    assert float(seen[:, 0].std()) == pytest.approx(1.0, abs=0.01) and float(seen.mean(0).abs().max()) < 1e-4
    groups = Groups.find(seen, 3, generator())
    sort = torch.from_numpy(sorts(3_000))
    pure = [torch.bincount(sort[groups.of(seen) == g]).max() / (groups.of(seen) == g).sum() for g in range(3)]
    assert min(pure) > 0.99 and sorted(groups.share.tolist()) == pytest.approx([0.1, 0.3, 0.6], abs=0.03)
    at = groups.at(torch.randn(40_000, generator=generator(1)))
    assert torch.allclose(torch.bincount(at) / 40_000, groups.share, atol=0.01)
    assert torch.equal(groups.at(groups.place(torch.arange(3))), torch.arange(3))
    assert len(Groups.find(seen[:1].expand(9, -1), 3, generator())) == 1


def test_every_sort_of_picture_is_made_as_often_as_it_is_met():
    records = stripes(1_000)
    family = ImageGan(network="dcgan", width=8, latent=4, groups=3, learning_rate=1e-2, warm_up=10, average=0.9)
    module = learned(replace(family, batch_size=64, holdout=0.0), records, 150)
    made = module.sample(4_000, generator(1))
    found = module.groups.of(module.views(module.levels.numbers(made.cells)))
    assert torch.allclose(torch.bincount(found, minlength=3) / 4_000, module.groups.share, atol=0.03)


@pytest.mark.parametrize("pair", PAIRS)
def test_a_made_picture_is_found_again(pair):
    module = learned(
        ImageGan(network=pair, width=8, latent=4, groups=0, batch_size=64, learning_rate=1e-2, warm_up=10, average=0.9),
        stripes(500),
        60,
    )
    made = module.sample(12, generator(1))
    places = module.encode(made)
    assert places.shape == (12, module.latent_width) and torch.equal(places, module.encode(made))
    again = module.decode(places, generator()).cells
    other = module.sample(12, generator(2)).cells
    off = lambda cells: float((cells - made.cells).to(torch.float64).abs().mean())  # noqa: E731
    assert off(again) < 0.1 * off(other)
    alone = module.decode(module.encode(made.take(slice(3, 4))), generator()).cells
    assert float((alone - again[3:4]).abs().to(torch.float64).mean()) <= 1.0


def test_the_held_out_score_tells_good_networks_from_fresh_ones():
    records = stripes(800)
    family = ImageGan(
        width=8, latent=4, groups=3, batch_size=64, learning_rate=1e-2, warm_up=10, average=0.9, holdout=0.0
    )
    fresh, taught = family.build(records, 0).eval(), learned(family, records, 100)
    scores = [float(family.validate(m, records.batch(slice(0, 200)), generator()).mean()) for m in (fresh, taught)]
    assert scores[1] < scores[0] - 0.1


def test_changes_come_while_the_critic_is_too_sure_and_go_again():
    changes = Changes("moves", 0.8)
    pictures = torch.rand(64, 1, 8, 8, generator=generator()) * 2 - 1
    assert changes(pictures, generator()) is pictures
    for _ in range(10):
        changes.adapt(torch.tensor(0.9), PACE // 20)
    assert float(changes.chance) == pytest.approx(0.5)
    seen = changes(pictures.requires_grad_(True), generator())
    moved = (seen != pictures).flatten(1).any(1)
    assert 0.6 < float(moved.to(torch.float64).mean()) < 1.0  # three changes, each for half of the pictures
    (slope_,) = torch.autograd.grad(seen.square().sum(), pictures)
    assert bool((slope_.flatten(1) != 0).any(1).all())
    for share, expected in ((0.7, 0.45), (1.0, 0.5)):
        changes.adapt(torch.tensor(share), PACE // 20)
        assert float(changes.chance) == pytest.approx(expected)
    changes.adapt(torch.tensor(1.0), 10 * PACE)
    assert float(changes.chance) == pytest.approx(MOST)
    for name in ("colours", "both"):
        other = Changes(name, 0.8)
        other.chance.fill_(0.7)
        assert not torch.equal(other(pictures, generator()), pictures)
    still = Changes("none", 0.8)
    still.adapt(torch.tensor(1.0), PACE)
    assert still(pictures, generator()) is pictures


def test_the_held_out_score_sees_fine_detail_as_well():
    records = halves(1_500, 1, 28, 28)
    module = ImageGan(**SMALL).build(records, 0).eval()
    batch, other = records.batch(slice(0, 500)), records.batch(slice(500, 1_500))
    checks = 12 * (torch.arange(28)[:, None] + torch.arange(28) & 1) - 6  # gone in means of neighbours
    scores = []
    for change in (0, checks):
        cells = (other.cells + change).clamp(0, 255)
        made = replace(other, cells=cells)
        module.decode = lambda *asked, made=made: made
        scores.append(float(module.score(batch, generator()).mean()))
    assert scores[1] > scores[0] + 0.05
    texture = Texture.of(module.levels.numbers(other.cells))
    assert float(texture(torch.full((2, 1, 28, 28), 0.3)).std(0).max()) < 1e-4
    assert torch.equal(texture(module.levels.numbers(batch.cells)[:3]), texture(module.levels.numbers(batch.cells))[:3])


def test_what_it_cannot_learn_is_refused():
    family = ImageGan()
    assert family.refuses_arrays(halves(2).event, GIVEN) is None
    assert family.refuses(Mixed(()), None) is not None
    assert "pixels" in (family.refuses_arrays(halves(2, 1, 3, 9).event, None) or "")
    assert "classes" in (family.refuses_arrays(Discrete(5, (1, 8, 8)), None) or "")


def test_nothing_is_made_where_nothing_is_asked_for():
    module = ImageGan(**SMALL).build(halves(30), 0).eval()
    assert module.sample(0, generator()).cells.shape == (0, 1, 8, 8)
    empty = Batch(torch.zeros(0, 1, 8, 8, dtype=torch.int64), torch.ones(0, 1, 8, 8, dtype=torch.bool))
    assert module.encode(empty).shape == (0, module.latent_width)
    assert np.isfinite(module.sample(3, generator()).cells.numpy()).all()


def test_groups_are_as_many_as_the_pictures_are_enough_for():
    pictures = Images(
        Continuous(Lattice(0, 3, 1.5, 1.5), (1, 8, 8)),
        np.random.default_rng(0).integers(0, 4, (130, 1, 8, 8), dtype=np.uint8),
    )
    assert len(ImageGan(width=4, latent=2).build(pictures, 0).groups) == 6
    assert len(ImageGan(width=4, latent=2, groups=9).build(pictures, 0).groups) == 9
    assert ImageGan(width=4, latent=2, groups=0).build(pictures, 0).groups is None
