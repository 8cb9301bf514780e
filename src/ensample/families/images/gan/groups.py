"""Groups of alike pictures, found before learning, so that no sort of picture can be left out."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

COARSE = 16
"""Pictures are looked at with sides of at most this many pixels."""
DIRECTIONS = 32
"""Principal components that tell pictures apart."""
ROUNDS = 25
"""Steps of k-means."""


class Views(nn.Module):
    """The principal components of coarse pictures, scaled so that the first has variance one.

    Arguments:
        mean: [pixels] of coarse pictures.
        basis: [pixels, components].
    """

    mean: Tensor
    basis: Tensor

    def __init__(self, mean: Tensor, basis: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("basis", basis)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [rows, channels, height, width] -> components [rows, components]."""
        return (coarse(pictures) - self.mean) @ self.basis

    @classmethod
    def of(cls, pictures: Tensor) -> Views:
        """Components of these pictures [rows, channels, height, width]."""
        seen = coarse(pictures).to(torch.float64)
        mean = seen.mean(0)
        values, vectors = torch.linalg.eigh((seen - mean).T @ (seen - mean) / len(seen))
        values, vectors = values.flip(0)[:DIRECTIONS], vectors.flip(1)[:, :DIRECTIONS]
        basis = vectors / values[0].clamp(min=1e-12).sqrt()
        return cls(mean.to(torch.float32), basis.to(torch.float32))


class Groups(nn.Module):
    """K-means groups of pictures (Lloyd 1982) and their shares; groups follow the first component.

    A place in the latent space holds its group in its first number, u of N(0, 1): group g where `Phi(u)` lies between
    the shares up to g and with g. So places are standard normal and groups come as often as in the data.

    Arguments:
        centres: [groups, components].
        share: [groups], adding up to 1.
    """

    centres: Tensor
    share: Tensor

    def __init__(self, centres: Tensor, share: Tensor) -> None:
        super().__init__()
        self.register_buffer("centres", centres)
        self.register_buffer("share", share)

    def __len__(self) -> int:
        return len(self.share)

    def of(self, views: Tensor) -> Tensor:
        """The group of each picture from its components [rows, components], int64 [rows]."""
        return torch.cdist(views, self.centres).argmin(1)

    def indicators(self, groups: Tensor) -> Tensor:
        """Groups [rows] as what networks are given, [rows, groups] float32."""
        return F.one_hot(groups, len(self)).to(torch.float32)

    def at(self, place: Tensor) -> Tensor:
        """The group of each first number of a place, [rows] -> int64 [rows].

        Example:
            >>> groups = Groups(torch.zeros(2, 1), torch.tensor([0.16, 0.84]))
            >>> groups.at(torch.tensor([-1.1, -0.9])).tolist()
            [0, 1]
        """
        edges = self.share.to(torch.float64).cumsum(0)[:-1]
        return torch.searchsorted(edges, torch.special.ndtr(place.to(torch.float64)), right=True)

    def place(self, groups: Tensor) -> Tensor:
        """The middle of each group's interval: inverse of `at`, [rows] float32."""
        share = self.share.to(torch.float64)
        middle: Tensor = torch.special.ndtri(share.cumsum(0) - share / 2)
        return middle[groups].to(torch.float32)

    @classmethod
    def find(cls, views: Tensor, count: int, generator: Generator) -> Groups:
        """At most `count` groups of the components [rows, components], from k-means++ (Arthur, Vassilvitskii 2007)."""
        centres = _spread(views, count, generator)
        for _ in range(ROUNDS):
            nearest = torch.cdist(views, centres).argmin(1)
            counts = torch.bincount(nearest, minlength=len(centres))
            sums = torch.zeros_like(centres).index_add_(0, nearest, views)
            centres = (sums / counts[:, None])[counts > 0]
        centres = centres[centres[:, 0].argsort()]
        counts = torch.bincount(torch.cdist(views, centres).argmin(1), minlength=len(centres))
        return cls(centres[counts > 0], counts[counts > 0] / len(views))


def _spread(views: Tensor, count: int, generator: Generator) -> Tensor:
    """First centres: rows drawn in proportion to the squared distance from those drawn before."""
    chosen = views[torch.randint(len(views), (1,), generator=generator)]
    away = (views - chosen).square().sum(1)
    while len(chosen) < count and bool((away > 1e-9).any()):
        row = torch.multinomial(away, 1, generator=generator)
        chosen = torch.cat([chosen, views[row]])
        away = torch.minimum(away, (views - views[row]).square().sum(1))
    return chosen


def coarse(pictures: Tensor) -> Tensor:
    """Pictures with sides of at most `COARSE` pixels, as vectors [rows, pixels]; each is a mean of pixels."""
    height, width = pictures.shape[2:]
    return F.adaptive_avg_pool2d(pictures, (min(height, COARSE), min(width, COARSE))).flatten(1)
