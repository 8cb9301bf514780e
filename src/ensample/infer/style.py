"""Neural style: a picture that keeps its content and takes the texture of another (Gatys, Ecker and Bethge 2016)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.nets.random import seeded

Features = Callable[[Tensor], Sequence[Tensor]]
"""Pictures [rows, channels, height, width] in [-1, 1] -> maps [rows, features, height, width], fine ones first."""


class RandomFeatures(nn.Module):
    """Layers of random filters, which describe textures nearly as well as learned ones (Ustyuzhaninov et al. 2017).

    Where a network that knows objects is at hand, its maps keep more of what a picture shows; any function that is
    `Features` will do.

    Arguments:
        channels: of the pictures.
        filters: of each layer.
        layers: each at half the size of the one before.

    Example:
        >>> [tuple(each.shape[1:]) for each in RandomFeatures(3, filters=8)(torch.zeros(1, 3, 16, 16))]
        [(8, 16, 16), (8, 8, 8), (8, 4, 4)]
    """

    def __init__(self, channels: int, filters: int = 64, layers: int = 3) -> None:
        super().__init__()
        inputs = [channels, *[filters] * (layers - 1)]
        with seeded(Generator().manual_seed(0)):
            convolutions = [nn.Conv2d(n, filters, 5, padding=2, padding_mode="replicate") for n in inputs]
            for layer in convolutions:
                nn.init.kaiming_normal_(layer.weight)
        self.layers = nn.ModuleList(convolutions)
        self.requires_grad_(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """[rows, channels, height, width] -> maps of every layer."""
        maps: list[Tensor] = []
        x = pictures
        for layer in self.layers:
            x = F.relu(layer(x if not maps else F.avg_pool2d(x, 2, ceil_mode=True)))
            maps.append(x)
        return maps


def gram(maps: Tensor) -> Tensor:
    """How features go together wherever they are: mean products over places, [rows, features, features].

    Example:
        >>> gram(torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]])).tolist()
        [[[5.0, 1.0], [1.0, 2.0]]]
    """
    flat = maps.flatten(2)
    return flat @ flat.mT / flat.shape[2]


def stylised(
    content: Tensor,
    style: Tensor,
    features: Features | None = None,
    *,
    keep: float = 1.0,
    steps: int = 150,
    rate: float = 0.05,
) -> Tensor:
    """Pictures x near to `content` in the fine layers and to `style` in what features go together.

    Least `keep |f_1(x) - f_1(c)|^2 / |f_1(c)|^2 + mean_l |G_l(x) - G_l(s)|^2 / |G_l(s)|^2`, f_l the maps of layer l and
    G_l their Gram matrices, by Adam from x = c; x stays within [-1, 1]. No network is taught: a few seconds for a small
    picture, and longer with its area. For many pictures in one manner, or where whole shapes must change, teach a
    family of pictures instead.

    Arguments:
        content: [rows, channels, height, width] in [-1, 1].
        style: one picture [1, channels, height, width] of any size, or one for each row.
        features: layers that pictures are compared by; `RandomFeatures` if None.
        keep: weight of the content; 0 makes pure texture.
        steps: of Adam.
        rate: its first step size, falling to 0.

    Returns:
        Pictures of the shape of `content`, float32; each row is found on its own.
    """
    looks = features or RandomFeatures(content.shape[1])
    with torch.no_grad():
        kept = looks(content)[0]
        wanted = [gram(maps) for maps in looks(style)]
    x = content.detach().to(torch.float32).clone()
    first, second = torch.zeros_like(x), torch.zeros_like(x)
    for step in range(1, steps + 1):
        with torch.enable_grad():
            x.requires_grad_(True)
            maps = looks(x)
            cost = keep * _apart(maps[0], kept)
            for each, target in zip(maps, wanted, strict=True):
                cost = cost + _apart(gram(each), target) / len(wanted)
            (slope,) = torch.autograd.grad(cost.sum(), x)
        first.lerp_(slope, 0.1)
        second.lerp_(slope.square(), 0.01)
        moved = (first / (1 - 0.9**step)) / ((second / (1 - 0.99**step)).sqrt() + 1e-12)
        x = (x.detach() - rate * (1 - (step - 1) / steps) * moved).clamp(-1, 1)
    return x


def _apart(made: Tensor, wanted: Tensor) -> Tensor:
    """Squared distance over the squared length of what is wanted, [rows]."""
    return (made - wanted).square().flatten(1).sum(1) / wanted.square().flatten(1).sum(1).clamp(min=1e-12)
