"""Class-conditional MNIST: ensample's field of pictures against diffusers' U-Net with DPM-Solver++, equal time.

    python bench/digits_field.py --seconds 600 --count 10000

Both learn for the same wall time in turn in one process, on the same digits and threads; `digits_judge` measures
the Frechet distance of `--count` samples to the test digits and how often a sample is the wanted digit. Without
diffusers (`--rival none`, or not installed) ensample runs alone. One JSON line at the end.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator
from torch.nn import functional as F

from digits_judge import CACHE, DATA, DigitsJudge, load_judge
from ensample.budget import Budget, Clock
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Span
from ensample.families.images.field import ImageField
from ensample.families.images.field.family import GRIDS
from ensample.families.options import build
from ensample.kinds.images import Images
from ensample.run import Run
from ensample.train import learn
from processor import ProcessorClock

Sampler = Callable[[np.ndarray], np.ndarray]
"""Wanted digits [n] -> pictures uint8 [n, 28, 28]."""


def digits() -> Images:
    """The training digits with their labels given."""
    with np.load(DATA / "mnist.npz") as store:
        x, y = store["x_train"], store["y_train"]
    event = Continuous(Lattice(0, 255, 127.5, 127.5), (1, 28, 28))
    return Images(event, x[:, None], Mixed((Span("digit", Discrete(10)),)), y[:, None].astype(np.int64))


def ours(
    seconds: float, settings: dict[str, str], clock: type[Clock]
) -> tuple[Callable[[int], Sampler], dict[str, Any]]:
    """An image field learned for so long: how it draws in so many steps."""
    family, rates = build(ImageField, settings), []
    run = Run(clock(Budget.parse(f"{seconds}s")), None, lambda report: rates.append(report.rate))
    start = time.perf_counter()
    model = learn(family, digits(), 0, run)
    spent = time.perf_counter() - start

    def sampler(steps: int) -> Sampler:
        def sample(wanted: np.ndarray) -> np.ndarray:
            model.way = replace(model.way, grid=GRIDS[family.grid](model.way.path, steps))
            cells = torch.from_numpy(wanted[:, None])
            cond = Batch(cells, torch.ones_like(cells, dtype=torch.bool))
            return model.sample(len(wanted), Generator().manual_seed(1), cond).cells[:, 0].numpy().astype(np.uint8)

        return sample

    weights = sum(p.numel() for p in model.parameters())
    return sampler, {
        "weights": weights,
        "seconds": round(spent, 1),
        "trained/s": round(rates[-1] or 0),
        "steps": family.steps,
    }


def theirs(seconds: float, kind: type[Clock], batch: int = 128, steps: int = 20) -> tuple[Sampler, dict[str, Any]]:
    """diffusers' UNet2DModel with class embeddings, AdamW, noise prediction, average of weights; DPM-Solver++."""
    from diffusers import DDPMScheduler, DPMSolverMultistepScheduler, UNet2DModel

    torch.manual_seed(0)
    net = UNet2DModel(
        sample_size=28,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(32, 64),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        num_class_embeds=11,
        norm_num_groups=8,
    )
    average = {k: v.clone() for k, v in net.state_dict().items()}
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
    noising, records = DDPMScheduler(1000), digits()
    start, step, rng = time.perf_counter(), 0, np.random.default_rng(0)
    clock = kind(Budget.parse(f"{seconds}s"))
    while clock.seconds < seconds:
        rows = rng.integers(0, len(records), batch)
        x = torch.from_numpy(records.table[rows]).float() / 127.5 - 1
        label = torch.from_numpy(records.given_table[rows, 0])
        label[torch.rand(batch) < 0.1] = 10
        noise, t = torch.randn_like(x), torch.randint(0, 1000, (batch,))
        with torch.autocast("cpu", torch.bfloat16):
            said = net(noising.add_noise(x, noise, t), t, class_labels=label).sample
        loss = F.mse_loss(said.float(), noise)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        with torch.no_grad():
            for name, value in net.state_dict().items():
                average[name].lerp_(value, 1 - min(0.998, step / (step + 10)))
    spent = time.perf_counter() - start
    net.load_state_dict(average)
    net.eval()

    @torch.no_grad()
    def sample(wanted: np.ndarray) -> np.ndarray:
        parts = []
        for part in np.array_split(wanted, -(-len(wanted) // 256)):
            solver = DPMSolverMultistepScheduler(1000)
            solver.set_timesteps(steps)
            x, label = torch.randn(len(part), 1, 28, 28), torch.from_numpy(part)
            for t in solver.timesteps:
                with torch.autocast("cpu", torch.bfloat16):
                    said, free = (net(x, t, class_labels=c).sample.float() for c in (label, torch.full_like(label, 10)))
                x = solver.step(torch.lerp(free, said, 1.5), t, x).prev_sample
            parts.append(((x.clamp(-1, 1) + 1) * 127.5).round().numpy()[:, 0].astype(np.uint8))
        return np.concatenate(parts)

    weights = sum(p.numel() for p in net.parameters())
    return sample, {
        "weights": weights,
        "seconds": round(spent, 1),
        "trained/s": round(step * batch / seconds),
        "steps": steps,
    }


def judged(sampler: Sampler, judge: DigitsJudge, count: int) -> tuple[dict[str, Any], np.ndarray]:
    """Distance, accuracy and speed of samples, and the samples."""
    wanted = np.arange(count) % 10
    start = time.perf_counter()
    made = sampler(wanted)
    return {
        "drawn/s": round(count / (time.perf_counter() - start), 1),
        "frechet": round(judge.frechet(made), 3),
        "accuracy": round(judge.accuracy(made, wanted), 4),
    }, made


def sheet(pictures: np.ndarray, path: Path) -> None:
    """The first hundred as a contact sheet."""
    from PIL import Image

    rows = pictures[:100].reshape(10, 10, 28, 28).transpose(0, 2, 1, 3).reshape(280, 280)
    Image.fromarray(rows).save(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--cpu", action="store_true", help="count the processor's seconds, not those of the wall")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rival", choices=["diffusers", "none"], default="diffusers")
    parser.add_argument("--cache", default=str(CACHE), help="folder with the judge's weights")
    parser.add_argument("--set", nargs="*", default=[], help="options of image-field, name=value")
    parser.add_argument("--fewer", type=int, nargs="*", default=[], help="draw in so many steps as well")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet here")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    judge = load_judge(args.cache)
    clock = ProcessorClock if args.cpu else Clock
    settings = dict(part.split("=", 1) for part in args.set)
    result: dict[str, Any] = {"task": "digits, class given", "threads": args.threads, "judge": judge.hash}
    result |= {"budget": f"{args.seconds:g} s" + (" of the processor" if args.cpu else "")}
    result |= {"count": args.count, "floor": round(judge.floor(args.count), 3)}
    in_steps, facts = ours(args.seconds, settings, clock)
    figures, made = judged(in_steps(facts["steps"]), judge, args.count)
    result["ensample"] = {**facts, **figures}
    for steps in args.fewer:
        result[f"ensample in {steps}"] = judged(in_steps(steps), judge, args.count)[0]
    if args.sheet:
        sheet(made, args.sheet)
    print(result["ensample"], flush=True)
    result["diffusers"] = "not run"
    if args.rival == "diffusers":
        try:
            sampler, facts = theirs(args.seconds, clock)
            result["diffusers"] = {**facts, **judged(sampler, judge, args.count)[0]}
            result["ratio"] = round(result["ensample"]["frechet"] / result["diffusers"]["frechet"], 3)
        except ImportError as missing:
            result["diffusers"] = f"not installed ({missing})"
    result["times the floor"] = round(result["ensample"]["frechet"] / result["floor"], 2)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
