import numpy as np
import pyarrow as pa
import pytest

from ensample.errors import InputError
from ensample.judge.binned import Binning
from ensample.judge.copies import copies
from ensample.judge.evaluate import ceiling, floor, judge
from ensample.judge.manifold import manifold
from ensample.judge.neighbours import nearest, squared
from ensample.judge.pairs import pair_view, pairs
from ensample.judge.shapes import shapes
from ensample.judge.utility import mean_auc, r2, targets, utility
from tests.judge.tables import gaussian, made, people, reference, schema_of, shuffled


def by_name(measures):
    return {m.name: m for m in measures}


def test_shapes_against_the_textbook_distances():
    train, test, fake = (
        pa.table({"k": np.random.default_rng(s).integers(0, 30, 2_000) + 3 * (s == 2)}) for s in (0, 1, 2)
    )
    real = reference(train, test)
    measure = shapes(real, made(real, fake))
    a, b = test.column("k").to_numpy(), fake.column("k").to_numpy()
    ks = max(abs((a <= v).mean() - (b <= v).mean()) for v in range(34))
    assert measure.value == pytest.approx(1 - ks, abs=1e-9)
    words = [
        pa.table({"k": np.random.default_rng(s).choice(list("abc"), 2_000, p=p)})
        for s, p in enumerate(([0.5, 0.3, 0.2],) * 2 + ([0.2, 0.3, 0.5],))
    ]
    real = reference(words[0], words[1])
    measure = shapes(real, made(real, words[2]))
    shares = [np.array([(t.column("k").to_numpy(zero_copy_only=False) == k).mean() for k in "abc"]) for t in words[1:]]
    assert measure.value == pytest.approx(1 - np.abs(shares[0] - shares[1]).sum() / 2)
    assert measure.low < measure.value < measure.high


def test_missing_values_count_in_shapes():
    train, test, fresh = (people(1_500, s) for s in (0, 1, 2))
    real = reference(train, test)
    filled = fresh.set_column(7, "job", fresh.column("job").fill_null("cook"))
    whole, part = (shapes(real, made(real, t)).parts["job"] for t in (fresh, filled))
    assert whole > 0.95 and part == pytest.approx(0.9, abs=0.03)


def test_pair_trends_see_a_broken_pair_and_no_other():
    train, test, fresh = (gaussian(3_000, s) for s in (0, 1, 2))
    real = reference(train, test)
    good = pairs(real, made(real, fresh))
    bad = pairs(real, made(real, shuffled(fresh, "c0")))
    assert good.beats(bad) and good.value > 0.97
    assert bad.parts["c0 × c1"] < 0.75 < 0.95 < bad.parts["c1 × c2"]
    view = pair_view(real, made(real, fresh))
    assert view.real[0, 1] == pytest.approx(6 / np.pi * np.arcsin(0.6 / 2), abs=0.06)  # Spearman of a normal pair


def test_one_extreme_value_moves_no_bin():
    train, test, fresh = (people(1_500, s) for s in (0, 1, 2))
    real = reference(train, test)
    spoilt = fresh.column("net").to_numpy().copy()
    spoilt[0] = 1e12
    wild = fresh.set_column(0, "net", [spoilt])
    for measure in (shapes, pairs):
        assert measure(real, made(real, wild)).value == pytest.approx(measure(real, made(real, fresh)).value, abs=0.002)


def test_a_spike_has_a_bin_of_its_own():
    values = np.r_[np.zeros(900), np.random.default_rng(0).uniform(1, 99, 3_000)]
    real = reference(pa.table({"v": values}), pa.table({"v": values[::3]}))
    index = Binning.fit(real.train, 20).index(real.train)[:, 0]
    assert set(index[values == 0]) & set(index[values > 6]) == set()


def test_scores_of_predictors():
    truth, guess = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, 2.0])
    assert r2(truth, guess, np.ones((1, 4)))[0] == pytest.approx(1 - 4 / 5)
    share = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    assert mean_auc(np.array([0.0, 1, 0, 1]), np.array([0.0, 1]), share, np.ones((1, 4)))[0] == 1.0


def test_usefulness_of_fresh_and_of_shuffled_rows():
    train, test, fresh = (people(2_000, s) for s in (0, 1, 2))
    real = reference(train, test, targets=("rich",))
    good = by_name(utility(real, made(real, fresh)))["usefulness"]
    bad = by_name(utility(real, made(real, shuffled(fresh, "rich"))))["usefulness"]
    assert good.low <= 1.02 and good.high >= 0.98 and abs(good.value - 1) < 0.05
    assert bad.value < 0.2 and good.beats(bad)


def test_targets_are_chosen_or_named():
    train, test = people(2_000, 0), people(2_000, 1)
    real = reference(train, test)
    chosen = {real.test.names[j] for j in real.once(targets)}
    assert "rich" in chosen and not chosen & {"city", "land", "total", "net", "tax"}  # a rule fixes these
    with pytest.raises(InputError, match="target"):
        reference(train, test, targets=("nobody",)).once(targets)


def test_neighbours_by_enumeration():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((50, 4)), rng.standard_normal((70, 4))
    b[7] = a[3]
    full = np.sqrt(((a[:, None] - b[None]) ** 2).sum(2))
    apart, place = nearest(a, b)
    assert apart == pytest.approx(full.min(1)) and (place == full.argmin(1)).all() and apart[3] == 0
    assert squared(a, b) == pytest.approx(full**2)


def test_manifold_of_fresh_far_and_collapsed_rows():
    train, test, fresh = (gaussian(900, s) for s in (0, 1, 2))
    real = reference(train, test)
    good = by_name(manifold(real, made(real, fresh)))
    assert good["precision"].value > 0.9 and good["recall"].value > 0.9 and good["coverage"].value > 0.9
    assert good["density"].value == pytest.approx(1, abs=0.1)
    one = fresh.slice(0, 1)
    near = pa.table(
        {
            n: one.column(n).to_numpy()[0] + 0.01 * np.random.default_rng(0).standard_normal(900)
            for n in one.column_names
        }
    )
    collapsed = by_name(manifold(real, made(real, near)))
    assert collapsed["coverage"].value < 0.1 and collapsed["recall"].value < 0.1 < 0.9 < collapsed["precision"].value
    mixed = pa.concat_tables([fresh.slice(0, 450), gaussian(450, 5, shift=9)])
    half = by_name(manifold(real, made(real, mixed)))
    assert half["precision"].value < 0.75 and half["coverage"].value > 0.75


def test_copies_are_found_and_fresh_rows_are_not_called_copies():
    false_alarms, covered = 0, 0
    for seed in range(10):
        train, test, fresh = (gaussian(600, 100 * seed + s) for s in (0, 1, 2))
        real = reference(train, test, seed)
        check = copies(real, made(real, fresh))
        covered += check.share.low <= 0.5 <= check.share.high
        false_alarms += check.copied
    assert covered >= 8 and false_alarms == 0  # fewer than 8 of 10 at 95 %: 1 in 90
    check = copies(real, made(real, train))
    assert check.share.value == 1 and check.copied and check.exact.value == 1 and check.chance < 1e-6
    noisy = pa.table(
        {n: train.column(n).to_numpy() + np.random.default_rng(0).normal(0, 0.02, 600) for n in train.column_names}
    )
    blurred = copies(real, made(real, noisy))
    assert blurred.share.value > 0.9 and blurred.copied and blurred.exact.value == 0
    some = copies(real, made(real, pa.concat_tables([train.slice(0, 30), fresh.slice(0, 570)])))
    assert some.exact.value == pytest.approx(0.05) and some.copied
    assert some.closest[0].distance == 0 and some.closest[0].to_test > 0


def test_an_exact_copy_is_equal_in_every_column():
    train, test, fresh = (people(300, s) for s in (0, 1, 2))
    real = reference(train, test)
    nearly = fresh
    for name in ("net", "tax", "gain", "city"):
        nearly = nearly.set_column(nearly.column_names.index(name), name, train.column(name))
    assert copies(real, made(real, nearly)).exact.value < 0.02
    assert copies(real, made(real, train)).exact.value == 1


def coarse(seed: int) -> pa.Table:
    return pa.table({c: np.random.default_rng(10 * seed + k).choice(list("abc"), 800) for k, c in enumerate("xyz")})


def test_repeated_rows_of_a_coarse_table_are_no_copies():
    real = reference(coarse(0), coarse(1))
    check = copies(real, made(real, coarse(2)))
    assert check.exact.value == 1 and check.exact.target == 1 and not check.copied
    assert check.share.value == pytest.approx(0.5)


def test_floor_and_ceiling_enclose():
    train, test = people(1_500, 0), people(1_500, 1)
    real = reference(train, test)
    low, high = judge(real, floor(real, 1_500)), judge(real, ceiling(real, 1_500))
    for name in ("two-sample test", "two-sample test with relations", "pair trends", "coverage", "usefulness"):
        assert high[name].beats(low[name]), name
    assert high.copy.copied and not low.copy.copied
    assert high["two-sample test"].low < 0.52


def test_without_training_rows_nothing_is_said_of_copies():
    test, fresh = people(1_500, 1), people(1_500, 2)
    judgement = judge(reference(None, test), fresh)
    assert judgement.copy is None and judgement.get("copy share") is None
    assert judgement["two-sample test"].value < 0.56


def test_too_few_rows_and_missing_columns_are_refused():
    train, test = people(100, 0), people(100, 1)
    with pytest.raises(InputError, match="20"):
        reference(train, test.slice(0, 5))
    real = reference(train, test)
    with pytest.raises(InputError, match="made rows"):
        made(real, train.slice(0, 3))
    with pytest.raises(InputError, match="net"):
        made(real, train.drop_columns(["net"]))


@pytest.mark.filterwarnings("error")
def test_odd_tables_are_judged():
    def odd(seed: int, wild: float = 1.0) -> pa.Table:
        r = np.random.default_rng(seed)
        return pa.table(
            {
                "gone": pa.array([None] * 200, pa.float64()),
                "same": [1] * 200,
                "wild": np.where(r.random(200) < 0.1, wild, r.standard_normal(200)),
                "flag": r.random(200) < 0.3,
                "when": pa.array(r.integers(-(10**9), 10**9, 200), pa.timestamp("s")),
                "many": [f"v{k}" for k in r.integers(0, 5_000, 200)],
                "big": r.integers(2**60, 2**62, 200),
            }
        )

    real = reference(odd(0), odd(1))
    judgement = judge(real, odd(2, np.inf), np.full(200, -3.0))
    assert all(np.isfinite(m.value) for m in judgement.measures)
    one = [pa.table({"v": np.round(np.random.default_rng(k).standard_normal(100), 1)}) for k in range(3)]
    assert judge(reference(one[0], one[1]), one[2])["pair trends"].value == 1
    with pytest.raises(InputError, match="identifier"):
        reference(one[0], one[1], schema=schema_of(pa.table({"v": [1] * 30})))
