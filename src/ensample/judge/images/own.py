"""An extractor trained in seconds on the user's own pictures: by their labels, or by which way up they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ensample.errors import InputError
from ensample.judge.images.convnet import ConvNet
from ensample.judge.images.extractor import Labelled, Network, checked
from ensample.nets.machine import machine
from ensample.nets.random import seeded

BATCH, RATE, DECAY, RISE = 256, 6e-3, 1e-2, 0.2
SHIFT = 1 / 14
"""Pictures are moved by up to this share of their side: a digit is the same digit two pixels away."""

Precision = Literal["float32", "bfloat16"]


def own(
    pictures: np.ndarray,
    labels: Sequence[str] | np.ndarray | None = None,
    *,
    seen: int = 60_000,
    seed: int = 0,
    precision: Precision = "float32",
    name: str = "",
) -> Network:
    """Train a small residual network on pictures and give it as an extractor of 128 features.

    With labels it learns to classify and is a `Labelled`. Without, it learns which of the symmetries of the rectangle
    was applied to a picture (quarter turns and mirror images of squares; after Gidaris et al., 2018): it must know
    what pictures look like to say so. Weights are a pure function of the arguments on one kind of processor.

    Arguments:
        pictures: uint8 [rows, height, width, channels].
        labels: a name or number for each picture, or None.
        seen: pictures that go through the network in learning, repetitions counted; 2,400 a second at 28 x 28.
        seed: of initial weights, order and shifts.
        precision: of the products in learning; "bfloat16" is faster where the processor has it.
        name: what to call it; "own classifier" or "own turns" if empty.

    Raises:
        InputError: fewer than two pictures, labels of another length, or fewer than two classes.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> dark, light = (rng.integers(low, low + 100, (40, 8, 8, 1)).astype(np.uint8) for low in (0, 150))
        >>> extractor = own(np.concatenate([dark, light]), ["dark"] * 40 + ["light"] * 40, seen=2_000)
        >>> extractor.classes, extractor.features(dark).shape
        (('dark', 'light'), (40, 128))
    """
    checked(pictures)
    if len(pictures) < 2:
        raise InputError("A network learns from at least two pictures.", "pictures", str(len(pictures)), "pass more")
    task = _Turns(pictures.shape[1:3]) if labels is None else _Labels(labels, len(pictures))
    generator = Generator().manual_seed(seed)
    with machine(1), seeded(generator):
        body = ConvNet(*pictures.shape[1:]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        head = nn.Linear(128, task.count)
        _learn(body, head, pictures, task, seen, seed, precision)
    prepare = Prepare(pictures.shape[1:])
    if isinstance(task, _Turns):
        return Network(name or "own turns", body, prepare, prepare.words)
    return Labelled(name or "own classifier", body, head, task.classes, prepare, prepare.words)


class Prepare:
    """Bytes of the one size that the network knows, (height, width, channels), to [-1, 1]; `words` says so."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self.words = f"pixels of {' x '.join(map(str, self.shape))} to [-1, 1]"

    def __call__(self, pictures: np.ndarray) -> Tensor:
        """Raises InputError for pictures of another size."""
        if pictures.shape[1:] != self.shape:
            raise InputError(
                "An extractor trained on pictures of one size reads that size.",
                "pictures",
                f"{pictures.shape[1:]} against {self.shape} (height, width, channels)",
                "resize them, or train another extractor",
            )
        return _numbers(torch.from_numpy(np.ascontiguousarray(pictures)))


def _numbers(pictures: Tensor) -> Tensor:
    return pictures.permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


class _Labels:
    """Tell the label."""

    def __init__(self, labels: Sequence[str] | np.ndarray, rows: int) -> None:
        names, codes = np.unique(np.asarray([str(label) for label in labels]), return_inverse=True)
        if len(codes) != rows or len(names) < 2:
            raise InputError(
                "A classifier learns from one label a picture, of two classes or more.",
                "labels",
                f"{len(codes)} labels of {len(names)} classes for {rows} pictures",
                "pass a label for each picture, or labels=None",
            )
        self.classes = tuple(str(n) for n in names)
        self.count, self.codes = len(names), torch.from_numpy(codes.astype(np.int64))

    def __call__(self, x: Tensor, rows: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        return x, self.codes[rows]


class _Turns:
    """Tell which symmetry of the rectangle was applied."""

    def __init__(self, shape: Sequence[int]) -> None:
        square = shape[0] == shape[1]
        self.moves: list[Callable[[Tensor], Tensor]] = [
            lambda x: x,
            lambda x: x.flip(3),
            lambda x: x.flip(2),
            lambda x: x.flip(2, 3),
        ]
        if square:
            self.moves += [lambda x, move=move: move(x).transpose(2, 3) for move in self.moves[:4]]  # type: ignore[misc]
        self.count = len(self.moves)

    def __call__(self, x: Tensor, rows: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        parts = x.chunk(self.count)
        moved = [self.moves[k](part) for k, part in enumerate(parts)]
        return torch.cat(moved), torch.cat([torch.full((len(p),), k) for k, p in enumerate(parts)])


def _learn(body: nn.Module, head: nn.Linear, pictures: np.ndarray, task: Any, seen: int, seed: int, how: str) -> None:
    """AdamW with a rising, then falling rate; loss in float32."""
    steps = max(1, seen // BATCH)
    weights = [*body.parameters(), *head.parameters()]
    groups = [
        {"params": [w for w in weights if w.dim() > 1], "weight_decay": DECAY},
        {"params": [w for w in weights if w.dim() < 2], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.99), fused=True)
    generator = Generator().manual_seed(seed + 1)
    body.train()
    for step, (x, rows) in enumerate(_batches(pictures, steps, seed, generator)):
        for group in optimiser.param_groups:
            group["lr"] = RATE * _rate((step + 0.5) / steps)
        x, target = task(x, rows, generator)
        with _autocast(how):
            features = body(x.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(head(features), target)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def _autocast(precision: str) -> AbstractContextManager[Any]:
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")


def _rate(share: float) -> float:
    """Share of the largest rate: up in a line, down in a cosine, no jump that batch statistics would remember."""
    return share / RISE if share < RISE else 0.5 * (1 + math.cos(math.pi * (share - RISE) / (1 - RISE)))


def _batches(pictures: np.ndarray, steps: int, seed: int, generator: Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of shifted pictures in [-1, 1], [rows, channels, height, width], and where they come from."""
    height, width = pictures.shape[1:3]
    down, across = round(height * SHIFT), round(width * SHIFT)
    for rows in _order(len(pictures), steps, seed):
        x = _numbers(torch.from_numpy(pictures[rows]))
        padded = F.pad(x, (across, across, down, down), mode="replicate").permute(0, 2, 3, 1)
        top = torch.randint(2 * down + 1, (len(rows), 1, 1), generator=generator) + torch.arange(height)[None, :, None]
        left = torch.randint(2 * across + 1, (len(rows), 1, 1), generator=generator) + torch.arange(width)
        yield padded[torch.arange(len(rows))[:, None, None], top, left].permute(0, 3, 1, 2), torch.from_numpy(rows)


def _order(rows: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    """Rows of each step: one pass after the other, each in an order of its own."""
    waiting, epoch = np.zeros(0, np.int64), 0
    for _ in range(steps):
        while len(waiting) < BATCH:
            waiting = np.r_[waiting, np.random.default_rng((seed, epoch)).permutation(rows)]
            epoch += 1
        yield waiting[:BATCH]
        waiting = waiting[BATCH:]
