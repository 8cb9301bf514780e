"""Unpaired translation of pictures: its losses by hand, and maps that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from tests.families.images.toys import grid, halves, labels

import ensample as en
from ensample.data.pictures.column import pixels_of
from ensample.errors import CapabilityError, InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Span
from ensample.families import ImageCycle
from ensample.families.images.cycle.networks import PatchCritic
from ensample.families.images.gan.networks import ConvolutionalFeatures
from ensample.fitting import as_family
from ensample.kinds.images import Images

TINY = {"width": 4, "depth": 1, "critic_width": 4}


FACTORS = torch.tensor([0.5, 0.8])


class Scaled(torch.nn.Module):
    """A translator that multiplies pictures by a number of the sort that they are to be."""

    def forward(self, pictures, to):
        return (to @ FACTORS)[:, None, None, None] * pictures


class Level(torch.nn.Module):
    """A critic of whole pictures: their mean, and how many of their sort there are before."""

    def forward(self, pictures, sort):
        return pictures.mean((1, 2, 3)) + sort @ torch.tensor([0.0, 10.0])


def by_hand(**options):
    module = ImageCycle(**TINY, **options).build(halves(40, given=True), 0)
    module.translator, module.critic = Scaled(), Level()
    return module, halves(8, given=True).batch()


def test_the_translator_pays_for_being_found_out_for_the_way_back_and_for_changing_what_is_right():
    module, batch = by_hand(cycle=3.0, identity=2.0, anneal=0)
    x = batch.cells / 127.5 - 1
    own = batch.cond.cells[:, 0]
    found = (FACTORS[1 - own] * x.mean((1, 2, 3)) + 10.0 * (1 - own) - 1).square().mean()
    stays = (1 - FACTORS[own]) * x.abs().mean((1, 2, 3))
    expected = found + 3.0 * (1 - 0.5 * 0.8) * x.abs().mean() + 2.0 * stays.mean()
    assert float(module.translator_loss(batch, torch.Generator())) == pytest.approx(float(expected), rel=1e-4)


def test_ways_back_count_more_and_more():
    module, batch = by_hand(cycle=3.0, anneal=3)
    paid = [float(module.translator_loss(batch, torch.Generator())) for _ in range(4)]
    rises = np.diff(paid)
    assert rises[0] > 0 and rises[0] == pytest.approx(rises[1], rel=1e-3) and rises[2] == pytest.approx(0, abs=1e-5)


def test_the_critic_tells_real_pictures_of_their_sort_from_made_ones_of_the_other():
    module, batch = by_hand(penalty_weight=0.0)
    level, own = (batch.cells / 127.5 - 1).mean((1, 2, 3)), batch.cond.cells[:, 0]
    real = (level + 10.0 * own - 1).square().mean()
    made = (FACTORS[1 - own] * level + 10.0 * (1 - own)).square().mean()
    assert float(module.critic_loss(batch, torch.Generator())) == pytest.approx(float(real + made), rel=1e-4)
    steep, _ = by_hand(penalty_weight=7.0)
    slope = 1 / 64  # squared, of a mean of 64 pixels
    loss = steep.critic_loss(batch, torch.Generator()).detach()
    assert float(loss) == pytest.approx(float(real + made) + 7 * slope, rel=1e-4)


def test_pictures_go_to_every_other_sort_as_often():
    records = halves(40)
    three = Images(records.event, records.table, Mixed((Span("sort", Discrete(3)),)), np.arange(40)[:, None] % 3)
    module = ImageCycle(**TINY).build(three, 0)
    own = torch.eye(3)[torch.zeros(3_000, dtype=torch.int64)]
    counts = module._others(own, torch.Generator().manual_seed(0)).sum(0)
    assert counts[0] == 0 and abs(float(counts[1]) - 1_500) < 110  # four standard deviations
    made = module.eval().translate(three.batch(), labels([2] * 40))
    assert made.cells.shape == (40, 1, 8, 8) and made.mask.all()


def test_the_critic_judges_patches_each_by_the_head_of_its_sort():
    torch.manual_seed(0)
    critic = PatchCritic(ConvolutionalFeatures((1, 32, 32), 4, normalised=False), 2)
    one = torch.rand(1, 1, 32, 32)
    other = one.clone()
    other[:, :, :4, :4] += 1.0
    sort = torch.tensor([[1.0, 0.0]])
    changed = (critic(one, sort) != critic(other, sort)).view(4, 4)
    assert changed[0, 0] and not changed[-1, -1]
    with torch.no_grad():
        critic.heads.weight[1] += 1.0
    assert torch.equal(critic(one, sort), critic(one.clone(), sort))
    assert not torch.equal(critic(one, sort), critic(one, 1 - sort))


@pytest.mark.parametrize(
    ("event", "given", "words"),
    [
        (grid(16, 1, 8, 8), None, "one given category"),
        (grid(16, 1, 8, 8), Mixed((Span("a", Discrete(1)),)), "two sorts"),
        (grid(16, 1, 8, 8), Mixed((Span("a", Continuous(Lattice(0, 9))),)), "one given category"),
        (grid(16, 1, 8, 8), Mixed((Span("a", Discrete(2)), Span("b", Discrete(2)))), "one given category"),
        (grid(16, 1, 3, 8), Mixed((Span("a", Discrete(2)),)), "at least 4"),
        (Discrete(5, (1, 8, 8)), Mixed((Span("a", Discrete(2)),)), "classes"),
    ],
)
def test_what_it_cannot_learn(event, given, words):
    assert words in ImageCycle().refuses_arrays(event, given)


def digits() -> np.ndarray:
    shuffled = np.random.default_rng(0).permutation(1_797)
    return (load_digits().images * 15).astype(np.uint8)[shuffled]  # 0, 15, ..., 240


@pytest.fixture(scope="module")
def model():
    """Digits, and others inverted: nobody says which belongs to which."""
    x = digits()
    both = np.concatenate([x[:800], 240 - x[800:1600]])[..., None]
    data = en.read({"picture": both, "sort": np.repeat(["plain", "inverted"], 800)})
    return en.fit(data, "image-cycle", given="sort", budget="150 steps", seed=0)


def translated(model, pixels: np.ndarray, to: str) -> np.ndarray:
    made = model.edit(en.read({"picture": pixels[..., None]}), "translate", to=to)
    assert set(map(str, made.column("sort").to_pylist())) == {to}
    return pixels_of(made.column("picture"))[..., 0].astype(float)


def test_digits_become_their_own_inverses_though_no_pair_was_seen(model):
    x, y = digits(), load_digits().target[np.random.default_rng(0).permutation(1_797)]
    test, truth = x[1600:], y[1600:]
    made, back = translated(model, test, "inverted"), translated(model, 240 - test, "plain")
    constant = np.abs(np.median(240 - x[:800], 0) - (240 - test)).mean()
    for each, wanted in ((made, 240 - test), (back, test)):
        error = np.abs(each - wanted).mean()
        assert error < 0.6 * constant
        assert error < 0.5 * np.abs(np.roll(each, 1, 0) - wanted).mean()  # that of another digit
    judge = LogisticRegression(max_iter=300).fit(x[:1600].reshape(1600, -1) / 240, y[:1600])
    assert judge.score((240 - made).reshape(len(test), -1) / 240, truth) > 0.75
    assert judge.score(back.reshape(len(test), -1) / 240, truth) > 0.75


def test_a_translation_depends_on_nothing_but_the_picture(model):
    some = digits()[1600:1670]
    whole = translated(model, some, "inverted")
    assert np.array_equal(whole[65:66], translated(model, some[65:66], "inverted"))


def test_there_is_nothing_to_draw_from(model, tmp_path):
    assert model.can == {"edit": "estimate"} and not hasattr(model, "sample")
    model.save(tmp_path / "cycle.ens")
    again = en.load(tmp_path / "cycle.ens")
    some = digits()[1600:1610]
    assert np.array_equal(translated(model, some, "inverted"), translated(again, some, "inverted"))
    with pytest.raises(CapabilityError, match="verbs"):
        again.sample(3, where={"sort": "plain"})


def test_wishes_for_a_translation(model):
    some = en.read({"picture": digits()[:2][..., None]})
    with pytest.raises(InputError, match="which sort to make"):
        model.edit(some, "translate")
    with pytest.raises(InputError, match="upright"):
        model.edit(some, "translate", to="upright")
    with pytest.raises(InputError, match="8 x 8"):
        model.edit(en.read({"picture": np.zeros((1, 4, 4, 1), np.uint8)}), "translate", to="plain")
    with pytest.raises(CapabilityError, match="conditional draws"):
        model.edit(some, mask=np.ones((8, 8), bool), where={"sort": "plain"})
    one, two = (model.edit(some, "translate", to=to) for to in ("plain", {"sort": "plain"}))
    assert one.to_arrow().equals(two.to_arrow())


def test_a_family_that_learns_no_translation_has_none():
    data = en.read({"picture": digits()[:200][..., None], "sort": np.repeat(["a", "b"], 100)})
    field = en.fit(data, "field", given="sort", budget="1 steps", seed=0)
    with pytest.raises(CapabilityError, match="image-cycle"):
        field.edit(data.head(2), "translate", to="b")


def test_held_out_pictures_tell_translations_from_pictures_of_the_wrong_sort():
    records = halves(200, given=True)
    module, batch = ImageCycle(**TINY).build(records, 0).eval(), records.batch()
    scores = []
    for made in (lambda x, to: x.flip(3), lambda x, to: x):  # what turns each half into the other, and what does not
        module._made = made
        scores.append(float(module.score(batch, torch.Generator().manual_seed(0)).mean()))
    assert scores[0] < scores[1] - 0.1


def test_an_empty_batch_is_translated():
    module = ImageCycle(**TINY).build(halves(40, given=True), 0).eval()
    none = torch.zeros(0, 1, 8, 8, dtype=torch.int64)
    assert len(module.translate(Batch(none, none.bool()), labels([0]).take(slice(0, 0)))) == 0


def test_short_name_means_the_family_of_pictures():
    event = Continuous(Lattice(0, 255, 127.5, 127.5), (1, 8, 8))
    assert as_family("cycle", event).name == "image-cycle"
    with pytest.raises(InputError, match="'cycle'"):
        as_family("cycle")
