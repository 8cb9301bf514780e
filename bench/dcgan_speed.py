"""What the engine costs: a DCGAN of 28 by 28 pictures taught by it and by a plain PyTorch loop, same nets and batches.

The plain loop is that of the DCGAN tutorial (critic on real and on made pictures, then the generator), on the networks
of `image-gan`, with pictures ready as numbers. Both take turns, in float32 and in bfloat16, channels last in both. The
work is equal, not the order: the engine makes pictures anew for the generator's turn and spares the critic's gradients
in it. Run with OMP_NUM_THREADS=1; seconds are those of the processor, so that other work disturbs less.
"""

from __future__ import annotations

import argparse
import json
import time
from statistics import median

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ensample.budget import Budget, Clock
from ensample.families.images.gan import ImageGan
from ensample.families.images.gan.model import AdversarialPictures
from ensample.kinds.images import Images
from ensample.run import Run
from ensample.train import learn
from pictures import mnist

BATCH = 128


def family(precision: str) -> ImageGan:
    """The DCGAN of the bench: 1.9 million weights, the classic game, no extras."""
    return ImageGan(
        network="dcgan", loss="non-saturating", penalty="none", groups=0, latent=100, width=108, batch_size=BATCH,
        learning_rate=2e-4, momentum=0.5, precision=precision,  # type: ignore[arg-type]
    )  # fmt: skip


def engine(records: Images, precision: str, steps: int) -> tuple[float, AdversarialPictures]:
    """Pictures a second of the engine, everything that a fit does included."""
    began = time.process_time()
    module: AdversarialPictures = learn(family(precision), records, 0, Run(Clock(Budget(steps=steps))))  # type: ignore[assignment]
    return BATCH * steps / (time.process_time() - began), module


def plain(records: Images, precision: str, steps: int) -> tuple[float, AdversarialPictures]:
    """Pictures a second of a plain loop over the same networks."""
    module = family(precision).build(records, 0).train()
    make, critic = module.generator, module.critic
    pictures = torch.from_numpy(np.asarray(records.table)).float().sub(127.5).div(127.5)
    adams = [torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999), fused=True) for net in (critic, make)]
    nothing, noise = torch.zeros(BATCH, 0), torch.Generator().manual_seed(0)
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("medium")
    began = time.process_time()
    for _ in range(steps):
        real = pictures[torch.randint(len(pictures), (BATCH,), generator=noise)]
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            made: Tensor = make(torch.randn(BATCH, 100, generator=noise)).float()
            loss = F.softplus(-critic(real, nothing)).mean() + F.softplus(critic(made.detach(), nothing)).mean()
        adams[0].zero_grad()
        loss.backward()
        adams[0].step()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            loss = F.softplus(-critic(made, nothing)).mean()
        adams[1].zero_grad()
        loss.backward()
        adams[1].step()
    return BATCH * steps / (time.process_time() - began), module


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100, help="steps of one turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    options = parser.parse_args()
    records = mnist().select(slice(0, 20_000))
    weights = sum(p.numel() for p in family("float32").build(records, 0).parameters())
    results: dict[str, dict[str, float]] = {}
    for precision in options.precision:
        rates: dict[str, list[float]] = {"engine": [], "plain": []}
        for _ in range(options.turns):
            rates["engine"].append(engine(records, precision, options.steps)[0])
            rates["plain"].append(plain(records, precision, options.steps)[0])
            print(precision, {name: round(each[-1]) for name, each in rates.items()}, flush=True)
        ours, theirs = (median(each) for each in rates.values())
        results[precision] = {"engine": round(ours), "plain": round(theirs), "ratio": round(ours / theirs, 3)}
    print(
        json.dumps({"bench": "dcgan_speed", "weights": weights, "unit": "pictures per CPU second", "results": results})
    )


if __name__ == "__main__":
    main()
