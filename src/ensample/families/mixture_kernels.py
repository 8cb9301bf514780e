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

from ensample.families.mixture_forms import Form, Natural

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

    `noise` [rows, d] or [1, d] is the variance of each value about what is written. Features are built when a precision
    is first asked for, and kept: 4 or 8 bytes times features times rows.
    """

    x: Tensor
    noise: Tensor
    codes: tuple[Tensor, ...] = ()
    shift: Tensor | float = 0.0
    scale: Tensor | float = 1.0
    _blocks: list[Tensor] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.x)

    def features(self, form: Form, dtype: torch.dtype, threads: int) -> list[Tensor]:
        """Phi [features, rows] of each block."""
        if not self._blocks or self._blocks[0].dtype != dtype:
            self._blocks = []  # let go of the other precision first
            starts = range(0, len(self), BLOCK)
            self._blocks = in_threads([_builder(self, form, dtype, part) for part in _parts(starts, threads)])
        return self._blocks

    def values(self, rows: slice) -> tuple[Tensor, Tensor]:
        """Numbers and noise [rows, d] float64."""
        x = (self.x[rows].to(torch.float64) - self.shift) / self.scale
        noise = self.noise if len(self.noise) == 1 else self.noise[rows]
        return x, noise


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
    features = rows.features(form, dtype, threads)
    numbered = list(enumerate(features))
    tasks = [_pass(rows, part, natural, tables, dtype) for part in _parts(numbered, threads)]
    total, *others = in_threads(tasks)
    for part in others:
        total.add(part)
    return total


def _pass(
    rows: Rows, blocks: list[tuple[int, Tensor]], natural: Natural, tables: Sequence[Tensor], dtype: torch.dtype
) -> Callable[[], list[Sums]]:
    room, least = _ROOM[dtype]
    weights = natural.weights.clone()
    weights[:, -1] += room - natural.peak
    weights = weights.to(dtype)
    bits = [(table / _LN2).to(dtype) for table in tables]

    def run() -> list[Sums]:
        k, f = weights.shape
        sums = Sums(
            0.0, torch.zeros(k, f, dtype=torch.float64), tuple(torch.zeros_like(t, dtype=torch.float64) for t in tables)
        )
        size = min(BLOCK, len(rows))
        buffer, scaled = torch.empty(k * size, dtype=dtype), torch.empty(min(k, f) * size, dtype=dtype)
        for number, phi in blocks:
            n = phi.shape[1]
            part = slice(number * BLOCK, number * BLOCK + n)
            codes = [column[part] for column in rows.codes]
            joint = buffer[: k * n].view(k, n)
            _bits(weights, phi, bits, codes, joint)
            total, held = _exponentiate(joint, least)
            evidence = total.log2()
            if not held:
                _bits(weights, phi, bits, codes, joint)
                shift, total = _exponentiate_each(joint)
                evidence = total.log2() + shift
            sums.log_prob += float(evidence.sum(dtype=torch.float64)) - n * (room - natural.peak)
            share = total.reciprocal_()
            if k <= f or codes:
                joint *= share
                _gram(joint, phi, sums.features)
            else:  # fewer features than components: scale those
                _gram(joint, torch.mul(phi, share, out=scaled[: f * n].view(f, n)), sums.features)
            for counts, column in zip(sums.classes, codes, strict=True):
                counts.index_add_(1, column, joint.to(torch.float64))
        sums.log_prob *= _LN2
        return [sums]

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


def _builder(rows: Rows, form: Form, dtype: torch.dtype, starts: list[int]) -> Callable[[], list[Tensor]]:
    def build() -> list[Tensor]:
        blocks = []
        for start in starts:
            x, noise = rows.values(slice(start, start + BLOCK))
            blocks.append(form.features(x, noise).to(dtype))
        return blocks

    return build


def _parts(items: Sequence[T], count: int) -> Iterator[list[T]]:
    """Contiguous parts of nearly equal length, at least one."""
    count = max(1, min(count, len(items)))
    bounds = [round(i * len(items) / count) for i in range(count + 1)]
    yield from (list(items[a:b]) for a, b in itertools.pairwise(bounds))


def in_threads(tasks: Sequence[Callable[[], list[T]]]) -> list[T]:
    """The results of all tasks, in order, each on a thread of its own."""
    if len(tasks) == 1:
        return [result for task in tasks for result in task()]
    with ThreadPoolExecutor(len(tasks)) as pool:
        return [result for results in pool.map(lambda task: task(), tasks) for result in results]


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
