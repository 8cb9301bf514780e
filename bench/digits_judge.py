"""The fixed judge of digits: a small network that knows MNIST, and the numbers that are taken with it.

    python bench/digits_judge.py --cache build/judge

trains it once (about 75 s of one thread), keeps its weights in the folder `--cache` and prints how good it is and
what real pictures get. Other scripts take it as

    from digits_judge import load_judge

    judge = load_judge(cache)                      # trains only if the folder has no weights
    judge.frechet(samples)                         # uint8 [n, 28, 28, 1] or [n, 28, 28], against the 10,000 test digits
    judge.accuracy(samples, wanted)                # share whose class is the wanted one
    judge.floor(len(samples))                      # the distance that as many real training digits have

It is the judge's own extractor (`ensample.judge.images.own`) with more pictures seen, so weights depend on the seed
and the kind of processor alone; `judge.hash` names them and belongs beside every number.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import nn

from ensample.judge.images.convnet import ConvNet
from ensample.judge.images.extractor import Labelled
from ensample.judge.images.frechet import Gaussian, frechet_distance
from ensample.judge.images.own import Prepare, own

DATA = Path(os.environ.get("ENSAMPLE_DATA", Path(__file__).parents[2] / "shared" / "data"))
CACHE = Path(tempfile.gettempdir()) / "ensample-digits-judge"
SEEN, SEED, TRAINED = 180_000, 0, 55_000
"""Pictures seen in training; the last 5,000 training digits are never shown to the network, they make the floor."""


class DigitsJudge:
    """The network with the digits that it compares to. `extractor` is an `ensample` extractor with logits."""

    def __init__(self, extractor: Labelled, digits: dict[str, np.ndarray]) -> None:
        self.extractor, self.digits, self.hash = extractor, digits, extractor.hash

    @cached_property
    def test(self) -> Gaussian:
        """Mean and covariance of the features of the 10,000 test digits."""
        return Gaussian.of(self.extractor.features(self.digits["x_test"]))

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """float32 [n, 128]."""
        return self.extractor.features(picture_array(pictures))

    def frechet(self, samples: np.ndarray, reference: np.ndarray | None = None) -> float:
        """Frechet distance of samples to reference pictures, the test digits if None."""
        real = self.test if reference is None else Gaussian.of(self.features(reference))
        return frechet_distance(Gaussian.of(self.features(samples)), real)

    def floor(self, count: int) -> float:
        """The distance of so many training digits to the test digits; those that the network never saw come first."""
        unseen = np.r_[TRAINED : len(self.digits["x_train"]), :TRAINED][:count]
        return self.frechet(self.digits["x_train"][unseen])

    def classes(self, samples: np.ndarray) -> np.ndarray:
        """Which digit each picture shows, [n]."""
        return self.extractor.logits(self.features(samples)).argmax(1)

    def accuracy(self, samples: np.ndarray, wanted: np.ndarray) -> float:
        """Share of pictures that show the wanted digit."""
        return float((self.classes(samples) == np.asarray(wanted).astype(int)).mean())

    def shares(self, samples: np.ndarray) -> np.ndarray:
        """Share of each digit among the pictures, [10]."""
        return np.bincount(self.classes(samples), minlength=10) / len(samples)


def load_judge(cache: str | Path | None = None) -> DigitsJudge:
    """The judge, from the weights in the folder `cache`, or trained now and kept there."""
    with np.load(DATA / "mnist.npz") as store:
        digits = {k: picture_array(v) if v.ndim == 3 else v for k, v in store.items()}
    path = Path(cache or CACHE) / f"digits-{SEEN}-{SEED}.safetensors"
    if path.exists():
        return DigitsJudge(_read(path), digits)
    x, y = digits["x_train"][:TRAINED], digits["y_train"][:TRAINED]
    extractor = own(x, y, seen=SEEN, seed=SEED, precision="bfloat16", name="digits")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    save_file({k: np.ascontiguousarray(v) for k, v in extractor.weights.items()}, part)
    part.replace(path)
    return DigitsJudge(extractor, digits)


def _read(path: Path) -> Labelled:
    weights = {k: torch.from_numpy(v) for k, v in load_file(path).items()}
    body, head = ConvNet(28, 28, 1), nn.Linear(128, 10)
    head.load_state_dict({k: weights.pop(f"head.{k}") for k in ("weight", "bias")})
    body.load_state_dict(weights)
    prepare = Prepare((28, 28, 1))
    return Labelled("digits", body, head, tuple("0123456789"), prepare, prepare.words)


def picture_array(pictures: np.ndarray) -> np.ndarray:
    """uint8 [n, 28, 28, 1] from that or [n, 28, 28]."""
    return pictures[..., None] if pictures.ndim == 3 else pictures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", default=str(CACHE))
    cache = parser.parse_args().cache
    start, clock = time.perf_counter(), time.process_time()
    judge = load_judge(cache)
    seconds, cpu = time.perf_counter() - start, time.process_time() - clock
    x, y = judge.digits["x_test"], judge.digits["y_test"]
    floors = {str(n): round(judge.floor(n), 4) for n in (1_000, 2_000, 5_000, 10_000)}
    noise = np.random.default_rng(0).integers(0, 256, (2_000, 28, 28, 1), dtype=np.uint8)
    figures = {
        "judge": judge.hash,
        "accuracy on test digits": round(judge.accuracy(x, y), 4),
        "real training digits against test digits": floors,
        "noise": round(judge.frechet(noise), 2),
        "seconds": round(seconds, 1),
        "cpu seconds": round(cpu, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
