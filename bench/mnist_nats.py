"""Nats of binarised MNIST: how well a family tells the 10,000 test pictures after so much time.

    python bench/mnist_nats.py --network pixelcnn --binarised threshold --budget 600s

`threshold` takes pixels above one half; `bernoulli` draws each pixel once, with a fixed seed, with its grey level as
probability (as Salakhutdinov and Murray 2008). Published, after hours of learning, on such draws: MADE 84.9 to 88
(Germain et al. 2015), VAE about 87, PixelCNN 81.3 (van den Oord et al. 2016). Time is that of the wall, or with `--cpu`
that of the processor, which other work on the machine disturbs less. The last line is JSON: nats of the test pictures,
with its standard error, and the curve of held-out nats against seconds.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch

from ensample.budget import Budget, Clock
from ensample.events import Continuous, Lattice
from ensample.families import TABLE
from ensample.families.options import build
from ensample.kinds.images import Images
from ensample.run import Progress, Run
from ensample.train import learn
from pictures import mnist
from processor import ProcessorClock

ROWS: dict[str, tuple[str, dict[str, str]]] = {
    "pixelcnn": ("image-autoregressive", {}),
    "made": (
        "image-autoregressive",
        {"network": "made", "batch_size": "128", "dropout": "0.3"},
    ),
    "lstm": ("image-autoregressive", {"network": "lstm"}),
    "vae": ("image-vae", {}),
}
"""Family and options by the name of the row."""
BINARY = Continuous(Lattice(0, 1, 0.5, 0.5), (1, 28, 28))


def binarised(part: str, how: str) -> Images:
    """MNIST with two levels, [rows, 1, 28, 28]."""
    grey = np.asarray(mnist(part).table)
    if how == "threshold":
        return Images(BINARY, (grey > 127).astype(np.uint8))
    rng = np.random.default_rng({"train": 0, "test": 1}[part])
    return Images(BINARY, (255 * rng.random(grey.shape) < grey).astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="pixelcnn", choices=sorted(ROWS))
    parser.add_argument("--binarised", default="threshold", choices=["threshold", "bernoulli"])
    parser.add_argument("--budget", default="600s")
    parser.add_argument("--set", nargs="*", default=[], help="options of the family, NAME=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test", type=int, default=10_000, help="test pictures that are scored, the first ones")
    parser.add_argument("--cpu", action="store_true", help="count the processor's seconds")
    options = parser.parse_args()
    name, settings = ROWS[options.network]
    family = build(TABLE[name], settings | dict(text.split("=", 1) for text in options.set))
    curve: list[tuple[float, float]] = []
    clock = (ProcessorClock if options.cpu else Clock)(Budget.parse(options.budget))

    def report(progress: Progress) -> None:
        if progress.loss is not None and clock.seconds >= (curve[-1][0] * 1.15 + 1 if curve else 0):
            curve.append((round(clock.seconds, 1), round(progress.loss, 2)))
            print(
                f"{clock.seconds:6.0f} s  held out {progress.loss:.2f}  {progress.rate or 0:.0f} pictures/s", flush=True
            )

    began = time.perf_counter()
    model = learn(family, binarised("train", options.binarised), options.seed, Run(clock, report=report))
    seconds = time.perf_counter() - began
    nats = -model.log_prob(binarised("test", options.binarised).batch(slice(0, options.test))).numpy()  # type: ignore[attr-defined]
    result = {
        "bench": "mnist_nats",
        "network": options.network,
        "binarised": options.binarised,
        "options": settings | dict(text.split("=", 1) for text in options.set),
        "nats": round(float(nats.mean()), 3),
        "test": len(nats),
        "standard_error": round(float(nats.std() / len(nats) ** 0.5), 3),
        "guarantee": model.guarantees["log_prob"],
        "weights": sum(p.numel() for p in model.parameters()),  # type: ignore[attr-defined]
        "budget": options.budget + (" of the processor" if options.cpu else ""),
        "seconds": round(seconds, 1),
        "threads": torch.get_num_threads(),
        "seed": options.seed,
        "curve": curve,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
