"""Writing on with a transformer: keys and values of all tokens so far, and few operations a token.

The same mathematics as the forward pass, written for the time it takes without gradients: norms are left unscaled, and
their scale multiplies what comes behind; sums of a token with its residual are part of the matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ensample.nets.attention import LARGEST
from ensample.nets.sequences.trunk import Memory

if TYPE_CHECKING:
    from ensample.nets.sequences.transformer import Block

ALONE = 4
"""Rows up to which attention is a small matrix product for each head. Above, one product of all numbers and its sums
are faster than so many small matrices."""

KEPT = 64
"""Tokens that can be taken back."""


@dataclass(frozen=True)
class Layer:
    """Weights of a block, none of them copied; `gain` multiplies queries, `scale` is the root of the width."""

    heads: int
    gated: bool
    mix_attention: Tensor
    mix_mlp: Tensor
    qkv: Tensor
    gain: Tensor
    mix: Tensor
    up: Tensor
    down: Tensor
    scale: float

    @classmethod
    def of(cls, block: Block) -> Self:
        """Those of a block."""
        gain = block.gain.detach()[:, :, 0].clamp(-LARGEST, LARGEST)  # [heads, 1]
        mixes = (block.mix_attention.detach(), block.mix_mlp.detach())
        matrices = (block.mix.weight.detach().t(), block.up.weight.detach(), block.down.weight.detach().t())
        scale = math.sqrt(len(block.mix_mlp))
        return cls(block.heads, block.gated, *mixes, block.qkv.detach().flatten(0, 1), gain, *matrices, scale)

    def told(self, n: Tensor, before: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """Queries, keys and values [.., 3, heads, width of a head] of norms [.., width], with those of tokens before.

        Queries and keys are of unit length and turned; `turn` are the cosines and sines of `Cache.turn`.
        """
        parts = F.linear(torch.lerp(n, before, self.mix_attention), self.qkv)
        parts = parts.view(*n.shape[:-1], 3, self.heads, -1)
        both = parts[..., :2, :, :]
        two = (*both.shape[:-1], 2, both.shape[-1] // 2)
        halves = (both / torch.linalg.vector_norm(both, dim=-1, keepdim=True)).view(two)
        torch.addcmul(halves * turn[0], halves.flip(-2), turn[1], out=both.view(two))
        return parts

    def after(self, x: Tensor, n: Tensor, before: Tensor) -> Tensor:
        """Tokens [n, width] with what the small network tells of their norms, and those before, added."""
        inner = F.linear(torch.lerp(n, before, self.mix_mlp), self.up)
        if self.gated:
            gate, inner = inner.mul_(self.scale).chunk(2, -1)
            return torch.addmm(x, F.silu(gate).mul_(inner), self.down)
        inner = inner.relu_()
        return torch.addmm(x, inner.mul_(inner), self.down, alpha=self.scale**2)  # the scale is squared, too


@dataclass
class Kept:
    """What one layer keeps.

    `pairs` are keys and values [context, 2, rows, heads, width of a head]; `before` and `middle` the norms of the last
    tokens at each half of the block, the newest last, [rows, width] each.
    """

    pairs: Tensor
    before: list[Tensor]
    middle: list[Tensor]

    def note(self, before: Sequence[Tensor], middle: Sequence[Tensor]) -> None:
        """More tokens."""
        for mine, new in ((self.before, before), (self.middle, middle)):
            mine += new
            if len(mine) > 2 * KEPT:
                del mine[:-KEPT]

    def take(self, rows: Tensor, longest: int) -> Kept:
        """Copies of these rows, of which so many places are in use."""
        pairs = self.pairs.new_zeros(*self.pairs.shape[:2], len(rows), *self.pairs.shape[3:])
        pairs[:longest] = self.pairs[:longest, :, rows]
        return Kept(pairs, [self.before[-1][rows]], [self.middle[-1][rows]])

    def put(self, rows: Tensor, other: Kept) -> None:
        """Copies into these rows."""
        self.pairs[:, :, rows] = other.pairs
        for mine, new in ((self.before, other.before), (self.middle, other.middle)):
            mine[:] = [mine[-1].index_put((rows,), new[-1])]


class Cache(Memory):
    """Keys and values of every layer, the first token of each row first; rows may be of unequal length.

    Arguments:
        layers: of the network.
        waves: cosines and sines of all places [2, context, half of a head].
        rows: how many; nothing is read yet.
    """

    def __init__(self, layers: Sequence[Layer], waves: Tensor, rows: int) -> None:
        cos, sin = waves[:, :, None, None, None]
        self.layers, self.waves = layers, waves
        self.turn = cos, torch.cat([-sin, sin], 3)  # [context, 1, 1, 1 or 2, half]
        context, half = waves.shape[1:]
        nothing = torch.zeros(rows, len(layers[0].mix_mlp))
        self.parts = [
            Kept(torch.zeros(context, 2, rows, layer.heads, 2 * half), [nothing], [nothing]) for layer in layers
        ]
        self.used, self.level = torch.zeros(rows, dtype=torch.int64), 0
        self.even = True  # all rows are equally long, `level`; otherwise that is the longest
        self.room = torch.empty(0)

    def read(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Outputs [rows, tokens, width] of the first tokens of each row, of which those of its length are kept."""
        last = (torch.arange(len(x)), lengths - 1)
        for layer, kept in zip(self.layers, self.parts, strict=True):
            x, before, middle = self._more(layer, kept, x)
            kept.before, kept.middle = [before[last]], [middle[last]]
        self.used = lengths.clone()
        self._measure()
        return x

    def extend(self, x: Tensor) -> Tensor:
        """Outputs of several more tokens of every row, [rows, tokens, width] both; rows must be equally long."""
        for layer, kept in zip(self.layers, self.parts, strict=True):
            x, before, middle = self._more(layer, kept, x)
            kept.note(before.unbind(1), middle.unbind(1))
        self.used += x.shape[1]
        self.level += x.shape[1]
        return x

    def rewind(self, steps: int) -> None:
        """Take the last tokens of every row back: no more than came since it was made, and at most `KEPT`."""
        if steps:
            self.used -= steps
            self.level -= steps
            for kept in self.parts:
                del kept.before[-steps:], kept.middle[-steps:]

    def step(self, x: Tensor) -> Tensor:
        """See `Memory`."""
        at: int | tuple[Tensor, slice, Tensor] = self.level
        hidden, place = None, self.level
        turn = self.turn[0][place], self.turn[1][place]
        if not self.even:
            hidden = torch.arange(self.level + 1)[:, None, None] > self.used[:, None]
            at, turn = (
                (self.used, slice(None), torch.arange(len(x))),
                (self.turn[0][self.used], self.turn[1][self.used]),
            )
        for layer, kept in zip(self.layers, self.parts, strict=True):
            n = _unit(x)
            parts = layer.told(n, kept.before[-1], turn)
            pairs = parts[:, 1:]
            kept.pairs[at] = pairs.transpose(0, 1) if self.even else pairs
            out = self._attended(parts[:, 0] * layer.gain, kept.pairs[: self.level + 1], hidden)
            x = torch.addmm(x, out, layer.mix, alpha=layer.scale)
            middle = _unit(x)
            x = layer.after(x, middle, kept.middle[-1])
            kept.note((n,), (middle,))
        self.used += 1
        self.level += 1
        return x

    def take(self, rows: Tensor) -> Self:
        """See `Memory`."""
        taken = type(self)(self.layers, self.waves, 0)
        taken.parts = [kept.take(rows, self.level) for kept in self.parts]
        taken.used = self.used[rows]
        taken._measure()
        return taken

    def put(self, rows: Tensor, other: Self) -> None:
        """See `Memory`."""
        for mine, new in zip(self.parts, other.parts, strict=True):
            mine.put(rows, new)
        self.used[rows] = other.used
        self._measure()

    def _measure(self) -> None:
        self.level = int(self.used.max()) if len(self.used) else 0
        self.even = bool((self.used == self.level).all())

    def _attended(self, q: Tensor, pairs: Tensor, hidden: Tensor | None) -> Tensor:
        """One query for each row [rows, heads, width of a head] over all of `pairs`: [rows, width].

        `hidden` [places, rows, 1] marks places that a row does not have.
        """
        places, _, rows, heads, size = pairs.shape
        keys, values = pairs.unbind(1)
        if rows <= ALONE:
            keys, values = (part.view(places, rows * heads, size).transpose(0, 1) for part in (keys, values))
            scores = torch.bmm(q.reshape(rows * heads, 1, size), keys.transpose(1, 2))
            if hidden is not None:
                scores.view(rows, heads, places).masked_fill_(hidden.permute(1, 2, 0), -torch.inf)
            return torch.bmm(scores.softmax(2), values).view(rows, heads * size)
        if len(self.room) < places:  # fresh memory for each product would cost more than the product
            self.room = q.new_empty(min(2 * places, len(self.waves[0])), rows, heads, size)
        product = self.room[:places]
        scores = torch.mul(keys, q, out=product).sum(3)
        if hidden is not None:
            scores.masked_fill_(hidden, -torch.inf)
        torch.mul(scores.softmax(0)[..., None], values, out=product)
        return torch.mm(q.new_ones(1, places), product.view(places, -1)).view(rows, heads * size)

    def _more(self, layer: Layer, kept: Kept, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One layer for tokens behind `level`, [rows, tokens, width]: outputs, and the norms of both halves."""
        tokens, width = x.shape[1:]
        here, n = slice(self.level, self.level + tokens), _unit(x)
        turn = self.turn[0][here], self.turn[1][here]
        parts = layer.told(n, torch.cat([kept.before[-1][:, None], n[:, :-1]], 1), turn)
        kept.pairs[here] = parts[:, :, 1:].permute(1, 2, 0, 3, 4)
        q = (parts[:, :, 0] * layer.gain).transpose(1, 2)
        if self.level:
            keys, values = kept.pairs[: here.stop].permute(1, 2, 3, 0, 4)
            seen = torch.ones(tokens, here.stop, dtype=torch.bool).tril_(self.level)
            out = F.scaled_dot_product_attention(q, keys, values, attn_mask=seen, scale=1.0)
        else:
            keys, values = parts[:, :, 1:].permute(2, 0, 3, 1, 4)
            out = F.scaled_dot_product_attention(q, keys, values, is_causal=True, scale=1.0)
        out = out.transpose(1, 2).reshape(-1, width)
        middle = torch.addmm(x.reshape(-1, width), out, layer.mix, alpha=layer.scale)
        n_middle = _unit(middle).view(x.shape)
        shifted = torch.cat([kept.middle[-1][:, None], n_middle[:, :-1]], 1)
        x = layer.after(middle, n_middle.view(-1, width), shifted.view(-1, width))
        return x.view(n.shape), n, n_middle


def _unit(x: Tensor) -> Tensor:
    """Of unit length along the last axis."""
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / length
