"""Records that are sequences, through the public verbs and the command line."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

import ensample as en
from ensample.cli.main import command
from ensample.errors import CapabilityError, InputError


def walks(rows: int = 300, seed: int = 0, holes: float = 0.05) -> list:
    """A gait that stays for a while, a speed and a word that tell of it; some of both missing, some records too."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(rows):
        gait, steps = rng.integers(2), []
        for _ in range(rng.integers(0, 12)):
            gait = 1 - gait if rng.random() < 0.2 else gait
            speed = round(float(rng.normal(5 * gait + 2, 0.5)), 2)
            word = ("walk", "run")[gait] if rng.random() < 0.9 else "rest"
            steps.append(
                {"speed": None if rng.random() < holes else speed, "word": None if rng.random() < holes else word}
            )
        found.append(None if rng.random() < holes else steps)
    return found


TABLE = pa.table({"id": [f"p{i}" for i in range(300)], "steps": walks()})


@pytest.fixture(scope="module")
def model() -> en.Model:
    return en.fit(TABLE, en.families.Markov(states=2))


def test_markov_is_what_sequences_get(model):
    chosen = en.fit(TABLE, budget="3 steps")
    assert chosen.family.name == "markov"
    assert model.can == {
        "sample": "exact",
        "log_prob": "estimate",
        "anomaly_score": "estimate",
        "impute": "estimate",
        "forecast": "estimate",
        "states": "exact",
    }


def test_samples_are_of_the_fields_and_types_of_the_data(model):
    made = model.sample(500, seed=1).to_arrow()
    assert made.schema.field("steps").type == TABLE.schema.field("steps").type and len(made) == 500
    assert made.column("id").to_pylist()[:2] == ["p300", "p301"]
    lists = made.column("steps").to_pylist()
    assert 5 < sum(steps is None for steps in lists) < 60
    words = {step["word"] for steps in lists for step in steps or []}
    assert words == {"walk", "run", "rest", None}
    speeds = [step["speed"] for steps in lists for step in steps or [] if step["word"] == "run" and step["speed"]]
    assert np.mean(speeds) == pytest.approx(7.0, abs=0.2)
    assert model.sample(5, seed=1).to_arrow() == model.sample(5, seed=1).to_arrow()


def test_scores_are_per_record_and_tell_odd_ones(model):
    fresh = walks(200, seed=5)
    usual = model.log_prob(pa.table({"id": ["x"] * 200, "steps": fresh}))
    assert usual.shape == (200,) and np.isfinite(usual).all()
    full = next(steps for steps in fresh if steps and len(steps) > 8)
    odd = [{**step, "word": "run" if step["word"] == "walk" else "walk"} for step in full]
    schema = TABLE.schema.field("steps").type
    scores = model.anomaly_score(pa.table({"id": ["x"] * 2, "steps": pa.array([full, odd], schema)}))
    assert scores[1] > scores[0] + 10


def test_holes_are_filled_and_what_is_known_stays(model):
    for how in ("draw", "mean", "mode"):
        filled = model.impute(TABLE, how=how, seed=2).to_arrow().column("steps").to_pylist()
        for before, after in zip(TABLE.column("steps").to_pylist(), filled, strict=True):
            assert after is not None
            for old, new in zip(before or [], after if before else [], strict=True):
                assert all(new[key] is not None and old[key] in (None, new[key]) for key in old)


def test_a_hole_is_filled_from_what_surrounds_it(model):
    known = [{"speed": 7.0, "word": "run"}] * 3
    gap = [*known, {"speed": None, "word": None}, *known]
    table = pa.table({"id": ["x"], "steps": pa.array([gap], TABLE.schema.field("steps").type)})
    made = [copy.to_arrow().column("steps")[0].as_py()[3] for copy in model.impute(table, m=40, seed=0)]
    assert np.mean([step["speed"] for step in made]) == pytest.approx(7.0, abs=0.5)
    assert model.impute(table, how="mean").to_arrow().column("steps")[0].as_py()[3]["word"] == "run"


def test_states_are_decoded(model):
    table = TABLE.slice(0, 40)
    paths, odds = model.states(table), model.states(table, probabilities=True)
    run = int(paths[0][0])
    for steps, path, p in zip(table.column("steps").to_pylist(), paths, odds, strict=True):
        assert len(path) == len(p) == len(steps or [])
        assert np.allclose(p.sum(1), 1.0)
    speeds = [(s["speed"], state) for steps, path in zip(table.column("steps").to_pylist(), paths, strict=True)
              for s, state in zip(steps or [], path, strict=True) if s["speed"] is not None]  # fmt: skip
    split = [np.mean([v for v, state in speeds if state == k]) for k in (run, 1 - run)]
    assert abs(split[0] - split[1]) > 4


def test_a_saved_model_is_the_same(model, tmp_path):
    model.save(tmp_path / "walks.ens")
    again = en.load(tmp_path / "walks.ens")
    assert np.array_equal(again.log_prob(TABLE), model.log_prob(TABLE))
    assert again.sample(20, seed=3).to_arrow() == model.sample(20, seed=3).to_arrow()
    assert again.schema == model.schema


def test_a_stopped_run_goes_on(tmp_path):
    part = en.fit(TABLE, en.families.Markov(states=2), budget="4 steps", out=tmp_path / "run")
    whole = en.fit(TABLE, en.families.Markov(states=2), budget="4 steps")
    assert np.array_equal(part.log_prob(TABLE), whole.log_prob(TABLE))
    assert np.array_equal(en.resume(tmp_path / "run", TABLE).log_prob(TABLE), whole.log_prob(TABLE))


def test_long_tables_are_grouped_and_learned():
    rows = [{"id": i, "t": t, **step} for i, steps in enumerate(walks(80)) for t, step in enumerate(steps or [])]
    data = en.read(pa.Table.from_pylist(rows)).sequences(by="id", order="t")
    model = en.fit(data, "markov", model=["steps"])
    assert model.sample(3, seed=0).names == ["steps"]
    assert len(model.log_prob(data)) == len(data)


def test_refusals_say_what_would_serve():
    for name in set(en.families.TABLE) - {"markov", "autoregressive", "series-autoregressive"}:
        with pytest.raises(CapabilityError, match="choose markov, series-autoregressive"):
            en.fit(TABLE, name)
    with pytest.raises(CapabilityError, match=r"needs sequences(.|\n)*choose independent"):
        en.fit({"a": [1, 2, 3] * 9}, "markov")
    beside = TABLE.append_column("age", pa.array(np.arange(300) % 70))
    with pytest.raises(CapabilityError, match=r"learned alone(.|\n)*age"):
        en.fit(beside, "markov")
    with pytest.raises(CapabilityError, match="given"):
        en.fit(beside, "markov", given="age")
    assert en.fit(beside, "markov", model=["steps"], budget="2 steps").sample(2, seed=0).names == ["steps"]


def test_conditions_are_refused_in_words(model):
    with pytest.raises(InputError, match="'steps'"):
        model.sample(3, where={"steps": 1})
    with pytest.raises(InputError, match="'steps'"):
        model.sample(where={"steps": [[1]]})


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_the_command_line_has_the_same_verbs(tmp_path, suffix, capsys):
    source, model = tmp_path / f"walks.{suffix}", tmp_path / "walks.ens"
    en.read(TABLE).save(source)
    assert command(["fit", str(source), "--set", "states=2", "--family", "markov", "--save", str(model)]) == 0
    capsys.readouterr()
    assert command(["sample", str(model), "-n", "3", "--seed", "1"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == en.load(model).sample(3, seed=1).to_arrow().to_pylist()
    assert command(["score", str(model), str(source)]) == 0
    scores = capsys.readouterr().out.split()[1:]
    assert np.allclose(np.array(scores, dtype=float), en.load(model).log_prob(source), atol=1e-5)
    assert command(["sample", str(model), "-n", "3", "--save", str(tmp_path / "a.csv")]) != 0
    assert "jsonl" in capsys.readouterr().err
    filled = tmp_path / f"filled.{suffix}"
    assert command(["impute", str(model), str(source), "--save", str(filled), "--seed", "0"]) == 0
    assert en.read(filled).to_arrow().column("steps").null_count == 0
