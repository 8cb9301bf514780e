"""Writing on with a transformer that looks at a source: what is read of the source once, and of all tokens so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from ensample.nets.attention import LARGEST, found
from ensample.nets.sequences.blocks import placed, shifted_rms
from ensample.nets.sequences.encoder import turns
from ensample.nets.sequences.trunk import Memory
from ensample.nets.transformer import rms

if TYPE_CHECKING:
    from ensample.nets.sequences.cross import CrossBlock, Source


@dataclass
class Kept:
    """What one layer keeps.

    `keys` and `values` are [rows, groups, context, width of a head]; `shown` those of the source [rows, heads, places,
    width of a head]; `before` and `middle` the norms of the last token at each half of the block, [rows, width].
    """

    keys: Tensor
    values: Tensor
    shown: tuple[Tensor, Tensor]
    before: Tensor
    middle: Tensor

    def take(self, rows: Tensor, longest: int) -> Kept:
        """Copies of these rows, of which so many places are in use."""
        shape = (len(rows), *self.keys.shape[1:])
        keys, values = (torch.zeros(shape) for _ in range(2))
        for new, old in ((keys, self.keys), (values, self.values)):
            torch.index_select(old[:, :, :longest], 0, rows, out=new[:, :, :longest])
        shown = (self.shown[0][rows], self.shown[1][rows])
        return Kept(keys, values, shown, self.before[rows], self.middle[rows])

    def put(self, rows: Tensor, other: Kept) -> None:
        """Copies of another into these rows, whose source is the same."""
        for mine, new in ((self.keys, other.keys), (self.values, other.values)):
            mine[rows] = new
        self.before = self.before.index_put((rows,), other.before)
        self.middle = self.middle.index_put((rows,), other.middle)


class CrossCache(Memory):
    """Keys and values of every layer, of the source and of the tokens so far; rows may be of unequal length.

    Arguments:
        blocks: of the network.
        turn: cosines and sines of all places [2, context, half of a head].
        seen: which places of the source are no padding, bool [rows, 1, 1, places].
        parts: what each layer keeps.
        used: tokens of each row, int64 [rows].
    """

    def __init__(
        self, blocks: Sequence[CrossBlock], turn: Tensor, seen: Tensor, parts: list[Kept], used: Tensor
    ) -> None:
        self.blocks, self.turn, self.seen, self.parts, self.used = blocks, turn, seen, parts, used
        self.level = int(used.max()) if len(used) else 0

    @classmethod
    def read(
        cls, blocks: Sequence[CrossBlock], turn: Tensor, x: Tensor, lengths: Tensor, source: Source
    ) -> tuple[Tensor, Self]:
        """Outputs [rows, width] behind the last token of rows of these lengths, and what is kept of them.

        Arguments:
            blocks: of the network.
            turn: as of the class.
            x: tokens [rows, tokens, width]; those behind the length of a row are not looked at.
            lengths: int64 [rows].
            source: what is looked at.
        """
        rows, tokens, width = x.shape
        states, there = rms(source.states), source.there[:, None, None]
        here, place, last = turn[:, :tokens], turns(turn, states.shape[1]), (torch.arange(rows), lengths - 1)
        parts = []
        for block in blocks:
            shape = (rows, block.groups, turn.shape[1], block.size)
            kept = Kept(torch.zeros(shape), torch.zeros(shape), block.shown(states, place), rms(x)[last], x[last])
            told = block.told(shifted_rms(x, block.mix_attention, None))
            q, k, v = placed(told, block.gain.clamp(-LARGEST, LARGEST), here)
            kept.keys[:, :, :tokens], kept.values[:, :, :tokens] = k, v
            x = x + block.mix(found(q, k, v, None).transpose(1, 2).reshape(rows, tokens, width))
            x = block.looked(x, here, *kept.shown, there.to(x.dtype))
            kept.middle = rms(x)[last]
            parts.append(kept)
            x = block.thought(x, None)
        return x[last], cls(blocks, turn, there, parts, lengths.clone())

    def step(self, x: Tensor) -> Tensor:
        """See `Memory`."""
        rows = len(x)
        each, places = torch.arange(rows), self.level + 1
        seen = (torch.arange(places) <= self.used[:, None])[:, None, None]
        turn = self.turn[:, self.used, None]  # [2, rows, 1, half of a head]
        for block, kept in zip(self.blocks, self.parts, strict=True):
            n = rms(x)
            told = block.told(torch.lerp(n, kept.before, block.mix_attention))
            both = _unit_turned(told[:, : -block.groups], turn)
            kept.keys[each, :, self.used] = both[:, block.heads :]
            kept.values[each, :, self.used] = told[:, -block.groups :]
            q = (both[:, : block.heads] * block.gain.clamp(-LARGEST, LARGEST)[:, :, 0])[:, :, None]
            x = x + block.mix(found(q, kept.keys[:, :, :places], kept.values[:, :, :places], seen).flatten(1))
            asked = block.ask(rms(x)).view(rows, block.heads, block.size)
            asked = (_unit_turned(asked, turn) * block.cross_gain.clamp(-LARGEST, LARGEST)[:, :, 0])[:, :, None]
            x = x + block.tell(found(asked, *kept.shown, self.seen).flatten(1))
            middle = rms(x)
            x = x + block.mlp(torch.lerp(middle, kept.middle, block.mix_mlp))
            kept.before, kept.middle = n, middle
        self.used += 1
        self.level += 1
        return x

    def take(self, rows: Tensor) -> Self:
        """See `Memory`."""
        parts = [kept.take(rows, self.level) for kept in self.parts]
        return type(self)(self.blocks, self.turn, self.seen[rows], parts, self.used[rows])

    def put(self, rows: Tensor, other: Self) -> None:
        """See `Memory`; the sources stay."""
        for mine, new in zip(self.parts, other.parts, strict=True):
            mine.put(rows, new)
        self.used[rows] = other.used
        self.level = int(self.used.max())


def _unit_turned(x: Tensor, turn: Tensor) -> Tensor:
    """Vectors [rows, heads, width] of unit length, turned by the places of the rows [2, rows, 1, width / 2]."""
    (cos, sin), (one, two) = turn, (x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(1e-12)).chunk(2, -1)
    return torch.cat([one * cos - two * sin, two * cos + one * sin], -1)
