"""Does an adversarial network make all ten digits as often as they are met? MNIST, no labels, three seeds.

    python bench/gan_modes_mnist.py --budget 10m

For each seed: fit `image-gan` with its defaults to the training digits, without labels, draw pictures, and count which
digits the fixed judge (`digits_judge.py`) sees in them. Prints the share of each digit over its share in the data, how
far the worst is off (in points, and relative to its share), one standard deviation of that by chance alone, and the
Frechet distance with its floor. Other games (`--set loss=non-saturating penalty=none groups=0` is the classic one) take
their options from `--set`. Ends with one JSON line.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import torch

from digits_judge import DigitsJudge, load_judge
from ensample.budget import Budget, Clock
from ensample.families.images.gan import ImageGan
from ensample.families.options import build
from ensample.kinds.images import Images
from ensample.run import Run
from ensample.train import learn
from pictures import mnist
from processor import ProcessorClock


def judged(
    family: ImageGan, records: Images, seed: int, options: argparse.Namespace, judge: DigitsJudge
) -> dict[str, Any]:
    """One seed: shares of the digits among what is made, and how good the pictures are."""
    began, cpu = time.perf_counter(), time.process_time()
    clock = ProcessorClock if options.cpu else Clock
    model = learn(family, records, seed, Run(clock(Budget.parse(options.budget))))
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu

    made = model.sample(options.samples, torch.Generator().manual_seed(seed)).cells[:, 0].numpy().astype(np.uint8)
    met = np.bincount(judge.digits["y_train"].astype(int), minlength=10) / len(judge.digits["y_train"])
    shares = judge.shares(made)
    return {
        "seed": seed,
        "over share": [round(float(x), 3) for x in shares / met],
        "worst points": round(100 * float(np.abs(shares - met).max()), 2),
        "worst relative": round(float(np.abs(shares / met - 1).max()), 4),
        "chance relative": round(float(np.sqrt((1 - met) / met / options.samples).max()), 4),
        "frechet": round(judge.frechet(made), 2),
        "floor": round(judge.floor(options.samples), 2),
        "seconds": round(seconds, 1),
        "cpu seconds": round(cpu_seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--cpu", action="store_true", help="count the processor's seconds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--set", nargs="*", default=[], help="options of the family, NAME=VALUE")
    parser.add_argument("--cache", default=None, help="folder of the judge's weights")
    options = parser.parse_args()
    family = build(ImageGan, dict(text.split("=", 1) for text in options.set))
    records, judge, lines = mnist(), load_judge(options.cache), []
    for seed in options.seeds:
        lines.append(judged(family, records, seed, options, judge))
        print(json.dumps(lines[-1]), flush=True)
    worst = max(line["worst relative"] for line in lines)
    points = max(line["worst points"] for line in lines)
    summary = {
        "bench": "gan_modes_mnist",
        "budget": options.budget + (" of the processor" if options.cpu else ""),
        "set": options.set,
        "samples": options.samples,
    }
    print(json.dumps({**summary, "worst relative": worst, "worst points": points, "judge": judge.hash, "seeds": lines}))


if __name__ == "__main__":
    main()
