"""The transformer: blocks of attention and a small network on each token, for sequences of vectors of any sort."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ensample.nets.attention import LARGEST, attend

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values [rows, heads, tokens, width of a head] of each layer, of the tokens so far."""


class Transformer(nn.Module):
    """`x = x + attention(norm(x)); x = x + mlp(norm(x))` in each layer, and a norm at the end.

    Pre-norm blocks (Xiong et al. 2020) with RMSNorm (Zhang and Sennrich 2019), queries and keys normalised (Henry et
    al. 2020), and squared ReLU in the network of four times the width (So et al. 2021). Where a token stands is told by
    the tokens themselves. Build it inside `ensample.nets.random.seeded`.

    Arguments:
        width: of the tokens; a multiple of `heads`.
        layers: number of blocks.
        heads: of attention in each block.
        dropout: share left out, in training, of what each half of a block adds.
        causal: whether a token sees itself and those before it, or all.

    Example:
        >>> net, x = Transformer(8, 2, heads=2), torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(0))
        >>> cache = net.empty_cache()
        >>> steps = [net(x[:, t : t + 1], cache) for t in range(5)]
        >>> bool(torch.allclose(torch.cat(steps, 1), net(x), atol=1e-5))
        True
    """

    def __init__(self, width: int, layers: int, *, heads: int, dropout: float = 0.0, causal: bool = True) -> None:
        super().__init__()
        self.causal = causal
        self.blocks = nn.ModuleList(Block(width, heads, dropout, 1 / math.sqrt(2 * layers)) for _ in range(layers))
        self.norm = RmsNorm(width)

    def empty_cache(self) -> Cache:
        """What `forward` is given with the first tokens, and fills."""
        return [(torch.empty(0), torch.empty(0)) for _ in self.blocks]

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """Tokens [rows, tokens, width] to the same shape; with a cache, tokens that follow those before."""
        past = 0 if cache is None or not cache or cache[0][0].dim() == 1 else cache[0][0].shape[2]
        tokens = x.shape[1]
        seen = torch.ones(tokens, past + tokens, dtype=x.dtype).tril_(past) if self.causal else None
        for i, block in enumerate(self.blocks):
            x = block(x, seen, cache, i)
        out: Tensor = self.norm(x)
        return out


class Block(nn.Module):
    """One layer of a transformer.

    Arguments:
        width, heads, dropout: as of `Transformer`.
        scale: of the initial weights of what is added to the tokens (Radford et al. 2019).
    """

    def __init__(self, width: int, heads: int, dropout: float, scale: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = RmsNorm(width), RmsNorm(width)
        self.qkv = _linear(width, 3 * width)
        self.gain = nn.Parameter(torch.full((heads, 1, 1), math.sqrt(width // heads)))
        self.mix = _linear(width, width, scale)
        self.up, self.down = _linear(width, 4 * width), _linear(4 * width, width, scale)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, seen: Tensor | None, cache: Cache | None, layer: int) -> Tensor:
        """Tokens [rows, tokens, width]; `seen` [tokens, keys] is 1 at keys that a token may see, else 0."""
        x = x + self.drop(self.mix(self._attention(self.before_attention(x), seen, cache, layer)))
        out: Tensor = x + self.drop(self.down(F.relu(self.up(self.before_mlp(x))).square()))
        return out

    def _attention(self, x: Tensor, seen: Tensor | None, cache: Cache | None, layer: int) -> Tensor:
        rows, tokens, width = x.shape
        q, k, v = self.qkv(x).view(rows, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        gain = self.gain.clamp(-LARGEST, LARGEST) / q.shape[3]  # of vectors of length sqrt(q.shape[3])
        q, k = rms(q) * gain, rms(k)
        if cache is not None:
            if cache[layer][0].dim() > 1:
                k, v = torch.cat([cache[layer][0], k], 2), torch.cat([cache[layer][1], v], 2)
            cache[layer] = k, v
        out = attend(q, k, v, None if seen is None else seen.to(v.dtype))
        out = out.transpose(1, 2).reshape(rows, tokens, width)
        return out


def _linear(inputs: int, outputs: int, scale: float = 1.0) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=scale / math.sqrt(inputs))
    return layer


class RmsNorm(nn.Module):
    """`x / sqrt(mean(x^2)) * gain` over the last axis (Zhang and Sennrich 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape [..., width]."""
        return rms(x) * self.gain


def rms(x: Tensor) -> Tensor:
    """`x / sqrt(mean(x^2))` over the last axis; its gradient is written by hand, which halves its time."""
    if not torch.is_grad_enabled():  # token by token, the way through autograd takes longer than the sums
        square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_()
        quick: Tensor = x * square.div_(x.shape[-1]).add_(1e-6).rsqrt_()
        return quick
    out: Tensor = _Rms.apply(x)  # type: ignore[no-untyped-call]
    return out


class _Rms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        rate = torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6)
        out = x * rate
        ctx.save_for_backward(out, rate)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        out, rate = ctx.saved_tensors
        along: Tensor = (g * out).mean(-1, keepdim=True)
        slope: Tensor = (g - out * along) * rate
        return slope
