"""Training and sampling speed of a U-Net of about 6.5 M weights at 32 x 32, beside one of equal width of diffusers.

    python bench/unet_speed.py --threads 1

Turn and turn about: forward, backward and optimiser step of both, pictures a second (processor seconds of all
threads, so that other work on the machine disturbs less), then one evaluation without gradients, from which drawing
in 8 steps (ensample) and 20 (DPM-Solver++) follows. One JSON line at the end; without diffusers ensample runs alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ensample.families.training import Training
from ensample.nets.images.unet import UNet
from ensample.nets.machine import machine, operations
from ensample.nets.random import seeded
from ensample.train.optimisers import optimiser_for

Call = Callable[[Tensor, Tensor], Tensor]


def ours(width: int) -> tuple[nn.Module, Call]:
    with seeded(Generator().manual_seed(0)):
        net = UNet(3, 3, widths=(width, 2 * width, 2 * width), blocks=1, fold=1, heads=4)
    nothing = torch.zeros(1, 0)
    return net, lambda x, t: net(x, t, nothing.expand(len(x), 0))


def theirs(width: int) -> tuple[nn.Module, Call]:
    from diffusers import UNet2DModel

    torch.manual_seed(0)
    net = UNet2DModel(
        sample_size=32,
        layers_per_block=1,
        block_out_channels=(width, 2 * width, 2 * width),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=16,
    )
    return net, lambda x, t: net(x, t * 1000).sample


class Contestant:
    """A network with its optimiser, timed in turns."""

    def __init__(self, net: nn.Module, call: Call, brief: bool, batch: int, optimiser: str) -> None:
        self.net, self.call, self.brief, self.batch = net, call, brief, batch
        options = Training(optimiser=optimiser, precision="bfloat16" if brief else "float32")  # type: ignore[arg-type]
        self.weights = list(net.parameters())
        self.optimiser = optimiser_for(options, self.weights)
        g = Generator().manual_seed(0)
        self.x, self.t = torch.randn(batch, 3, 32, 32, generator=g), torch.rand(batch, generator=g)
        self.train_s, self.turns, self.draw_s = 0.0, 0, 0.0

    def turn(self) -> None:
        start = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.brief):
            loss = (self.call(self.x, self.t).float() - self.x).square().mean()
        for weight, slope in zip(self.weights, torch.autograd.grad(loss, self.weights), strict=True):
            weight.grad = slope
        self.optimiser.step()
        middle = time.process_time()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.brief):
            self.call(self.x, self.t)
        self.train_s, self.draw_s = self.train_s + middle - start, self.draw_s + time.process_time() - middle
        self.turns += 1

    def facts(self, steps: int) -> dict[str, Any]:
        pictures = self.batch * self.turns
        return {
            "weights": sum(w.numel() for w in self.weights),
            "MFLOP": round(2e-6 * operations(lambda: self.call(self.x[:1], self.t[:1]))),
            "trained/s": round(pictures / self.train_s, 2),
            f"drawn/s in {steps} steps": round(pictures / self.draw_s / steps, 2),
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--width", type=int, default=80)
    parser.add_argument("--rival-precision", choices=["float32", "bfloat16"], default="float32")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    own = Contestant(*ours(args.width), True, args.batch, "adamw")
    result: dict[str, Any] = {"task": "U-Net at 32x32", "threads": args.threads, "width": args.width}
    try:
        rival = Contestant(*theirs(args.width), args.rival_precision == "bfloat16", args.batch, "adamw")
    except ImportError as missing:
        rival, result["diffusers"] = None, f"not installed ({missing})"
    for turn in range(args.turns + 1):
        with machine(args.threads):
            own.turn()
        if rival is not None:
            rival.turn()
        if turn == 0:  # warm-up
            for each in (own, rival):
                if each is not None:
                    each.train_s = each.draw_s = each.turns = 0
    result["ensample"] = own.facts(8)
    if rival is not None:
        result["diffusers"] = {**rival.facts(20), "precision": args.rival_precision}
        result["training ratio"] = round(own.turns / own.train_s / (rival.turns / rival.train_s), 2)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
