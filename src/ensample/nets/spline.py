"""Monotonic rational-quadratic splines (Durkan, Bekasov, Murray and Papamakarios 2019), fused forward and backward.

On each of K bins of the box [-bound, bound], with `t = (x - x_k) / w`, `s = h / w` and slopes `d_0`, `d_1` at its ends,

    y = y_k + h (s t^2 + d_0 t (1 - t)) / (s + (d_0 + d_1 - 2 s) t (1 - t)),
    dy/dx = s^2 (d_1 t^2 + 2 s t (1 - t) + d_0 (1 - t)^2) / (s + (d_0 + d_1 - 2 s) t (1 - t))^2,

and the identity outside the box. Widths and heights are softmaxes (of base 2, which processors do faster) kept above
`LEAST / K`, slopes are softplus of the parameters, 1 at both ends of the box.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

LEAST = 8e-3
"""Smallest width and height of a bin in units of the average one."""
LEAST_SLOPE = 1e-3
"""Smallest slope at a knot."""
TINY = 1e-30
"""Kept under a root, whose gradient at 0 is infinite."""
STEEPEST = 30.0
"""Bound of the logits of widths and heights: 2^30 is far from the end of float32."""
UNIT = math.log(math.expm1(1.0 - LEAST_SLOPE))
"""What a slope's parameter of 0 stands for: a slope of 1."""


def parameters(bins: int) -> int:
    """Parameters of a spline: K widths, K heights, K - 1 slopes."""
    return 3 * bins - 1


def spline(x: Tensor, theta: Tensor, bins: int, bound: float) -> tuple[Tensor, Tensor]:
    """(y, log dy/dx), each [dims, rows].

    Arguments:
        x: [dims, rows].
        theta: parameters [dims, 3 bins - 1, rows]; all 0 is the identity.
        bins: K.
        bound: half the width of the box.

    Example:
        >>> y, log_slope = spline(torch.tensor([[0.3, -7.0]]), torch.zeros(1, 11, 2), 4, 5.0)
        >>> [round(v, 4) for v in y[0].tolist()], log_slope.abs().max().item() < 1e-5
        ([0.3, -7.0], True)
    """
    out: tuple[Tensor, Tensor] = _Spline.apply(x, theta, bins, bound)  # type: ignore[no-untyped-call]
    return out


def inverse_spline(y: Tensor, theta: Tensor, bins: int, bound: float) -> tuple[Tensor, Tensor]:
    """(x, log dy/dx at x), each [dims, rows]: inverse of `spline`, by the stable root of a quadratic."""
    v = ((y + bound) / (2 * bound)).clamp(0.0, 1.0)
    box = _box(theta, bins)
    index = _bin(box.height_ends, v)
    t, s, k = _solved(v, _knots(box, theta, index, bins))
    x = (k.x + t * k.w) * (2 * bound) - bound
    inside = y.abs() < bound
    return torch.where(inside, x, y), torch.where(inside, _log_slope(t, s, k), 0.0)


def shared_spline(x: Tensor, theta: Tensor, bins: int, bound: float, inverse: bool = False) -> tuple[Tensor, Tensor]:
    """(y, log dy/dx) of `spline`, or (x, log dy/dx) of `inverse_spline`, with theta [dims, 3 bins - 1] for all rows.

    Many bins cost little here: they are made once, and each value finds its own by bisection.
    """
    u = ((x + bound) / (2 * bound)).clamp(0.0, 1.0)
    box = _box(theta[:, :, None], bins)
    ends = (box.height_ends if inverse else box.width_ends)[:, :-1, 0].detach().contiguous()
    index = torch.searchsorted(ends, u.detach().contiguous(), right=True)
    k = _knots(Box(*(part[:, :, 0] for part in box)), theta, index, bins)
    inside = x.abs() < bound
    if inverse:
        t, s, k = _solved(u, k)
        out = k.x + t * k.w
    else:
        s, t = k.h / k.w, ((u - k.x) / k.w).clamp(0.0, 1.0)
        q = t * (1 - t)
        out = k.y + k.h * (s * t * t + k.d0 * q) / (s + (k.d0 + k.d1 - 2 * s) * q)
    return torch.where(inside, out * (2 * bound) - bound, x), torch.where(inside, _log_slope(t, s, k), 0.0)


def through_quantiles(x: Tensor, bins: int, bound: float) -> Tensor:
    """Parameters [3 bins - 1] of the spline that takes the quantiles of x [rows] to those of a standard normal."""
    share = _shares(bins, len(x))
    normal = torch.special.ndtri(share)
    ends = torch.tensor([0.0, *share[1:-1].tolist(), 1.0][: bins - 1], dtype=torch.float64)  # the extremes themselves
    sizes = []
    for knots in (torch.quantile(x.to(torch.float64), ends) if len(x) else normal, normal):
        unit = ((knots + bound) / (2 * bound)).clamp(0.0, 1.0)
        size = torch.diff(unit, prepend=unit.new_zeros(1), append=unit.new_ones(1)).clamp(min=2 * LEAST / bins)
        sizes.append(size / size.sum())
    slopes = (sizes[1][1:] + sizes[1][:-1]) / (sizes[0][1:] + sizes[0][:-1])
    raw = torch.log(torch.expm1((slopes - LEAST_SLOPE).clamp(1e-3, 500.0))) - UNIT
    logits = [torch.log2(((size - LEAST / bins) * bins).clamp(min=2.0**-STEEPEST)) for size in sizes]
    return torch.cat([*logits, raw]).to(torch.float32)


def _shares(bins: int, rows: int) -> Tensor:
    """Shares [bins - 1] of the rows below each knot: even, but halved again and again towards both ends."""
    tail = min(6, bins // 6)
    even = torch.arange(1, bins - 2 * tail, dtype=torch.float64) / (bins - 2 * tail)
    halves = 0.5 ** torch.arange(tail, 0, -1, dtype=torch.float64) / (bins - 2 * tail)
    return torch.cat([halves, even, 1 - halves.flip(0)]).clamp(0.5 / (rows + 1), 1 - 0.5 / (rows + 1))


def _solved(v: Tensor, k: Knots) -> tuple[Tensor, Tensor, Knots]:
    """Place within the bin and slope of the bin, of heights v."""
    s, rise = k.h / k.w, v - k.y
    bend = rise * (k.d0 + k.d1 - 2 * s)
    a, b, c = k.h * (s - k.d0) + bend, k.h * k.d0 - bend, -s * rise
    root = torch.sqrt((b * b - 4 * a * c).clamp(min=TINY))
    up = b > 0  # the root without cancellation; the other divisor is kept from 0, or its gradient would be NaN
    t = torch.where(up, -2 * c / torch.where(up, b + root, 1.0), (root - b) / torch.where(up, 1.0, 2 * a))
    t = t.clamp(0.0, 1.0)
    return t, s, k


class Knots(NamedTuple):
    """The bin of each value, in units of the box: left end, width, lower end, height, slopes; all [dims, rows]."""

    x: Tensor
    w: Tensor
    y: Tensor
    h: Tensor
    d0: Tensor
    d1: Tensor


class Box(NamedTuple):
    """All bins: widths, heights and their right and upper ends, [dims, bins, rows]."""

    widths: Tensor
    heights: Tensor
    width_ends: Tensor
    height_ends: Tensor


def _box(theta: Tensor, bins: int) -> Box:
    dims, _, rows = theta.shape
    least = LEAST / bins
    both = torch.exp2(theta[:, : 2 * bins].clamp(-STEEPEST, STEEPEST)).reshape(dims, 2, bins, rows)
    size = both * ((1 - LEAST) / both.sum(2, keepdim=True)) + least
    if torch.is_grad_enabled() and theta.requires_grad:
        ends = size.cumsum(2)
    else:
        ends = torch.empty_like(size)
        ends[:, :, 0] = size[:, :, 0]
        for i in range(1, bins):  # slices of a row of bins: torch's cumsum along a middle axis is slower
            torch.add(ends[:, :, i - 1], size[:, :, i], out=ends[:, :, i])
    return Box(size[:, 0], size[:, 1], ends[:, 0], ends[:, 1])


def _bin(ends: Tensor, value: Tensor) -> Tensor:
    """The bin of each value, int64 [dims, 1, rows]."""
    index = torch.zeros(value.shape, dtype=torch.int64)
    for i in range(ends.shape[1] - 1):
        index += ends[:, i] <= value
    return index[:, None]


def _knots(box: Box, theta: Tensor, index: Tensor, bins: int) -> Knots:
    """The bins `index`: [dims, 1, rows] where each row has its own box, [dims, rows] where all share one."""
    w, h, right, upper = (part.gather(1, index).view(len(index), -1) for part in box)
    d0, d1 = _slopes(theta, index, bins)
    index = index.view(len(index), -1)
    ends = torch.where(index == 0, 1.0, d0), torch.where(index == bins - 1, 1.0, d1)
    return Knots(right - w, w, upper - h, h, *ends)


def _slopes(theta: Tensor, index: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Slopes at both ends of the bins as the parameters have them, those at the ends of the box not yet 1."""
    if bins == 1:
        return theta.new_ones(()), theta.new_ones(())
    places = torch.stack([index - 1, index]).clamp(0, bins - 2).flatten(2)  # [2, dims, rows]
    raw = theta[:, 2 * bins :]
    found = torch.stack([raw.gather(1, place.view_as(index)).view(len(index), -1) for place in places])
    slopes = LEAST_SLOPE + F.softplus(found + UNIT)
    return slopes[0], slopes[1]


def _log_slope(t: Tensor, s: Tensor, k: Knots) -> Tensor:
    q = t * (1 - t)
    numerator = k.d1 * t * t + 2 * s * q + k.d0 * (1 - t) * (1 - t)
    denominator = s + (k.d0 + k.d1 - 2 * s) * q
    return torch.log(s * s * numerator / (denominator * denominator))


class _Spline(torch.autograd.Function):
    """Keeps what the backward pass needs of each value's own bin, and the widths and heights of all bins."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, theta: Tensor, bins: int, bound: float) -> tuple[Tensor, Tensor]:
        inside = x.abs() < bound
        u = ((x + bound) / (2 * bound)).clamp(0.0, 1.0)
        box = _box(theta, bins)
        index = _bin(box.width_ends, u)
        k = _knots(box, theta, index, bins)
        s, t = k.h / k.w, ((u - k.x) / k.w).clamp(0.0, 1.0)
        q = t * (1 - t)
        n, d = s * t * t + k.d0 * q, s + (k.d0 + k.d1 - 2 * s) * q
        a = k.d1 * t * t + 2 * s * q + k.d0 * (1 - t) * (1 - t)
        y = (k.y + k.h * n / d) * (2 * bound) - bound
        ctx.save_for_backward(theta, box.widths, box.heights, index, inside, t, s, n, d, a, *k)
        ctx.bins, ctx.bound = bins, bound
        return torch.where(inside, y, x), torch.where(inside, torch.log(s * s * a / (d * d)), 0.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_y: Tensor, of_log: Tensor) -> tuple[Tensor | None, ...]:
        theta, widths, heights, index, inside, t, s, n, d, a, *rest = ctx.saved_tensors
        k, bins, bound = Knots(*rest), ctx.bins, ctx.bound
        gy, gl = torch.where(inside, of_y, 0.0) * (2 * bound), torch.where(inside, of_log, 0.0)
        q, r, m = t * (1 - t), n / d, 1 - t
        up, over_a, over_d = gy * k.h / d, gl / a, 2 * gl / d  # chain rule through n/d, log a and -2 log d
        down = up * r + over_d  # what the denominator receives, with a minus sign
        of_t = (
            up * (2 * s * t + k.d0 * (m - t))
            + over_a * 2 * (k.d1 * t + s * (m - t) - k.d0 * m)
            - down * (k.d0 + k.d1 - 2 * s) * (m - t)
        )
        of_s = up * t * t + 2 * gl / s + over_a * 2 * q - down * (1 - 2 * q)
        of_d0 = up * q + over_a * m * m - down * q
        of_d1 = over_a * t * t - down * q
        of_u = of_t / k.w
        of_h = gy * r + of_s / k.w
        of_w = -(of_s * s + of_t * t) / k.w
        grad = torch.empty_like(theta)
        _softmax_gradient(grad[:, :bins], widths, index, -of_u, of_w, k.x, k.w)
        _softmax_gradient(grad[:, bins : 2 * bins], heights, index, gy, of_h, k.y, k.h)
        if bins > 1:
            _slope_gradient(grad[:, 2 * bins :], index, of_d0, of_d1, k)
        return torch.where(inside, of_u / (2 * bound), of_y), grad, None, None


def _softmax_gradient(
    out: Tensor, sizes: Tensor, index: Tensor, of_start: Tensor, of_size: Tensor, start: Tensor, size: Tensor
) -> None:
    """Gradient of the logits [dims, bins, rows], when a value meets only the start and the size of its own bin.

    start = sum of the sizes before the bin, so each of those receives `of_start`, the bin `of_size`, later ones 0.
    """
    bins = sizes.shape[1]
    least = LEAST / bins
    mean = (of_start * (start - least * index[:, 0]) + of_size * (size - least)) / (1 - LEAST)
    before = index > torch.arange(bins)[:, None]
    torch.mul(before, of_start[:, None], out=out)
    out.scatter_(1, index, of_size[:, None])
    out.sub_(mean[:, None]).mul_(sizes - least).mul_(math.log(2.0))


def _slope_gradient(out: Tensor, index: Tensor, of_d0: Tensor, of_d1: Tensor, k: Knots) -> None:
    """Gradient of the slopes' parameters [dims, bins - 1, rows]; softplus'(z) = 1 - exp(-softplus(z))."""
    last = out.shape[1] - 1
    out.zero_()
    for place, gradient, slope in ((index - 1, of_d0, k.d0), (index, of_d1, k.d1)):
        there = (place >= 0) & (place <= last)
        gradient = gradient * -torch.expm1(LEAST_SLOPE - slope)
        out.scatter_add_(1, place.clamp(0, last), torch.where(there, gradient[:, None], 0.0))
