"""Twenty iterations of EM for hidden Markov models against hmmlearn, from the same start, without priors.

1,000 sequences of 200 steps, 10 states; emissions Gaussian (diagonal, full) in 4 dimensions, and categorical with 20
classes. Both run on one thread in turn, `REPEATS` times; the least processor time of each counts. hmmlearn runs its
"scaling" implementation, the faster of its two. The log-likelihood before every iteration must agree to 1e-6 of its
size.

    python bench/hmm.py --rival-python /path/to/venv/bin/python

prints a line a case and, at the end, one JSON line. Without a rival it prints its own times and says so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from ensample.families.markov.em import Fit, fit_categorical, fit_gaussian

SEQUENCES, STEPS, STATES, WIDTH, CLASSES = 1_000, 200, 10, 4, 20
ITERATIONS, REPEATS = 20, 2
RIVAL = Path(__file__).with_name("hmm_rival.py")


def hidden(rng: np.random.Generator) -> np.ndarray:
    """States [sequences, steps] of a chain that tends to stay."""
    moves = 0.7 * np.eye(STATES) + 0.3 * rng.dirichlet(np.ones(STATES), STATES)
    states = np.empty((SEQUENCES, STEPS), np.int64)
    states[:, 0] = rng.integers(STATES, size=SEQUENCES)
    for t in range(1, STEPS):
        u = rng.random((SEQUENCES, 1))
        states[:, t] = (moves.cumsum(1)[states[:, t - 1]] < u).sum(1).clip(max=STATES - 1)
    return states


def common(rng: np.random.Generator) -> dict[str, np.ndarray]:
    start = {"start": np.full(STATES, 1 / STATES), "transitions": rng.dirichlet(np.full(STATES, 5.0), STATES)}
    return {**start, "lengths": np.full(SEQUENCES, STEPS)}


def gaussian(covariance: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    states = hidden(rng).ravel()
    means, mixing = rng.normal(size=(STATES, WIDTH)) * 2, rng.normal(size=(STATES, WIDTH, WIDTH)) / 2
    noise = rng.normal(size=(len(states), WIDTH))
    x = means[states] + np.einsum("nij,nj->ni", mixing[states], noise) + 0.3 * rng.normal(size=noise.shape)
    first = x[rng.choice(len(x), STATES, replace=False)]
    variances = np.tile(x.var(0), (STATES, 1))
    spread = variances if covariance == "diagonal" else np.stack([np.diag(v) for v in variances])
    return {**common(rng), "x": x, "means": first, "covariances": spread, "covariance": np.array(covariance)}


def categorical() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    states = hidden(rng).ravel()
    table = rng.dirichlet(np.full(CLASSES, 0.3), STATES)
    x = (table.cumsum(1)[states] < rng.random((len(states), 1))).sum(1).clip(max=CLASSES - 1)
    return {**common(rng), "x": x[:, None], "emissions": rng.dirichlet(np.full(CLASSES, 2.0), STATES)}


def own(data: dict[str, np.ndarray]) -> Fit:
    shared = (data["lengths"], data["start"], data["transitions"])
    if "means" in data:
        covariance = str(data["covariance"])
        return fit_gaussian(data["x"], *shared, data["means"], data["covariances"], covariance, ITERATIONS)
    return fit_categorical(data["x"][:, 0], *shared, data["emissions"], ITERATIONS)


def rival(python: str, data: dict[str, np.ndarray]) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        np.savez(path, **data)
        told = subprocess.run([python, str(RIVAL), str(path), str(ITERATIONS)], check=True, capture_output=True)
        return json.loads(told.stdout)


def compared(data: dict[str, np.ndarray], python: str | None) -> dict[str, object]:
    mine, theirs, trace, history = [], [], (), []
    for _ in range(REPEATS):
        began = time.process_time()
        trace = own(data).log_likelihood
        mine.append(time.process_time() - began)
        if python is not None:
            told = rival(python, data)
            theirs.append(told["seconds"])
            history = told["history"]
    facts: dict[str, object] = {"seconds": round(min(mine), 3), "log_likelihood": trace[-1]}
    if python is not None:
        apart = float(np.max(np.abs(np.array(trace) / np.array(history) - 1)))
        facts |= {"hmmlearn": round(min(theirs), 3), "ratio": round(min(theirs) / min(mine), 2)}
        facts |= {"apart": apart, "same": apart < 1e-6}
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rival-python", default=None, help="interpreter of an environment with hmmlearn")
    parser.add_argument("cases", nargs="*", help="diagonal, full, categorical (default: all)")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    cases = {"diagonal": lambda: gaussian("diagonal"), "full": lambda: gaussian("full"), "categorical": categorical}
    found = {}
    for name in args.cases or cases:
        found[name] = compared(cases[name](), args.rival_python)
        print(name, found[name], flush=True)
    if args.rival_python is None:
        print("hmmlearn was not run: name an interpreter that has it with --rival-python")
    work = {"sequences": SEQUENCES, "steps": STEPS, "states": STATES, "iterations": ITERATIONS}
    print(json.dumps({"bench": "hmm", **work, "cases": found}))


if __name__ == "__main__":
    main()
