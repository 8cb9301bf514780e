"""Going on from a fitted model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import ensample as en
from ensample.cli.main import command
from ensample.errors import CapabilityError, InputError


def table(rows: int, seed: int, lift: float = 0.0) -> en.Dataset:
    rng = np.random.default_rng(seed)
    a = np.round(rng.normal(size=rows), 2)
    kind = np.where(rng.random(rows) < 1 / (1 + np.exp(-2 * a)), "up", "down")
    b = np.round(a + lift + 0.3 * rng.normal(size=rows), 2)
    return en.read({"a": a.tolist(), "kind": kind.tolist(), "b": b.tolist()})


FAMILY = en.families.Autoregressive(width=16, layers=1, batch_size=64, any_order=False)


@pytest.fixture(scope="module")
def start() -> en.Model:
    return en.fit(table(1_500, 0), FAMILY, budget="400 steps")


def test_learning_begins_where_the_model_stands(start):
    still = dataclasses.replace(start.family, learning_rate=1e-12)
    again = en.fit(table(300, 5), still, start=start, budget="1 steps")
    assert again.schema == start.schema
    rows = table(50, 1)
    assert np.allclose(again.log_prob(rows), start.log_prob(rows), atol=1e-6)


def test_a_start_learns_faster_than_none(start):
    few, test = table(80, 2), table(1_000, 3)
    warm = en.fit(few, start=start, budget="20 steps")
    cold = en.fit(few, FAMILY, budget="20 steps")
    assert warm.log_prob(test).mean() > cold.log_prob(test).mean() + 0.5


@pytest.mark.parametrize("options", [{"adapters": 2}, {"freeze": "heads"}, {}])
def test_tuning_moves_towards_the_new_rows(start, options):
    moved, test = table(600, 4, lift=0.4), table(1_000, 6, lift=0.4)
    family = en.families.Autoregressive(width=16, layers=1, batch_size=64, any_order=False, **options)
    tuned = en.fit(moved, family, start=start, budget="200 steps")
    assert tuned.log_prob(test).mean() > start.log_prob(test).mean() + 0.2
    frozen = [
        torch.equal(x, y) for x, y in zip(tuned.distribution.parameters(), start.distribution.parameters(), strict=True)
    ]
    assert any(frozen) == bool(options) and not all(frozen)


def test_a_new_field_is_learned_beside_the_old_ones(start):
    frame = table(600, 7).to_pandas()
    frame.insert(0, "c", np.where(frame.b > 0, "high", "low"))
    tuned = en.fit(en.read(frame), start=start, budget="200 steps")
    assert tuned.schema.names == ("a", "kind", "b", "c")
    made = tuned.sample(400, seed=0).to_pandas()
    assert ((made.c == "high") == (made.b > 0)).mean() > 0.8


def test_a_mixture_goes_on_by_its_own_statistics():
    data = table(800, 0)
    short = en.fit(data, en.families.Mixture(components=3, steps=2), seed=0)
    longer = en.fit(data, en.families.Mixture(components=3, steps=20), start=short, seed=0)
    assert longer.log_prob(data).mean() > short.log_prob(data).mean()


def test_a_stopped_run_goes_on_from_its_start(start, tmp_path):
    whole = en.fit(table(300, 8), start=start, budget="60 steps")

    def stop(report):
        if report.done > 0.3:
            raise KeyboardInterrupt

    source = tmp_path / "rows.csv"
    table(300, 8).save(source)
    with pytest.raises(en.errors.Interrupted):
        en.fit(en.read(source), start=start, budget="60 steps", out=tmp_path / "run", progress=stop)
    resumed = en.resume(tmp_path / "run")
    assert np.allclose(resumed.log_prob(table(50, 1)), whole.log_prob(table(50, 1)), atol=1e-9)


def test_what_does_not_fit_is_refused(start):
    data = table(100, 0)
    with pytest.raises(InputError, match="same family"):
        en.fit(data, en.families.Autoregressive(width=8), start=start, budget="5 steps")
    with pytest.raises(CapabilityError, match="in one go"):
        en.fit(data, "trees", start=start)
    with pytest.raises(InputError, match="same family and fields"):
        en.fit(data, "mixture", start=start)


def test_the_command_line_goes_on_too(start, tmp_path):
    model, rows, tuned = tmp_path / "start.ens", tmp_path / "rows.csv", tmp_path / "tuned.ens"
    start.save(model)
    table(300, 9).save(rows)
    words = ["fit", rows, "--start", model, "--set", "adapters=2", "--budget", "20 steps", "--save", tuned]
    assert command([str(word) for word in words]) == 0
    assert en.load(tuned).family == en.families.Autoregressive(
        width=16, layers=1, batch_size=64, any_order=False, adapters=2
    )
