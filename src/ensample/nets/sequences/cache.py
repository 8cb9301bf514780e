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

from ensample.nets.attention import LARGEST, found
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
    """Weights of a block; `gain` multiplies queries, `scale` is the root of the width.

    `told` are the matrices of the queries of all `heads`, and of the keys and the values of all groups of them. Both
    halves of queries and keys take turns there: that makes complex numbers of them, which one product turns.
    """

    heads: int
    groups: int
    gated: bool
    mix_attention: Tensor
    mix_mlp: Tensor
    told: Tensor
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
        both = torch.cat([block.queries, block.keys]).detach()
        turns = both.view(block.heads + block.groups, 2, -1, both.shape[1]).transpose(1, 2).reshape(both.shape)
        told = torch.cat([turns, block.values.detach()])
        return cls(block.heads, block.groups, block.gated, *mixes, told, gain, *matrices, scale)

    def placed(self, n: Tensor, before: Tensor, turn: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [.., heads, width of a head], keys and values [.., groups, width of a head] of norms [.., width].

        Those of tokens `before` are mixed in. Queries and keys are of unit length and turned: `turn` are those of
        `Cache.turn`; queries are not yet multiplied by their gain.
        """
        parts = F.linear(torch.lerp(n, before, self.mix_attention), self.told)
        parts = parts.view(*n.shape[:-1], self.heads + 2 * self.groups, -1)
        both = parts[..., : -self.groups, :]
        shape = (*both.shape[:-1], -1, 2)
        unit = torch.view_as_complex((both / torch.linalg.vector_norm(both, dim=-1, keepdim=True)).view(shape))
        torch.mul(unit, turn, out=torch.view_as_complex(both.view(shape)))
        return both[..., : self.heads, :], both[..., self.heads :, :], parts[..., -self.groups :, :]

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

    `keys` and `values` are [context, rows, groups, width of a head]; `before` and `middle` the norms of the last tokens
    at each half of the block, the newest last, [rows, width] each.
    """

    keys: Tensor
    values: Tensor
    before: list[Tensor]
    middle: list[Tensor]

    def note(self, before: Sequence[Tensor], middle: Sequence[Tensor]) -> None:
        """More tokens."""
        for mine, new in ((self.before, before), (self.middle, middle)):
            mine += new
            if len(mine) > 2 * KEPT:
                del mine[:-KEPT]

    def take(self, rows: Tensor, longest: int, even: bool) -> Kept:
        """Copies of these rows, of which so many places are in use."""
        keys, values = (_room(len(p), len(rows), *p.shape[2:], even=even) for p in (self.keys, self.values))
        keys[:longest], values[:longest] = self.keys[:longest, rows], self.values[:longest, rows]
        return Kept(keys, values, [self.before[-1][rows]], [self.middle[-1][rows]])

    def put(self, rows: Tensor, other: Kept, longest: int) -> None:
        """Copies of another, of which so many places are in use, into these rows."""
        for mine, new in ((self.keys, other.keys), (self.values, other.values)):
            mine[:longest, rows] = new[:longest]
            mine[longest:, rows] = 0.0
        for before, last in ((self.before, other.before), (self.middle, other.middle)):
            before[:] = [before[-1].index_put((rows,), last[-1])]


class Cache(Memory):
    """Keys and values of every layer, the first token of each row first; rows may be of unequal length.

    Arguments:
        layers: of the network.
        waves: cosines and sines of all places [2, context, half of a head].
        parts: what each layer keeps, if something was read.
        used: tokens of each row, int64 [rows].
    """

    def __init__(self, layers: Sequence[Layer], waves: Tensor, parts: list[Kept], used: Tensor) -> None:
        self.layers, self.waves, self.parts, self.used = layers, waves, parts, used
        self.turn = torch.complex(waves[0], waves[1])[:, None]
        self.room = torch.empty(0)
        self._measure()

    @classmethod
    def read(cls, layers: Sequence[Layer], waves: Tensor, x: Tensor, lengths: Tensor) -> tuple[Tensor, Self]:
        """Outputs [rows, width] behind the last token of rows of these lengths, and what is kept of them.

        Arguments:
            layers: of the network.
            waves: as of the class.
            x: tokens [rows, tokens, width]; those behind the length of a row are not looked at.
            lengths: int64 [rows].
        """
        rows, even, shape = len(x), bool((lengths == x.shape[1]).all()), (layers[0].groups, 2 * waves.shape[2])
        made = cls(layers, waves, [], lengths.new_zeros(rows))
        last, nothing = (torch.arange(rows), lengths - 1), torch.zeros(rows, x.shape[2])
        for layer in layers:
            keys, values = (_room(waves.shape[1], rows, *shape, even=even) for _ in range(2))
            made.parts.append(kept := Kept(keys, values, [nothing], [nothing]))
            if layer is layers[-1]:
                x = made._last(layer, kept, x, lengths)
                break
            x, before, middle = made._more(layer, kept, x)
            kept.before, kept.middle = [before[last]], [middle[last]]
        made.used = lengths.clone()
        made._measure()
        return x, made

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
        at: int | tuple[Tensor, Tensor] = self.level
        hidden, turn = None, self.turn[self.level]
        if not self.even:
            hidden = torch.arange(self.level + 1)[:, None, None] > self.used[:, None]
            at, turn = (self.used, torch.arange(len(x))), self.turn[self.used]
        for layer, kept in zip(self.layers, self.parts, strict=True):
            n = _unit(x)
            q, k, v = layer.placed(n, kept.before[-1], turn)
            kept.keys[at], kept.values[at] = k, v
            places = self.level + 1
            out = self._attended(q * layer.gain, kept.keys[:places], kept.values[:places], hidden)
            x = torch.addmm(x, out, layer.mix, alpha=layer.scale)
            middle = _unit(x)
            x = layer.after(x, middle, kept.middle[-1])
            kept.note((n,), (middle,))
        self.used += 1
        self.level += 1
        return x

    def take(self, rows: Tensor) -> Self:
        """See `Memory`."""
        parts = [kept.take(rows, self.level, self.even) for kept in self.parts]
        return type(self)(self.layers, self.waves, parts, self.used[rows])

    def put(self, rows: Tensor, other: Self) -> None:
        """See `Memory`."""
        for mine, new in zip(self.parts, other.parts, strict=True):
            mine.put(rows, new, other.level)
        self.used[rows] = other.used
        self._measure()

    def _measure(self) -> None:
        self.level = int(self.used.max()) if len(self.used) else 0
        self.even = bool((self.used == self.level).all())  # otherwise `level` is the longest

    def _attended(self, q: Tensor, keys: Tensor, values: Tensor, hidden: Tensor | None) -> Tensor:
        """One query for each row [rows, heads, width of a head] over all places: [rows, width].

        `hidden` [places, rows, 1] marks places that a row does not have.
        """
        places, rows, groups, size = keys.shape
        each = q.shape[1] // groups
        if rows <= ALONE or each > 1:
            keys, values = (part.view(places, rows * groups, size).transpose(0, 1) for part in (keys, values))
            scores = torch.bmm(q.reshape(rows * groups, each, size), keys.transpose(1, 2))
            if hidden is not None:
                scores.view(rows, -1, places).masked_fill_(hidden.permute(1, 2, 0), -torch.inf)
            return torch.bmm(scores.softmax(2), values).view(rows, -1)
        if len(self.room) < places:  # fresh memory for each product would cost more than the product
            self.room = q.new_empty(min(2 * places, len(self.turn)), rows, groups, size)
        product = self.room[:places]
        scores = torch.mul(keys, q, out=product).sum(3)
        if hidden is not None:
            scores.masked_fill_(hidden, -torch.inf)
        torch.mul(scores.softmax(0)[..., None], values, out=product)
        return torch.mm(q.new_ones(1, places), product.view(places, -1)).view(rows, -1)

    def _more(self, layer: Layer, kept: Kept, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One layer for tokens behind `level`, [rows, tokens, width]: outputs, and the norms of both halves."""
        n, (q, k, v) = self._told(layer, kept, x)
        seen = None
        if self.level:
            places = self.level + x.shape[1]
            k, v = (part[:places].permute(1, 2, 0, 3) for part in (kept.keys, kept.values))
            seen = torch.ones(x.shape[1], places, dtype=torch.bool).tril_(self.level)
        out = found(q, k, v, seen)
        middle = _mixed(layer, x, out)
        n_middle = _unit(middle).view(x.shape)
        shifted = _shifted(kept.middle[-1], n_middle)
        whole = layer.after(middle, n_middle.view(middle.shape), shifted.view(middle.shape))
        return whole.view(x.shape), n, n_middle

    def _last(self, layer: Layer, kept: Kept, x: Tensor, lengths: Tensor) -> Tensor:
        """The last layer for all first tokens: outputs behind the last of each row, which needs little of the others.

        The token before the last is needed as well: the small network sees its norm.
        """
        n, (q, k, v) = self._told(layer, kept, x)
        rows, at = torch.arange(len(x))[:, None], torch.stack([lengths - 2, lengths - 1], 1).clamp(min=0)
        seen = (torch.arange(x.shape[1]) <= at[:, :, None])[:, None]
        out = found(q.transpose(1, 2)[rows, at].transpose(1, 2), k, v, seen)
        middle = _mixed(layer, x[rows, at], out).view(len(x), 2, -1)
        n_middle = _unit(middle)
        before = torch.where(lengths[:, None] > 1, n_middle[:, 0], 0.0)
        kept.before, kept.middle = [n[rows[:, 0], at[:, 1]]], [n_middle[:, 1]]
        return layer.after(middle[:, 1], n_middle[:, 1], before)

    def _told(self, layer: Layer, kept: Kept, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Norms of tokens behind `level`; queries, keys and values [rows, heads or groups, tokens, width of a head].

        Keys and values are kept.
        """
        here, n = slice(self.level, self.level + x.shape[1]), _unit(x)
        q, k, v = layer.placed(n, _shifted(kept.before[-1], n), self.turn[here])
        kept.keys[here], kept.values[here] = k.transpose(0, 1), v.transpose(0, 1)
        return n, ((q * layer.gain).transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))


def _unit(x: Tensor) -> Tensor:
    """Of unit length along the last axis."""
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / length


def _shifted(first: Tensor, n: Tensor) -> Tensor:
    """What stands before each of tokens [rows, tokens, width], of which `first` [rows, width] before the first."""
    return torch.cat([first[:, None], n[:, :-1]], 1)


def _mixed(layer: Layer, x: Tensor, out: Tensor) -> Tensor:
    """Tokens [rows, tokens, width] with what attention [rows, heads, tokens, ..] found: [rows x tokens, width]."""
    width = x.shape[2]
    return torch.addmm(x.reshape(-1, width), out.transpose(1, 2).reshape(-1, width), layer.mix, alpha=layer.scale)


def _room(context: int, rows: int, heads: int, size: int, *, even: bool) -> Tensor:
    """For keys or values. Rows of unequal length look at places that they have not written, with a weight of 0."""
    return (torch.empty if even else torch.zeros)(context, rows, heads, size)
