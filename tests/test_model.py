"""The public verbs, end to end on a small mixed table, as a user would call them."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch

import ensample as en
from ensample.errors import CapabilityError, FormatError, InputError


def people(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Six fields of six kinds with holes, a spike and an identifier."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["Female", "Male"], rows, p=[0.4, 0.6])
    age = rng.integers(17, 80, rows)
    gain = np.where(rng.random(rows) < 0.8, 0, rng.integers(100, 9_000, rows))
    height = np.round(np.where(sex == "Male", 178, 165) + rng.normal(0, 7, rows), 1)
    frame = pd.DataFrame(
        {
            "id": [f"P{i:05d}" for i in range(1, rows + 1)],
            "age": age,
            "sex": sex,
            "gain": gain,
            "height": height,
            "member": rng.random(rows) < 0.3,
            "country": ["NZ"] * rows,
        }
    )
    frame.loc[rng.random(rows) < 0.1, "height"] = np.nan
    frame.loc[rng.random(rows) < 0.05, "sex"] = None
    return frame


@pytest.fixture(scope="module")
def data():
    return en.read(people())


@pytest.fixture(scope="module")
def model(data):
    return en.fit(data, "independent")


def test_samples_have_the_fields_types_and_grid_of_the_data(data, model):
    made = model.sample(300, seed=1).to_pandas()
    real = data.to_pandas()
    assert list(made.columns) == list(real.columns) and len(made) == 300
    assert made.dtypes.astype(str).to_dict() == real.dtypes.astype(str).to_dict()
    assert np.allclose(made["height"].dropna() * 10, np.round(made["height"].dropna() * 10))
    assert 0.02 < made["height"].isna().mean() < 0.25
    assert (made["gain"] == 0).mean() > 0.6 and set(made["country"]) == {"NZ"}
    assert not set(made["id"]) & set(real["id"]) and made["id"].is_unique


def test_same_seed_same_rows_and_global_state_is_untouched(model):
    before = torch.random.get_rng_state()
    one, two, three = (model.sample(50, seed=seed).to_pandas() for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert not one.equals(three)
    assert not model.sample(50).to_pandas().equals(model.sample(50).to_pandas())
    assert torch.equal(before, torch.random.get_rng_state())


def test_log_prob_is_one_number_a_record(data, model):
    score = model.log_prob(data)
    assert score.shape == (400,) and np.isfinite(score).all() and (score < 0).all()
    assert np.array_equal(model.anomaly_score(data), -score)
    assert np.allclose(model.log_prob(people().iloc[:7]), score[:7])


def test_values_never_seen_have_a_price(data, model):
    frame = people().iloc[:3].copy()
    frame.loc[0, "sex"], frame.loc[1, "age"] = "Other", 400
    score = model.log_prob(frame)
    assert np.isfinite(score).all()
    assert score[0] < model.log_prob(data)[0] and score[1] < model.log_prob(data)[1] - 5


def test_conditions_are_met(model):
    where = {"age": (30, 40), "sex": ["Male", "Female"], "gain": 0}
    made = model.sample(200, where=where, seed=3).to_pandas()
    assert len(made) == 200
    assert (
        made["age"].between(30, 40).all() and made["sex"].isin(["Male", "Female"]).all() and (made["gain"] == 0).all()
    )


@pytest.mark.parametrize(
    ("where", "word"),
    [({"sex": "Mael"}, "sex"), ({"agee": 3}, "agee"), ({"age": (50, 40)}, "age"), ({"age": "old"}, "age")],
)
def test_wrong_conditions_are_named(model, where, word):
    with pytest.raises(InputError, match=word):
        model.sample(5, where=where)


@pytest.mark.parametrize("how", ["draw", "mean", "mode"])
def test_impute_fills_holes_and_keeps_the_rest(data, model, how):
    frame = people(seed=5)
    filled = model.impute(frame, how=how, seed=0).to_pandas()
    assert not filled[["sex", "height"]].isna().any().any()
    for name in frame:
        known = frame[name].notna()
        assert (filled.loc[known, name] == frame.loc[known, name]).all()


def test_multiple_imputation_gives_different_copies(model):
    copies = model.impute(people(seed=5), m=3, seed=0)
    assert len(copies) == 3 and not copies[0].to_pandas().equals(copies[1].to_pandas())


@pytest.mark.parametrize("name", ["model.ens", "model_folder"])
def test_a_saved_model_is_the_same_model(tmp_path, data, model, name):
    path = tmp_path / name
    model.save(path)
    again = en.load(path)
    assert np.array_equal(again.log_prob(data), model.log_prob(data))
    pd.testing.assert_frame_equal(again.sample(30, seed=4).to_pandas(), model.sample(30, seed=4).to_pandas())
    assert again.can == model.can and str(again.schema) == str(model.schema)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_model_file_holds_no_record_and_no_code(tmp_path, model):
    model.save(tmp_path / "m.ens")
    with zipfile.ZipFile(tmp_path / "m.ens") as packed:
        assert sorted(packed.namelist()) == ["CARD.md", "model.json", "weights.safetensors"]
        text = packed.read("model.json").decode()
    assert "P00001" not in text and "P00399" not in text


def test_damaged_and_newer_files_are_refused(tmp_path, model):
    path = tmp_path / "m.ens"
    model.save(path)
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:size])
        with pytest.raises(FormatError, match="whole"):
            en.load(path)
    model.save(tmp_path / "folder")
    facts = json.loads((tmp_path / "folder" / "model.json").read_text())
    (tmp_path / "folder" / "model.json").write_text(json.dumps({**facts, "format": 99}))
    with pytest.raises(FormatError, match="update ensample"):
        en.load(tmp_path / "folder")
    with pytest.raises(FormatError, match="must exist"):
        en.load(tmp_path / "nothing.ens")


def test_given_fields_are_conditions(data):
    model = en.fit(data, "independent", model=["age", "height"], given="sex")
    made = model.sample(20, where={"sex": "Male"}, seed=0).to_pandas()
    assert list(made.columns) == ["age", "sex", "height"] and (made["sex"] == "Male").all()
    with pytest.raises(InputError, match="given"):
        model.sample(20)
    each = model.sample(where=pd.DataFrame({"sex": ["Male", "Female", "Male"]}), seed=0).to_pandas()
    assert each["sex"].tolist() == ["Male", "Female", "Male"]


def test_a_table_of_conditions_names_fields_of_the_model(model):
    with pytest.raises(InputError, match="sexx"):
        model.sample(where=pd.DataFrame({"age": [30], "sexx": ["Male"]}), seed=0)


def test_what_a_rule_integrates_is_called_an_estimate():
    frame = people().drop(columns=["height", "sex"])
    for covariance, sort in (("full", "estimate"), ("diagonal", "exact")):  # a diagonal one has a closed form
        can = en.fit(frame, en.families.Mixture(components=2, covariance=covariance), budget="3 steps").can
        assert {can[verb] for verb in ("log_prob", "anomaly_score", "impute")} == {sort}
        assert can["sample"] == "exact"


def test_a_column_without_any_value_is_filled(model):
    rows = people(6).assign(sex=None, height=np.nan)
    filled = model.impute(rows.astype({"height": object}), seed=0).to_pandas()
    assert filled["sex"].isin(["Male", "Female"]).all() and filled["height"].between(120, 220).all()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"family": "boostd"}, "boostd"),
        ({"model": ["agee"]}, "agee"),
        ({"model": ["age"], "given": ["age"]}, "not both"),
        ({"budget": "soon"}, "soon"),
    ],
)
def test_wrong_arguments_are_named(data, arguments, word):
    with pytest.raises(InputError, match=word):
        en.fit(data, **arguments)


def test_one_row_and_constants(data):
    with pytest.raises(InputError, match="two rows"):
        en.fit(people(1), "independent")
    model = en.fit({"a": [1, 1, 1], "b": ["x", "x", "x"]})
    assert model.sample(4).to_pandas().to_dict("list") == {"a": [1] * 4, "b": ["x"] * 4}
    assert np.allclose(model.log_prob({"a": [1], "b": ["x"]}), 0, atol=0.5)


def test_a_model_has_only_the_verbs_it_can_honour(data):
    copy = en.fit(data, "resample")
    assert not hasattr(copy, "log_prob") and "log_prob" not in copy.can
    with pytest.raises(CapabilityError, match="can honour"):
        copy.log_prob(data)
    with pytest.raises(CapabilityError, match="never holds training rows"):
        copy.save("copy.ens")


def test_a_run_folder_gives_its_model_again_and_refuses_another_run(tmp_path, data):
    path = tmp_path / "people.csv"
    people().to_csv(path, index=False)
    table = en.read(path)
    model = en.fit(table, "independent", out=tmp_path / "run")
    again = en.resume(tmp_path / "run")
    assert np.array_equal(model.log_prob(table), again.log_prob(table))
    with pytest.raises(InputError, match="as it began"):
        en.fit(table, "independent", seed=1, out=tmp_path / "run")
    with pytest.raises(FormatError, match="must exist"):
        en.resume(tmp_path / "elsewhere")


def test_a_full_disk_leaves_nothing(tmp_path, model, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(FormatError, match="No space left"):
        model.save(tmp_path / "m.ens")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["mean", "mode"])
def test_holes_of_constants_are_filled(how):
    model = en.fit({"k": [7] * 30}, "independent")
    assert model.impute({"k": [7, None]}, how=how, seed=0).to_pandas()["k"].tolist() == [7, 7]
