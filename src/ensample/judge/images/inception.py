"""Inception-v3 as the Frechet Inception distance has it (Szegedy et al., 2016; Heusel et al., 2017), from a file.

The file is the usual conversion of the TensorFlow graph of 2015 (`weights-inception-2015-12-05-6726825d.pth` or
`pt_inception-2015-12-05-6726825d.pth`), which the user has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ensample.judge.images.extractor import Labelled
from ensample.judge.images.resize import Bilinear299
from ensample.judge.images.weights import fill, read_weights

FEATURES, CLASSES = 2048, 1008

Kernel = int | tuple[int, int]
Step = tuple[str, int, Kernel] | tuple[str, int, Kernel, int] | str | list[Any]
"""A convolution (name, channels, kernel, stride), a pooling by name, or several convolutions side by side."""


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU. Stride 1 keeps the size unless `valid`; stride 2 takes no margin."""

    def __init__(self, incoming: int, out: int, kernel: Kernel, stride: int = 1, valid: bool = False) -> None:
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        margin = (0, 0) if stride > 1 or valid else (sides[0] // 2, sides[1] // 2)
        self.conv = nn.Conv2d(incoming, out, sides, stride, margin, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """[rows, incoming, h, w] to [rows, out, h', w']."""
        return F.relu(self.bn(self.conv(x)))


POOLS = {
    "mean": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "max": lambda x: F.max_pool2d(x, 3, 1, 1),
    "halve": lambda x: F.max_pool2d(x, 3, 2),
}


class Mixed(nn.Module):
    """Branches side by side, their channels one after the other."""

    def __init__(self, incoming: int, *branches: list[Step]) -> None:
        super().__init__()
        self.branches, self.out = branches, 0
        for branch in branches:
            self.out += self._build(incoming, branch)

    def _build(self, incoming: int, branch: list[Step]) -> int:
        """Channels that come out of a branch."""
        for step in branch:
            if isinstance(step, list):
                incoming = sum(self._build(incoming, [each]) for each in step)
            elif not isinstance(step, str):
                name, out, kernel = step[:3]
                stride = step[3] if len(step) == 4 else 1
                self.add_module(f"branch{name}", Convolution(incoming, out, kernel, stride))
                incoming = out
        return incoming

    def _run(self, x: Tensor, branch: list[Step]) -> Tensor:
        for step in branch:
            if isinstance(step, str):
                x = POOLS[step](x)
            elif isinstance(step, list):
                x = torch.cat([self._run(x, [each]) for each in step], 1)
            else:
                x = self.get_submodule(f"branch{step[0]}")(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """[rows, incoming, h, w] to [rows, out, h', w']."""
        return torch.cat([self._run(x, branch) for branch in self.branches], 1)


def _wide(incoming: int, pool: int) -> Mixed:
    double: list[Step] = [("3x3dbl_1", 64, 1), ("3x3dbl_2", 96, 3), ("3x3dbl_3", 96, 3)]
    five: list[Step] = [("5x5_1", 48, 1), ("5x5_2", 64, 5)]
    return Mixed(incoming, [("1x1", 64, 1)], five, double, ["mean", ("_pool", pool, 1)])


def _first_halving() -> Mixed:
    double: list[Step] = [("3x3dbl_1", 64, 1), ("3x3dbl_2", 96, 3), ("3x3dbl_3", 96, 3, 2)]
    return Mixed(288, [("3x3", 384, 3, 2)], double, ["halve"])


def _long(c: int) -> Mixed:
    once: list[Step] = [("7x7_1", c, 1), ("7x7_2", c, (1, 7)), ("7x7_3", 192, (7, 1))]
    twice: list[Step] = [
        ("7x7dbl_1", c, 1),
        ("7x7dbl_2", c, (7, 1)),
        ("7x7dbl_3", c, (1, 7)),
        ("7x7dbl_4", c, (7, 1)),
        ("7x7dbl_5", 192, (1, 7)),
    ]
    return Mixed(768, [("1x1", 192, 1)], once, twice, ["mean", ("_pool", 192, 1)])


def _second_halving() -> Mixed:
    seven: list[Step] = [
        ("7x7x3_1", 192, 1),
        ("7x7x3_2", 192, (1, 7)),
        ("7x7x3_3", 192, (7, 1)),
        ("7x7x3_4", 192, 3, 2),
    ]
    return Mixed(768, [("3x3_1", 192, 1), ("3x3_2", 320, 3, 2)], seven, ["halve"])


def _forked(incoming: int, pool: str) -> Mixed:
    once: list[Step] = [("3x3_1", 384, 1), [("3x3_2a", 384, (1, 3)), ("3x3_2b", 384, (3, 1))]]
    twice: list[Step] = [
        ("3x3dbl_1", 448, 1),
        ("3x3dbl_2", 384, 3),
        [("3x3dbl_3a", 384, (1, 3)), ("3x3dbl_3b", 384, (3, 1))],
    ]
    return Mixed(incoming, [("1x1", 320, 1)], once, twice, [pool, ("_pool", 192, 1)])


class Inception(nn.Module):
    """From pictures [rows, 3, 299, 299] to 2,048 features, the mean of the last layer over places."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3, valid=True)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3, valid=True)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _wide(192, 32), _wide(256, 64), _wide(288, 64)
        self.Mixed_6a, self.Mixed_6b = _first_halving(), _long(128)
        self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = _long(160), _long(160), _long(192)
        self.Mixed_7a, self.Mixed_7b, self.Mixed_7c = _second_halving(), _forked(1280, "mean"), _forked(2048, "max")

    def forward(self, x: Tensor) -> Tensor:
        """[rows, 3, 299, 299] to [rows, 2048]."""
        for name, layer in self.named_children():
            if name in ("Conv2d_3b_1x1", "Mixed_5b"):
                x = POOLS["halve"](x)
            x = layer(x)
        return x.mean((2, 3))


def inception(path: str | Path) -> Labelled:
    """The extractor, from a file of weights. Its logits leave out the bias, as the Inception Score has them.

    Raises:
        InputError, FormatError: there is no such file, or it does not hold these weights.
    """
    weights = read_weights(path)
    with torch.device("meta"):
        body, head = Inception(), nn.Linear(FEATURES, CLASSES)
    body, head = body.to_empty(device="cpu"), head.to_empty(device="cpu")
    fill(body, weights, str(path))
    fill(head, {k.removeprefix("fc."): v for k, v in weights.items() if k.startswith("fc.")}, str(path))
    head.bias.data.zero_()
    prepare = Bilinear299()
    classes = tuple(f"Inception {k}" for k in range(CLASSES))
    return Labelled("Inception-v3", body, head, classes, prepare, prepare.words, batch=25)
