"""The restricted Boltzmann machine: energies, free energies, Gibbs sweeps, the partition function."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.families.energy.estimate import Estimate
from ensample.families.energy.units import Units

ENUMERATED = 12
"""Up to so many hidden units all their states are summed, which is exact."""
BLOCK = 256
"""Rows that Gibbs sampling moves together."""
CHAINS, ANNEALS = 256, 1000
"""Chains and temperatures of annealed importance sampling."""


class Machine(nn.Module):
    """`E(v, h) = -b'v - c'h - v'W h` over softmax visible units v and binary hidden units h.

    Arguments:
        units: the visible units.
        shares: log share of each bin, [width]: where the visible biases start, and annealing does.
        hidden: number of hidden units.
        generator: of the initial weights.
    """

    shares: Tensor

    def __init__(self, units: Units, shares: Tensor, hidden: int, generator: Generator) -> None:
        super().__init__()
        self.units = units
        self.register_buffer("shares", shares.to(torch.float32))
        self.weight = nn.Parameter(0.05 * torch.randn(units.width, hidden, generator=generator))
        self.visible = nn.Parameter(shares.to(torch.float32).clone())
        self.hidden = nn.Parameter(torch.zeros(hidden))

    def pull(self, index: Tensor) -> Tensor:
        """Input of each hidden unit, `c + W'v`, [rows, hidden], of records as flat columns."""
        return self.units.gather(self.weight, index) + self.hidden

    def free_energy(self, index: Tensor, heat: float = 1.0) -> Tensor:
        """`F(v) = -b'v - sum_i log(1 + exp(c_i + W_i'v))`, so that `p(v)` is in proportion to `exp(-F)`; [rows].

        `heat` below 1 is a machine on the way from independent bins (0): biases between the shares and b, weights and
        c times `heat`.
        """
        bias = self._bias(heat)[:, None]
        return -self.units.gather(bias, index)[:, 0] - F.softplus(heat * self.pull(index)).sum(1)

    def sweep(self, index: Tensor, generator: Generator, allowed: Tensor, heat: float = 1.0) -> Tensor:
        """One block Gibbs sweep: all hidden units, then all visible units within `allowed`; flat columns in and out."""
        on = torch.sigmoid(heat * self.pull(index))
        h = (torch.rand(on.shape, generator=generator) < on).to(on.dtype)
        return self.units.draw(self.table(h, heat) + allowed, generator)

    def table(self, h: Tensor, heat: float = 1.0) -> Tensor:
        """Log weights of all bins given hidden units [rows, hidden]: [rows, spans, most]."""
        spread = self.units.padded.flatten()
        weight = torch.cat([self.weight, torch.zeros_like(self.weight[:1])])[spread].to(h.dtype)
        bias = self.units.table(self._bias(heat)[None]).flatten().to(h.dtype)
        return torch.addmm(bias, h, weight.T, alpha=heat).reshape(len(h), *self.units.padded.shape)

    def gibbs(self, allowed: Tensor, sweeps: int, generator: Generator) -> Tensor:
        """Flat columns [rows, spans] after some sweeps from independent bins, within `allowed`."""
        parts = []
        for block in torch.split(allowed, BLOCK):  # so small that a sweep stays in the cache
            index = self.units.draw(self.units.table(self.shares[None]) + block, generator)
            for _ in range(sweeps):
                index = self.sweep(index, generator, block)
            parts.append(index)
        return torch.cat(parts) if parts else allowed.new_zeros(0, len(self.units.bins), dtype=torch.int64)

    def states(self) -> Tensor:
        """Every state of the hidden units, [2^hidden, hidden]."""
        count = len(self.hidden)
        return ((torch.arange(2**count)[:, None] >> torch.arange(count)) & 1).to(self.weight.dtype)

    def log_states(self, allowed: Tensor) -> Tensor:
        """Log weight of every hidden state together with all records within `allowed` [1, ...], [states] float64."""
        h = self.states().double()
        return self.units.total(self.table(h) + allowed) + h @ self.hidden.double()

    def log_sum(self, allowed: Tensor, generator: Generator, chains: int = CHAINS, anneals: int = ANNEALS) -> Estimate:
        """Log of the sum of `exp(-E)` over hidden units and all records within `allowed` [rows, spans, most].

        Exact for few hidden units; else annealed importance sampling (Neal 2001; Salakhutdinov and Murray 2008), every
        row with its own chains.
        """
        if len(self.hidden) <= ENUMERATED:
            value = torch.stack([self.log_states(row[None]).logsumexp(0) for row in allowed])
            return Estimate(value, torch.zeros_like(value))
        rows = len(allowed)
        allowed = allowed.repeat(chains, 1, 1)
        table = self.units.table(self.shares[None]) + allowed
        start = self.units.total(table).double() + len(self.hidden) * math.log(2.0)
        index, log_weight = self.units.draw(table, generator), torch.zeros(len(allowed), dtype=torch.float64)
        for step in range(anneals):
            now, then = step / anneals, (step + 1) / anneals
            log_weight += (self.free_energy(index, now) - self.free_energy(index, then)).double()
            index = self.sweep(index, generator, allowed, then)
        return Estimate.of((start + log_weight).reshape(chains, rows))

    def anything(self) -> Tensor:
        """A table under which every record is allowed, [1, spans, most]."""
        return torch.zeros(1, *self.units.padded.shape)

    def exact_draw(self, allowed: Tensor, generator: Generator) -> Tensor:
        """Flat columns drawn exactly, one a row of `allowed`, by choosing the hidden state first."""
        if len(allowed) == 0 or bool((allowed == allowed[:1]).all()):
            log_weight = self.log_states(allowed[:1])
            chosen = torch.multinomial(log_weight.softmax(0), len(allowed), True, generator=generator)
        else:
            weights = torch.stack([self.log_states(row[None]).softmax(0) for row in allowed])
            chosen = torch.multinomial(weights, 1, generator=generator)[:, 0]
        return self.units.draw(self.table(self.states()[chosen]) + allowed, generator)

    def possible(self, allowed: Tensor) -> Tensor:
        """Whether any record lies within `allowed`, bool [rows]."""
        return torch.isfinite(self.units.total(self.units.table(self.shares[None]) + allowed))

    def _bias(self, heat: float) -> Tensor:
        return self.visible if heat == 1.0 else torch.lerp(self.shares, self.visible, heat)
