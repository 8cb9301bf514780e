"""A mixture over natural patches of 8 by 8 pixels: nats of held-out patches, and noise taken from them.

`image-patches` and scikit-learn's GaussianMixture of as many full components learn from the same patches (the latter
with a uniform number added to each level, since it knows no cells). Both are scored alike: the density of the test
patches' cells at the same eleven places inside each cell, averaged. Then noise of deviation 25 is added to the test
patches and taken away by both, each as its own most probable component says; 10 log10(255^2 / error) is in dB.
Run with OMP_NUM_THREADS=1. Ends with one JSON line; without scikit-learn's turn (`--alone`) it says so.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from typing import Any

import numpy as np
import torch
from sklearn.mixture import GaussianMixture

from ensample.budget import Budget, Clock
from ensample.families.images.patches import ImagePatches
from ensample.families.images.patches.restoration import wiener
from ensample.families.mixture.components import Components
from ensample.families.quadrature import POINTS, lattice_rule
from ensample.run import Run
from ensample.train import learn
from pictures import patches

NOISE = 25.0


def decibels(made: np.ndarray, clean: np.ndarray) -> float:
    """Peak signal to noise ratio."""
    return 10 * math.log10(255**2 / float(np.square(made - clean).mean()))


def ours(train: Any, test: Any, noisy: np.ndarray, options: argparse.Namespace) -> dict[str, float]:
    """Figures of the family."""
    began = time.process_time()
    family = ImagePatches(components=options.components, patches=options.rows)
    model = learn(family, train, 0, Run(Clock(Budget.parse(options.budget))))
    fitted = time.process_time() - began
    nats = model.log_prob(test.batch()).mean()
    clean = model.denoise(torch.from_numpy(noisy).view(-1, 1, 8, 8), NOISE).numpy().reshape(-1, 64)
    return {"nats": round(float(nats), 3), "dB": round(decibels(clean, flat(test)), 3), "cpu seconds": round(fitted, 1)}


def rival(train: Any, test: Any, noisy: np.ndarray, options: argparse.Namespace) -> dict[str, float]:
    """Figures of scikit-learn's mixture."""
    rows = flat(train)[: options.rows] + np.random.default_rng(0).uniform(
        -0.5, 0.5, (min(options.rows, len(train)), 64)
    )
    began = time.process_time()
    model = GaussianMixture(options.components, reg_covar=1e-2, max_iter=options.iterations, random_state=0)
    model.fit(rows)
    fitted = time.process_time() - began
    terms = [model.score_samples(flat(test) + shift) for shift in lattice_rule(POINTS, 64).numpy()]
    nats = np.logaddexp.reduce(terms, 0) - math.log(POINTS)
    own = Components(
        *(torch.from_numpy(each) for each in (np.log(model.weights_), model.means_, model.covariances_)), {}, {}
    )
    x = y = torch.from_numpy(noisy)
    for strength in (1, 4, 8, 16, 32):
        b = strength / NOISE**2
        x = (y / NOISE**2 + b * wiener(own, x, 1 / b)) / (1 / NOISE**2 + b)
    made = decibels(x.numpy(), flat(test))
    return {"nats": round(float(nats.mean()), 3), "dB": round(made, 3), "cpu seconds": round(fitted, 1)}


def flat(records: Any) -> np.ndarray:
    """Levels [rows, 64] float64."""
    return np.asarray(records.table).reshape(len(records), -1).astype(np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--components", type=int, default=32)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--tested", type=int, default=2_000)
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--alone", action="store_true", help="without scikit-learn's turn")
    options = parser.parse_args()
    train, test = patches().select(slice(0, options.rows)), patches("test").select(slice(0, options.tested))
    noisy = flat(test) + NOISE * np.random.default_rng(1).standard_normal((len(test), 64))
    results: dict[str, Any] = {
        "noisy dB": round(decibels(noisy, flat(test)), 3),
        "ours": ours(train, test, noisy, options),
    }
    print(json.dumps(results), flush=True)
    results["scikit-learn"] = "not run" if options.alone else rival(train, test, noisy, options)
    print(json.dumps({"bench": "patches", "components": options.components, "rows": len(train), **results}))


if __name__ == "__main__":
    main()
