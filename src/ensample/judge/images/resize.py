"""Pictures at the size that a trained network wants."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ensample.judge.images.extractor import colours

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of the channels, 0 to 1, that many networks were trained with."""


def channels_first(pictures: np.ndarray) -> Tensor:
    """Three channels 0 to 255, float32 [rows, 3, height, width], of pictures uint8 [rows, height, width, channels]."""
    return torch.from_numpy(np.ascontiguousarray(colours(pictures))).permute(0, 3, 1, 2).float()


class Bicubic:
    """Pictures by bicubic resizing (smoothed where they shrink), 0 to 1, less `mean`, over `deviation` (a channel)."""

    def __init__(self, side: int, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
        self.side, self.mean, self.deviation = side, mean, deviation
        self.words = f"bicubic to {side}, (x / 255 - {mean}) / {deviation}"

    def __call__(self, pictures: np.ndarray) -> Tensor:
        """float32 [rows, 3, side, side]."""
        x = channels_first(pictures)
        x = F.interpolate(x, (self.side, self.side), mode="bicubic", antialias=True, align_corners=False)
        mean, deviation = (torch.tensor(v)[:, None, None] for v in (self.mean, self.deviation))
        return (x.clamp(0, 255) / 255 - mean) / deviation


class Bilinear299:
    """Pictures as the Inception network of the Frechet distance wants them: 299 x 299, (x - 128) / 128.

    Bilinear, where pixel k of n new ones looks at k * old / n, as TensorFlow 1 did: the first pixel stays where it is.
    """

    side, words = 299, "bilinear of TensorFlow 1 to 299, (x - 128) / 128"

    def __call__(self, pictures: np.ndarray) -> Tensor:
        """float32 [rows, 3, 299, 299]."""
        x = channels_first(pictures)
        down, across = (_between(n, self.side) for n in x.shape[2:])
        return (down @ x @ across.T - 128) / 128


def _between(old: int, new: int) -> Tensor:
    """The weights of old places in new ones, float32 [new, old]."""
    at = torch.arange(new, dtype=torch.float32) * (old / new)
    low = at.floor().long().clamp(max=old - 1)
    share = at - low
    out = torch.zeros(new, old)
    rows = torch.arange(new)
    out[rows, low] += 1 - share
    out[rows, (low + 1).clamp(max=old - 1)] += share
    return out
