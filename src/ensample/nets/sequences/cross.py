"""The transformer that writes while it looks at another sequence: blocks with cross-attention."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ensample.nets.attention import LARGEST, attend
from ensample.nets.sequences.blocks import TINY, product_type, turned, waves
from ensample.nets.sequences.crosscache import CrossCache
from ensample.nets.sequences.encoder import turns
from ensample.nets.sequences.transformer import Block
from ensample.nets.sequences.trunk import Memory, SequenceTrunk, linear
from ensample.nets.transformer import rms


@dataclass(frozen=True)
class Source:
    """A sequence as an encoder has read it: states [rows, places, width], and which of them are no padding."""

    states: Tensor
    there: Tensor


class CrossTransformer(SequenceTrunk):
    """`x = x + attention(x); x = x + attention(x, source); x = x + mlp(x)` in each layer (Vaswani et al. 2017).

    The blocks are those of `TextTransformer`. Queries and keys of the attention to the source are of unit length with a
    learned gain a head, too, and turned by their places: what is written in the order of what is read is soon learned.
    Build it inside `ensample.nets.random.seeded`.

    Arguments:
        width, layers, heads, context, gated, dropout: as of `TextTransformer`.

    Example:
        >>> net = CrossTransformer(8, 2, heads=2, context=6)
        >>> read = Source(torch.randn(3, 4, 8), torch.ones(3, 4, dtype=torch.bool))
        >>> net(torch.randn(3, 6, 8), None, read).shape
        torch.Size([3, 6, 8])
    """

    turn: Tensor

    def __init__(
        self, width: int, layers: int, *, heads: int, context: int, gated: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__(width)
        self.blocks = nn.ModuleList(CrossBlock(width, heads, gated, dropout) for _ in range(layers))
        self.register_buffer("turn", waves(context, width // heads), persistent=False)

    def forward(self, x: Tensor, begins: Tensor | None, source: Source | None = None) -> Tensor:
        """Each token sees itself, those before it, and all of its source; a row is one record."""
        assert source is not None and begins is None
        turn, place = (turns(self.turn, part.shape[1]) for part in (x, source.states))
        states, seen = rms(source.states), product_type(source.there[:, None, None].to(x.dtype))
        for block in self.each:
            x = block.attended(x, turn, None, None)
            x = block.looked(x, turn, *block.shown(states, place), seen)
            x = block.thought(x, None)
        return x

    def read(self, x: Tensor, lengths: Tensor, source: Source | None = None) -> tuple[Tensor, Memory]:
        """With room for keys and values of a whole context; no gradients."""
        assert source is not None
        return CrossCache.read(self.each, self.turn, x, lengths, source)

    @property
    def each(self) -> list[CrossBlock]:
        """The blocks."""
        return [block for block in self.blocks if isinstance(block, CrossBlock)]


class CrossBlock(Block):
    """One layer: a `Block` with attention to a source between its halves.

    Arguments:
        width, heads, gated, dropout: as of `TextTransformer`.
    """

    def __init__(self, width: int, heads: int, gated: bool, dropout: float) -> None:
        super().__init__(width, heads, gated, dropout)
        self.ask, self.tell = linear(width, width), linear(width, width, 0.0)
        self.show = nn.Parameter(torch.randn(2, width, width) * width**-0.5)  # two matrices to the optimiser
        self.cross_gain = nn.Parameter(torch.full((heads, 1, 1), math.sqrt(width // heads)))

    def shown(self, states: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [rows, heads, places, width of a head] of normed states [rows, places, width]."""
        rows, places, width = states.shape
        inner = F.linear(states, self.show.flatten(0, 1)).view(rows, places, 2, self.heads, width // self.heads)
        return unit_turned(inner[:, :, 0], turn), inner[:, :, 1].transpose(1, 2).contiguous()

    def looked(self, x: Tensor, turn: Tensor, keys: Tensor, values: Tensor, seen: Tensor) -> Tensor:
        """Tokens [rows, tokens, width], and what attention to the source adds to them."""
        rows, tokens, width = x.shape
        asked = self.ask(product_type(rms(x))).view(rows, tokens, self.heads, width // self.heads)
        q = unit_turned(asked, turn) * self.cross_gain.clamp(-LARGEST, LARGEST)
        out = attend(q, keys, values, seen).transpose(1, 2).reshape(rows, tokens, width)
        whole: Tensor = x + self.drop(self.tell(out).to(x.dtype))
        return whole


def unit_turned(x: Tensor, turn: Tensor) -> Tensor:
    """Vectors [rows, tokens, heads, width] of unit length, turned by their places: [rows, heads, tokens, width]."""
    out: Tensor = _UnitTurned.apply(x, turn)  # type: ignore[no-untyped-call]
    return out


class _UnitTurned(torch.autograd.Function):
    """As of `placed`: a turn keeps lengths and angles."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, turn: Tensor) -> Tensor:
        whole = x.transpose(1, 2).to(torch.float32, memory_format=torch.contiguous_format)
        rate = torch.linalg.vector_norm(whole, dim=-1, keepdim=True).square_().add_(TINY).rsqrt_()
        out = turned(whole, turn).mul_(rate).to(x.dtype)
        ctx.save_for_backward(out, rate, turn)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        out, rate, turn = ctx.saved_tensors
        g, kept = g.to(torch.float32), out.to(torch.float32)
        along = (g * kept).sum(-1, keepdim=True)
        of_x = turned(torch.addcmul(g, kept, along, value=-1.0), turn, -1.0).mul_(rate)
        return of_x.transpose(1, 2).to(out.dtype), None
