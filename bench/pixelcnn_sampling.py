"""Drawing 28 by 28 pictures from a PixelCNN: with what is computed kept, against one full pass for each pixel.

    python bench/pixelcnn_sampling.py --batches 1 16 64

Both ways draw from the same network with the same uniform numbers, and must give the same pictures. Seconds are those
of the processor, so that other work disturbs less; run with OMP_NUM_THREADS=1. Full passes of many pictures take
minutes: `--pixels` times so many of them, of all 784, and says so. The last line is JSON with the ratios.
"""

from __future__ import annotations

import argparse
import json
import time

import torch
from torch import Generator

from ensample.families.images.autoregressive import ImageAutoregressive
from ensample.families.images.autoregressive.model import AutoregressivePictures
from ensample.kinds.images import Images
from ensample.nets.images.pixels import FullPasses
from ensample.nets.machine import machine
from mnist_nats import binarised


def network(steps: int) -> AutoregressivePictures:
    """The default network, taught a little, so that strokes are drawn."""
    from ensample.budget import Budget, Clock
    from ensample.run import Run
    from ensample.train import learn

    records: Images = binarised("train", "threshold").select(slice(0, 10_000))
    return learn(ImageAutoregressive(), records, 0, Run(Clock(Budget(steps=steps))))  # type: ignore[return-value]


@torch.inference_mode()
def full_pass(model: AutoregressivePictures, rows: int, passes: int) -> float:
    """Seconds of 784 full passes, from so many of them."""
    scan = FullPasses(model.net.trunk, torch.zeros(rows, 0))
    scan.next()
    began = time.process_time()
    for _ in range(passes):
        scan.next()
        scan.tell(torch.zeros(rows, 1))
    return (time.process_time() - began) / passes * 784


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--pixels", type=int, default=20)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    model = network(options.steps)
    none, codes = torch.zeros(1, 0), torch.zeros(1, *model.net.shape, dtype=torch.int64)
    fast = model.net.draw(1, Generator().manual_seed(0))
    slow = model.net.complete(codes, codes.bool(), Generator().manual_seed(0), none, FullPasses(model.net.trunk, none))
    same = bool(torch.equal(fast, slow[0]))
    ratios = {}
    with machine(1):
        for rows in options.batches:
            model.net.draw(rows, Generator().manual_seed(0))
            began = time.process_time()
            model.net.draw(rows, Generator().manual_seed(1))
            kept, full = time.process_time() - began, full_pass(model, rows, options.pixels)
            ratios[rows] = {"kept_s": round(kept, 3), "full_s": round(full, 2), "ratio": round(full / kept, 1)}
            print(rows, ratios[rows], f"{rows / kept:.0f} pictures/s", flush=True)
    print(
        json.dumps({"bench": "pixelcnn_sampling", "equal": same, "full_passes_timed": options.pixels, "rows": ratios})
    )


if __name__ == "__main__":
    main()
