"""Text between a prompt and a suffix."""

from __future__ import annotations

import itertools
import pickle
import re
from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

import ensample as en
from ensample.errors import CapabilityError, InputError
from ensample.events import Batch
from ensample.families import SequenceAutoregressive, SequenceField, SequenceVae
from ensample.families.sequences.autoregressive.rearranging import around, rearranged

FALSE_ALARM = 1e-4
TEXTS = [f"{a}{m * n}{b}" for a, m, b in itertools.product("ab", "xy", "cd") for n in range(4)] * 4
"""A letter, up to three of one kind, a letter."""

SMALL = {"width": 32, "layers": 1, "dropout": 0.0, "learning_rate": 2e-2, "batch_size": 512, "holdout": 0.0}


@pytest.fixture(scope="module")
def counts():
    return en.fit(TEXTS, "ngram", budget="5s", seed=0)


@pytest.fixture(scope="module")
def taught():
    return en.fit(TEXTS, SequenceAutoregressive(infill=0.5, **SMALL), budget="150 steps", seed=0)


@pytest.fixture(scope="module")
def rough():
    """Taught, but too little: what it tells of both sides is not what it tells of whole texts."""
    return en.fit(TEXTS, SequenceAutoregressive(infill=0.5, **SMALL), budget="30 steps", seed=0)


@pytest.fixture(scope="module")
def field():
    return en.fit(TEXTS, SequenceField(**SMALL), budget="150 steps", seed=0)


def middles(model, before: str, after: str, most: int = 3) -> dict[str, float]:
    """P(middle | both sides) of every middle of so many letters, by the law of whole texts."""
    every = ["".join(m) for n in range(most + 1) for m in itertools.product("abcdxy", repeat=n)]
    p = np.exp(model.log_prob([before + m + after for m in every]))
    return dict(zip(every, p / p.sum(), strict=True))


@pytest.mark.parametrize("sort", ["counts", "rough"])
def test_tries_that_are_weighed_follow_the_conditional_of_the_model(sort, request):
    model = request.getfixturevalue(sort)
    known = middles(model, "a", "xc")
    drawn = Counter(model.generate("a", 90, suffix="xc", candidates=30, tokens=3, seed=0))
    sure = [m for m, p in known.items() if p * 90 > 6]
    seen = [*(drawn[m] for m in sure), 90 - sum(drawn[m] for m in sure)]
    rest = 1 - sum(known[m] for m in sure)
    assert len(sure) > 2 and rest > 0
    assert stats.chisquare(seen, [*(known[m] * 90 for m in sure), rest * 90]).pvalue > FALSE_ALARM


def test_beams_between_two_texts_are_in_the_order_of_whole_texts(rough):
    made = rough.generate("a", 6, suffix="xc", beams=6, tokens=3)
    told = rough.log_prob([text.prompt + text + text.suffix for text in made])
    assert len({*made}) == 6 and list(told) == sorted(told, reverse=True)
    assert rough.generate("a", 2, suffix="xc", beams=6, tokens=3) == made[:2]


@pytest.mark.parametrize("sort", ["taught", "field"])
def test_models_that_see_both_sides_fill_in_what_fits(sort, request):
    model = request.getfixturevalue(sort)
    assert "generate" in model.can and model.distribution.fills_in
    for before, after, fits in (("ax", "xc", {"", "x"}), ("b", "yd", {"", "y", "yy"}), ("ay", "d", {"", "y", "yy"})):
        made = Counter(str(text) for text in model.generate(before, 60, suffix=after, seed=1))
        assert sum(made[m] for m in fits) >= 48, made
        assert all(made[m] for m in fits), made
    one = model.generate("ax", suffix="xc", seed=3, log_probs=True)
    assert (one.prompt, one.suffix, one.ended) == ("ax", "xc", "end") and len(one.log_probs) == len(one.tokens) + 1
    assert "".join(model.stream("ax", suffix="xc", seed=3)) == one and pickle.loads(pickle.dumps(one)).suffix == "xc"
    pair = model.generate(["ax", "b"], suffix=["xc", "yd"], seed=3)
    assert pair[0] == one and pair[1] == model.generate("b", suffix="yd", seed=3)


def test_what_is_taught_leaves_the_law_of_whole_texts_one(taught):
    plain = en.fit(TEXTS, SequenceAutoregressive(**SMALL), budget="1 steps", seed=0)
    assert not plain.distribution.fills_in
    assert taught.log_prob(TEXTS).mean() > -4.5  # log 32 is 3.5
    short = ["".join(m) for n in range(4) for m in itertools.product("abcdxy", repeat=n)]
    assert np.exp(taught.log_prob(short)).sum() <= 1.0 + 1e-6


def test_every_whole_record_keeps_its_classes_and_its_end_comes_before_its_beginning():
    mark, cells = 9, torch.tensor([[1, 2, 9, 3, 4, 5, 9, 6, 9, 7, 8, 1, 0, 0, 0, 0]] * 50)
    there = (torch.arange(16) < 12).expand(50, -1)
    made = rearranged(Batch(cells[:, :, None], there[:, :, None]), mark, 1.0, torch.Generator().manual_seed(0))
    splits = set()
    for row, told in zip(made.cells[:, :, 0].tolist(), made.mask[:, :, 0].int().tolist(), strict=True):
        assert row[:3] == [1, 2, 9] and row[12:16] == [9, 7, 8, 1] and told[12:] == [1] * 4 + [0] * 2
        text = ",".join(map(str, row))
        found = re.findall(r"9,10,((?:\d,)*)11,((?:\d,?)*?)(?=9)", text)
        assert len(found) == 2
        for (end, rest), record in zip(found, [[3, 4, 5], [6]], strict=True):
            behind, shown = ([int(n) for n in part.split(",") if n] for part in (end, rest))
            assert shown + behind == record
            splits.add((tuple(behind), tuple(shown)))
        learned = [number for number, is_told in zip(row[2:13], told[2:13], strict=True) if is_told]
        assert "".join(map(str, learned)) == "9" + "9".join(r.replace(",", "") for _, r in found) + "9"
    assert len(splits) == 4 + 2  # every place where an end may begin


def test_parts_of_long_records_are_rearranged_where_nothing_is_whole():
    cells = torch.tensor([[1, 2, 3, 4, 5, 6], [9, 1, 2, 3, 4, 9]])[:, :, None]
    shown = set()
    for seed in range(60):
        batch = Batch(cells, torch.ones_like(cells, dtype=torch.bool))
        made = rearranged(batch, 9, 1.0, torch.Generator().manual_seed(seed))
        part, whole = made.cells[:, :, 0].tolist()
        for row in (part, whole):  # two classes of the first have no room beside the new ones and the marks
            at = row.index(11)
            assert row[:2] == [9, 10] and row[at + 1 : -1] + row[2:at] == [1, 2, 3, 4] and row[-1] == 9
        shown.add(tuple(whole))
    assert len(shown) == 5


def test_prompts_keep_what_is_next_to_the_hole():
    def batch(numbers: list[int]) -> Batch:
        cells = torch.tensor(numbers)[None, :, None]
        return Batch(cells, torch.ones_like(cells, dtype=torch.bool), lengths=torch.tensor([len(numbers)]))

    made = around(batch([1, 2, 3, 4, 5]), batch([6, 7, 8]), mark=9, context=11, room=4)
    assert made.cells[0, :, 0].tolist() == [10, 6, 7, 11, 4, 5]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"suffix": ["a", "b"]}, "2 for 1 prompts"),
        ({"suffix": 3}, "not iterable|string"),
        ({"suffix": "c", "greedy": True}, "greedy"),
        ({"suffix": "c", "stop": "x"}, "stop"),
        ({"suffix": "c", "choices": ["x"]}, "choices"),
        ({"suffix": "c", "contrast": 0.5}, "contrast"),
        ({"suffix": "c", "candidates": 0}, "candidates"),
    ],
)
def test_wishes_that_do_not_go_with_a_suffix_are_told(counts, options, told):
    with pytest.raises((InputError, TypeError), match=told):
        counts.generate("a", **options)


def test_models_that_weigh_whole_texts_show_none_as_it_is_written(counts, taught):
    with pytest.raises(CapabilityError, match="infill"):
        counts.stream("a", suffix="c")
    with pytest.raises(InputError, match="draft"):
        taught.generate("a", suffix="c", draft=taught)
    with pytest.raises(InputError, match="candidates"):
        taught.generate("a", suffix="c", greedy=True, candidates=4)
    with pytest.raises(InputError, match="candidates"):
        taught.generate("a", suffix="c", stop="x", candidates=4)
    constrained = taught.generate("a", 20, suffix="c", choices=["xx", "yyy"], seed=0)
    assert {*constrained} <= {"xx", "yyy"}


def test_masked_diffusion_fills_any_steps_near_their_conditional(field):
    kind = field.codec.kind
    cells = torch.from_numpy(kind.tokens_of(["axxc"])[0])[None, :, None].repeat(400, 1, 1)
    mask = torch.ones_like(cells, dtype=torch.bool)
    mask[:, 1:3] = False
    made = field.distribution.draw(Batch(cells * mask, mask, lengths=torch.full((400,), 4)), torch.Generator())[0]
    drawn = Counter(kind.text_of(row.numpy())[1:3] for row in made.cells[:, :, 0])
    known = {m: p for m, p in middles(field, "a", "c", 2).items() if len(m) == 2}
    total = sum(known.values())
    assert 0.5 * sum(abs(drawn[m] / 400 - p / total) for m, p in known.items()) < 0.15
    assert drawn["xx"] + drawn["yy"] > 330


def test_places_of_texts_tell_them_apart():
    options = SMALL | {"dims": 4, "free": 3.0, "dropped": 0.5}
    model = en.fit(TEXTS, SequenceVae(**options), budget="100 steps", seed=0)
    one, two = (model.encode([t for t in TEXTS[:32] if t[0] == letter]) for letter in "ab")
    assert one.shape == (16, 4) and np.abs(one.mean(0) - two.mean(0)).max() > 0.5
    again = model.reconstruct(TEXTS[:32] * 4, seed=0).column("text")
    assert np.mean([a.as_py()[:1] == b[0] for a, b in zip(again, TEXTS[:32] * 4, strict=True)]) > 0.8
    assert len(model.interpolate(["axc"], ["byd"], steps=4, seed=0)) == 4
    batch = model.codec.encode(model._dataset(TEXTS[:32])).batch()
    kl = model.distribution.divergence(batch)
    assert bool((kl > 0.5).all()) and bool((model.distribution.log_prob(batch) < -kl).all())
    with pytest.raises(CapabilityError, match="paragraphs"):
        en.fit(["x" * 2_000] * 5, SequenceVae(), budget="1 steps")
