"""Fifty iterations of EM for a Gaussian mixture: scikit-learn and ensample in turn, same start, likelihoods compared.

Each side runs in a process of its own, so that its peak of memory is its own. Seconds are CPU seconds of the process
(all threads) and wall seconds, each the median over the repetitions; the ratios are scikit-learn over ensample in the
same precision. Extra memory is the peak of the process less what it held, data included, when the fit began.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Task:
    rows: int
    columns: int
    components: int
    covariance: str
    iterations: int = 50

    def data(self) -> np.ndarray:
        """Clusters of unequal shape, in float64."""
        rng = np.random.default_rng(0)
        means = rng.normal(size=(self.components, self.columns)) * 2
        which = rng.integers(self.components, size=self.rows)
        shapes = rng.normal(size=(self.components, self.columns, self.columns)) * 0.15 + np.eye(self.columns)
        if self.covariance != "full":
            shapes *= np.eye(self.columns)
        x = rng.normal(size=(self.rows, self.columns))
        for j in range(self.components):
            x[which == j] = means[j] + x[which == j] @ shapes[j]
        return x

    def start(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Equal weights, means at random rows, the overall variances."""
        k = self.components
        means = x[np.random.default_rng(1).choice(len(x), k, replace=False)]
        variances = np.tile(x.var(0), (k, 1))
        full = np.stack([np.diag(v) for v in variances])
        return np.full(k, 1 / k), means, full if self.covariance == "full" else variances


def held_out(task: Task, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> float:
    """Mean log-density of 20,000 rows, float64, by scikit-learn."""
    from sklearn.mixture import GaussianMixture
    from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky

    names = {"full": "full", "diagonal": "diag"}
    judge = GaussianMixture(task.components, covariance_type=names[task.covariance])
    judge.weights_, judge.means_, judge.covariances_ = weights, means, covariances
    judge.precisions_cholesky_ = _compute_precision_cholesky(covariances, names[task.covariance])
    return float(judge.score(task.data()[:20_000]))


def rival(task: Task, x: np.ndarray, threads: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    weights, means, covariances = task.start(x)
    full = task.covariance == "full"
    precisions = np.linalg.inv(covariances) if full else 1 / covariances
    model = GaussianMixture(
        task.components,
        covariance_type="full" if full else "diag",
        tol=0.0,
        max_iter=task.iterations,
        weights_init=weights,
        means_init=means,
        precisions_init=precisions,
        init_params="random_from_data",
        random_state=0,
    )
    with threadpool_limits(threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x)
    assert model.n_iter_ == task.iterations
    return model.weights_, model.means_, model.covariances_


def ours(task: Task, x: np.ndarray, threads: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import torch

    from ensample.families.mixture.em import fit_em

    dtype = torch.float32 if x.dtype == np.float32 else torch.float64
    fit = fit_em(x, *task.start(x), task.covariance, task.iterations, dtype, threads=threads)
    return fit.weights.numpy(), fit.means.numpy(), fit.covariances.numpy()


def one(task: Task, side: str, dtype: str, threads: int) -> dict[str, float]:
    """A single timed run in this process."""
    {"rival": _import_rival, "ours": _import_ours}[side]()
    x = task.data().astype(dtype)
    before, reset = _resident(), Path("/proc/self/clear_refs")
    reset.write_text("5")  # forget the peak of making the data
    cpu, wall = time.process_time(), time.perf_counter()
    found = {"rival": rival, "ours": ours}[side](task, x, threads)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    extra = (_resident("VmHWM") - before) / 2**20
    score = held_out(task, *(np.asarray(a, dtype=np.float64) for a in found))
    return {"cpu": cpu, "wall": wall, "extra_gib": extra, "log_likelihood": score}


def _resident(what: str = "VmRSS") -> int:
    """KiB of resident memory now, or at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1])


def _import_rival() -> None:
    import sklearn.mixture  # noqa: F401


def _import_ours() -> None:
    import ensample.families.mixture.em  # noqa: F401


def main(task: Task, script: str) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--one", nargs=2, metavar=("SIDE", "DTYPE"))
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(task, *options.one, options.threads)))
        return
    figures: dict[str, object] = {"bench": Path(script).stem, "threads": options.threads, "iterations": task.iterations}
    for dtype in options.dtypes:
        runs: dict[str, list[dict[str, float]]] = {"rival": [], "ours": []}
        for _ in range(options.repeats):
            for side in runs:
                command = [sys.executable, script, "--threads", str(options.threads), "--one", side, dtype]
                runs[side].append(json.loads(subprocess.check_output(command)))
        middle = {
            side: {key: statistics.median(run[key] for run in found) for key in found[0]}
            for side, found in runs.items()
        }
        gap = abs(middle["rival"]["log_likelihood"] - middle["ours"]["log_likelihood"])
        assert gap < 1e-4, f"not the same likelihood: {middle}"
        ratios = {key: round(middle["rival"][key] / middle["ours"][key], 2) for key in ("cpu", "wall")}
        figures[dtype] = {**middle, "ratio": ratios}
    print(json.dumps(figures))
