"""Pictures as a chain of pixels in raster order: what a network of them gives, and how it scores and draws.

For other families (a prior over a grid of codes, for example) the names are: `PixelNet`, made of a `PixelTrunk`
(`PixelCnn`, `PixelMade`, `PixelRnn`, `PixelTransformer`) and a head (`HEADS` of `pixelhead`, `usual_head`);
`net.begin(codes)` sets its biases, `net.nats(codes, cond)` is its loss and minus its log-probability, `net.draw(n,
generator, cond)` makes codes, `net.complete(codes, known, generator, cond)` fills some of them. Codes are
[rows, channels, height, width] int64, `cond` is [rows, width] float32, of width 0 where nothing is given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.nets.images.pixelhead import PixelHead
from ensample.nets.images.pixelhead import invert as invert  # of use to who draws levels

EMBEDDED = 16
"""Most numbers that stand for a class of an array of classes."""


class Scan(ABC):
    """One pass over the pixels of some pictures in raster order, that remembers what it has computed. Abstract."""

    @abstractmethod
    def next(self) -> Tensor:
        """Parameters [rows, outputs] of the next pixel, from those told so far."""

    @abstractmethod
    def tell(self, x: Tensor) -> None:
        """What the pixel holds that `next` spoke of, [rows, inputs] as of `Reader`."""


class PixelTrunk(nn.Module):
    """A network that says of each pixel what the pixels before it, in raster order, make likely. Abstract.

    Arguments:
        inputs: numbers of a pixel that it reads.
        outputs: parameters of a pixel that it gives.
        size: height and width of the pictures.
    """

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.inputs, self.outputs, self.size = inputs, outputs, size

    @property
    def pixels(self) -> int:
        """Of a picture."""
        return self.size[0] * self.size[1]

    @abstractmethod
    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """Parameters [rows, pixels, outputs] of pictures [rows, inputs, height, width]."""

    @abstractmethod
    def scan(self, cond: Tensor) -> Scan:
        """The same pixel by pixel, for one picture a row of `cond` [rows, width]: equal up to rounding."""


class FullPasses(Scan):
    """The slow scan that any network has: one full pass for each pixel. What faster ones are held against."""

    def __init__(self, trunk: PixelTrunk, cond: Tensor) -> None:
        self.trunk, self.cond, self.at = trunk, cond, 0
        self.x = torch.zeros(len(cond), trunk.inputs, trunk.pixels)

    def next(self) -> Tensor:
        """By a pass over the whole picture."""
        out: Tensor = self.trunk(self.x.view(len(self.x), -1, *self.trunk.size), self.cond)[:, self.at]
        return out

    def tell(self, x: Tensor) -> None:
        """Fill the picture."""
        self.x[:, :, self.at] = x
        self.at += 1


class Reader(nn.Module):
    """Levels as numbers: in [-1, 1] where they have an order, else a few learned numbers for each class.

    Arguments:
        levels, channels: of the pictures.
        ordered: whether levels have an order.

    Example:
        >>> Reader(3, 1, ordered=True)(torch.tensor([[0], [1], [2]]), 1).tolist()
        [[-1.0], [0.0], [1.0]]
    """

    def __init__(self, levels: int, channels: int, ordered: bool) -> None:
        super().__init__()
        self.levels, self.channels, self.ordered = levels, channels, ordered
        depth = 1 if ordered else min(EMBEDDED, levels)
        self.inputs = channels * depth
        self.table: nn.Parameter | None = None
        if not ordered:
            self.table = nn.Parameter(torch.randn(channels * levels, depth))

    def forward(self, codes: Tensor, axis: int) -> Tensor:
        """Codes with the channels on this axis; numbers [.., inputs, ..] in the same place, float32."""
        if self.table is None:
            return codes.to(torch.float32) * (2.0 / max(1, self.levels - 1)) - 1.0
        codes = codes.movedim(axis, -1) + torch.arange(self.channels) * self.levels
        return F.embedding(codes, self.table).flatten(-2).movedim(-1, axis)


class PixelNet(nn.Module):
    """p(picture | given) = product over pixels in raster order, and channels inside each, of p(level | before).

    The parameters of each pixel are what the network says plus a bias of its own, a learned map of positions. Build it
    inside `ensample.nets.random.seeded`.

    Arguments:
        levels: how many each channel of a pixel has.
        shape: (channels, height, width) of the codes.
        head: distribution of a pixel's levels.
        trunk: makes the network of (numbers that a pixel is read as, parameters of a pixel, (height, width)).
        ordered: whether levels have an order, as those of a picture, or not, as codes.

    Example:
        >>> from ensample.nets.images.pixelhead import Bernoulli
        >>> from ensample.nets.images.pixelmade import PixelMade
        >>> def trunk(inputs, outputs, size):
        ...     return PixelMade(inputs, outputs, size, 0, width=8, layers=1)
        >>> net = PixelNet(2, (1, 2, 2), Bernoulli(2, 1), trunk)
        >>> codes = torch.cartesian_prod(*[torch.arange(2)] * 4).view(16, 1, 2, 2)
        >>> bool((net.nats(codes, torch.zeros(16, 0)).neg().exp().sum() - 1.0).abs() < 1e-5)
        True
    """

    def __init__(
        self,
        levels: int,
        shape: tuple[int, int, int],
        head: PixelHead,
        trunk: Callable[[int, int, tuple[int, int]], PixelTrunk],
        *,
        ordered: bool = True,
    ) -> None:
        super().__init__()
        self.levels, self.shape, self.head = levels, shape, head
        self.reader = Reader(levels, shape[0], ordered)
        self.trunk = trunk(self.reader.inputs, head.outputs, (shape[1], shape[2]))
        self.bias = nn.Parameter(torch.zeros(shape[1] * shape[2] * head.outputs))  # flat: it is no matrix

    @torch.no_grad()
    def begin(self, codes: Tensor) -> None:
        """Start from pixels that are as they are by themselves in these pictures."""
        self.bias.copy_(self.head.begin(codes.flatten(2)).t().reshape(-1))

    def log_p(self, codes: Tensor, cond: Tensor) -> Tensor:
        """Log-probability [rows, pixels, channels] float32 of each level given those before it."""
        raw = self.trunk(self.reader(codes, 1), cond).to(torch.float32) + self._bias()
        return self.head.log_prob(raw, codes.flatten(2).transpose(1, 2))

    def nats(self, codes: Tensor, cond: Tensor) -> Tensor:
        """Minus the log-probability of each picture, [rows]."""
        return -self.log_p(codes, cond).sum((1, 2))

    def draw(self, n: int, generator: Generator, cond: Tensor | None = None) -> Tensor:
        """New pictures [n, channels, height, width] int64; `cond` [n, width] where fields are given."""
        codes = torch.zeros(n, *self.shape, dtype=torch.int64)
        cond = torch.zeros(n, 0) if cond is None else cond
        return self.complete(codes, torch.zeros_like(codes, dtype=torch.bool), generator, cond)[0]

    @torch.inference_mode()
    def complete(
        self, codes: Tensor, known: Tensor, generator: Generator, cond: Tensor, scan: Scan | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw every level that is not known, in raster order, each given all before it.

        Arguments:
            codes: [rows, channels, height, width]; what is not known is not looked at.
            known: bool of the same shape.
            generator: of one uniform number for each level, known or not.
            cond: [rows, width].
            scan: how pixels are computed one after the other; that of the network if left out.

        Returns:
            Codes, and the log-probability [rows] float64 of what is known *after* the first level drawn: how well the
            draw, which could not see it, agrees with it. It is 0 where all that is known comes first.
        """
        scan = self.trunk.scan(cond) if scan is None else scan
        out, known = codes.flatten(2).clone(), known.flatten(2)
        uniform = torch.rand(len(codes), self.shape[0], out.shape[2], generator=generator, dtype=torch.float64)
        bias, late, some = self._bias().unbind(), _Late(len(codes)), bool(known.any())
        for p, pixel in enumerate(out.unbind(2)):
            raw = scan.next().to(torch.float32) + bias[p]
            for c in range(self.shape[0]):
                drawn = self.head.choose(raw, pixel, c, uniform[:, c, p])
                if some:
                    here = known[:, c, p]
                    late.add(self.head.table(raw, pixel, c).gather(1, pixel[:, c : c + 1])[:, 0], here)
                    drawn = torch.where(here, pixel[:, c], drawn)
                pixel[:, c] = drawn
            scan.tell(self.reader(pixel, 1))
        return out.view(codes.shape).clone(), late.weight

    def _bias(self) -> Tensor:
        return self.bias.view(-1, self.head.outputs)


class _Late:
    """The log-probability [rows] of what is known after the first level drawn."""

    def __init__(self, rows: int) -> None:
        self.weight, self.begun = torch.zeros(rows, dtype=torch.float64), torch.zeros(rows, dtype=torch.bool)

    def add(self, log_p: Tensor, known: Tensor) -> None:
        """The next level: what it has for log-probability if it is known, bool [rows]."""
        self.weight += torch.where(known & self.begun, log_p.to(torch.float64), 0.0)
        self.begun |= ~known


def weights(rows: int, columns: int, scale: float = 1.0) -> nn.Parameter:
    """A matrix of normal numbers of deviation `scale / sqrt(columns)`: outputs as large as inputs."""
    return nn.Parameter(torch.randn(rows, columns) * (scale / max(1, columns) ** 0.5))


def given_weights(rows: int, width: int) -> nn.Parameter:
    """A matrix from given fields [width] to hidden units; small, and flat in width 0 without harm."""
    return nn.Parameter(torch.randn(rows, width) * 0.1)
