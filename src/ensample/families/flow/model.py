"""A fitted flow: scores, samples, encodes and decodes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from ensample.events import Batch, Mixed
from ensample.families.base import Distribution, Guarantee
from ensample.families.flow.classes import Classes, indicators
from ensample.families.flow.transforms.base import Composed
from ensample.families.layout import Layout, given_flat
from ensample.nets.machine import careful_products

BLOCK = 512
"""Rows of one pass of `log_prob`: always the same, so that a row's result does not depend on its company."""
AT_ONCE = 1024
"""Rows decoded at once: their hidden units fit into the cache."""


class FlowDistribution(nn.Module, Distribution):
    """p(classes | given) p(numbers | classes, given): a masked network over the classes, then a flow.

    The latent space has a place for every number and every class, numbers first: a number's is its base point, a
    class's the middle of its interval (see `Classes`); 0 for what does not exist. Decoding is the inverse of encoding.
    """

    measure: ClassVar[Literal["cells", "density"]] = "density"
    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact"}

    def __init__(
        self, event: Mixed, given: Mixed | None, flow: Composed, classes: Classes | None, margins: int
    ) -> None:
        super().__init__()
        self.event, self.given, self.flow, self.classes = event, given, flow, classes
        self.layout, self.margins = Layout(event), margins
        self.latent_width = len(self.layout.numbers) + len(self.layout.classes)

    def begin(self, batch: Batch, generator: Generator) -> None:
        """Set initial weights from these rows: shares of the classes, what the transforms ask for."""
        if self.classes is not None:
            self.classes.begin(self.layout.codes(batch), self.layout.known(batch))
        self.flow.begin(*self._numbers(batch, generator), self._context(batch))

    def nats(self, batch: Batch, generator: Generator | None = None) -> Tensor:
        """Negative log-density [rows]; numbers at random places in their cells with a generator."""
        x, exists = self._numbers(batch, generator)
        z, log_det = self.flow(x, exists, self._context(batch))
        count = len(z) if exists is None else exists.sum(0)
        nats: Tensor = 0.5 * (z.square().sum(0) + math.log(2 * math.pi) * count) - log_det
        if self.classes is not None:
            nats = nats + self.classes.nats(self.layout.codes(batch), self.layout.known(batch), self._given(batch))
        return nats

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-density [rows] float64 of `event.values(cells, offset)` and of the classes.

        A coordinate that is not there counts as not existing. Rows go through in blocks of one size.
        """
        total = torch.zeros(len(batch), dtype=torch.float64)
        with careful_products():
            for here, part in _blocks(batch):
                total[here] = -self.nats(part).to(torch.float64)[: here.stop - here.start]
        return total

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records, by decoding standard normal places; with `cond` one for each of its rows."""
        return self.decode(torch.randn(n, self.latent_width, generator=generator), generator, cond)

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """Place of each record, float32 [rows, numbers + classes]."""
        out = torch.zeros(len(batch), self.latent_width)
        with careful_products():
            for here, part in _blocks(batch):
                places = [self.flow(*self._numbers(part, None), self._context(part))[0].t()]
                if self.classes is not None:
                    codes, known = self.layout.codes(part), self.layout.known(part)
                    places.append(self.classes.encode(codes, known, self._given(part)))
                out[here] = torch.cat(places, 1)[: here.stop - here.start]
        return out

    @torch.no_grad()
    def decode(self, latent: Tensor, generator: Generator, cond: Batch | None = None) -> Batch:
        """A record for each place [rows, numbers + classes]; the places decide all, the generator is not used."""
        width = len(self.layout.numbers)
        values = torch.zeros(len(latent), width)
        codes = torch.zeros(len(latent), self.latent_width - width, dtype=torch.int64)
        with careful_products():
            for start in range(0, len(latent), AT_ONCE):
                here = slice(start, start + AT_ONCE)
                part = None if cond is None else cond.take(here)
                values[here], codes[here] = self._decoded(latent[here], part)
        return self.layout.batch(values, codes, cond)

    def arrays(self) -> dict[str, Tensor]:
        """All weights."""
        return dict(self.state_dict())

    def facts(self) -> dict[str, Any]:
        """Bins of the margins."""
        return {"margins": self.margins}

    def _decoded(self, latent: Tensor, cond: Batch | None) -> tuple[Tensor, Tensor]:
        """Values [rows, numbers] and codes [rows, classes]."""
        z, places = latent.tensor_split([len(self.layout.numbers)], 1)
        codes, given = torch.zeros(places.shape, dtype=torch.int64), given_flat(self.given, Batch(latent, latent, cond))
        if self.classes is not None:
            codes, _ = self.classes.decode(places, given.t().contiguous())
        frame = self.layout.batch(torch.zeros(z.shape), codes, cond)  # what exists under these classes
        exists = _pattern(self.layout.exists(frame))
        z = z.t().contiguous()
        x, _ = self.flow.inverse(z if exists is None else torch.where(exists, z, 0.0), exists, self._context(frame))
        return x.t(), codes

    def _numbers(self, batch: Batch, generator: Generator | None) -> tuple[Tensor, Tensor | None]:
        """Values [numbers, rows] and which exist (None for all)."""
        values = self.layout.values(batch, generator)
        return values.t().contiguous(), _pattern(self.layout.exists(batch))

    def _given(self, batch: Batch) -> Tensor:
        """Given fields, [context, rows]."""
        return given_flat(self.given, batch).t().contiguous()

    def _context(self, batch: Batch) -> Tensor:
        """Given fields and classes, [context, rows]."""
        classes = indicators(self.layout.codes(batch), self.layout.known(batch), self.layout.sizes)
        return torch.cat([self._given(batch), classes])


def _pattern(exists: Tensor) -> Tensor | None:
    """[rows, numbers] as the transforms take it: None where all exist."""
    return None if bool(exists.all()) else exists.t().contiguous()


def _blocks(batch: Batch) -> list[tuple[slice, Batch]]:
    """Parts of `BLOCK` rows each, the last one filled up with its last row."""
    parts = []
    for start in range(0, len(batch), BLOCK):
        rows = torch.arange(start, start + BLOCK).clamp(max=len(batch) - 1)
        part = batch.take(rows)
        if isinstance(batch.offset, Tensor) and batch.offset.dim() == 2:  # a place in the cell for each row
            part = replace(part, offset=batch.offset[rows])
        parts.append((slice(start, min(start + BLOCK, len(batch))), part))
    return parts
