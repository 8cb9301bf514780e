"""The transformer over long sequences: rotary positions, token shift, a cache of keys and values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.attention import LARGEST, attend
from ensample.nets.sequences.blocks import placed, product_type, shifted_rms, squared_relu, turned, waves
from ensample.nets.sequences.trunk import Memory, SequenceTrunk, linear
from ensample.nets.transformer import rms


class TextTransformer(SequenceTrunk):
    """`x = x + attention(shifted norm(x)); x = x + mlp(shifted norm(x))` in each layer.

    Pre-norm blocks with RMSNorm (Zhang and Sennrich 2019), rotary positions (Su et al. 2021), queries and keys of unit
    length with a learned gain a head (Henry et al. 2020), token shift before both halves (RWKV: Peng et al. 2023), and
    outputs of both that start at 0. Norms have no gains of their own: the matrices behind them have. Attention and
    token shift see no other record than a token's own. Build it inside `ensample.nets.random.seeded`.

    Arguments:
        width: of the tokens; its part for each head must be even.
        layers: blocks.
        heads: of attention.
        context: most tokens of a row.
        gated: the small network of a token is SwiGLU (Shazeer 2020) instead of a squared ReLU (So et al. 2021).
        dropout: share left out, in training, of what each half of a block adds.

    Example:
        >>> net = TextTransformer(8, 2, heads=2, context=6)
        >>> net(torch.randn(3, 6, 8), None).shape
        torch.Size([3, 6, 8])
    """

    turn: Tensor

    def __init__(
        self, width: int, layers: int, *, heads: int, context: int, gated: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__(width)
        self.blocks = nn.ModuleList(Block(width, heads, gated, dropout) for _ in range(layers))
        self.register_buffer("turn", waves(context, width // heads), persistent=False)

    def forward(self, x: Tensor, begins: Tensor | None) -> Tensor:
        """Each token sees itself and those before it of its own record."""
        turn, seen, stays = self.turn[:, : x.shape[1]], None, None
        if begins is not None:
            record = begins.cumsum(1)
            seen = product_type((record[:, None, :, None] == record[:, None, None]).to(x.dtype)).tril_()
            stays = (~begins)[:, :, None].to(x.dtype)
        for block in self._blocks():
            x = block(x, turn, seen, stays)[0]
        return x

    def read(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Memory]:
        """With room for keys and values of a whole context."""
        parts, last = [], (torch.arange(len(x)), lengths - 1)
        for block in self._blocks():
            x, (before, middle, k, v) = block(x, self.turn[:, : x.shape[1]], None, None)
            room = torch.zeros(2, self.turn.shape[1], len(x), block.heads, k.shape[3])
            room[:, : x.shape[1]] = torch.stack([k, v]).permute(0, 3, 1, 2, 4)
            parts.append(Kept(room[0], room[1], rms(before[last]), rms(middle[last])))
        return x, Cache(self, parts, lengths.clone())

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]


class Block(nn.Module):
    """One layer.

    Arguments:
        width, heads, gated, dropout: as of `TextTransformer`.
    """

    def __init__(self, width: int, heads: int, gated: bool, dropout: float) -> None:
        super().__init__()
        self.heads, self.gated = heads, gated
        self.mix_attention, self.mix_mlp = (nn.Parameter(torch.linspace(0.0, 1.0, width) * 0.5) for _ in range(2))
        self.qkv = nn.Parameter(torch.randn(3, width, width) * width**-0.5)  # three matrices to the optimiser
        self.gain = nn.Parameter(torch.full((heads, 1, 1), math.sqrt(width // heads)))
        self.mix = linear(width, width, 0.0)
        inner = 4 * width if not gated else 2 * (4 * width // 3)  # as many weights, about
        self.up, self.down = linear(width, inner), linear(inner // (2 if gated else 1), width, 0.0)
        self.drop = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, turn: Tensor, seen: Tensor | None, stays: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Tokens [rows, tokens, width] to the same shape; and what a cache keeps of them.

        `seen` and `stays` are as of `attend` and `shifted_rms`; what is kept: the tokens before both halves,
        keys, values.
        """
        rows, tokens, width = x.shape
        inner = F.linear(shifted_rms(x, self.mix_attention, stays), self.qkv.flatten(0, 1))
        parts = inner.view(rows, tokens, 3, self.heads, width // self.heads)
        q, k = placed(parts[:, :, :2], self.gain.clamp(-LARGEST, LARGEST), turn)
        v = parts[:, :, 2].transpose(1, 2)
        out = attend(q, k, v, seen).transpose(1, 2).reshape(rows, tokens, width)
        middle = x + self.drop(self.mix(out).to(x.dtype))
        return middle + self.drop(self.mlp(shifted_rms(middle, self.mix_mlp, stays)).to(x.dtype)), (x, middle, k, v)

    def step(self, x: Tensor, kept: Kept, at: Place) -> Tensor:
        """One token of each row [rows, width], from what is kept of those before it, to which it is added."""
        rows, width = x.shape
        n = rms(x)
        parts = F.linear(torch.lerp(n, kept.before, self.mix_attention), self.qkv.flatten(0, 1))
        kept.before, parts = n, parts.view(rows, 3, self.heads, width // self.heads)
        both = parts[:, :2]
        q, k = turned(both / torch.linalg.vector_norm(both, dim=-1, keepdim=True), at.turn).unbind(1)
        kept.keys[at.new], kept.values[at.new] = k, parts[:, 2]
        keys, values = kept.keys[: at.longest], kept.values[: at.longest]
        scores = (keys * (q * self.gain[:, :, 0].clamp(-LARGEST, LARGEST))).sum(3)
        if at.hidden is not None:
            scores = scores.masked_fill(at.hidden, -torch.inf)
        out = (scores.softmax(0)[..., None] * values).sum(0)
        x = x + self.mix(out.view(rows, width))
        n = rms(x)
        told, kept.middle = torch.lerp(n, kept.middle, self.mix_mlp), n
        return x + self.mlp(told)

    def mlp(self, x: Tensor) -> Tensor:
        """The small network of each token."""
        x = self.up(x)
        if self.gated:
            gate, x = x.chunk(2, -1)
            x = F.silu(gate) * x
        else:
            x = squared_relu(x)
        out: Tensor = self.down(x)
        return out


@dataclass
class Kept:
    """What one layer keeps: keys and values [context, rows, heads, width of a head], and the last token's two norms."""

    keys: Tensor
    values: Tensor
    before: Tensor
    middle: Tensor


@dataclass(frozen=True)
class Place:
    """Where the new token of each row stands.

    `new` is its place in keys and values, `longest` how many of them are looked at, `hidden` [longest, rows, 1] marks
    those that a shorter row has not, `turn` are the cosines and sines of the places.
    """

    new: int | tuple[Tensor, Tensor]
    longest: int
    hidden: Tensor | None
    turn: tuple[Tensor, Tensor]


class Cache(Memory):
    """Keys and values of every layer, the first token of each row first; rows may be of unequal length.

    Time is the first axis, and attention of the one query of a row a product and a sum: at this size that is faster
    than a matrix product with one row.
    """

    def __init__(self, net: TextTransformer, parts: list[Kept], used: Tensor) -> None:
        self.net, self.parts, self.used = net, parts, used
        self.level = _level(used)

    def step(self, x: Tensor) -> Tensor:
        """By the blocks, layer after layer."""
        at = self._place()
        for block, kept in zip(self.net.blocks, self.parts, strict=True):
            assert isinstance(block, Block)
            x = block.step(x, kept, at)
        self.used += 1
        self.level = None if self.level is None else self.level + 1
        return x

    def take(self, rows: Tensor) -> Self:
        """Copies of what is kept."""
        parts = [Kept(p.keys[:, rows], p.values[:, rows], p.before[rows], p.middle[rows]) for p in self.parts]
        return type(self)(self.net, parts, self.used[rows])

    def put(self, rows: Tensor, other: Self) -> None:
        """Copies into what is kept."""
        for mine, new in zip(self.parts, other.parts, strict=True):
            mine.keys[:, rows], mine.values[:, rows] = new.keys, new.values
            mine.before[rows], mine.middle[rows] = new.before, new.middle
        self.used[rows] = other.used
        self.level = _level(self.used)

    def _place(self) -> Place:
        if self.level is not None:  # all rows are equally long
            turn = self.net.turn[:, self.level]
            return Place(self.level, self.level + 1, None, (turn[0], turn[1]))
        longest = int(self.used.max()) + 1
        hidden = torch.arange(longest)[:, None, None] > self.used[:, None]
        turn = self.net.turn[:, self.used, None, None]
        return Place((self.used, torch.arange(len(self.used))), longest, hidden, (turn[0], turn[1]))


def _level(used: Tensor) -> int | None:
    """The length of all rows, None if they differ."""
    first = int(used[0]) if len(used) else 0
    return first if bool((used == first).all()) else None
