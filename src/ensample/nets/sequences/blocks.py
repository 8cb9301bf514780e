"""Parts of networks over tokens, with gradients by hand: a norm that looks back one token, rotary positions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

TINY = 1e-6
"""Added to a mean square before its root is divided by."""


def shifted_rms(x: Tensor, mix: Tensor, stays: Tensor | None) -> Tensor:
    """`n_t + mix (n_{t-1} - n_t)` with `n = x / sqrt(mean(x^2))`: a norm, then token shift (Peng et al., RWKV, 2023).

    Arguments:
        x: tokens [rows, tokens, width].
        mix: share of the token before, per channel [width].
        stays: 1 where the token before is of the same record, else 0, [rows, tokens, 1]; None: all of a row are of one.
            Before the first is nothing.

    Returns:
        The same shape; bfloat16 inside autocast to it.
    """
    out: Tensor = _ShiftedRms.apply(x, mix, stays)  # type: ignore[no-untyped-call]
    return out


class _ShiftedRms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, mix: Tensor, stays: Tensor | None) -> Tensor:
        rate = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(TINY).rsqrt_()
        n = x * rate
        out = n * (1.0 - mix)
        out[:, 1:].addcmul_(n[:, :-1] if stays is None else n[:, :-1] * stays[:, 1:], mix)
        ctx.save_for_backward(n, rate, mix)
        ctx.stays = stays
        return product_type(out)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None]:
        n, rate, mix = ctx.saved_tensors
        g = g.to(n.dtype)
        later = g[:, 1:] if ctx.stays is None else g[:, 1:] * ctx.stays[:, 1:]
        of_mix = (n[:, :-1] * later).sum((0, 1)) - (n * g).sum((0, 1))
        of_n = g * (1.0 - mix)
        of_n[:, :-1].addcmul_(later, mix)
        along = (of_n * n).sum(-1, keepdim=True).div_(-n.shape[-1])
        return of_n.addcmul_(n, along).mul_(rate), of_mix, None


def product_type(x: Tensor) -> Tensor:
    """In the type that autocast makes products of, or as it is."""
    return x.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else x


def waves(context: int, width: int, base: float = 10_000.0) -> Tensor:
    """Cosines and sines of rotary positions (Su et al. 2021), [2, context, width / 2]."""
    speed = base ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = torch.arange(context, dtype=torch.float64)[:, None] * speed
    return torch.stack([angle.cos(), angle.sin()]).to(torch.float32)


def placed(x: Tensor, gain: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries and keys of unit length, turned by their places, queries times a gain; and values as they are.

    Arguments:
        x: [rows, tokens, vectors, width]: a query of each head, then a key of each group of heads, then their values.
        gain: [heads, 1, 1].
        turn: cosines and sines [2, tokens, width / 2] as of `waves`.

    Returns:
        Queries [rows, heads, tokens, width], keys and values [rows, groups, tokens, width], of the type of x.
    """
    out: tuple[Tensor, Tensor, Tensor] = _Placed.apply(x, gain, turn)  # type: ignore[no-untyped-call]
    return out


class _Placed(torch.autograd.Function):
    """A turn keeps lengths and angles, so that the gradient of the norm can be taken from what was turned.

    Numbers are put into the order of the output at once: what reads them across is several times slower.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        heads = len(gain)
        groups = (x.shape[2] - heads) // 2
        both = x[:, :, :-groups].transpose(1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        rate = torch.linalg.vector_norm(both, dim=-1, keepdim=True).square_().add_(TINY).rsqrt_()
        out = turned(both, turn).mul_(rate)
        q, k = out[:, :heads].to(x.dtype), out[:, heads:].to(x.dtype).contiguous()
        ctx.save_for_backward(q, k, rate, gain, turn)
        return (out[:, :heads] * gain).to(x.dtype), k, x[:, :, -groups:].transpose(1, 2).contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_q: Tensor, of_k: Tensor, of_v: Tensor) -> tuple[Tensor, Tensor, None]:
        q, k, rate, gain, turn = ctx.saved_tensors
        heads, shape = len(gain), (*rate.shape[:3], k.shape[3])
        out, g = (torch.empty(shape, dtype=torch.float32, device=k.device) for _ in range(2))
        out[:, :heads], out[:, heads:] = q, k
        g[:, :heads], g[:, heads:] = of_q, of_k
        along = (g * out).sum(-1, keepdim=True)
        of_gain = along[:, :heads].sum((0, 2), keepdim=True)[0]
        g.addcmul_(out, -along)
        g[:, :heads].mul_(gain)
        rows, groups, tokens, width = of_v.shape
        of_x = of_v.new_empty(rows, tokens, heads + 2 * groups, width)
        of_x[:, :, :-groups] = turned(g, turn, -1.0).mul_(rate).transpose(1, 2)
        of_x[:, :, -groups:] = of_v.transpose(1, 2)
        return of_x, of_gain, None


def turned(x: Tensor, turn: Tensor | tuple[Tensor, Tensor], way: float = 1.0) -> Tensor:
    """Vectors [.., tokens, width] as complex numbers, a half for each part, turned one way (1) or back (-1)."""
    (cos, sin), (one, two) = turn, x.chunk(2, -1)
    out = torch.empty_like(x)
    first, second = out.chunk(2, -1)
    torch.mul(one, cos, out=first).addcmul_(two, sin, value=-way)
    torch.mul(two, cos, out=second).addcmul_(one, sin, value=way)
    return out


def squared_relu(x: Tensor) -> Tensor:
    """`max(x, 0)^2` (So et al. 2021)."""
    out: Tensor = _SquaredRelu.apply(x)  # type: ignore[no-untyped-call]
    return out


class _SquaredRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = x.clamp_min(0.0)
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        slope: Tensor = (g * positive).mul_(2.0)
        return slope
