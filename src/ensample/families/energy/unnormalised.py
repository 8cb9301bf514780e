"""A density over numbers that is known up to a constant: sampled by Langevin dynamics, normalised by annealing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from scipy.stats import norm
from torch import Generator, Tensor, nn

from ensample.events import Batch, Limit, Mixed
from ensample.families.base import Distribution, Guarantee
from ensample.families.energy.estimate import Estimate
from ensample.families.layout import Layout
from ensample.nets.mlp import Mlp
from ensample.nets.random import seeded
from ensample.solvers.langevin import Adjusted

BASE = 2.0
"""Standard deviation of the normal density that the energy bends, and that annealing starts at."""
CHAINS, ANNEALS = 1024, 400
"""Chains and temperatures of the normaliser."""
FEW_CHAINS, FEW_ANNEALS = 64, 100
"""Of each row of which something is unknown."""
LOOK_CHAINS, LOOK_ANNEALS = 256, 60
"""Of the quick estimate that early stopping looks at."""
FIRST_STEP, SETTLE = 0.2, 20
"""First step length of annealed chains, and moves after they are resampled."""
BLOCK = 256
"""Rows of one pass of `log_prob`: always the same, so that a row's result does not depend on its company."""


class EnergyRows(nn.Module, Distribution):
    """`p(x) = exp(-E(x)) / Z`, `E(x) = |x|^2 / (2 s^2) + f(x)`: a network f that bends a wide normal density.

    f grows at most linearly, so Z is finite whatever the weights.
    """

    measure: ClassVar[Literal["cells", "density"]] = "density"
    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "estimate", "log_prob": "estimate", "draw": "estimate"}

    buffer: Tensor

    def __init__(self, event: Mixed, width: int, layers: int, chains: int, generator: Generator) -> None:
        super().__init__()
        self.event, self.given, self.layout = event, None, Layout(event)
        with seeded(generator):
            self.net = Mlp(len(event), 1, width, layers)
        self.net.last.bias.requires_grad_(False)  # a constant in the energy changes nothing
        self.register_buffer("buffer", BASE * torch.randn(chains, len(event), generator=generator))
        self._normaliser: Estimate | None = None

    def train(self, mode: bool = True) -> EnergyRows:
        """As of every module; what is known of the normaliser is forgotten."""
        self._normaliser = None
        super().train(mode)
        return self

    def bend(self, x: Tensor) -> Tensor:
        """The network's part of the energy, f(x), [rows]."""
        out: Tensor = self.net(x)[:, 0]
        return out

    def energy(self, x: Tensor) -> Tensor:
        """`E(x)` [rows]."""
        return x.square().sum(1) / (2 * BASE**2) + self.bend(x)

    def score(self, x: Tensor) -> Tensor:
        """`-dE/dx` [rows, columns], itself differentiable."""
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)
        return -slope

    def log_bend(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`-f(x)` [rows] and its gradient [rows, columns], as numbers."""
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            value = -self.bend(x)
            (slope,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), slope

    def log_density(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`-E(x)` [rows] and its gradient [rows, columns], as numbers."""
        (base, lean), (value, slope) = wide(x), self.log_bend(x)
        return base + value, lean + slope

    @torch.no_grad()
    def anneal(self, x: Tensor, known: Tensor, anneals: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Chains from the normal density to this one by annealed importance sampling (Neal 2001); what is known stays.

        Returns places [rows, columns] and log weights [rows] float64 whose mean exponential is the integral of
        `exp(-E)` over what is not known.
        """
        free = (~known).to(x.dtype)
        x = torch.where(known, x, BASE * torch.randn(x.shape, generator=generator, dtype=x.dtype))
        weight = free.sum(1).double() * math.log(BASE * math.sqrt(2 * math.pi))
        weight -= (x * (1 - free)).square().sum(1).double() / (2 * BASE**2)
        chain = Adjusted.start(wide, self.log_bend, x, FIRST_STEP, free)
        for step in range(anneals):
            weight += chain.value.double() / anneals
            chain.move(generator, (step + 1) / anneals)
        return chain.x, weight

    @torch.no_grad()
    def log_sum(self, x: Tensor, known: Tensor, chains: int, anneals: int, generator: Generator) -> Estimate:
        """Log of the integral of `exp(-E)` over unknown coordinates, [rows], each row with its own chains."""
        weight = self.anneal(x.repeat(chains, 1), known.repeat(chains, 1), anneals, generator)[1]
        return Estimate.of(weight.reshape(chains, len(x)))

    def normaliser(self) -> Estimate:
        """Log Z, the same at each call."""
        if self._normaliser is None:
            nothing = torch.zeros(1, len(self.event))
            known = torch.zeros_like(nothing, dtype=torch.bool)
            self._normaliser = self.log_sum(nothing, known, CHAINS, ANNEALS, Generator().manual_seed(0))
        return self._normaliser

    def log_prob(self, batch: Batch) -> Tensor:
        """Log density `-E(x) - log Z`, [rows] float64."""
        return self._estimate(batch).value

    def log_prob_interval(self, batch: Batch, level: float = 0.95) -> Tensor:
        """Interval [rows, 2] from the spread of the annealed chains."""
        estimate = self._estimate(batch)
        reach = float(norm.ppf(0.5 + level / 2)) * estimate.error
        return torch.stack([estimate.value - reach, estimate.value + reach], 1)

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records: annealed chains, resampled by their weights and moved on."""
        count = max(n, CHAINS)
        nothing = torch.zeros(count, len(self.event))
        x, weight = self.anneal(nothing, torch.zeros_like(nothing, dtype=torch.bool), ANNEALS, generator)
        x = x[torch.multinomial(weight.softmax(0), n, True, generator=generator)]
        x = self._settled(x, torch.ones_like(x), generator)
        return self.layout.batch(x, torch.zeros(n, 0, dtype=torch.int64), cond)

    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Fill what is unset by annealed chains that keep what is known; limits are met by refusing the others."""
        if not bool(batch.mask.any()):
            made = self.sample(len(batch), generator)
        else:
            values, known = self.layout.values(batch), batch.mask
            x, weight = self.anneal(values.repeat(FEW_CHAINS, 1), known.repeat(FEW_CHAINS, 1), FEW_ANNEALS, generator)
            share = weight.reshape(FEW_CHAINS, len(batch)).softmax(0).T
            chosen = torch.multinomial(share, 1, generator=generator)[:, 0]
            x = x.reshape(FEW_CHAINS, len(batch), -1)[chosen, torch.arange(len(batch))]
            made = self.layout.batch(
                self._settled(x, (~known).to(x.dtype), generator), torch.zeros(len(batch), 0, dtype=torch.int64)
            )
        filled = Batch(torch.where(batch.mask, batch.cells, made.cells), made.mask, batch.cond)
        within = torch.ones(len(batch), dtype=torch.bool)
        for limit in limits:
            within &= batch.mask[:, limit.column] | limit.contains(filled.cells[:, limit.column])
        return filled, torch.where(within, 0.0, -torch.inf).to(torch.float64)

    def arrays(self) -> dict[str, Tensor]:
        """The weights; the replay buffer, which serves learning alone, stays behind."""
        return {f"weights.{name}": value for name, value in self.state_dict().items() if name != "buffer"}

    def nats(self, batch: Batch, generator: Generator) -> Tensor:
        """Quick estimate of minus the log density of each row, at a random place in its cell, [rows]."""
        nothing = torch.zeros(1, len(self.event))
        known = torch.zeros_like(nothing, dtype=torch.bool)
        log_z = self.log_sum(nothing, known, LOOK_CHAINS, LOOK_ANNEALS, generator).value
        return self.energy(self.layout.values(batch, generator)).double() + log_z

    def _settled(self, x: Tensor, free: Tensor, generator: Generator) -> Tensor:
        chain = Adjusted.start(wide, self.log_bend, x, FIRST_STEP / 4, free)
        for _ in range(SETTLE):
            chain.move(generator)
        return chain.x

    @torch.no_grad()
    def _estimate(self, batch: Batch) -> Estimate:
        normaliser, values = self.normaliser(), self.layout.values(batch)
        value = torch.empty(len(batch), dtype=torch.float64)
        error = normaliser.error.expand(len(batch)).clone()
        complete = batch.mask.all(1)
        rows = complete.nonzero()[:, 0]
        for start in range(0, len(rows), BLOCK):
            index = rows[torch.arange(start, start + BLOCK).clamp(max=len(rows) - 1)]
            value[rows[start : start + BLOCK]] = -self.energy(values[index]).double()[: len(rows) - start]
        for row in (~complete).nonzero()[:, 0].tolist():  # each by itself, with the same noise
            one = slice(row, row + 1)
            noise = Generator().manual_seed(1)
            some = self.log_sum(values[one], batch.mask[one], FEW_CHAINS, FEW_ANNEALS, noise)
            value[row], error[row] = some.value[0], (error[row].square() + some.error[0].square()).sqrt()
        return Estimate(value - normaliser.value, error)


def wide(x: Tensor) -> tuple[Tensor, Tensor]:
    """`-|x|^2 / (2 s^2)` [rows] and its gradient [rows, columns]."""
    return -x.square().sum(1) / (2 * BASE**2), -x / BASE**2
