"""Classification by Bayes' rule, and families made of families, as a user meets them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

import ensample as en
from ensample.cli.main import command
from ensample.errors import CapabilityError, InputError
from ensample.families.compose.perclass import _weights


def flowers(rows: int = 900, seed: int = 0) -> en.Dataset:
    """Three Gaussians of different shape."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(3, size=rows)
    spread = np.array([[0.5, 0.1], [0.2, 0.8], [1.0, 1.0]])[kind]
    x = np.array([[0, 0], [1, 1], [-1, 2]])[kind] + spread * rng.normal(size=(rows, 2))
    return en.read({"x": x[:, 0].round(3), "y": x[:, 1].round(3), "kind": np.array(["iris", "lily", "rose"])[kind]})


def test_one_gaussian_per_class_is_quadratic_discriminant_analysis():
    data, test = flowers(), flowers(seed=1)
    model = en.fit(data, en.families.PerClass(of=en.families.Mixture(components=1, smoothing=1e-6)), seed=0)
    made = model.classify(test, "kind").to_pandas()
    frame, other = data.to_pandas(), test.to_pandas()
    twin = QuadraticDiscriminantAnalysis().fit(frame[["x", "y"]], frame["kind"])
    shares = made[[f"p(kind={name})" for name in twin.classes_]].to_numpy()
    truth = twin.predict_proba(other[["x", "y"]])
    assert np.allclose(shares.sum(1), 1)
    assert np.abs(shares - truth).mean() < 0.04  # fitted on all rows, and not calibrated
    assert (made["kind"] == twin.predict(other[["x", "y"]])).mean() > 0.95


def test_temperature_makes_a_naive_model_honest():
    """A field repeated four times makes products of histograms too sure; the temperature takes that back."""
    rng = np.random.default_rng(0)

    def rows(n: int) -> en.Dataset:
        y = rng.integers(2, size=n)
        x = np.where(rng.random(n) < 0.75, y, 1 - y)
        return en.read({"y": np.array(["no", "yes"])[y], **{f"x{j}": np.array(["a", "b"])[x] for j in range(4)}})

    model = en.fit(rows(4_000), en.families.PerClass(of=en.families.Independent(), field="y"), seed=0)
    assert model.distribution.temperature > 1.5
    sure = model.classify(rows(1_000), "y").to_pandas()[["p(y=no)", "p(y=yes)"]].max(axis=1)
    assert sure.mean() == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("family", ["mixture", "boosted", en.families.PerClass(field="kind")])
def test_any_likelihood_classifies_by_the_joint(family):
    data, test = flowers(), flowers(seed=2)
    model = en.fit(data, family, budget="10s", seed=0)
    rows = test.to_pandas()
    made = model.classify(test.select(["x", "y"]), "kind").to_pandas()
    assert (made["kind"] == rows["kind"]).mean() > 0.8
    levels = sorted(rows["kind"].unique())
    joint = np.stack([model.log_prob(rows.assign(kind=level)) for level in levels], 1)
    shares = np.exp(joint - joint.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    ours = made[[f"p(kind={level})" for level in levels]].to_numpy()
    assert (ours.argmax(1) == shares.argmax(1)).mean() > 0.98  # calibration may tip what is close
    if not isinstance(family, en.families.PerClass):
        assert np.allclose(ours, shares, atol=1e-6)


def test_what_is_no_class_is_refused_and_who_has_no_likelihood_has_no_verb():
    model = en.fit(flowers(200), "independent")
    for field, word in (("x", "kind"), ("z", "x, y, kind")):
        with pytest.raises(InputError, match=word):
            model.classify(flowers(10), field)
    with pytest.raises(InputError, match="nothing for y"):
        model.classify(flowers(10).select(["x"]), "kind")
    assert not hasattr(en.fit(flowers(200), "resample"), "classify")


def test_composites_are_saved_and_come_back(tmp_path):
    data = flowers(400)
    for family in (
        en.families.PerClass(of=en.families.Mixture(components=2)),
        en.families.Blend(of=en.families.PerClass(of=en.families.Independent()), components=2, rounds=1),
        en.families.Ensemble(members=2),
    ):
        model = en.fit(data, family, seed=0)
        model.save(tmp_path / "m.ens")
        again = en.load(tmp_path / "m.ens")
        assert again.family == family
        assert np.array_equal(again.log_prob(data), model.log_prob(data))
        assert again.sample(20, seed=1).to_pandas().equals(model.sample(20, seed=1).to_pandas())
        assert (
            again.impute(en.read({"x": [0.1], "y": [None], "kind": ["rose"]}), seed=0)
            .to_pandas()
            .notna()
            .all(axis=None)
        )


def uneven(rows: int, seed: int) -> en.Dataset:
    """Two classes of many rows and one of few, with a number that is nearly always zero."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, size=rows, p=[0.6, 0.37, 0.03])
    x = kind + rng.normal(size=rows)
    gain = np.where(rng.random(rows) < 0.03, rng.integers(1_000, 90_000, rows), 0)
    return en.read({"x": x.round(2), "gain": gain, "kind": np.array(["a", "b", "c"])[kind]})


def test_a_class_of_few_rows_takes_from_the_others():
    """What its own rows have not shown is not impossible in it, and a class of very few has no part of its own."""
    data, test = uneven(1_200, 0), uneven(2_000, 1)
    model = en.fit(data, "perclass", seed=0)
    independent = en.fit(data, "independent", seed=0)
    assert model.distribution.event.spans[model.distribution.column].name == "kind"
    assert model.log_prob(test).mean() > independent.log_prob(test).mean()
    assert model.log_prob(test).min() > independent.log_prob(test).min() - 10
    tiny = en.fit(data, en.families.PerClass(fewest=60), seed=0).distribution
    assert tiny.own[2] == 0 and len(tiny.parts) == 3
    assert len(en.fit(uneven(20, 2), "perclass", seed=0).sample(5, seed=0)) == 5


def test_the_shared_part_weighs_what_held_out_rows_say():
    """The mode of the posterior of each weight, found on a grid; a class without a part of its own takes all."""
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.normal(size=(60, 3)))
    truth = torch.from_numpy(rng.integers(3, size=60))
    found = _weights(scores, truth, (1, 0, 2)).exp()
    grid = np.linspace(0.001, 0.999, 999)
    for k, number in ((0, 1), (2, 2)):
        shared, own = (np.exp(scores[truth == k][:, j].numpy())[:, None] for j in (0, number))
        posterior = np.log(grid * shared + (1 - grid) * own).sum(0) + np.log(grid) + np.log1p(-grid)
        assert float(found[k]) == pytest.approx(grid[posterior.argmax()], abs=0.01)
    assert float(found[1]) == 1.0


def test_probabilities_of_classes_are_calibrated():
    data, test = uneven(3_000, 0), uneven(20_000, 1)
    made = en.fit(data, "perclass", seed=0).classify(test, "kind").to_pandas()
    shares = made[["p(kind=a)", "p(kind=b)", "p(kind=c)"]].to_numpy()
    right = (made["kind"] == test.to_pandas()["kind"]).to_numpy()
    for low, high in ((0.4, 0.6), (0.6, 0.8), (0.8, 1.0)):
        some = (shares.max(1) > low) & (shares.max(1) <= high)
        assert right[some].mean() == pytest.approx(shares.max(1)[some].mean(), abs=0.06)


@pytest.mark.parametrize(
    "family",
    [
        en.families.PerClass(of=en.families.Mixture(components=2, covariance="diagonal")),
        en.families.Blend(of=en.families.Independent(bins=16), components=3),
    ],
)
def test_parts_with_exact_conditionals_make_exact_conditionals(family):
    """Draws under evidence and limits follow the shares that the joint gives to what is left open."""
    data = flowers(600)
    model = en.fit(data, family, seed=0)
    assert model.distribution.guarantees["draw"] == "exact"
    holes = en.read({"x": [0.5] * 6_000, "y": [0.7] * 6_000, "kind": [None] * 6_000})
    drawn = model.impute(holes, seed=0).to_pandas()["kind"].value_counts(normalize=True).sort_index()
    joint = [model.log_prob(en.read({"x": [0.5], "y": [0.7], "kind": [k]}))[0] for k in drawn.index]
    assert np.allclose(drawn, np.exp(joint) / np.exp(joint).sum(), atol=0.025)
    inside = model.sample(4_000, where={"kind": ["iris", "rose"], "x": (0.0, 3.0)}, seed=0).to_pandas()
    plain = model.sample(40_000, seed=1).to_pandas()
    plain = plain[plain["kind"].isin(["iris", "rose"]) & plain["x"].between(0.0, 3.0)]
    assert set(inside["kind"]) == {"iris", "rose"} and inside["x"].between(0, 3).all()
    assert (inside["kind"] == "rose").mean() == pytest.approx((plain["kind"] == "rose").mean(), abs=0.03)
    assert inside["y"].mean() == pytest.approx(plain["y"].mean(), abs=0.06)


def test_an_ensemble_of_chains_completes_by_its_members():
    model = en.fit(flowers(600), en.families.Ensemble(members=3), seed=0)
    assert not model.distribution.sees_evidence
    holes = en.read({"x": [None] * 1_500, "y": [0.7] * 1_500, "kind": ["rose"] * 1_500})
    drawn = model.impute(holes, seed=0).to_pandas()["x"]
    plain = model.sample(150_000, seed=1).to_pandas()
    plain = plain[(plain["kind"] == "rose") & plain["y"].between(0.6, 0.8)]
    assert drawn.mean() == pytest.approx(plain["x"].mean(), abs=0.12)
    assert drawn.std() == pytest.approx(plain["x"].std(), abs=0.15)


def test_chains_of_any_order_are_weighed_by_the_evidence():
    """Roses lie around -1 with deviation 1, wherever y is."""
    family = en.families.Ensemble(of=en.families.Boosted(any_order=True, rounds=20), members=2)
    model = en.fit(flowers(), family, seed=0)
    assert model.distribution.sees_evidence
    holes = en.read({"x": [None] * 1_000, "y": [0.7] * 1_000, "kind": ["rose"] * 1_000})
    drawn = model.impute(holes, seed=0).to_pandas()["x"]
    assert drawn.mean() == pytest.approx(-1.0, abs=0.4) and drawn.std() == pytest.approx(1.0, abs=0.35)


def test_parts_without_a_likelihood_are_refused():
    for family in (en.families.PerClass(of=en.families.Resample()), en.families.Ensemble(of=en.families.Resample())):
        with pytest.raises(CapabilityError, match="likelihood"):
            en.fit(flowers(100), family)
    with pytest.raises(CapabilityError, match="no category"):
        en.fit(flowers(100).select(["x", "y"]), "perclass")


def test_blend_finds_clumps_that_one_part_cannot():
    data, test = flowers(), flowers(seed=3)
    one = en.fit(data, en.families.Independent(bins=64)).log_prob(test).mean()
    blend = en.fit(data, en.families.Blend(of=en.families.Independent(bins=64), components=3), seed=0)
    assert blend.log_prob(test).mean() > one + 0.1


def test_the_command_line_names_parts(tmp_path):
    rows, model = tmp_path / "rows.csv", tmp_path / "m.ens"
    flowers(300).save(rows)
    words = ["fit", rows, "--family", "perclass", "--set", "of=independent", "--set", "field=kind", "--save", model]
    assert command([str(word) for word in words]) == 0
    assert en.load(model).family == en.families.PerClass(of=en.families.Independent(), field="kind")
