"""A grid of codes for latents: the vector-quantised autoencoder of pictures, with a chain over its codes for prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ensample.families.vae.latents import Latents
from ensample.nets.images.coders import Shape
from ensample.nets.images.pixels import PixelNet
from ensample.nets.transformer import rms

COMMITMENT = 0.25
"""How much the encoder is pulled to its code (van den Oord, Vinyals and Kavukcuoglu 2017)."""
MEMORY = 0.95
"""Share of the old that running means of codes keep at each step."""
DEAD = 0.03
"""A code that is met less often than this part of its fair share starts anew."""

ANEW = 0.1
"""Chance in a step that the least used code does so, if it is dead."""


class GridCodes(Latents):
    """A code at each place of a small map, a vector of one codebook; the prior is a chain over the grid of codes.

    Van den Oord, Vinyals and Kavukcuoglu, Neural discrete representation learning, 2017: the encoder's vector at each
    place, scaled to one length (Yu et al. 2022), is replaced by the nearest code, gradients pass straight through, the
    encoder commits to its codes. A code is the running mean of the vectors that chose it, and one that is hardly ever
    chosen starts anew where some vector is (Razavi, van den Oord and Vinyals 2019). The prior is learned beside, by
    the codes chosen.

    The posterior is one point: `log p(x, codes)` at the nearest codes bounds `log p(x)`.

    Arguments:
        grid: length of a code, height and width of the map; features are such maps, as rows of numbers.
        prior: p(codes | given) over grids [1, height, width].
    """

    integrated: ClassVar[bool] = False
    prior_share = 0.0

    book: Tensor
    met: Tensor

    def __init__(self, grid: Shape, prior: PixelNet) -> None:
        super().__init__()
        self.grid, self.prior, self.size = grid, prior, prior.levels
        self.dims, self.width = grid[1] * grid[2], grid[0] * grid[1] * grid[2]
        self.register_buffer("book", torch.randn(self.size, grid[0]))
        self.register_buffer("met", torch.full((self.size,), 1.0 / self.size))

    @torch.no_grad()
    def begin(self, features: Tensor, generator: Generator) -> None:
        """Codes where vectors of random places are, and a prior of how often each is then met."""
        vectors = self._vectors(features).flatten(0, 1)
        chosen = torch.randint(len(vectors), (self.size,), generator=generator)
        self.book.copy_(vectors[chosen] + 0.01 * torch.randn(self.book.shape, generator=generator))
        self.prior.begin(self.codes(features))

    def codes(self, features: Tensor) -> Tensor:
        """The nearest code at each place [rows, 1, height, width] int64."""
        return self._nearest(self._vectors(features)).view(-1, 1, *self.grid[1:])

    def propose(
        self, features: Tensor, context: Tensor, points: Tensor, free: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The nearest codes and their log-probability under the prior: one proposal, whatever the points."""
        codes = self.codes(features)
        return self._looked_up(codes)[None], -self.prior.nats(codes, context)[None]

    def learn(
        self,
        features: Tensor,
        context: Tensor,
        score: Callable[[Tensor], Tensor],
        generator: Generator,
        share: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Nats of the picture and of its codes, whatever the share; beside them the pull to the codes."""
        vectors = self._vectors(features)
        codes = self._nearest(vectors.detach())
        if self.training:
            self._follow(vectors.detach().flatten(0, 1), codes.flatten(), generator)
        grid = codes.view(-1, 1, *self.grid[1:])
        near = self._looked_up(grid)
        flat = vectors.transpose(1, 2).flatten(1)
        pull = COMMITMENT * (flat - near).square().sum(1)
        straight = flat + (near - flat).detach()
        return self.prior.nats(grid, context) - score(straight[None])[0], pull

    def sample(self, points: Tensor, context: Tensor) -> Tensor:
        """Codes of the prior, drawn one after the other by the points, looked up."""
        scan, bias = self.prior.trunk.scan(context), self.prior.bias.view(self.dims, -1)
        codes = torch.zeros(len(points), 1, self.dims, dtype=torch.int64)
        for p in range(self.dims):
            raw = scan.next().float() + bias[p]
            codes[:, 0, p] = self.prior.head.choose(raw, codes[:, :, p], 0, points[:, p].to(torch.float64).contiguous())
            scan.tell(self.prior.reader(codes[:, :, p], 1))
        return self._looked_up(codes)

    def encode(self, features: Tensor, context: Tensor) -> Tensor:
        """The middles of the intervals that the nearest codes have under the prior, given those before."""
        codes = self.codes(features)
        raw = self.prior.trunk(self.prior.reader(codes, 1), context).float() + self.prior.bias.view(self.dims, -1)
        table = self.prior.head.table(raw.flatten(0, 1), codes.view(-1, 1), 0).to(torch.float64).softmax(1)
        ends = table.cumsum(1)
        chosen = codes.view(-1, 1)
        middle = (ends.gather(1, chosen) - 0.5 * table.gather(1, chosen)) / ends[:, -1:]
        places: Tensor = torch.special.ndtri(middle.clamp(1e-12, 1 - 1e-12))
        return places.to(torch.float32).view(-1, self.dims)

    def _vectors(self, features: Tensor) -> Tensor:
        """The encoder's vector at each place [rows, places, length], of mean square 1: codes keep up with no growth."""
        return rms(features.float().reshape(len(features), self.grid[0], self.dims).transpose(1, 2))

    def _nearest(self, vectors: Tensor) -> Tensor:
        """Codes [rows, places] int64 of vectors [rows, places, length]."""
        with torch.autocast("cpu", enabled=False):
            closeness = vectors @ self.book.t() - 0.5 * self.book.square().sum(1)
        return closeness.argmax(2)

    def _looked_up(self, codes: Tensor) -> Tensor:
        """What the decoder sees of codes [rows, 1, ...]: [rows, width], the numbers of a code first."""
        return F.embedding(codes.reshape(len(codes), self.dims), self.book).transpose(1, 2).flatten(1)

    @torch.no_grad()
    def _follow(self, vectors: Tensor, codes: Tensor, generator: Generator) -> None:
        """Move each code to the running mean of its vectors [n, length], and a dead one to a vector of this batch."""
        counts = torch.bincount(codes, minlength=self.size).to(torch.float32)
        sums = torch.zeros_like(self.book).index_add_(0, codes, vectors)
        share = counts / len(codes)
        met = MEMORY * self.met + (1 - MEMORY) * share
        step = ((1 - MEMORY) * share / met.clamp(min=1e-12))[:, None]  # the weight of this batch in the running mean
        book = torch.lerp(self.book, sums / counts.clamp(min=1)[:, None], step)
        least = int(met.argmin())
        chance = float(torch.rand((), generator=generator))  # now and then: many at once the prior cannot follow
        if float(met[least]) < DEAD / self.size and chance < ANEW:
            book[least] = vectors[int(torch.randint(len(vectors), (), generator=generator))]
            met[least] = 1.0 / self.size
        self.book.copy_(book)
        self.met.copy_(met)


def usage(codes: Tensor, size: int) -> float:
    """How many codes are in use: the perplexity of their shares.

    Example:
        >>> round(usage(torch.tensor([0, 0, 3, 3]), 8), 6)
        2.0
    """
    shares = torch.bincount(codes.flatten(), minlength=size).double() / codes.numel()
    return float(torch.exp(-torch.xlogy(shares, shares).sum()))
