"""What a decoder says of every pixel: a distribution over its levels, all pixels independent given the latent place."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.events import Continuous, Mixed, Span
from ensample.nets.emissions.mixtures import Gaussians, Logistics, Mixture

SOFT = 32
"""Up to so many levels each has a probability of its own; more are cells of a mixture."""
PIECES = 5
"""Components of a mixture of logistics."""
FAR = 2**40
"""A level beyond all levels: the outermost cells reach to infinity."""


class Head(nn.Module):
    """Pixels from the outputs of a decoder, a bias of every place added. Abstract.

    Shapes: raw [..., outputs, height, width], cells and mask [rows, channels, height, width].

    Arguments:
        event: the pictures.
        each: outputs of one channel.
    """

    def __init__(self, event: Continuous, each: int) -> None:
        super().__init__()
        self.channels, self.height, self.width = event.shape
        self.levels, self.each, self.outputs = levels_of(event), each, each * self.channels
        self.bias = nn.Parameter(torch.zeros(self.outputs, self.height, self.width))

    @torch.no_grad()
    def begin(self, cells: Tensor) -> None:
        """Set the bias so that every pixel by itself fits these pictures."""
        self.bias.copy_(self.started(cells).reshape(self.bias.shape))

    def log_prob(self, raw: Tensor, cells: Tensor, mask: Tensor) -> Tensor:
        """Log-probability of the known pixels [times, rows], raw [times, rows, outputs, height, width]."""
        times, rows = raw.shape[:2]
        shape = (times, rows, self.channels, self.each, self.height, self.width)
        each = self._log_pixels((raw + self.bias).float().reshape(shape), cells)
        return torch.where(mask, each, 0.0).sum((2, 3, 4))

    def draw(self, raw: Tensor, generator: Generator) -> Tensor:
        """Cells [rows, channels, height, width] int64 for raw [rows, outputs, height, width]."""
        shape = (len(raw), self.channels, self.each, self.height, self.width)
        return self._drawn((raw + self.bias).float().reshape(shape), generator)

    @abstractmethod
    def started(self, cells: Tensor) -> Tensor:
        """Bias [channels, each, height, width] that fits each pixel of these pictures by itself."""

    @abstractmethod
    def _log_pixels(self, raw: Tensor, cells: Tensor) -> Tensor:
        """[times, rows, channels, height, width] of raw [times, rows, channels, each, height, width]."""

    @abstractmethod
    def _drawn(self, raw: Tensor, generator: Generator) -> Tensor:
        """Cells [rows, channels, height, width] of raw [rows, channels, each, height, width]."""


class Bernoulli(Head):
    """Two levels: `log p = x l - softplus(l)`."""

    def __init__(self, event: Continuous) -> None:
        super().__init__(event, 1)

    def started(self, cells: Tensor) -> Tensor:
        """Log odds, a picture of halves added."""
        ones = (cells.sum(0) + 0.5) / (len(cells) + 1)
        return torch.logit(ones)[:, None]

    def _log_pixels(self, raw: Tensor, cells: Tensor) -> Tensor:
        return -F.softplus(torch.where(cells > 0, -raw[:, :, :, 0], raw[:, :, :, 0]))

    def _drawn(self, raw: Tensor, generator: Generator) -> Tensor:
        odds = torch.sigmoid(raw[:, :, 0])
        return (torch.rand(odds.shape, generator=generator) < odds).to(torch.int64)


class Softmax(Head):
    """Few levels, each with its own probability."""

    def __init__(self, event: Continuous) -> None:
        super().__init__(event, levels_of(event))

    def started(self, cells: Tensor) -> Tensor:
        """Log shares at each place, mixed with those of the whole picture as if it had been seen once more."""
        shares = F.one_hot(cells, self.levels).to(torch.float32).mean((0, 2, 3)) + 1e-3
        counts = torch.stack([(cells == level).sum(0) for level in range(self.levels)], 1)
        return torch.log(counts + shares[:, :, None, None])

    def _log_pixels(self, raw: Tensor, cells: Tensor) -> Tensor:
        wanted = cells[None, :, :, None].expand(len(raw), -1, -1, 1, -1, -1)
        return (raw.gather(3, wanted) - raw.logsumexp(3, keepdim=True))[:, :, :, 0]

    def _drawn(self, raw: Tensor, generator: Generator) -> Tensor:
        u = torch.rand(raw.shape, generator=generator).clamp(1e-12, 1 - 1e-7)
        return (raw - torch.log(-torch.log(u))).argmax(2)


class Cells(Head):
    """Many levels as the cells of a mixture; the first and the last reach to infinity (Salimans et al. 2017)."""

    def __init__(self, event: Continuous, numbers: Mixture) -> None:
        super().__init__(event, numbers.outputs)
        self.numbers = numbers

    def started(self, cells: Tensor) -> Tensor:
        """Components at the quantiles of all pixels of a channel, everywhere the same."""
        rows = cells.transpose(1, 3).flatten(0, 2)
        raw = [self.numbers.begin(rows[:, c : c + 1], torch.ones(len(rows), 1, dtype=torch.bool)) for c in self._all]
        return torch.cat(raw)[:, :, None, None].expand(-1, -1, self.height, self.width)

    def _log_pixels(self, raw: Tensor, cells: Tensor) -> Tensor:
        low, high = torch.where(cells == 0, -FAR, cells), torch.where(cells == self.levels - 1, FAR, cells)
        low, high = (edge.expand(len(raw), *cells.shape).reshape(-1, 1) for edge in (low, high))
        flat = self.numbers.log_within(raw.movedim(3, -1).reshape(-1, 1, self.each), low, high)
        return flat.reshape(len(raw), *cells.shape)

    def _drawn(self, raw: Tensor, generator: Generator) -> Tensor:
        flat = raw.movedim(2, -1).reshape(-1, 1, self.each)
        low = torch.full((len(flat), 1), -FAR)
        cells = self.numbers.draw(flat, low, -low, generator).clamp(0, self.levels - 1)
        return cells.reshape(len(raw), self.channels, self.height, self.width)

    @property
    def _all(self) -> range:
        return range(self.channels)


def levels_of(event: Continuous) -> int:
    """Levels of a pixel, counted from 0."""
    return event.lattice.high + 1


def _column(event: Continuous) -> Mixed:
    return Mixed((Span("level", Continuous(event.lattice)),))


def _by_levels(event: Continuous) -> Head:
    levels = levels_of(event)
    if levels == 2:
        return Bernoulli(event)
    return Softmax(event) if levels <= SOFT else HEADS["logistic"](event)


HEADS: dict[str, Callable[[Continuous], Head]] = {
    "levels": _by_levels,
    "logistic": lambda event: Cells(event, Logistics(_column(event), PIECES)),
    "gaussian": lambda event: Cells(event, Gaussians(_column(event))),
}
"""Heads by name: "levels" chooses by how many there are."""
