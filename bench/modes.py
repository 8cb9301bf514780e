"""Twenty-five Gaussians on a grid: which modes a family finds, and how many of its samples lie at one.

    python bench/modes.py --families field gan --budget 60s

Each family learns from 100,000 points (spacing 2, standard deviation 0.05) and makes 25,000. `modes`: means with at
least a fifth of their share of the samples close by. `within`: share of the samples no more than 3 standard deviations
from the nearest mean in either direction (99.46 % of the truth is); `radius`: the same by distance (98.89 %).
`uneven`: relative entropy of the counts of modes from equal counts, nats. `spread`: standard deviation of the close
samples over the true one. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

import ensample as en
from ensample.data.toys import TOYS
from ensample.families.options import build

SPACING, WIDTH, SIDE = 2.0, 0.05, 5
MADE = 25_000


def judged(points: np.ndarray) -> dict[str, float]:
    """Measures of points [rows, 2]."""
    place = np.clip(np.rint(points / SPACING), -(SIDE // 2), SIDE // 2)
    away = np.abs(points - SPACING * place) / WIDTH
    close = (away <= 3).all(1)
    mode = ((place + SIDE // 2) @ [SIDE, 1]).astype(int)
    counts = np.bincount(mode[close], minlength=SIDE**2)
    share = np.maximum(counts, 1e-9) / max(1, counts.sum())
    return {
        "modes": int((counts >= 0.2 * len(points) / SIDE**2).sum()),
        "within": float(close.mean()),
        "radius": float((np.hypot(*away.T) <= 3).mean()),
        "uneven": float((share * np.log(share * SIDE**2)).sum()),
        "spread": float(np.sqrt((away[close] ** 2).mean())) if close.any() else float("nan"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=["field", "gan"])
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--set", nargs="*", default=[], help="options of the family, NAME=VALUE")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    settings = dict(text.split("=", 1) for text in options.set)
    toy = TOYS["25gaussians"]
    results: dict[str, dict[str, float]] = {"truth": judged(toy.draw(MADE, seed=1))}
    print("truth", results["truth"], flush=True)
    points = toy.draw(options.rows, seed=0)
    train = en.read({"x": points[:, 0], "y": points[:, 1]})
    for name in options.families:
        began, cpu = time.perf_counter(), time.process_time()
        model = en.fit(train, build(en.families.TABLE[name], settings), budget=options.budget, seed=options.seed)
        fitted, fitted_cpu = time.perf_counter(), time.process_time()
        made = model.sample(MADE, seed=1).to_pandas()[["x", "y"]].to_numpy()
        times = {"fit s": fitted - began, "fit cpu s": fitted_cpu - cpu, "sample s": time.perf_counter() - fitted}
        results[name] = {key: round(value, 4) for key, value in {**judged(made), **times}.items()}
        print(name, results[name], flush=True)
    print(json.dumps({"bench": "modes", "budget": options.budget, "results": results}))


if __name__ == "__main__":
    main()
