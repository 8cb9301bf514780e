"""Families that predict any column from any set of others, on diamonds: bits in random order, and their samples.

    python bench/any_order.py --families boosted autoregressive

`random` is the log2 loss of held-out rows when each row's columns are predicted in an order of its own; `given` the
loss in the order of the file; `c2st` the AUC of a boosted judge on 10,000 rows made in one pass. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch

import ensample as en
from ensample.events import Batch
from ensample.families.chain import Chain, Seen
from tables import diamonds, two_sample

FAMILIES = {
    "boosted": lambda: en.families.Boosted(any_order=True),
    "autoregressive": lambda: en.families.Autoregressive(any_order=True),
}


def bits_in_random_order(chain: Chain, batch: Batch, seed: int) -> float:
    """Mean log2 loss of rows whose spans are predicted in a random order each."""
    spans = len(chain.event)
    place = torch.from_numpy(np.random.default_rng(seed).random((len(batch), spans)).argsort(1).argsort(1))
    total = torch.zeros(len(batch), dtype=torch.float64)
    for j in range(spans):
        seen = Seen(batch.cells, (place < place[:, j : j + 1]) & batch.mask, batch.cond)
        rows = batch.mask[:, j].nonzero()[:, 0]
        index = chain.bins[j].index(batch.cells[rows, j])
        score = chain.score(j, index, seen.take(rows)) + chain.bins[j].log_inside(batch.cells[rows, j], index)
        total[rows] += score
    return float(-total.mean() / np.log(2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--budget", default="60s")
    options = parser.parse_args()
    table, results = diamonds(), {}
    train, test = en.read(table.train), en.read(table.test)
    for name in options.families:
        began, cpu = time.perf_counter(), time.process_time()
        model = en.fit(train, FAMILIES[name](), budget=options.budget)
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        batch = model.codec.encode(test).batch()
        made = model.sample(10_000, seed=1).to_pandas()
        results[name] = {
            "random": round(bits_in_random_order(model.distribution, batch, 0), 3),
            "given": round(float(-model.log_prob(test).mean() / np.log(2)), 3),
            "c2st": round(two_sample(table.test, made), 3),
            "fit s": round(wall, 1),
            "fit cpu s": round(cpu, 1),
        }
        print(name, results[name], flush=True)
    print(json.dumps({"bench": "any_order", "table": "diamonds", "results": results}))


if __name__ == "__main__":
    main()
