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


def words(train: pd.DataFrame) -> list[str]:
    return [name for name in train if not pd.api.types.is_numeric_dtype(train[name])]


def forest(train: pd.DataFrame, rows: int) -> tuple[Callable[[], object], Callable[[], pd.DataFrame]]:
    """Flow matching by gradient boosting (Jolicoeur-Martineau et al. 2024), few noise levels, on 4,000 rows."""
    import numpy as np
    from ForestDiffusion import ForestDiffusionModel

    train = train.sample(min(len(train), 4_000), random_state=0).reset_index(drop=True)
    levels = {name: train[name].astype("category").cat.categories for name in words(train)}
    coded = pd.DataFrame(
        {
            name: train[name].astype("category").cat.codes.replace(-1, np.nan) if name in levels else train[name]
            for name in train
        }
    )
    state: dict[str, object] = {}

    def fit() -> None:
        state["model"] = ForestDiffusionModel(
            np.array(coded, dtype=float),
            n_t=10,
            duplicate_K=10,
            n_estimators=50,
            bin_indexes=[],
            cat_indexes=[coded.columns.get_loc(name) for name in levels],
            int_indexes=[
                coded.columns.get_loc(name)
                for name in coded
                if name not in levels and (coded[name].dropna() % 1 == 0).all()
            ],
            diffusion_type="flow",
            n_jobs=1,
        )

    def sample() -> pd.DataFrame:
        made = pd.DataFrame(state["model"].generate(batch_size=rows), columns=coded.columns)
        for name, values in levels.items():
            codes = made[name].round().fillna(-1).clip(-1, len(values) - 1).astype(int)
            made[name] = pd.Categorical.from_codes(codes, values).astype(object)
        return made

    return fit, sample


def smote(train: pd.DataFrame, rows: int) -> tuple[Callable[[], object], Callable[[], pd.DataFrame]]:
    """SMOTE-NC doubles the rows of a made-up class; the new ones are the sample. It has no missing values."""
    from imblearn.over_sampling import SMOTE, SMOTENC

    names = words(train)
    for name in train:
        train[name] = train[name].fillna("missing" if name in names else train[name].median())
    few = train.sample(min(len(train), rows), random_state=0)
    both = pd.concat([few, pd.concat([few] * 3)[: 2 * len(few) + rows - len(few)]], ignore_index=True)
    label = [1] * len(few) + [0] * (len(both) - len(few))
    settings = {"random_state": 0, "sampling_strategy": {1: len(few) + rows, 0: len(both) - len(few)}}
    sampler = SMOTENC(names, **settings) if names else SMOTE(**settings)
    return lambda: None, lambda: sampler.fit_resample(both, label)[0][len(both) :][:rows]


RIVALS = {
    "mostlyai": mostlyai,
    "arfpy": arfpy,
    "gaussian-copula": gaussian_copula,
    "forest-flow": forest,
    "imblearn-smote": smote,
}


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
