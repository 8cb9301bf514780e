"""Where a circuit of tables falls behind boosted digits, column by column, and what Gaussian leaves over warps regain.

Learns the same training rows with: a hidden Chow-Liu tree whose leaves are all tables over bins (64 states a column);
a mixture of products of the same leaves; `circuit` as it comes; `boosted`. Prints the log2 loss of held-out rows by
column (each given the columns before it in the file), then samples of each against held-out rows:

    python bench/circuit.py diamonds
    python bench/circuit.py adult --models circuit boosted

Every figure is of this process and on one thread if the environment says so. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import torch

import ensample as en
from ensample.events import Batch
from ensample.infer.likelihood import cell_log_prob
from tables import MADE, TABLES, Table, two_sample, utility

NO_GRAIN = 1e12

MODELS: dict[str, Any] = {
    "hidden tree of tables": lambda: en.families.Circuit(states=64, tree=True, grain=NO_GRAIN),
    "mixture of tables": lambda: en.families.Circuit(states=128, tree=False, grain=NO_GRAIN),
    "circuit": lambda: en.families.Circuit(),
    "boosted": lambda: en.families.Boosted(),
}

ROWS = 1_000
"""Held-out rows that the loss by column is taken on: sums over unknown contexts cost more than whole rows."""


def bits_by_column(model: Any, batch: Batch) -> dict[str, float]:
    """Mean log2 loss of each column given those before it; a column's states are counted with it."""
    losses: dict[str, float] = {}
    before = 0.0
    for j, span in enumerate(model.distribution.event.spans):
        mask = batch.mask.clone()
        mask[:, j + 1 :] = False
        prefix = Batch(torch.where(mask, batch.cells, 0), mask)
        here = float(-cell_log_prob(model.distribution, prefix).mean() / np.log(2))
        name = span.name.split(":")[0]
        losses[name] = round(losses.get(name, 0.0) + here - before, 3)
        before = here
    return losses


def measured(table: Table, name: str) -> dict[str, Any]:
    """Fit one model; bits, bits by column, two-sample AUC, utility, seconds."""
    train, test = en.read(table.train), en.read(table.test)
    began, cpu = time.perf_counter(), time.process_time()
    model = en.fit(train, family=MODELS[name](), budget="20m", seed=0)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    made = model.sample(MADE, seed=0).to_pandas()[table.test.columns].reset_index(drop=True)
    real = table.test.reset_index(drop=True)
    return {
        "bits": round(float(-np.mean(model.log_prob(test)) / np.log(2)), 3),
        "c2st": round(two_sample(real, made), 3),
        **{key: round(value, 3) for key, value in (utility(made, real, target) for target in table.targets)},
        "fit s": round(wall, 1),
        "fit cpu s": round(cpu, 1),
        "columns": bits_by_column(model, model.codec.encode(test).batch(slice(0, ROWS))),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("table", choices=list(TABLES))
    options.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    chosen = options.parse_args()
    table = TABLES[chosen.table]()
    results = {}
    for name in chosen.models:
        results[name] = measured(table, name)
        print(name, results[name], flush=True)
    print(json.dumps({"bench": "circuit", "table": chosen.table, "made": MADE, "results": results}))


if __name__ == "__main__":
    main()
