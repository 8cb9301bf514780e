"""A fitted chain of pixels: scores pictures, makes and completes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from ensample.errors import InputError
from ensample.events import Array, Batch, Continuous, Limit, Mixed, coordinates, unknown
from ensample.families.base import ArrayDistribution, Guarantee
from ensample.families.layout import given_flat, given_width
from ensample.nets.images.pixels import PixelNet
from ensample.nets.machine import careful_products, operations

SCORED = 2**16
"""Levels of one pass of `log_prob`, about."""
AT_ONCE = 256
"""Pictures drawn at once."""


class AutoregressivePictures(nn.Module, ArrayDistribution):
    """p(picture | given) by the product rule, pixel after pixel in raster order.

    A hole is drawn from what comes before it alone: what is known after it cannot be seen, and becomes a weight.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact", "draw": "estimate"}
    sees_evidence = False

    def __init__(self, event: Array, given: Mixed | None, net: PixelNet) -> None:
        super().__init__()
        self.event, self.given, self.net = event, given, net
        self.low = event.lattice.low if isinstance(event, Continuous) else 0
        self.block = min(512, max(16, SCORED // coordinates(event)))
        """Pictures of one pass of `log_prob`: always as many, so that company changes no result."""

    @property
    def operations_per_row(self) -> float:
        """Multiplications of one picture's way through the network."""
        codes = torch.zeros(1, *self.net.shape, dtype=torch.int64)
        return operations(lambda: self.net.nats(codes, torch.zeros(1, given_width(self.given))))

    def codes(self, batch: Batch) -> Tensor:
        """Levels from 0 on, [rows, channels, height, width] int64, those that do not exist at the nearest that does."""
        return (batch.cells - self.low).clamp(0, self.net.levels - 1).view(-1, *self.net.shape)

    def nats(self, batch: Batch) -> Tensor:
        """Minus the log-probability of each picture, [rows] float32: what learning lowers."""
        return self.net.nats(self.codes(batch), given_flat(self.given, batch))

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probability of each picture, nats [rows] float64; what is unset at its end is integrated out.

        Raises:
            InputError: something is unset before something known; its integral has no closed form.
        """
        known = self._chain(batch)
        if not bool(self.sees_all(batch).all()):
            raise InputError(
                "A picture is scored up to its first hole: pixels are a chain.",
                "log_prob",
                "a hole before known pixels",
                "fill it first (impute)",
            )
        total = torch.zeros(len(batch), dtype=torch.float64)
        for start in range(0, len(batch), self.block):
            rows = torch.arange(start, start + self.block).clamp(max=len(batch) - 1)
            part = batch.take(rows)
            with careful_products():
                log_p = self.net.log_p(self.codes(part), given_flat(self.given, part)).flatten(1)
            score = torch.where(known[rows], log_p, 0.0).sum(1, dtype=torch.float64)
            total[start : start + self.block] += score[: len(batch) - start]
        inside = (batch.cells >= self.low) & (batch.cells < self.low + self.net.levels)
        return torch.where((inside | ~batch.mask).flatten(1).all(1), total, -torch.inf)

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new pictures."""
        return self.draw(unknown(n, self.event, cond), generator)[0]

    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Fill what is unset in raster order, each level given all before it; see `Draws.draw`.

        Weights are the log-probability of what is known behind the first hole of each picture, given all before it: 0
        where nothing is, and the draw is exact there.
        """
        cells, weight = [], []
        for start in range(0, len(batch), AT_ONCE):
            part = batch.take(slice(start, start + AT_ONCE))
            known = part.mask.reshape(-1, *self.net.shape)
            codes, weights = self.net.complete(self.codes(part), known, generator, given_flat(self.given, part))
            cells.append(torch.where(part.mask, part.cells, codes.view(part.cells.shape) + self.low))
            weight.append(weights)
        filled = torch.cat(cells) if cells else batch.cells
        weights = torch.cat(weight) if weight else torch.zeros(0, dtype=torch.float64)
        return Batch(filled, torch.ones_like(filled, dtype=torch.bool), batch.cond), weights

    def sees_all(self, batch: Batch) -> Tensor:
        """Whether all that is known of each picture comes before its first hole in raster order, bool [rows]."""
        known = self._chain(batch)
        return ~(known[:, 1:] & ~known[:, :-1]).any(1)

    def arrays(self) -> dict[str, Tensor]:
        """Weights."""
        return dict(self.state_dict())

    def _chain(self, batch: Batch) -> Tensor:
        """What is known, in the order of the chain: pixel by pixel and channel by channel, bool [rows, steps]."""
        return batch.mask.reshape(len(batch), *self.net.shape).flatten(2).transpose(1, 2).flatten(1)
