"""Toy densities in the plane with known entropy: nats by which each family stays above it.

    python bench/toys.py --families flow autoregressive field vae --budget 60s

Each family learns from 100,000 points (of the definitions of FFJORD) and scores 20,000 others. `gap` is the mean
negative log-density less the entropy, `error` its standard error. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

import ensample as en
from ensample.data.toys import STEP, TOYS
from ensample.families.options import build

NAMES = [name for name in TOYS if name != "25gaussians"]


def table(points: np.ndarray) -> en.Dataset:
    return en.read({"x": points[:, 0], "y": points[:, 1]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=["flow", "autoregressive", "field", "vae"])
    parser.add_argument("--toys", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--set", nargs="*", default=[], help="options of the family, NAME=VALUE")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--test-rows", type=int, default=20_000)
    options = parser.parse_args()
    settings = dict(text.split("=", 1) for text in options.set)
    results: dict[str, dict[str, dict[str, float]]] = {}
    for name in options.families:
        family = build(en.families.TABLE[name], settings)
        for toy in options.toys:
            train, test = (
                table(TOYS[toy].draw(rows, seed)) for seed, rows in ((0, options.rows), (1, options.test_rows))
            )
            began, cpu = time.perf_counter(), time.process_time()
            model = en.fit(train, family, budget=options.budget, seed=0)
            fitted, fitted_cpu = time.perf_counter(), time.process_time()
            nats = -model.log_prob(test) + 2 * np.log(STEP)
            results.setdefault(name, {})[toy] = {
                "gap": round(float(nats.mean()) - TOYS[toy].entropy, 4),
                "error": round(float(nats.std() / len(nats) ** 0.5), 4),
                "fit s": round(fitted - began, 1),
                "fit cpu s": round(fitted_cpu - cpu, 1),
                "score s": round(time.perf_counter() - fitted, 1),
            }
            print(name, toy, results[name][toy], flush=True)
    print(json.dumps({"bench": "toys", "budget": options.budget, "results": results}))


if __name__ == "__main__":
    main()
