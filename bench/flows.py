"""Flows of 32 numbers: ours, zuko, nflows and normflows in turn, rows a second in learning and sampling.

Every flow has 4 transforms with networks of two hidden layers of 128 units and, for splines, 8 bins; it learns for the
same number of steps on the same batches of 512 rows by the same Adam, and its held-out nats are compared after that.
Learning is one step: forward, backward, optimiser. Rates are rows per CPU second of the process, on one thread.
A rival that cannot be imported is left out. nflows wants a module that its wheel does not name (UMNN) for transforms
that are not used here: an empty one stands in.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import types
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

DIMS, LAYERS, WIDTH, BINS, BATCH, BOUND = 32, 4, 128, 8, 512, 5.0


def data(rows: int, seed: int) -> Tensor:
    """Curved and unequally spread numbers, each depending on those before; standardised by fixed amounts."""
    generator = Generator().manual_seed(seed)
    noise = torch.randn(rows, DIMS, generator=generator)
    columns = [noise[:, 0]]
    for j in range(1, DIMS):
        before = columns[j - 1]
        bent = torch.sin(2 * before) + 0.3 * (before if j < 2 else columns[j - 2])
        columns.append(bent + noise[:, j] * (0.2 + 0.3 * torch.sigmoid(3 * before)))
    return torch.stack(columns, 1)


class Side:
    """One library's flow: `nats` [rows] of rows [rows, dims], `draw` rows, and its weights."""

    def __init__(
        self, module: nn.Module, nats: Callable[[Tensor], Tensor], draw: Callable[[int], Tensor], precision: str
    ) -> None:
        self.module, self.nats, self.draw, self.precision = module, nats, draw, precision


def ours(task: str) -> Side:
    """The transforms of `ensample.families.flow`."""
    from ensample.families.flow.steps import Plan, compose

    plan = Plan(DIMS, 0, task, LAYERS, WIDTH, 2, BINS, BOUND, 0, 0, "none", False, "reverse", 0.0)
    flow = compose(plan, Generator().manual_seed(0))

    def nats(x: Tensor) -> Tensor:
        z, log_det = flow(x.t().contiguous(), None, torch.zeros(0, len(x)))
        return 0.5 * z.square().sum(0) + 0.5 * DIMS * math.log(2 * math.pi) - log_det

    def draw(n: int) -> Tensor:
        parts = [flow.inverse(torch.randn(DIMS, 1024), None, torch.zeros(0, 1024))[0].t() for _ in range(n // 1024)]
        return torch.cat(parts)

    return Side(flow, nats, draw, "medium")  # as the engine learns


def zuko(task: str) -> Side:
    import zuko as rival

    sizes: dict[str, Any] = {"transforms": LAYERS, "hidden_features": (WIDTH, WIDTH)}
    flow = {
        "realnvp": lambda: rival.flows.RealNVP(DIMS, **sizes),
        "maf": lambda: rival.flows.MAF(DIMS, **sizes),
        "spline-coupling": lambda: rival.flows.NSF(DIMS, bins=BINS, passes=2, **sizes),
        "spline-autoregressive": lambda: rival.flows.NSF(DIMS, bins=BINS, **sizes),
    }[task]()
    return Side(flow, lambda x: -flow().log_prob(x), lambda n: flow().sample((n,)), "highest")


def nflows(task: str) -> Side:
    stub = types.ModuleType("UMNN")
    stub.NeuralIntegral = stub.ParallelNeuralIntegral = object  # type: ignore[attr-defined]
    sys.modules.setdefault("UMNN", stub)
    from nflows import distributions, flows
    from nflows import transforms as t

    class Net(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.layers = perceptron(inputs, outputs)

        def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
            out: Tensor = self.layers(x)
            return out

    spline = {"num_bins": BINS, "tails": "linear", "tail_bound": BOUND}
    masked = {"features": DIMS, "hidden_features": WIDTH, "num_blocks": 1, "use_residual_blocks": False}
    steps: list[Any] = []
    for i in range(LAYERS):
        mask = torch.arange(DIMS) % 2 == i % 2
        steps.append(
            {
                "realnvp": lambda mask=mask: t.AffineCouplingTransform(mask, Net),
                "maf": lambda: t.MaskedAffineAutoregressiveTransform(**masked),
                "spline-coupling": lambda mask=mask: t.PiecewiseRationalQuadraticCouplingTransform(mask, Net, **spline),
                "spline-autoregressive": lambda: t.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                    **masked, **spline
                ),
            }[task]()
        )
        if task in ("maf", "spline-autoregressive"):
            steps.append(t.ReversePermutation(DIMS))
    flow = flows.Flow(t.CompositeTransform(steps), distributions.StandardNormal([DIMS]))
    return Side(flow, lambda x: -flow.log_prob(x), flow.sample, "highest")


def normflows(task: str) -> Side:
    import normflows as rival

    sizes = {"num_input_channels": DIMS, "num_blocks": 1, "num_hidden_channels": WIDTH}
    spline = {**sizes, "num_bins": BINS, "tail_bound": BOUND}
    half, steps = DIMS // 2, []
    for i in range(LAYERS):
        steps.append(
            {
                "realnvp": lambda: rival.flows.AffineCouplingBlock(
                    rival.nets.MLP([half, WIDTH, WIDTH, DIMS], init_zeros=True)
                ),
                "spline-coupling": lambda i=i: rival.flows.CoupledRationalQuadraticSpline(
                    **spline, reverse_mask=i % 2 == 1
                ),
                "spline-autoregressive": lambda: rival.flows.AutoregressiveRationalQuadraticSpline(
                    **spline, init_identity=False
                ),
            }[task]()
        )
        if task != "spline-coupling":
            steps.append(rival.flows.Permute(DIMS, mode="swap"))
    flow = rival.NormalizingFlow(rival.distributions.DiagGaussian(DIMS, trainable=False), steps)
    return Side(flow, lambda x: -flow.log_prob(x), lambda n: flow.sample(n)[0], "highest")


def perceptron(inputs: int, outputs: int) -> nn.Module:
    """Two hidden layers of `WIDTH` units."""
    return nn.Sequential(
        nn.Linear(inputs, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, outputs)
    )


SIDES: dict[str, Callable[[str], Side]] = {"ensample": ours, "zuko": zuko, "nflows": nflows, "normflows": normflows}
TASKS = ("spline-coupling", "spline-autoregressive", "maf", "realnvp")
OTHERS = {("normflows", "maf")}
"""What is called so there learns a number at a time and samples at once: an inverse autoregressive flow, left out."""
SLOW = {"spline-autoregressive", "maf"}


def run(side: Side, learn: Tensor, test: Tensor, steps: int, drawn: int, seconds: float) -> dict[str, float]:
    """Learn for `steps` steps; rows a CPU second (median of windows of ten steps), held-out nats, rows drawn."""
    torch.set_float32_matmul_precision(side.precision)
    weights = [p for p in side.module.parameters() if p.requires_grad and p.numel()]
    optimiser = torch.optim.Adam(weights, lr=1e-3)
    order, windows = Generator().manual_seed(1), []
    for step in range(steps):
        if step % 10 == 0:
            began = time.process_time()
        x = learn[torch.randint(len(learn), (BATCH,), generator=order)]
        loss = side.nats(x).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 10 == 9:
            windows.append(10 * BATCH / (time.process_time() - began))
    torch.set_float32_matmul_precision("highest")
    side.module.eval()
    rates = []
    with torch.no_grad():
        nats = torch.cat([side.nats(part) for part in test.split(1000)]).mean()
        started = time.process_time()
        while not rates or time.process_time() - started < seconds:
            began = time.process_time()
            made = side.draw(drawn)
            rates.append(len(made) / (time.process_time() - began))
    windows.sort()
    return {"train": windows[len(windows) // 2], "sample": max(rates), "nats": float(nats)}


def main() -> None:
    """All tasks and sides, one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    torch.set_num_threads(1)
    learn, test = data(50_000, 0), data(4_000, 1)
    figures: dict[str, Any] = {"bench": "flows", "steps": options.steps}
    for task in options.tasks:
        found: dict[str, dict[str, float]] = {}
        for name in options.sides:
            if (name, task) in OTHERS:
                continue
            torch.manual_seed(0)
            drawn = 4096 if name == "ensample" else 256 if task in SLOW else 10_000
            try:
                side = SIDES[name](task)
            except ImportError as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
                continue
            found[name] = run(side, learn, test, options.steps, drawn, 1.0)
            print(task, name, {k: round(v, 3) for k, v in found[name].items()}, file=sys.stderr)
        rivals = [v for k, v in found.items() if k != "ensample"]
        if rivals and "ensample" in found:
            own = found["ensample"]
            found["ratio"] = {k: round(own[k] / max(r[k] for r in rivals), 2) for k in ("train", "sample")}
        figures[task] = {k: {a: round(b, 3) for a, b in v.items()} for k, v in found.items()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
