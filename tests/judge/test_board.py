import html.parser
import json
import re

import numpy as np
import pyarrow as pa
import pytest

from ensample.budget import Budget
from ensample.data.dataset import Dataset
from ensample.errors import CapabilityError, InputError
from ensample.judge.doctor import check_data, check_model
from ensample.judge.evaluate import judge
from ensample.judge.leaderboard import bounded, compare
from ensample.judge.report import report
from tests.judge.tables import SMALL, made, people, reference, schema_of, shuffled


class Fake:
    """A "model" that hands out a table."""

    def __init__(self, table: pa.Table, log_prob: float | None = None) -> None:
        self.table, self.value = table, log_prob
        self.can = {"sample": "exact"} | ({} if log_prob is None else {"log_prob": "exact"})

    def sample(self, n: int, *, seed: int) -> Dataset:
        return Dataset.from_arrow(self.table.slice(0, n))

    def log_prob(self, data: pa.Table) -> np.ndarray:
        return self.value + np.random.default_rng(0).standard_normal(data.num_rows)


def fit(train, family, budget, seed):
    assert isinstance(budget, Budget) and budget.seconds > 0
    if isinstance(family, Exception):
        raise family
    return family


@pytest.fixture(scope="module")
def board():
    train, test, fresh = people(1_500, 0), people(1_500, 1), people(1_500, 2)
    families = {
        "good": Fake(fresh, -30.0),
        "twin": Fake(people(1_500, 3), -31.0),
        "bad": Fake(shuffled(fresh, "rich"), -33.0),
        "thief": Fake(train),
        "broken": CapabilityError("This family cannot learn <b>dates</b>.", "when", "a date", "drop it"),
    }
    schema = schema_of(train)
    return compare(Dataset.from_arrow(train, schema), Dataset.from_arrow(test), families, fit, budget="9s", sizes=SMALL)


def test_ranks_ties_copies_and_failures(board):
    assert board.best == "good"  # tied with twin, fewer bits
    assert board["good"].rank == board["twin"].rank == 1 and board["good"].tied
    assert board["bad"].rank == 3 and not board["bad"].tied
    assert board["thief"].rank is None and board["thief"].copied
    assert board["broken"].judgement is None and "cannot learn" in board["broken"].failure
    assert [e.role for e in board.entries].count("floor") == [e.role for e in board.entries].count("ceiling") == 1
    assert "bad" not in board.leaders("two-sample test with relations")
    assert board.leaders("bits") == {"good"}


def test_text_verdict_and_plain_values(board):
    text = str(board)
    assert "Best: good, tied with twin" in text and "thief" in text and "broken failed" in text and "floor" in text
    assert "did not copy" in text and "Not ranked" in text
    plain = json.loads(json.dumps(board.to_plain(), allow_nan=False))
    assert plain["best"] == "good" and {e["name"] for e in plain["entries"]} >= {"good", "bad", "broken"}
    assert all(len(line) <= 170 for line in text.split("\n")[:9])


def test_saved_files(board, tmp_path):
    board.save(tmp_path / "board.html")
    board.save(tmp_path / "board.json")
    page = (tmp_path / "board.html").read_text(encoding="utf-8")
    check_page(page)
    assert "&lt;b&gt;dates&lt;/b&gt;" in page and "<b>dates</b>" not in page
    assert json.loads((tmp_path / "board.json").read_text())["best"] == "good"
    assert "<table>" in board._repr_html_()
    with pytest.raises(InputError, match=r"\.html"):
        board.save(tmp_path / "board.pdf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["board.html", "board.json"]


class _Strict(html.parser.HTMLParser):
    """Counts open tags, and refuses anything that a page without network and script does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "iframe", "img", "object"), tag
        assert not any(k.startswith("on") or k in ("src", "href") for k, _ in attrs), attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag not in ("script", "link", "iframe", "img")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check_page(page: str) -> None:
    parser = _Strict()
    parser.feed(page)
    assert not parser.open
    assert not re.search(r"https?://|@import|url\(", page)
    assert "nan" not in re.sub(r"[^a-z ]", " ", page.lower()).split()


def test_report_of_nasty_names(tmp_path):
    names = [
        "<script>alert(1)</script>",
        "x" * 200,
        "průměr 温度 ☃",
        "a\"b'c",
        "{{ 7 * 7 }}",
        "&amp;",
        " ",
        "a\nb",
        "city & land",
    ]
    train, test, fresh = (people(600, s).rename_columns(names) for s in (0, 1, 2))
    real = reference(train, test)
    page = report("<i>model</i>", real, judge(real, fresh, np.full(600, -20.0)))
    page.save(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    check_page(text)
    assert "&lt;script&gt;" in text and "49" not in re.findall(r"\{\{ 7 \* 7 \}\}|>49<", text)
    assert len(text) < 2_000_000
    assert "two-sample test" in str(page) and json.dumps(page.to_plain(), allow_nan=False)


def test_report_of_a_single_column_and_of_none_known_training_rows(tmp_path):
    tables = [pa.table({"only": np.random.default_rng(s).standard_normal(200)}) for s in (0, 1, 2)]
    real = reference(tables[0], tables[1])
    check_page(report("m", real, judge(real, tables[2])).html())
    unknown = reference(None, people(600, 1))
    text = report("m", unknown, judge(unknown, people(600, 2))).html()
    check_page(text)
    assert "training row than" not in text


def test_doctor_names_what_is_wrong():
    train, test, fresh = (people(2_000, s) for s in (0, 1, 2))
    real = reference(train, test)
    assert not [f for f in check_model(real, judge(real, fresh)) if f.severity == "serious"]
    total = fresh.column("total").to_numpy() + 7
    gain = np.where(fresh.column("gain").to_numpy() == 0, 3, fresh.column("gain").to_numpy())
    city = np.where(fresh.column("city").to_numpy(zero_copy_only=False) == "Zlín", "Brno", fresh.column("city"))
    job = fresh.column("job").fill_null("cook")
    sick = pa.table(
        dict(zip(fresh.column_names, fresh.columns, strict=True))
        | {"total": total, "gain": gain, "city": city, "job": job}
    )
    found = {f.about: f.words for f in check_model(real, judge(real, sick, np.r_[np.full(1_999, -9.0), -np.inf]))}
    assert "100%" in found["total = net + tax"] or "100.0%" in found["total = net + tax"]
    assert "the value 0" in found["gain"] and "missing" in found["job"] and "Zlín" in found["city"] and "bits" in found
    assert any("copies" in f.about for f in check_model(real, judge(real, train)))


def test_doctor_on_the_data():
    table = people(300, 0)
    real = reference(table, table)
    words = {f.about: f.words for f in check_data(real)}
    assert "only 300" in words["training rows"] and "leak" in words
    numbered = pa.table(
        {"id": [f"user-{k:05d}-{k * 7919 % 10_007}" for k in range(900)], "one": ["x"] * 900, "v": np.arange(900.0) % 7}
    )
    kinds = {"id": "identifier"}
    real = reference(numbered.slice(0, 600), numbered.slice(600), schema=schema_of(numbered, kinds))
    abouts = [f.about for f in check_data(real)]
    assert "id" in abouts and "one" in abouts


def test_bounded_draws_the_same_rows_again():
    data = Dataset.from_arrow(pa.table({"v": np.arange(1_000)}))
    one, other = bounded(data, 100, 1), bounded(data, 100, 1)
    assert one.equals(other) and one.num_rows == 100 and len(set(one.column("v").to_pylist())) == 100
    assert bounded(data, 5_000, 1).num_rows == 1_000


def test_made_rows_of_other_types_are_understood():
    train, test = people(400, 0), people(400, 1)
    real = reference(train, test)
    fresh = people(400, 2)
    coded = fresh.set_column(4, "city", fresh.column("city").dictionary_encode())
    floats = coded.set_column(3, "gain", coded.column("gain").cast(pa.float64()))
    assert np.array_equal(made(real, floats).frame.matrix, made(real, fresh).frame.matrix, equal_nan=True)
    judge(real, floats)
