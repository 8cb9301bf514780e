"""Passes of EM: an E step as one matrix product, an M step as another, block by block, in buffers used again and again.

Every weighted component density is `2^(W phi)` with features phi of a row (see `mixture_forms`). A constant is folded
into W so that the largest possible value is far from overflow; a block in which some row then underflows is done again
relative to its own largest component. Products of float32 are only trusted while a bound on their cancellation is small
(`TRUSTED`); narrow components far from the centre are computed in float64. Sums over blocks are float64 always.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from ensample.families.mixture.forms import Form, Natural

BLOCK = 4096
"""Rows of a block: k x 4,096 numbers stay in the second-level cache."""

TRUSTED = 1e-2
"""Largest bound on the error of a log-density, in nats, up to which float32 is used."""

_ROOM = {torch.float32: (100.0, 2.0**-90), torch.float64: (900.0, 2.0**-850)}
_LN2 = math.log(2.0)
T = TypeVar("T")


@dataclass
class Rows:
    """Rows in which the same coordinates are known: numbers [rows, d], their noise, and classes of discrete spans.

    `noise` [rows, d] is the variance of each value about what is written, None for no noise. Features are not kept:
    making them again for each block, in the cache, costs no more than reading them from memory would.
    """

    x: Tensor
    noise: Tensor | None
    codes: tuple[Tensor, ...] = ()
    shift: Tensor | float = 0.0
    scale: Tensor | float = 1.0
    _blocks: list[Block] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.x)

    def blocks(self, dtype: torch.dtype) -> list[Block]:
        """The rows in parts of `BLOCK`, coordinate by coordinate; kept for the next time."""
        if not self._blocks or self._blocks[0].x.dtype != dtype:
            self._blocks = []  # let go of the other precision first
            self._blocks = [self._block(slice(at, at + BLOCK), dtype) for at in range(0, len(self), BLOCK)]
        return self._blocks

    def _block(self, rows: slice, dtype: torch.dtype) -> Block:
        x = (self.x[rows].to(torch.float64) - self.shift) / self.scale
        noise = None if self.noise is None else self.noise[rows].T.to(dtype).contiguous()
        return Block(x.T.to(dtype).contiguous(), noise, [column[rows] for column in self.codes])


@dataclass(frozen=True)
class Block:
    """Numbers and noise [d, rows], classes [rows]."""

    x: Tensor
    noise: Tensor | None
    codes: list[Tensor]


@dataclass
class Sums:
    """Float64 sums over rows: log-likelihood in nats, features [k, features], classes [k, classes] of each span."""

    log_prob: float
    features: Tensor
    classes: tuple[Tensor, ...]

    def add(self, other: Sums) -> None:
        """In place."""
        self.log_prob += other.log_prob
        self.features += other.features
        for mine, theirs in zip(self.classes, other.classes, strict=True):
            mine += theirs


def accumulate(
    rows: Rows, form: Form, natural: Natural, tables: Sequence[Tensor], dtype: torch.dtype, threads: int
) -> Sums:
    """One pass of EM over the rows: responsibilities, and the sums of features and classes that they weigh.

    Arguments:
        rows: the data.
        form: of the covariances.
        natural: weights on the features (`form.natural`).
        tables: log-probabilities [k, classes] in nats of each discrete span in `rows.codes`.
        dtype: float32 is used only if it can be trusted here.
        threads: how many threads share the blocks; the result depends on this number in the last bits.
    """
    if natural.terms * torch.finfo(torch.float32).eps > TRUSTED:
        dtype = torch.float64
    threads = max(1, min(threads, len(rows) // (4 * BLOCK)))
    tasks = [_pass(part, form, natural, tables, dtype) for part in _parts(rows.blocks(dtype), threads)]
    total, *others = _in_threads(tasks)
    for part in others:
        total.add(part)
    return total


def _pass(
    blocks: list[Block], form: Form, natural: Natural, tables: Sequence[Tensor], dtype: torch.dtype
) -> Callable[[], Sums]:
    room, least = _ROOM[dtype]
    weights = natural.weights.clone()
    weights[:, -1] += room - natural.peak
    weights = weights.to(dtype)
    bits = [(table / _LN2).to(dtype) for table in tables]
    k, f = weights.shape

    def run() -> Sums:
        classes = tuple(torch.zeros_like(table, dtype=torch.float64) for table in tables)
        sums = Sums(0.0, torch.zeros(k, f, dtype=torch.float64), classes)
        size = max(block.x.shape[1] for block in blocks)
        joint_memory, phi_memory = torch.empty(k * size, dtype=dtype), torch.empty(f * size, dtype=dtype)
        for block in blocks:
            n = block.x.shape[1]
            joint, phi = joint_memory[: k * n].view(k, n), phi_memory[: f * n].view(f, n)
            form.features(block.x, block.noise, phi)
            _bits(weights, phi, bits, block.codes, joint)
            total, held = _exponentiate(joint, least)
            evidence = total.log2()
            if not held:
                _bits(weights, phi, bits, block.codes, joint)
                shift, total = _exponentiate_each(joint)
                evidence = total.log2() + shift
            sums.log_prob += float(evidence.sum(dtype=torch.float64)) - n * (room - natural.peak)
            share = total.reciprocal_()
            (joint if k <= f or tables else phi).mul_(share)  # whichever is smaller
            _gram(joint, phi, sums.features)
            for counts, column in zip(sums.classes, block.codes, strict=True):
                counts.index_add_(1, column, joint.to(torch.float64))
        sums.log_prob *= _LN2
        return sums

    return run


def _bits(weights: Tensor, phi: Tensor, bits: Sequence[Tensor], codes: Sequence[Tensor], out: Tensor) -> None:
    torch.mm(weights, phi, out=out)
    for table, column in zip(bits, codes, strict=True):
        out += table[:, column]


def _exponentiate(joint: Tensor, least: float) -> tuple[Tensor, bool]:
    """2^joint in place, its sum over components, and whether every row is within what this precision can hold."""
    total = joint.exp2_().sum(0)
    return total, float(total.min()) >= least and float(total.max()) < math.inf


def _exponentiate_each(joint: Tensor) -> tuple[Tensor, Tensor]:
    """2^(joint - shift) in place, its sum over components, and the shift: the largest of each row."""
    shift = joint.amax(0)
    joint -= shift
    return shift, joint.exp2_().sum(0)


def _gram(left: Tensor, right: Tensor, out: Tensor) -> None:
    """`out += left @ right.T`; the order of the factors that is faster in each precision."""
    out += (right @ left.T).T if left.dtype == torch.float32 else left @ right.T


def _parts(items: Sequence[T], count: int) -> Iterator[list[T]]:
    """Contiguous parts of nearly equal length, at least one."""
    count = max(1, min(count, len(items)))
    bounds = [round(i * len(items) / count) for i in range(count + 1)]
    yield from (list(items[a:b]) for a, b in itertools.pairwise(bounds))


def _in_threads(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """The results of all tasks, in order, each on a thread of its own."""
    if len(tasks) == 1:
        return [tasks[0]()]
    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(lambda task: task(), tasks))


@contextmanager
def kernel_settings() -> Iterator[int]:
    """One thread a matrix product and the fastest float32 product, while the block lasts; gives the threads there were.

    "medium" sends float32 products to oneDNN. On processors with bfloat16 matrix units it would also round, so it is
    used only if a probe shows no loss.
    """
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("medium")
    try:
        if not _keeps_precision():
            torch.set_float32_matmul_precision("highest")
        yield threads
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(threads)


def _keeps_precision() -> bool:
    """Whether float32 products are better than bfloat16 ones: 1 + 2^-12 survives."""
    fine = torch.full((64, 64), 1.0 + 2.0**-12)
    return float((fine @ torch.eye(64) - fine).abs().max()) < 2.0**-20
