"""Fine detail of pictures in a few numbers, for the score of held-out pictures."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

FILTERS, SIDE = 32, 5
"""Random filters, and their side in pixels; smaller pictures are mirrored at their edges."""
AT_ONCE = 2**18
"""Pixels at once."""


class Texture(nn.Module):
    """How strongly each of some random filters answers over a picture, standardised: what coarse pictures do not show.

    Mean and mean square of the rectified answers (random networks tell textures apart: Ustyuzhaninov et al. 2017).

    Arguments:
        mean, scale: of the answers over the training pictures, [2 filters].
        channels: of the pictures.

    Example:
        >>> pictures = torch.randn(50, 1, 8, 8, generator=Generator().manual_seed(0))
        >>> seen = Texture.of(pictures)(pictures)
        >>> seen.shape, round(float(seen.square().sum(1).mean()), 2)
        (torch.Size([50, 64]), 1.0)
    """

    mean: Tensor
    scale: Tensor
    filters: Tensor

    def __init__(self, mean: Tensor, scale: Tensor, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.register_buffer("filters", _filters(channels), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures [rows, channels, height, width] -> [rows, 2 filters], of variance one in all."""
        return (_answers(pictures, self.filters) - self.mean) / self.scale

    @classmethod
    def of(cls, pictures: Tensor) -> Texture:
        """Standardised by these pictures."""
        answers = _answers(pictures, _filters(pictures.shape[1]))
        spread = answers.std(0, correction=0).clamp(min=1e-4)
        return cls(answers.mean(0), spread * answers.shape[1] ** 0.5, pictures.shape[1])


def _filters(channels: int) -> Tensor:
    """Filters that give nothing on even grey, [filters, channels, side, side]."""
    drawn = torch.randn(FILTERS, channels, SIDE, SIDE, generator=Generator().manual_seed(0))
    drawn = drawn - drawn.mean((2, 3), keepdim=True)
    lengths: Tensor = drawn.flatten(1).norm(dim=1)
    return drawn / lengths[:, None, None, None]


def _answers(pictures: Tensor, filters: Tensor) -> Tensor:
    edge = SIDE // 2
    parts = []
    for part in torch.split(pictures, max(1, AT_ONCE // pictures[0, 0].numel()) if len(pictures) else 1):
        part = F.pad(part, (edge, edge, edge, edge), mode="reflect")
        answer = F.conv2d(part, filters).relu_()
        parts.append(torch.cat([answer.mean((2, 3)), answer.square().mean((2, 3))], 1))
    return torch.cat(parts)
