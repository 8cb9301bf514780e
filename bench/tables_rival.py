"""One rival in an interpreter of its own: learns from a CSV, writes a CSV, prints its times (see `tables.py`)."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import pandas as pd


def mostlyai(train: pd.DataFrame, rows: int) -> tuple[Callable[[], object], Callable[[], pd.DataFrame]]:
    from mostlyai.engine import TabularARGN

    model = TabularARGN(enable_flexible_generation=False, random_state=0, verbose=0)
    return lambda: model.fit(train), lambda: model.sample(n_samples=rows)


def arfpy(train: pd.DataFrame, rows: int) -> tuple[Callable[[], object], Callable[[], pd.DataFrame]]:
    from arfpy import arf

    train = train.sample(min(len(train), 10_000), random_state=0)  # more takes many minutes
    for name in train:
        if pd.api.types.is_numeric_dtype(train[name]):
            train[name] = train[name].fillna(train[name].median())  # it has no missing values
        else:
            train[name] = train[name].fillna("missing")
    state: dict[str, object] = {}

    def fit() -> None:
        state["model"] = model = arf.arf(x=train.reset_index(drop=True))
        model.forde()

    return fit, lambda: state["model"].forge(n=rows)


def gaussian_copula(train: pd.DataFrame, rows: int) -> tuple[Callable[[], object], Callable[[], pd.DataFrame]]:
    from sdv.metadata import Metadata
    from sdv.single_table import GaussianCopulaSynthesizer

    model = GaussianCopulaSynthesizer(Metadata.detect_from_dataframes({"table": train}))

    def sample() -> pd.DataFrame:
        made = model.sample(rows)
        return made["table"] if isinstance(made, dict) else made

    return lambda: model.fit({"table": train}), sample


RIVALS = {"mostlyai": mostlyai, "arfpy": arfpy, "gaussian-copula": gaussian_copula}


def main() -> None:
    name, source, target, rows = sys.argv[1:]
    fit, sample = RIVALS[name](pd.read_csv(source), int(rows))
    began, cpu = time.perf_counter(), time.process_time()
    fit()
    fitted, fitted_cpu = time.perf_counter(), time.process_time()
    made = sample()
    times = {"fit s": fitted - began, "fit cpu s": fitted_cpu - cpu, "sample s": time.perf_counter() - fitted}
    made.to_csv(target, index=False)
    print(json.dumps(times))


if __name__ == "__main__":
    main()
