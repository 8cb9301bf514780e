"""hmmlearn on the data of `bench/hmm.py`, in an interpreter of its own: prints seconds and log-likelihoods as JSON."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from hmmlearn.hmm import CategoricalHMM, GaussianHMM


def gaussian(data, implementation: str, iterations: int):
    kind = str(data["covariance"])
    model = GaussianHMM(
        len(data["start"]),
        "diag" if kind == "diagonal" else kind,
        min_covar=0.0,
        startprob_prior=1.0,
        transmat_prior=1.0,
        means_weight=0.0,
        covars_prior=0.0,
        covars_weight=1.0 if kind == "diagonal" else 0.0,  # both mean: no prior
        n_iter=iterations,
        tol=-np.inf,
        init_params="",
        implementation=implementation,
    )
    model.means_, model.covars_ = data["means"], data["covariances"]
    return model


def categorical(data, implementation: str, iterations: int):
    model = CategoricalHMM(
        len(data["start"]), n_iter=iterations, tol=-np.inf, init_params="", implementation=implementation
    )
    model.emissionprob_, model.n_features = data["emissions"], data["emissions"].shape[1]
    return model


def main() -> None:
    data, iterations = np.load(sys.argv[1]), int(sys.argv[2])
    model = (gaussian if "means" in data else categorical)(data, "scaling", iterations)
    model.startprob_, model.transmat_ = data["start"], data["transitions"]
    began = time.process_time()
    model.fit(data["x"], data["lengths"])
    print(json.dumps({"seconds": time.process_time() - began, "history": list(model.monitor_.history)}))


if __name__ == "__main__":
    main()
