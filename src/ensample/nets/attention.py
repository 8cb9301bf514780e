"""Attention written out, with its gradient by hand: at some hundred tokens the fused kernel is far slower backwards."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

LARGEST = 40.0
"""Scores may lie between minus and plus this: then no maximum has to be taken off before they are exponentials."""


def attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None, *, causal: bool = False) -> Tensor:
    """`softmax(q k') v` over the keys that each query sees, [rows, heads, queries, width of a head].

    Where there are fewer keys and values than heads, each serves as many heads next to each other: grouped queries
    (Ainslie et al. 2023).

    Arguments:
        q: queries [rows, heads, queries, width].
        k: keys [rows, groups, keys, width]; no product of a query and a key is beyond `LARGEST`, as where both are of
            unit length and a gain of at most `LARGEST` multiplies one.
        v: values [rows, groups, keys, width].
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
    """`w = 2^(q k' log2 e)`, `out = w v / sum w`; the sum is divided by at the end, where fewer numbers are.

    Queries of the heads of a group are the rows of one product with their keys.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, causal: bool) -> Tensor:
        joined = _joined(q, k)
        scores = (q * math.log2(math.e)).reshape(*joined, q.shape[3]) @ k.transpose(2, 3)
        weight = scores.exp2_().view(*q.shape[:3], k.shape[2])
        if causal:
            weight.tril_()
        elif seen is not None:
            weight.mul_(seen)
        total = weight.sum(3, keepdim=True)
        out: Tensor = (weight.view(*joined, k.shape[2]) @ v).view(*q.shape[:3], v.shape[3]).div_(total)
        ctx.save_for_backward(q, k, v, weight, total, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, weight, total, out = ctx.saved_tensors
        g = g.contiguous() / total
        along = (g * out).sum(3, keepdim=True)
        q, g, weight, along = (part.reshape(*_joined(q, k), part.shape[3]) for part in (q, g, weight, along))
        of_scores = (g @ v.transpose(2, 3)).sub_(along).mul_(weight)
        of_k, of_v = of_scores.transpose(2, 3) @ q, weight.transpose(2, 3) @ g
        return (of_scores @ k).view(*out.shape[:3], k.shape[3]), of_k, of_v, None, None


def found(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None) -> Tensor:
    """The same as `attend` without gradients, by the fused kernel; `seen` is bool, and None: as for `causal`."""
    if (each := q.shape[1] // k.shape[1]) > 1:
        k, v = k.repeat_interleave(each, 1), v.repeat_interleave(each, 1)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=seen is None, scale=1.0)


def _joined(q: Tensor, k: Tensor) -> tuple[int, int, int]:
    """Rows, groups, and the queries of all heads of a group."""
    return len(q), k.shape[1], q.shape[1] // k.shape[1] * q.shape[2]
