"""Pictures judged as a whole: good, bad, collapsed and copied ones, the page, the leaderboard, the doors."""

import json
import re

import numpy as np
import pyarrow as pa
import pytest

import ensample as en
from ensample.data.dataset import Dataset
from ensample.errors import CapabilityError, InputError
from ensample.judge.images.copies import fingerprints, points
from ensample.judge.images.doctor import check_made, check_pictures
from ensample.judge.images.evaluate import judge_pictures, loose_pixels, real_pictures
from ensample.judge.images.extractor import Pixels
from ensample.judge.images.records import picture_reference
from ensample.judge.images.reference import PictureReference, Sizes
from ensample.judge.leaderboard import compare_on, sampled_from
from ensample.judge.report import report
from ensample.kinds import guess
from tests.judge.pictures import classifier, digits, halves, noisy, reference, table
from tests.judge.test_board import fit


@pytest.fixture(scope="module")
def real():
    return reference()


def fresh(count=890):
    """Held-out digits, each moved a little in brightness: what a very good model would make."""
    x, y = digits()
    rng = np.random.default_rng(3)
    rows = rng.permutation(np.arange(900, 1797))[:count]
    return table(np.clip(x[rows].astype(int) + rng.integers(0, 3, x[rows].shape), 0, 255).astype(np.uint8), y[rows])


def thief(real):
    """Training pictures with the least of noise."""
    rows = np.random.default_rng(1).permutation(900)[:600]
    x, y = digits()
    return table(np.clip(x[rows].astype(int) + 1, 0, 255).astype(np.uint8), y[rows])


@pytest.fixture(scope="module")
def judged(real):
    x, y = digits()
    made = {
        "ceiling": real_pictures(real, 450),
        "noisy": table(noisy(x[900:], 0.09), y[900:]),
        "floor": loose_pixels(real, 890),
        "thief": thief(real),
        "collapsed": table(x[900:][y[900:] == "3"], y[900:][y[900:] == "3"]),
        "wrong": table(x[900:], np.roll(y[900:], 1)),
    }
    return {name: judge_pictures(real, each) for name, each in made.items()}


def test_better_pictures_are_nearer(judged):
    for name in ("Frechet distance", "kernel distance"):
        values = [judged[k][name].value for k in ("ceiling", "noisy", "floor")]
        assert values == sorted(values) and values[1] > 2 * abs(values[0]), name
        assert judged["ceiling"][name].beats(judged["noisy"][name])
        assert not judged["floor"][name].beats(judged["noisy"][name])
    assert judged["collapsed"]["recall"].value < 0.3 < judged["ceiling"]["recall"].value
    assert judged["collapsed"]["precision"].value > 0.8 > judged["floor"]["precision"].value


def test_classes_are_counted(judged):
    assert judged["ceiling"]["class accuracy"].value > 0.9 > judged["noisy"]["class accuracy"].value > 0.3
    assert judged["wrong"]["class accuracy"].value < 0.2
    assert judged["wrong"]["class shares"].value < 0.05  # the classes are there, in the wrong places
    assert judged["collapsed"]["class shares"].value > 5
    assert judged["ceiling"]["Inception Score"].value > 5 > 2 > judged["collapsed"]["Inception Score"].value


def test_words_name_extractor_count_and_floor(judged):
    judge = classifier()
    for measure in judged["noisy"].measures:
        if measure.name in ("copy share", "copy share of features", "exact copies"):
            continue
        assert f"{judge.name} {judge.hash}" in measure.words and "897 pictures a side" in measure.words, measure.words
        assert "real pictures get" in measure.words
    assert judged["noisy"]["Frechet distance"].parts["real pictures"] < judged["noisy"]["Frechet distance"].low
    assert judged["ceiling"]["Frechet distance"].interval.endswith("450 made and 450 held-out pictures")


def test_copies_are_found(real, judged):
    check = judged["thief"].copy
    assert check.copied and check.share.value > 0.9 and check.features.value > 0.65  # half of them are not compared
    assert check.exact.value == 0.0 and judged["ceiling"].copy.exact.value == 1.0
    assert not judged["noisy"].copy.copied and not judged["floor"].copy.copied
    x = digits()[0]
    for beside in check.beside:  # the nearest training picture is the one that was stolen
        mine = judged["thief"].made.side.pixels[beside.made].astype(int)
        assert np.abs(mine - x[beside.by_pixels]).max() <= 1
    kept = set(real.unseen)
    known = [p.by_features == p.by_pixels for p in check.beside if p.by_pixels in kept]
    assert len(known) > 4 and np.mean(known) > 0.8 and all(p.by_features in kept for p in check.beside)
    assert len({p.made for p in check.closest}) == len(check.closest)


def test_copies_by_the_mirror_are_found(real):
    x, y = digits()
    mirrored = table(np.ascontiguousarray(x[:600, :, ::-1]), y[:600])
    check = judge_pictures(real, mirrored).copy
    assert check.share.value > 0.95 and check.exact.value == 0.0


def test_nearest_pictures_by_loops(real):
    x, _ = digits()
    made = noisy(x[900:930], 0.2)
    check = judge_pictures(real, table(made, digits()[1][900:930])).copy
    train, flat = x[:900].astype(float), made.astype(float)
    for beside in check.beside[:8]:
        one = flat[beside.made]
        apart = [min(np.square(one - t).sum(), np.square(one - t[:, ::-1]).sum()) for t in train]
        # of equally many held-out and training pictures: three of the 900 are left out
        assert apart[beside.by_pixels] <= np.partition(apart, 3)[3]


def test_warnings_in_words(real, judged):
    words = {name: " ".join(map(str, check_made(real, each))) for name, each in judged.items()}
    assert "copies: by" in words["thief"] and "1 in" in words["thief"]
    assert "never made" in words["collapsed"] and "the variety is not all there" in words["collapsed"]
    assert "seldom finds what was asked for" in words["wrong"]
    assert "many are no proper pictures" in words["floor"] and "distance" in words["floor"]
    twice = table(np.repeat(digits()[0][900:930], 10, axis=0))
    assert "occur twice or more" in " ".join(map(str, check_made(real, judge_pictures(real, twice))))
    x, y = digits()
    leaky = PictureReference(table(x[:100], y[:100]), table(x[50:150], y[50:150]), real.schema, picture="picture")
    assert "leak" in " ".join(map(str, check_pictures(leaky))) and "only 100" in " ".join(
        map(str, check_pictures(leaky))
    )


def test_fingerprints_are_equal_for_equal_pictures():
    x, _ = digits()
    ids = fingerprints(x)
    assert len(np.unique(ids)) == len(np.unique(x.reshape(len(x), -1), axis=0))
    other = x[:1].copy()
    other[0, 7, 7, 0] ^= 1
    assert fingerprints(other)[0] != ids[0] == fingerprints(x[:1])[0]


def test_large_pictures_are_compared_small():
    pixels = np.zeros((2, 64, 96, 3), np.uint8)
    pixels[1, :2, :3] = 255
    small = points(pixels)
    assert small.shape == (2, 32 * 32 * 3) and small[1, :3].tolist() == [255.0] * 3 and small[1].sum() == 3 * 255


def test_floor_keeps_each_pixel_and_nothing_else(real):
    x, y = digits()
    made = loose_pixels(real, 4_000)
    side = real.side(made)
    for label in ("0", "7"):
        mine, train = side.pixels[side.labels == label].astype(float), x[:900][y[:900] == label].astype(float)
        assert np.abs(mine.mean(0) - train.mean(0)).max() < 30
        assert abs(np.corrcoef(mine[:, 3, 3, 0], mine[:, 3, 4, 0])[0, 1]) < 0.15
    plain = loose_pixels(reference(given=()), 500)
    assert plain.column_names == ["picture"]


def test_report_page(real, judged, tmp_path):
    page = report("noisy one", real, judged["noisy"])
    assert "times as far from held-out ones as real ones do" in page.words[0] and "did not copy" in page.words[1]
    page.save(tmp_path / "report.html")
    page.save(tmp_path / "report.json")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == 5 and "Frechet distance" in text
    assert not re.search(r"https?://|<script|<link", text) and "rows: 0, 1, 2" in text
    assert "held-out pictures" in text and "training pictures" in text and "rows from" not in text
    plain = json.loads((tmp_path / "report.json").read_text())
    assert plain["rows"] == {"train": 900, "test": 897}
    assert "ceiling" in str(page) and "Frechet distance" in str(page)


class Fake:
    """A "model" of pictures that hands out a table, in the order of the conditions' labels if it was given them."""

    def __init__(self, made: pa.Table, nats: float | None = None) -> None:
        self.made, self.nats = made, nats
        self.can = {"sample": "exact"} | ({} if nats is None else {"log_prob": "bound"})

    def sample(self, n: int | None = None, where: pa.Table | None = None, *, seed: int) -> Dataset:
        assert (n is None) == (where is not None)
        return Dataset.from_arrow(self.made)

    def log_prob(self, data: pa.Table) -> np.ndarray:
        return self.nats + np.random.default_rng(0).standard_normal(data.num_rows)


def test_leaderboard_of_pictures(real, tmp_path):
    x, y = digits()
    families = {
        "good": Fake(table(noisy(x[900:], 0.02), y[900:]), -100.0),
        "bad": Fake(table(noisy(x[900:], 0.4), y[900:]), -200.0),
        "thief": Fake(thief(real)),
        "broken": CapabilityError("This family cannot learn <b>pictures</b>.", "picture", "a picture", "drop it"),
    }
    train = Dataset.from_arrow(real.train_table, real.schema)
    board = compare_on(real, train, families, fit, budget="9s", seed=0)
    assert board.best == "good" and board["good"].rank == 1 and board["bad"].rank == 2
    assert board["thief"].rank is None and board["thief"].copied and "cannot learn" in board["broken"].failure
    assert board.entries[0].name == "training pictures" and "loose pixels" in str(board)
    bits = board["good"].judgement["bits"]
    assert bits.value == pytest.approx(100 / 64 / np.log(2), rel=0.01) and bits.sort == "bound"
    assert "their pictures lean on the training pictures" in " ".join(board.words)
    board.save(tmp_path / "board.html")
    assert "&lt;b&gt;pictures&lt;/b&gt;" in (tmp_path / "board.html").read_text(encoding="utf-8")
    assert board.to_plain()["ranked_by"] == "Frechet distance"


def test_given_labels_are_those_of_held_out_pictures(real):
    asked = []

    class Asked(Fake):
        def sample(self, n=None, where=None, *, seed):
            asked.append((n, where))
            return Dataset.from_arrow(self.made)

    sampled_from(Asked(fresh()), real, 0)
    sampled_from(Asked(fresh()), reference(given=()), 0)
    (first, where), (second, nothing) = asked
    assert first is None and where.column_names == ["label"] and where.num_rows == 897
    assert second == 2_000 and nothing is None


def test_refusals(real):
    x, y = digits()
    with pytest.raises(InputError, match="at least 20"):
        judge_pictures(real, table(x[:19], y[:19]))
    with pytest.raises(InputError, match="have one size"):
        judge_pictures(real, table(np.zeros((30, 8, 9, 1), np.uint8)))
    with pytest.raises(InputError, match="same field of pictures"):
        judge_pictures(real, pa.table({"other": [1] * 30}))
    train, test = halves()
    with pytest.raises(InputError, match="held-out pictures"):
        PictureReference(train, test.slice(0, 9), real.schema, picture="picture")


def test_without_training_pictures_nothing_is_said_about_copies():
    _, test = halves()
    alone = PictureReference(
        None, test, guess(Dataset.from_arrow(test), None), picture="picture", label="label", extractor=classifier()
    )
    judgement = judge_pictures(alone, fresh(100))
    assert judgement.copy is None and judgement.get("copy share") is None and len(alone.train) == 449


def test_own_network_never_sees_what_stands_for_real():
    train, test = halves()
    schema = guess(Dataset.from_arrow(train), None)
    mine = PictureReference(train, test, schema, picture="picture", label="label", sizes=Sizes(scored=50))
    learnt, kept = mine.halves
    assert sorted([*learnt, *kept]) == list(range(900)) and np.array_equal(mine.unseen, kept)
    assert mine.scored.num_rows == 50 and mine.names == tuple("0123456789")
    foreign = PictureReference(train, test, schema, picture="picture", extractor=Pixels())
    assert len(foreign.unseen) == 900 and foreign.classifier is None and foreign.extractor.name == "pixels"


def test_labels_are_found():
    x, y = digits()
    both = Dataset.from_arrow(table(x, y))
    schema = guess(both, None)
    found = picture_reference(None, both, schema, "picture", (), "pixels", 0)
    assert found.label == "label" and found.extractor.name == "pixels" and len(found.names) == 10
    numbers = Dataset.from_arrow(table(x).append_column("size", pa.array(y.astype(int) * 37)))
    assert picture_reference(None, numbers, guess(numbers, None), "picture", (), "pixels", 0).label is None


def test_through_the_public_doors(tmp_path):
    train, test = map(Dataset.from_arrow, halves())
    board = en.compare(train, test, families=["independent"], given="label", budget="3s", extractor=classifier())
    entry = board["independent"]
    assert entry.role == "floor" and entry.judgement["class accuracy"].value < 0.9
    assert 0 < entry.judgement["bits"].value < 6
    alone = (data.select(["picture"]) for data in (train, test))
    train, test = alone
    model = en.fit(train, "independent", budget="2s")
    page = model.report(test, train, extractor="pixels")
    assert page.judgement["Frechet distance"].value > 0 and "pixels" in page.judgement["Frechet distance"].words
    page.save(tmp_path / "report.html")
    with pytest.raises(InputError, match="An extractor must be known"):
        model.report(test, extractor="vgg")
