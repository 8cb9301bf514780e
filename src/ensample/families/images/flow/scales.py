"""The multi-scale flow: squares become channels, steps, half of the channels leaves, and again."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ensample.families.images.flow.steps import COUPLINGS, MIXINGS, ActNorm, Coupling, Split, Standardised, Step

Shape = tuple[int, int, int]


class Scales(nn.Module):
    """A bijection of pictures [rows, *shape] and places [rows, channels x height x width], standard normal if learned.

    Dinh et al. 2017, section 3.6; Kingma and Dhariwal 2018, figure 2. Pixels are standardised first. At each scale
    sides that are even are halved, `depth` times (actnorm, mixing, coupling) follow, and the second half of the
    channels leaves by `Split`; at the last scale all does. Build it inside `ensample.nets.random.seeded`.

    Arguments:
        shape: of the pictures.
        given: columns of the given fields.
        scales: at most so many; a map with two odd sides ends them.
        depth: steps at each scale.
        width: channels of the nets of the couplings.
        mixing, coupling: of `MIXINGS` and of `COUPLINGS`.
    """

    def __init__(
        self, shape: Shape, given: int, *, scales: int, depth: int, width: int, mixing: str, coupling: str
    ) -> None:
        super().__init__()
        self.shape, self.folds, self.maps = shape, [], []
        self.first = Standardised(shape)
        self.steps, self.splits = nn.ModuleList(), nn.ModuleList()
        for fold in folds(shape, scales):
            channels, high, wide = shape[0] * math.prod(fold), shape[1] // fold[0], shape[2] // fold[1]
            self.folds.append(fold)
            self.maps.append((channels, high, wide))
            parts: list[nn.Module] = []
            for _ in range(depth):
                moved = Coupling(channels, given, width, COUPLINGS[coupling])
                parts += [ActNorm(channels), MIXINGS[mixing](channels), moved]
            self.steps.append(nn.ModuleList(parts))
            kept = 0 if len(self.folds) == len(folds(self.shape, scales)) else channels // 2
            self.splits.append(Split(channels, kept, given, (high, wide)))
            shape = (kept, high, wide)

    @torch.no_grad()
    def start(self, x: Tensor, cond: Tensor) -> None:
        """Let each step set its first weights from pictures as the steps before it pass them on."""
        self.first.start(x)
        x, _ = self.first(x, cond)
        for fold, steps, split in self._all():
            x = squeeze(x, fold)
            for step in steps:
                step.start(x)
                x, _ = step(x, cond)
            x = x[:, : split.kept]

    def forward(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """(places [rows, numbers], log |det d places / dx| [rows])."""
        x, total = self.first(x, cond)
        places = []
        for fold, steps, split in self._all():
            x = squeeze(x, fold)
            for step in (*steps, split):
                x, log_det = step(x, cond)
                total = total + log_det
            places.append(x[:, split.kept :].flatten(1))
            x = x[:, : split.kept]
        return torch.cat(places, 1), total

    def inverse(self, places: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """(pictures [rows, *shape], log |det dx / d places| [rows])."""
        total, parts = places.new_zeros(len(places)), list(torch.split(places, self.leaving, 1))
        x = places.new_zeros(len(places), 0, *self.maps[-1][1:])
        for (fold, steps, split), shape in zip(reversed(list(self._all())), reversed(self.maps), strict=True):
            x = torch.cat([x, parts.pop().view(len(places), -1, *shape[1:])], 1)
            for step in reversed((*steps, split)):
                x, log_det = step.inverse(x, cond)
                total = total + log_det
            x = unsqueeze(x, fold)
        x, log_det = self.first.inverse(x, cond)
        return x, total + log_det

    @property
    def leaving(self) -> list[int]:
        """Numbers that leave at each scale."""
        kept = [split.kept for _, _, split in self._all()]
        return [(m[0] - k) * m[1] * m[2] for m, k in zip(self.maps, kept, strict=True)]

    def _all(self) -> list[tuple[tuple[int, int], Sequence[Step], Split]]:
        return list(zip(self.folds, self.steps, self.splits, strict=True))  # type: ignore[arg-type]


def folds(shape: Shape, scales: int) -> list[tuple[int, int]]:
    """How much the sides shrink at each scale: by 2 where they are even; it ends where neither is.

    Example:
        >>> folds((1, 28, 6), scales=4), folds((3, 5, 5), scales=2), folds((1, 5, 5), scales=1)
        ([(2, 2), (2, 1)], [(1, 1)], [])
    """
    out: list[tuple[int, int]] = []
    channels, high, wide = shape
    for _ in range(scales):
        fold = (2 - high % 2, 2 - wide % 2)
        if fold == (1, 1) and (out or channels < 2):
            break
        out.append(fold)
        channels, high, wide = channels * math.prod(fold) // 2, high // fold[0], wide // fold[1]
    return out


def squeeze(x: Tensor, fold: tuple[int, int]) -> Tensor:
    """Rectangles of places become channels.

    Example:
        >>> squeeze(torch.arange(4.0).view(1, 1, 2, 2), (2, 2)).flatten().tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    rows, channels, high, wide = x.shape
    down, across = fold
    x = x.reshape(rows, channels, high // down, down, wide // across, across)
    return x.permute(0, 1, 3, 5, 2, 4).reshape(rows, channels * down * across, high // down, wide // across)


def unsqueeze(x: Tensor, fold: tuple[int, int]) -> Tensor:
    """Inverse of `squeeze`."""
    rows, channels, high, wide = x.shape
    down, across = fold
    x = x.reshape(rows, channels // (down * across), down, across, high, wide)
    return x.permute(0, 1, 4, 2, 5, 3).reshape(rows, -1, high * down, wide * across)
