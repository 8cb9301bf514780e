"""Every verb as a user calls it, on a small table with holes."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import ensample as en
from ensample.cli.main import command


def write_people(path: Path, rows: int = 300, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    lines = ["id,age,sex,height,member"]
    for i in range(rows):
        age = "" if rng.random() < 0.1 else str(rng.integers(17, 80))
        sex = rng.choice(["Female", "Male"])
        lines.append(f"P{i:04d},{age},{sex},{rng.normal(178 if sex == 'Male' else 165, 7):.1f},{rng.random() < 0.3}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    write_people(folder / "people.csv")
    write_people(folder / "others.csv", 40, seed=1)
    code = command(
        ["fit", str(folder / "people.csv"), "--family", "independent", "--save", str(folder / "people.ens"), "-q"]
    )
    assert code == 0
    return folder


@pytest.fixture
def ask(folder, capsys, monkeypatch):
    """Run one command; gives (exit code, standard output, standard error)."""
    monkeypatch.chdir(folder)

    def run(*arguments):
        capsys.readouterr()
        code = command([str(a) for a in arguments])
        return code, *capsys.readouterr()

    return run


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_fit_says_what_it_made_and_json_says_it_alone(ask, tmp_path):
    code, out, err = ask("fit", "people.csv", "--family", "independent", "--save", tmp_path / "m.ens", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["family"] == "independent" and facts["can"]["log_prob"] == "exact"
    assert facts["model"] == str(tmp_path / "m.ens") and (tmp_path / "m.ens").exists()
    assert "300 rows" in err


def test_options_of_a_family_reach_it(ask, tmp_path):
    ask("fit", "people.csv", "--family", "independent", "--set", "bins=3", "--save", tmp_path / "m.ens")
    assert en.load(tmp_path / "m.ens").family == en.families.Independent(bins=3)


def test_given_model_and_kind_reach_the_fit(ask, tmp_path):
    code, _, err = ask(
        "fit", "people.csv", "--family", "independent", "--model", "age,height", "--given", "sex",
        "--kind", "age=category", "--seed", 3, "--budget", "10s", "--save", tmp_path / "m.ens",
    )  # fmt: skip
    assert code == 0, err
    model = en.load(tmp_path / "m.ens")
    assert model.codec.model == ("age", "height") and model.codec.given == ("sex",)
    assert model.schema["age"].kind.name == "category"
    assert model.facts["seed"] == 3 and "10" in str(model.facts["budget"])


def test_sample_goes_to_standard_output_as_csv(ask):
    code, out, _ = ask("sample", "people.ens", "-n", 20, "--seed", 1, "--where", "age=30..40", "--where", "sex=Male")
    rows = table(out)
    assert code == 0 and len(rows) == 20
    assert {row["sex"] for row in rows} == {"Male"}
    assert all(30 <= int(row["age"]) <= 40 for row in rows)
    assert ask("sample", "people.ens", "-n", 20, "--seed", 1, "--where", "age=30..40", "--where", "sex=Male")[1] == out


def test_sample_saves_and_json_holds_records(ask, tmp_path):
    code, out, _ = ask("sample", "people.ens", "-n", 7, "--save", tmp_path / "new.parquet", "--json")
    assert code == 0 and json.loads(out) == {"rows": 7, "saved": str(tmp_path / "new.parquet")}
    assert len(en.read(tmp_path / "new.parquet")) == 7
    facts = json.loads(ask("sample", "people.ens", "-n", 2, "--json")[1])
    assert facts["rows"] == 2 and set(facts["records"][0]) == {"id", "age", "sex", "height", "member"}


def test_score_is_what_python_says(ask, tmp_path):
    wanted = en.load("people.ens").log_prob("others.csv")
    code, out, err = ask("score", "people.ens", "others.csv")
    assert code == 0
    assert np.allclose([float(row["log_prob"]) for row in table(out)], wanted, atol=1e-5)
    assert f"{wanted.mean():.4f} nats" in err
    facts = json.loads(ask("score", "people.ens", "others.csv", "--anomaly", "--json")[1])
    assert facts["measure"] == "anomaly_score" and np.allclose(facts["values"], -wanted)
    facts = json.loads(ask("score", "people.ens", "others.csv", "--json", "--save", tmp_path / "s.csv")[1])
    assert facts["mean"] == pytest.approx(wanted.mean()) and "values" not in facts
    assert np.allclose([float(row["log_prob"]) for row in table((tmp_path / "s.csv").read_text())], wanted, atol=1e-5)


@pytest.mark.parametrize("how", ["draw", "mean", "mode"])
def test_impute_fills_the_holes_and_nothing_else(ask, how):
    before = table(Path("others.csv").read_text())
    code, out, _ = ask("impute", "people.ens", "others.csv", "--how", how, "--seed", 1)
    after = table(out)
    assert code == 0 and len(after) == len(before)
    assert any(row["age"] == "" for row in before) and all(row["age"] for row in after)
    for old, new in zip(before, after, strict=True):
        assert all(
            float(new[k]) == float(v) if k == "height" else new[k] == v for k, v in old.items() if v and k != "member"
        )


def test_impute_many(ask, tmp_path):
    code, _, _ = ask("impute", "people.ens", "others.csv", "--m", 3, "--save", tmp_path / "f.csv", "--seed", 1)
    assert code == 0 and sorted(p.name for p in tmp_path.iterdir()) == ["f-1.csv", "f-2.csv", "f-3.csv"]
    assert (tmp_path / "f-1.csv").read_text() != (tmp_path / "f-2.csv").read_text()
    assert len(json.loads(ask("impute", "people.ens", "others.csv", "--m", 2, "--json")[1])["completions"]) == 2
    assert ask("impute", "people.ens", "others.csv", "--m", 2)[0] == 1


def test_show_everything(ask):
    code, out, _ = ask("show", "people.ens")
    assert code == 0 and "Independent(bins=256)" in out and "height" in out and "rows: 300" in out
    facts = json.loads(ask("show", "people.ens", "--json")[1])
    assert facts["training"]["rows"] == 300 and facts["schema"][1]["kind"] == "number"
    facts = json.loads(ask("show", "people.csv", "--kind", "age=category", "--json")[1])
    assert facts["rows"] == 300 and facts["schema"][1]["kind"] == "category"
    assert set(json.loads(ask("show", "families", "--json")[1])["families"]) == set(en.families.TABLE)
    facts = json.loads(ask("show", "independent", "--json")[1])
    assert facts["options"] == [{"name": "bins", "type": "int", "default": 256, "help": "most bins of a span."}]
    assert "48,842 rows" in ask("show", "sample:adult")[1]


def test_resume_gives_the_model_of_a_finished_run(ask, tmp_path):
    run = tmp_path / "run"
    assert ask("fit", "people.csv", "--family", "independent", "--out", run)[0] == 0
    assert (run / "model.ens").exists()
    code, _, err = ask("resume", run, "--save", tmp_path / "again.ens", "--json")
    assert code == 0, err
    assert np.array_equal(
        en.load(tmp_path / "again.ens").log_prob("others.csv"), en.load(run / "model.ens").log_prob("others.csv")
    )


def wrong_lines():
    """(words of the error, command): mistakes that users make."""
    yield "people.cvs", ["fit", "people.cvs"]
    yield "independant", ["fit", "people.csv", "--family", "independant"]
    yield "bnis", ["fit", "people.csv", "--family", "independent", "--set", "bnis=3"]
    yield "many", ["fit", "people.csv", "--family", "independent", "--set", "bins=many"]
    yield "--set", ["fit", "people.csv", "--set", "bins=3"]
    yield "soon", ["fit", "people.csv", "--budget", "soon"]
    yield "heigth", ["fit", "people.csv", "--given", "heigth"]
    yield "nubmer", ["fit", "people.csv", "--kind", "age=nubmer"]
    yield "agee", ["fit", "people.csv", "--kind", "agee=number"]
    yield "nothing.ens", ["sample", "nothing.ens"]
    yield "people.csv", ["sample", "people.csv"]
    yield "wieght", ["sample", "people.ens", "--where", "wieght=3"]
    yield "300", ["sample", "people.ens", "--where", "age=300..400"]
    yield "Mael", ["sample", "people.ens", "--where", "sex=Mael"]
    yield ".xlsx", ["sample", "people.ens", "--save", "new.xlsx"]
    yield "no-such", ["sample", "people.ens", "--save", "/proc/no-such/new.csv"]
    yield "age", ["score", "people.ens", "few.csv"]
    yield "empty.csv", ["score", "people.ens", "empty.csv"]
    yield "header.csv", ["fit", "header.csv"]
    yield "nowhere", ["resume", "nowhere"]
    yield "adlut", ["show", "sample:adlut"]
    yield "mixtrue", ["show", "mixtrue"]
    yield "split", ["compare", "people.csv", "--split-column", "split"]
    yield "Female", ["compare", "people.csv", "--split-column", "sex"]


@pytest.mark.parametrize(
    ("words", "command"), list(wrong_lines()), ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_mistakes_are_told_in_four_parts_without_a_traceback(ask, folder, words, command):
    (folder / "few.csv").write_text("height,sex\n170,Male\n160,Female\n")
    (folder / "empty.csv").write_text("")
    (folder / "header.csv").write_text("a,b\n")
    before = sorted(folder.rglob("*"))
    code, out, err = ask(*command)
    assert code == 1 and out == "", err
    told = err[err.index("error: ") :]
    assert words in told
    assert all(f"\n  {part}" in told for part in ("where:", "seen:", "fix:")), err
    assert "Traceback" not in err and "should not happen" not in err
    assert sorted(folder.rglob("*")) == before, "something was left behind"


def test_errors_as_json(ask):
    code, out, _ = ask("sample", "nothing.ens", "--json")
    assert code == 1 and set(json.loads(out)["error"]) == {"rule", "place", "seen", "fix"}


def test_debug_shows_the_traceback(ask):
    code, _, err = ask("sample", "nothing.ens", "--debug")
    assert code == 1 and "Traceback" in err and "FormatError" in err


def test_a_mistake_of_ours_is_called_one(ask, monkeypatch):
    def broken(*arguments, **more):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(en.Model, "sample", broken)
    code, _, err = ask("sample", "people.ens")
    assert code == 1 and "should not happen" in err and "oops" in err and "--debug" in err


def test_what_libraries_print_does_not_reach_the_answer(ask, monkeypatch):
    def loud(*arguments, **more):
        print("[LightGBM] [Info] chatter")
        return np.zeros(2)

    monkeypatch.setattr(en.Model, "anomaly_score", loud)
    code, out, err = ask("score", "people.ens", "others.csv", "--anomaly", "--json")
    assert code == 0 and json.loads(out)["rows"] == 2 and "chatter" in err


def process_of(*arguments, **more):
    return subprocess.Popen(
        [sys.executable, "-m", "ensample", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def test_a_closed_pipe_is_no_error(folder):
    process = process_of("sample", "people.ens", "-n", 5_000, cwd=folder)
    assert process.stdout.readline().startswith("id,")
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 141 and err == ""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_says_how_to_go_on(folder, tmp_path):
    process = process_of("fit", "sample:adult", "--budget", "5m", "--out", tmp_path / "run", cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "run.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert f"ensample resume {tmp_path / 'run'}" in err and "Traceback" not in err and out == ""


def test_a_table_of_conditions_makes_a_record_for_each_row(ask, folder):
    (folder / "wishes.csv").write_text("sex,age\nMale,30\nFemale,40\nMale,50\n")
    code, out, err = ask("sample", "people.ens", "--where", "@wishes.csv", "--seed", 1)
    assert code == 0, err
    assert [(row["sex"], row["age"]) for row in table(out)] == [("Male", "30"), ("Female", "40"), ("Male", "50")]
    assert ask("sample", "people.ens", "--where", "@wishes.csv", "--where", "age=3")[0] == 1
    assert ask("sample", "people.ens", "--where", "@wishes.csv", "-n", 2)[0] == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told(folder):
    line = [sys.executable, "-m", "ensample", "sample", "people.ens"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(line, cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "No space left" in done.stderr and "Traceback" not in done.stderr


def test_a_process_that_tells_an_error_ends_with_its_code(folder):
    (folder / "ragged.csv").write_text("a,b\n1,2\n3\n")
    for _ in range(3):
        done = process_of("fit", "ragged.csv", cwd=folder)
        _, err = done.communicate()
        assert done.returncode == 1 and "line 3" in err and "terminate" not in err


def test_a_killed_fit_goes_on_from_its_folder_alone(folder, tmp_path):
    """Named by a relative path, killed with -9, resumed from another folder."""
    more = ["--family", "autoregressive", "--budget", "60 steps", "--seed", 1]
    whole = process_of("fit", "people.csv", *more, "--save", tmp_path / "whole.ens", cwd=folder)
    assert whole.wait() == 0, whole.stderr.read()
    killed = process_of("fit", "people.csv", *more, "--out", tmp_path / "run", cwd=folder)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "run.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    resumed = process_of("resume", "run", cwd=tmp_path)
    _, err = resumed.communicate()
    whole.communicate()
    assert resumed.returncode == 0, err
    one, other = en.load(tmp_path / "whole.ens"), en.load(tmp_path / "run" / "model.ens")
    assert np.array_equal(one.log_prob(folder / "others.csv"), other.log_prob(folder / "others.csv"))
