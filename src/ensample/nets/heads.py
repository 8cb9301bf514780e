"""Heads over ordered bins: a free logit for each bin plus a few peaks that can be moved.

`logit_b = free_b + sum_k height_k / (1 + u_kb^2)`, `u_kb = rate_k (c_b - location - offset_k)`, where `location` is
linear in the values that are known, with slopes that the hidden state sets. The free part learns what single bins like
(spikes, heaping); the bumps carry what follows from other columns, and are as sharp as the data asks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.autograd.function import once_differentiable

HEIGHT = 4.0
"""Unit of a bump's height in nats."""
RATE = 7.0
"""Bounds of the logarithm of a bump's rate."""


class Head(nn.Module):
    """One column's bins. `centers` [bins] are the standardised middles of a number's bins, None for classes.

    The numbers of one row lie side by side: bins, then slopes [inputs], then offset, log rate and height [bumps].
    """

    centers: Tensor | None

    def __init__(
        self, log_share: Tensor, centers: Tensor | None, width: int, inputs: int, bumps: int, generator: Generator
    ) -> None:
        super().__init__()
        self.bins, self.inputs, self.bumps = len(log_share), inputs, 0 if centers is None else bumps
        more = inputs + 3 * bumps if self.bumps else 0
        weight = torch.randn(width, self.bins + more, generator=generator) * 0.1 / math.sqrt(width)
        flat = torch.zeros(inputs), torch.linspace(-1, 1, bumps), torch.zeros(bumps), torch.full((bumps,), 0.1)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.cat([log_share.to(torch.float32), torch.cat(flat)[:more]]))
        self.register_buffer("centers", None if centers is None else centers.to(torch.float32), persistent=False)

    def logits(self, h: Tensor, values: Tensor) -> Tensor:
        """[rows, bins] from hidden states [rows, width] and the values that are known [rows, inputs], 0 elsewhere."""
        out = torch.addmm(self.bias, h, self.weight)
        return _bumped(out, values, self.centers, self.bins, self.bumps)[0]


def _bumped(
    out: Tensor, values: Tensor, centers: Tensor | None, bins: int, bumps: int
) -> tuple[Tensor, Tensor, Tensor, list[Tensor], list[Tensor]]:
    """Logits [rows, bins], rates and heights [rows, bumps], and of each bump u and 1 / (1 + u^2) [rows, bins]."""
    logits = out[:, :bins]
    us: list[Tensor] = []
    peaks: list[Tensor] = []
    if not bumps or centers is None:
        return logits, out[:, :0], out[:, :0], us, peaks
    slopes, shape = out[:, bins : out.shape[1] - 3 * bumps], out[:, out.shape[1] - 3 * bumps :]
    location = (slopes * values).sum(1, keepdim=True) + shape[:, :bumps]
    rate, height = torch.exp(shape[:, bumps : 2 * bumps].clamp(-RATE, RATE)), HEIGHT * shape[:, 2 * bumps :]
    one = torch.ones((), dtype=out.dtype)
    for k in range(bumps):  # one bump at a time stays in the cache
        u = torch.addcmul(-rate[:, k, None] * location[:, k, None], centers, rate[:, k, None])
        peak = torch.addcmul(one, u, u).reciprocal_()
        logits = torch.addcmul(logits, height[:, k, None], peak)
        us.append(u)
        peaks.append(peak)
    return logits, rate, height, us, peaks


def cross_entropy(
    heads: Sequence[Head], h: Tensor, values: Tensor, index: Tensor, weight: Tensor, smoothing: float = 0.0
) -> Tensor:
    """Weighted sum of the cross-entropies of all columns, a scalar.

    The gradient is written by hand and taken column by column in the forward pass, while everything is in the cache.

    Arguments:
        heads: of the columns.
        h: hidden states [columns, rows, width].
        values: [columns, rows, inputs], 0 where not known.
        index: bins [columns, rows] int64.
        weight: [columns, rows] of each cross-entropy in the sum.
        smoothing: share of each target that is spread over all bins (label smoothing: Szegedy et al. 2016).
    """
    shapes = tuple((head.centers, head.bins, head.bumps) for head in heads)
    packed = [tensor for head in heads for tensor in (head.weight, head.bias)]
    with torch.autocast(h.device.type, enabled=False):  # its gradient is written for one precision
        total: Tensor = _CrossEntropy.apply(smoothing, shapes, h.to(packed[0].dtype), values, index, weight, *packed)  # type: ignore[no-untyped-call]
    return total


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        smoothing: float,
        shapes: tuple[Any, ...],
        h: Tensor,
        values: Tensor,
        index: Tensor,
        weight: Tensor,
        *packed: Tensor,
    ) -> Tensor:
        total, d_h, d_packed = h.new_zeros(()), torch.empty_like(h), []
        for j, (centers, bins, bumps) in enumerate(shapes):
            matrix, bias = packed[2 * j], packed[2 * j + 1]
            out = torch.addmm(bias, h[j], matrix)
            nats, d_out = _column(out, values[j], index[j], weight[j], centers, bins, bumps, smoothing)
            total = total + nats
            torch.mm(d_out, matrix.t(), out=d_h[j])
            d_packed += [h[j].t() @ d_out, d_out.sum(0)]
        ctx.save_for_backward(d_h, *d_packed)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        d_h, *d_packed = ctx.saved_tensors
        return None, None, d_h * outer, None, None, None, *(d * outer for d in d_packed)


def _column(
    out: Tensor,
    values: Tensor,
    index: Tensor,
    weight: Tensor,
    centers: Tensor | None,
    bins: int,
    bumps: int,
    smoothing: float,
) -> tuple[Tensor, Tensor]:
    """Weighted cross-entropy of one column and its gradient with respect to `out` [rows, bins + ...]."""
    logits, rate, height, us, peaks = _bumped(out, values, centers, bins, bumps)
    log_p = logits.log_softmax(1)
    target = index[:, None]
    hit = log_p.gather(1, target)[:, 0]
    if smoothing:
        hit = torch.lerp(hit, log_p.mean(1), smoothing)
    nats = -(hit * weight).sum()
    d_out = torch.empty_like(out)
    g = d_out[:, :bins]
    torch.exp(log_p, out=g)
    if smoothing:
        g -= smoothing / bins
    g.scatter_add_(1, target, g.new_full((len(g), 1), smoothing - 1.0))
    g *= weight[:, None]
    if not bumps or centers is None:
        return nats, d_out
    shape = d_out[:, out.shape[1] - 3 * bumps :]
    for k, (u, peak) in enumerate(zip(us, peaks, strict=True)):
        pull = g * peak
        shape[:, 2 * bumps + k] = HEIGHT * pull.sum(1)
        pull.mul_(peak).mul_(u)
        shape[:, k] = 2 * height[:, k] * rate[:, k] * pull.sum(1)
        shape[:, bumps + k] = -2 * height[:, k] * pull.mul_(u).sum(1)
    shape[:, bumps : 2 * bumps] *= out[:, out.shape[1] - 2 * bumps : out.shape[1] - bumps].abs() <= RATE
    torch.mul(shape[:, :bumps].sum(1, keepdim=True), values, out=d_out[:, bins : out.shape[1] - 3 * bumps])
    return nats, d_out
