"""The pair of a deep convolutional GAN: transposed convolutions against strided ones (Radford, Metz, Chintala 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.mlp import Affine

LEAST = 8
"""Pictures are halved until their shorter side is less than this."""
WIDEST = 8
"""Most channels, as a multiple of those of the finest map."""

Size = tuple[int, int]


def pyramid(height: int, width: int) -> tuple[Size, ...]:
    """Sizes of maps from the picture down, each half of the one before (rounded up); at least two.

    Example:
        >>> pyramid(28, 28), pyramid(5, 9)
        (((28, 28), (14, 14), (7, 7)), ((5, 9), (3, 5)))
    """
    sizes = [(height, width)]
    while len(sizes) == 1 or min(sizes[-1]) >= LEAST:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return tuple(sizes)


class ConvolutionalGenerator(nn.Module):
    """Noise [rows, inputs] -> pictures [rows, channels, height, width] in (-1, 1), with batch normalisation.

    Arguments:
        inputs: columns of noise and of what is given.
        shape: channels, height and width of the pictures.
        width: channels of the finest map; coarser ones have twice as many each.
    """

    def __init__(self, inputs: int, shape: Sequence[int], width: int) -> None:
        super().__init__()
        sizes = pyramid(shape[1], shape[2])
        widths = [width * min(WIDEST, 2**i) for i in range(len(sizes) - 1)]
        self.sizes, self.coarse = sizes[-2::-1], (widths[-1], *sizes[-1])
        self.first = nn.Linear(inputs, widths[-1] * sizes[-1][0] * sizes[-1][1], bias=False)
        self.first_norm = nn.BatchNorm2d(widths[-1])
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False) for a, b in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for _, b in pairs)
        self.last = nn.ConvTranspose2d(width, shape[0], 4, 2, 1)

    def forward(self, noise: Tensor) -> Tensor:
        """[rows, inputs] -> [rows, channels, height, width]."""
        x = self.first(noise).unflatten(1, self.coarse).contiguous(memory_format=torch.channels_last)
        x = F.relu(self.first_norm(x))
        for up, norm, (h, w) in zip(self.ups, self.norms, self.sizes, strict=False):
            x = F.relu(norm(up(x)[:, :, :h, :w]))
        h, w = self.sizes[-1]
        return torch.tanh(self.last(x)[:, :, :h, :w])


class ConvolutionalFeatures(nn.Module):
    """Pictures [rows, channels, height, width] -> what the critic judges them by, [rows, features].

    Arguments:
        shape, width: as of the generator.
        normalised: batch normalisation of all but the first map; not where the slope of the critic counts, since it
            makes the answer for one picture hang on the others (Gulrajani et al. 2017).
    """

    def __init__(self, shape: Sequence[int], width: int, *, normalised: bool) -> None:
        super().__init__()
        sizes = pyramid(shape[1], shape[2])
        widths = [shape[0], *(width * min(WIDEST, 2**i) for i in range(len(sizes) - 1))]
        self.downs = nn.ModuleList(
            nn.Conv2d(a, b, 4, 2, 1, bias=i == 0 or not normalised) for i, (a, b) in enumerate(pairwise(widths))
        )
        later = (nn.BatchNorm2d(b) if normalised else nn.Identity() for b in widths[2:])
        self.norms = nn.ModuleList((nn.Identity(), *later))
        self.channels, self.features = widths[-1], widths[-1] * sizes[-1][0] * sizes[-1][1]

    def forward(self, pictures: Tensor) -> Tensor:
        """[rows, channels, height, width] -> [rows, features]."""
        return self.maps(pictures).flatten(1)

    def maps(self, pictures: Tensor) -> Tensor:
        """[rows, channels, height, width] -> the coarsest map, [rows, `channels`, coarse height, coarse width]."""
        x = pictures
        for down, norm in zip(self.downs, self.norms, strict=True):
            x = F.leaky_relu(norm(down(even(x))), 0.2)
        return x


class Critic(nn.Module):
    """`C(x, given) = w f(x) + given' V f(x)`: a projection critic (Miyato and Koyama 2018).

    Arguments:
        body: pictures -> features [rows, `body.features`].
        given: columns of what is given.
        level: whether a constant is added to the numbers.
    """

    def __init__(self, body: nn.Module, features: int, given: int, *, level: bool) -> None:
        super().__init__()
        self.body = body
        self.head = Affine(features, 1, bias=level)
        self.match = Affine(given, features, bias=False) if given else None

    def forward(self, pictures: Tensor, given: Tensor) -> Tensor:
        """Numbers [rows] float32 of pictures [rows, channels, height, width] and what is given [rows, given]."""
        f = self.body(pictures)
        score: Tensor = self.head(f)[:, 0].float()
        if self.match is not None:
            score = score + (self.match(given).float() * f.float()).sum(1) * f.shape[1] ** -0.5
        return score


def even(x: Tensor) -> Tensor:
    """Maps with one more row or column (the last again) where there is an odd number of them."""
    h, w = x.shape[2] % 2, x.shape[3] % 2
    return F.pad(x, (0, w, 0, h), mode="replicate") if h or w else x
