"""Attention written out, with its gradient by hand: at some hundred tokens the fused kernel is far slower backwards."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LARGEST = 40.0
"""Scores may lie between minus and plus this: then no maximum has to be taken off before they are exponentials."""


def attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None, *, causal: bool = False) -> Tensor:
    """`softmax(q k') v` over the keys that each query sees, [rows, heads, queries, width of a head].

    Arguments:
        q: queries [rows, heads, queries, width].
        k: keys [rows, heads, keys, width]; no product of a query and a key is beyond `LARGEST`, as where both are of
            unit length and a gain of at most `LARGEST` multiplies one.
        v: values [rows, heads, keys, width].
        seen: 1 where a query sees a key, else 0, of the type of v, broadcast to [rows, heads, queries, keys]; every
            query sees something. None: all see all.
        causal: queries and keys are the same tokens, and each sees itself and those before it; instead of `seen`.

    Example:
        >>> q = k = torch.zeros(1, 1, 3, 2)
        >>> attend(q, k, torch.tensor([[[[1.0], [2.0], [6.0]]]]), causal=True)[0, 0, :, 0].tolist()
        [1.0, 1.5, 3.0]
    """
    out: Tensor = _Attend.apply(q.to(k.dtype), k, v, seen, causal)  # type: ignore[no-untyped-call]
    return out


class _Attend(torch.autograd.Function):
    """`w = 2^(q k' log2 e)`, `out = w v / sum w`; the sum is divided by at the end, where fewer numbers are."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, causal: bool) -> Tensor:
        weight = ((q * math.log2(math.e)) @ k.transpose(2, 3)).exp2_()
        if causal:
            weight.tril_()
        elif seen is not None:
            weight.mul_(seen)
        total = weight.sum(3, keepdim=True)
        out: Tensor = (weight @ v).div_(total)
        ctx.save_for_backward(q, k, v, weight, total, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, weight, total, out = ctx.saved_tensors
        g = g.contiguous() / total
        of_v = weight.transpose(2, 3) @ g
        of_scores = (g @ v.transpose(2, 3)).sub_((g * out).sum(3, keepdim=True)).mul_(weight)
        return of_scores @ k, of_scores.transpose(2, 3) @ q, of_v, None, None
