"""Fields of pictures: the machinery against an exact field, few steps, guidance, completions, few levels, learning."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.families.images.toys import GIVEN, grid, halves, labels, learned
from tests.laws.cases import generator
from tests.laws.pictures import KEPT, batch_of, every, toy_log_prob, toy_pictures
from tests.laws.test_images import shares
from torch import Tensor, nn

from ensample.errors import InputError
from ensample.events import Batch, Discrete
from ensample.families.field.parameterisation import PARAMETERISATIONS
from ensample.families.images.field import ImageField
from ensample.families.images.field.learning import Learning, errors
from ensample.families.images.field.network import Guide, PictureField
from ensample.families.images.field.pixels import Pixels
from ensample.families.images.field.score import keyed
from ensample.solvers.paths import PATHS

SMALL = {"width": 16, "layers": 1, "heads": 2, "precision": "float32"}


class Exact(nn.Module):
    """What a perfect network with predict="edm" says of the toy law: given both halves its pixels are independent."""

    def __init__(self, pixels: Pixels) -> None:
        super().__init__()
        self.low, self.high = pixels.standard(torch.tensor([-1.0, 1.0], dtype=torch.float64)).tolist()

    def forward(self, x: Tensor, clock: Tensor, given: Tensor) -> Tensor:
        r = torch.exp((clock[:, :1].double() - 0.5) * 12.0)
        x = x.flatten(1).double() * torch.hypot(torch.ones_like(r), r)
        dark, bright = -0.5 * ((x - self.low) / r) ** 2, -0.5 * ((x - self.high) / r) ** 2
        left, terms, means = torch.arange(16) % 4 < 2, [], []
        for a in (0, 1):
            for b in (0, 1):
                p = torch.where(left, KEPT if a else 1 - KEPT, KEPT if b else 1 - KEPT).double()
                one, other = bright + p.log(), dark + torch.log1p(-p)
                terms.append(torch.logaddexp(one, other).sum(1) + math.log(0.375 if a == b else 0.125))
                means.append(self.low + (self.high - self.low) * torch.sigmoid(one - other))
        data = (torch.stack(terms, 1).softmax(1)[..., None] * torch.stack(means, 1)).sum(1)
        out = (r * data - (x - data) / r) / torch.hypot(torch.ones_like(r), r)
        return out.view(-1, 1, 4, 4).float()


def exact(**options: object) -> object:
    own = ImageField(**{**SMALL, **options}).build(toy_pictures(), 0)
    own.net = Exact(own.pixels)
    return own


def test_law_4_an_exact_field_draws_the_law():
    made = exact(steps=24).sample(3_000, generator(1))
    truth = shares(every(), toy_log_prob(every()).exp())
    noise = math.sqrt(2 / math.pi) * 0.5 * float((truth * (1 - truth) / 3_000).sqrt().sum())
    assert float((shares(made.cells) - truth).abs().sum() / 2) < 1.3 * noise


@pytest.mark.parametrize("path", ["edm", "linear"])
def test_law_5_the_likelihood_of_an_exact_field_is_the_law(path):
    """With the exact trace the bound is tight to hundredths of a nat; one probe has no bias."""
    batch = toy_pictures(30, seed=5).batch()
    gap = toy_log_prob(batch.cells) - exact(path=path, probes=16, integration=32).log_prob(batch)
    assert 0.0 < float(gap.mean()) < 0.06 and float(gap.abs().max()) < 0.5
    rough = toy_log_prob(batch.cells) - exact(path=path, integration=20).log_prob(batch)
    assert abs(float(rough.mean())) < 4 * float(rough.std()) / 30**0.5 + 0.06


def test_law_8_completions_of_an_exact_field():
    """One known pixel of a half tells of the others; the known ones stay."""
    records = toy_pictures(400, seed=3)
    batch = records.batch()
    mask = torch.zeros_like(batch.mask)
    mask[..., :2] = True
    asked = Batch(torch.where(mask, batch.cells, 0), mask)
    made, weight = exact().draw(asked, generator(2))
    assert torch.equal(made.cells[..., :2], batch.cells[..., :2]) and made.mask.all() and not weight.any()
    bright = batch.cells[..., :2].sum((1, 2, 3)) > 4
    right = made.cells[..., 2:].double().mean((1, 2, 3))
    truth = 0.75 * KEPT + 0.25 * (1 - KEPT)
    assert float(right[bright].mean()) == pytest.approx(truth, abs=0.08)
    assert float(right[~bright].mean()) == pytest.approx(1 - truth, abs=0.08)


def test_law_8_known_levels_stay_to_the_last_one():
    own, batch = ImageField(**SMALL).build(halves(40), 0), halves(200).batch()
    mask = torch.rand(batch.cells.shape, generator=generator(0)) < 0.8
    made, _ = own.draw(Batch(batch.cells * mask, mask), generator(1))
    assert torch.equal(made.cells[mask], batch.cells[mask]) and not torch.equal(made.cells, batch.cells)


def test_whole_pictures_are_not_touched_and_holes_are_not_scored():
    own, batch = exact(), toy_pictures(3).batch()
    assert torch.equal(own.draw(batch, generator(0))[0].cells, batch.cells)
    with pytest.raises(InputError, match="whole pictures"):
        own.log_prob(Batch(batch.cells, torch.zeros_like(batch.mask)))


def test_noise_of_the_likelihood_depends_on_the_picture_alone():
    rows = torch.randint(0, 256, (500, 20), generator=generator(0))
    u = keyed(rows, 40)
    assert torch.equal(u[7:9], keyed(rows[7:9], 40)) and float(u.min()) >= 0.0 and float(u.max()) < 1.0
    assert float(u.mean()) == pytest.approx(0.5, abs=0.01) and float(u.var()) == pytest.approx(1 / 12, abs=0.002)
    assert float(torch.corrcoef(u.T).fill_diagonal_(0).abs().max()) < 0.25
    one = rows[:1].clone()
    one[0, 3] += 1
    assert float((keyed(one, 400) - keyed(rows[:1], 400)).abs().mean()) == pytest.approx(1 / 3, abs=0.06)


@pytest.mark.parametrize("predict", [name for name in PARAMETERISATIONS if name != "mean"])
@pytest.mark.parametrize("path", ["edm", "linear", "cosine"])
def test_the_loss_is_least_at_the_truth(predict, path):
    """Pictures of one pixel of which the field is known: the learned target is E[target | x], whatever is predicted."""
    form, road = PARAMETERISATIONS[predict], PATHS[path]

    class Line(nn.Module):
        def __init__(self, off: float) -> None:
            super().__init__()
            self.off = off

        def forward(self, x: Tensor, clock: Tensor, given: Tensor) -> Tensor:
            ratio = torch.exp((clock[:, 0] - 0.5) * 12.0).view(-1, 1)
            t = road.time(ratio)
            alpha, sigma = road.alpha(t), road.sigma(t)
            state = x.flatten(1) * road.spread(t)
            variance = alpha**2 + sigma**2  # of normal data
            data, noise = alpha * state / variance, sigma * state / variance
            return (form.target(data, noise, road, t) + self.off).view(-1, 1, 1, 1)

    data, known = torch.randn(4_000, 1, generator=generator(0)), torch.ones(4_000, 1, dtype=torch.bool)
    how, nothing = Learning(0.0, 1.0, 0.0, "independent"), torch.zeros(4_000, 0)
    at, up, down = (
        errors(PictureField(Line(off), (1, 1, 1), road, form, nothing, nothing), data, known, how, generator(1)).mean()
        for off in (0.0, 0.3, -0.3)
    )
    assert float(at) < float(up) and float(at) < float(down)
    assert float(up - at) == pytest.approx(float(down - at), rel=0.35)


def test_guidance_acts_between_its_ratios_and_follows_its_formula():
    class Said(nn.Module):
        def forward(self, x: Tensor, clock: Tensor, given: Tensor) -> Tensor:
            return x * 0 + given[:, :1].view(-1, 1, 1, 1)

    given = torch.tensor([[3.0, 1.0]])
    plain = PictureField(Said(), (1, 1, 1), PATHS["edm"], PARAMETERISATIONS["edm"], given, torch.zeros(1, 0))
    guided = replace(plain, guide=Guide(2.5, 0.5, 4.0))
    for ratio, factor in ((0.2, 1.0), (1.0, 2.5), (10.0, 1.0)):
        t = PATHS["edm"].time(torch.tensor([ratio]))
        assert float(guided.output(torch.ones(1, 1), t)) == pytest.approx(3.0 * factor)
    both = torch.stack([PATHS["edm"].time(torch.tensor([r])) for r in (0.2, 1.0)])
    doubled = replace(guided, given=given.expand(2, 2), told=torch.zeros(2, 0))
    assert doubled.output(torch.ones(2, 1), both).flatten().tolist() == pytest.approx([3.0, 7.5])


def test_given_fields_are_left_out_of_a_share_of_the_rows():
    seen = []

    class Spy(nn.Module):
        def forward(self, x: Tensor, clock: Tensor, given: Tensor) -> Tensor:
            seen.append(given)
            return x

    field = PictureField(
        Spy(), (1, 1, 1), PATHS["edm"], PARAMETERISATIONS["edm"], torch.ones(2_000, 2), torch.zeros(2_000, 0)
    )
    data, known = torch.randn(2_000, 1, generator=generator(0)), torch.ones(2_000, 1, dtype=torch.bool)
    errors(field, data, known, Learning(0.0, 1.0, 0.3, "independent"), generator(1))
    kept = seen[0][:, 0]
    assert float(kept.mean()) == pytest.approx(0.7, abs=0.04) and torch.equal(seen[0][:, 0], seen[0][:, 1])


def test_pixels_that_are_not_known_teach_nothing():
    own = ImageField(**SMALL).build(halves(50), 0)
    batch = halves(50).batch(slice(0, 8))
    mask = batch.mask.clone()
    mask[:, :, :3] = False
    loss = ImageField(**SMALL).players(own)[0].loss
    one, two = (loss(Batch(cells, mask), generator(0)) for cells in (batch.cells, batch.cells * mask))
    assert one.item() == two.item()


@pytest.mark.parametrize("network", ["patches", "unet"])
def test_law_7_learns_what_is_given(network):
    family = ImageField(network=network, width=16, layers=1, heads=2, batch_size=64, learning_rate=2e-2)
    own = learned(family, halves(400, given=True), 150)
    made = own.sample(40, generator(3), labels([0, 1] * 20)).cells.double() / 255
    left, right = made[..., :4].mean((1, 2, 3)), made[..., 4:].mean((1, 2, 3))
    assert bool((left > right + 0.4)[::2].all()) and bool((right > left + 0.4)[1::2].all())
    assert float(left[::2].mean()) == pytest.approx(0.85, abs=0.06)


def test_few_steps_by_mean_velocities():
    family = ImageField(
        predict="mean", path="linear", solver="jump", grid="time", steps=2, guidance=1.0, noise_sd=1.0,
        learning_rate=2e-2, batch_size=64, **SMALL,
    )  # fmt: skip
    own = learned(family, halves(400, given=True), 250)
    made = own.sample(40, generator(3), labels([0, 1] * 20)).cells.double() / 255
    left, right = made[..., :4].mean((1, 2, 3)), made[..., 4:].mean((1, 2, 3))
    assert bool((left > right + 0.3)[::2].all()) and bool((right > left + 0.3)[1::2].all())


def test_rectangles_colours_and_few_levels():
    for event in (grid(2, 1, 5, 7), grid(17, 3, 6, 4), grid(256, 4, 3, 9)):
        table = np.random.default_rng(0).integers(0, event.lattice.high + 1, (30, *event.shape), dtype=np.uint8)
        for network in ("patches", "unet"):
            own = ImageField(network=network, integration=2, **SMALL).build(
                replace(halves(2), event=event, table=table), 0
            )
            made = own.sample(3, generator(0))
            assert made.cells.shape == (3, *event.shape) and int(made.cells.max()) <= event.lattice.high
            nats = own.log_prob(made)
            assert nats.shape == (3,) and bool(torch.isfinite(nats).all())


def test_cells_and_numbers_are_inverse_and_of_unit_spread():
    records = halves(100)
    records = replace(records, table=records.table // 2)  # dark pictures: their mean is not 0
    pixels = Pixels.fit(records.event, records.table)
    cells = records.batch().cells
    assert torch.equal(pixels.cells(pixels.numbers(cells)), cells)
    assert float(pixels.numbers(cells).std()) == pytest.approx(1.0, abs=0.02)
    assert pixels.width == pytest.approx(float((pixels.numbers(cells + 1) - pixels.numbers(cells)).mean()), rel=1e-4)
    assert int(pixels.cells(torch.full((1, 64), float("nan"))).max()) <= 255


def test_what_does_not_fit_is_refused():
    family = ImageField()
    assert "tables" in family.refuses(GIVEN, None) and family.refuses_arrays(grid(256, 1, 8, 8), None) is None
    assert "classes" in family.refuses_arrays(Discrete(4, (1, 8, 8)), None)
    assert "height" in family.refuses_arrays(grid(256, 8, 8), None)
    for options in (
        {"solver": "jump"},
        {"predict": "mean"},
        {"width": 30, "heads": 4},
        {"steps": 0},
        {"path": "round"},
    ):
        with pytest.raises(InputError):
            ImageField(**options)


def test_operations_are_those_of_tokens_not_of_weights():
    own = ImageField(width=32, layers=2).build(halves(2, height=16, width=16), 0)
    tokens, blocks = 64, 2 * 12 * 32 * 32
    attention = 2 * 2 * tokens * 32
    assert own.operations_per_row == pytest.approx(tokens * (blocks + attention), rel=0.1)


def test_the_score_is_batched_like_the_single_picture():
    own = ImageField(integration=3, **SMALL).build(halves(40), 0)
    batch = halves(6).batch()
    single = torch.cat([own.log_prob(batch.take(slice(i, i + 1))) for i in range(6)])
    assert torch.allclose(own.log_prob(batch), single, rtol=1e-5)
    assert batch_of(batch.cells).cells.shape == batch.cells.shape


def test_changes_in_learning_are_told_and_do_not_reach_draws():
    """The network is told what was done to a picture, is never told so in draws, and held-out pictures stay whole."""
    family = ImageField(augment="mirror", **SMALL)
    own, seen = family.build(halves(64, given=True), 0), []
    inner = own.net

    class Spy(nn.Module):
        def forward(self, x: Tensor, clock: Tensor, given: Tensor) -> Tensor:
            seen.append(given[:, 3:])
            return inner(x, clock, given)

    own.net = Spy()
    batch = halves(64, given=True).batch()
    family.players(own)[0].loss(batch, generator(0))
    family.validate(own, batch, generator(0))
    own.sample(2, generator(0), batch.cond.take(slice(0, 2)))
    assert seen[0].shape[1] == own.told > 0 and 0.3 < float((seen[0] != 0).any(1).double().mean()) < 0.95
    assert not any(told.any() for told in seen[1:])
