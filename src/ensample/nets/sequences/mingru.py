"""minGRU over sequences: gates that see no state, so that all of a window are products, and a state of fixed size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ensample.nets.dropout import Dropout
from ensample.nets.sequences.blocks import shifted_rms, squared_relu
from ensample.nets.sequences.trunk import Memory, SequenceTrunk, behind, linear
from ensample.nets.transformer import rms

WIDER = 1.5
"""Numbers of a state for each of a token's."""
LONGEST = 32.0
"""Tokens that the slowest number of a state remembers at first, about; the fastest one remembers two."""


class MinGru(SequenceTrunk):
    """`x = x + recurrence(shifted norm(x)); x = x + mlp(shifted norm(x))` in each layer.

    A transformer's layer with a recurrence instead of attention (Feng et al., Were RNNs all we needed?, 2024; the gate
    on what comes out: Qin et al., HGRN, 2023). Of a token n, its number i of a state is

        f = sigmoid(Z n + b),  h_t = f h_{t-1} + (1 - f) C n,  out = M (silu(G n) h_t).

    Gates do not see the state, as those of an LSTM do: so the matrices Z, C, G meet all tokens at once, and what is
    left to do token by token is one product and one sum. Norms, token shift and the squared ReLU are those of
    `TextTransformer`. Neither state nor token shift see another record. Build it inside `ensample.nets.random.seeded`.

    Arguments:
        width: of the tokens.
        layers: blocks.
        dropout: share left out, in training, of what each half of a block adds.

    Example:
        >>> net = MinGru(8, 2)
        >>> net(torch.randn(3, 6, 8), None).shape
        torch.Size([3, 6, 8])
    """

    def __init__(self, width: int, layers: int, dropout: float = 0.0) -> None:
        super().__init__(width)
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(layers))

    def forward(self, x: Tensor, begins: Tensor | None) -> Tensor:
        """Each token sees itself and those before it of its own record."""
        stays = None if begins is None else (~begins)[:, :, None].to(x.dtype)
        for block in self._blocks():
            x, _ = block(x, stays)
        return x

    def read(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Memory]:
        """Each row ends in its own state."""
        kept, last = [], (torch.arange(len(x)), lengths - 1)
        for block in self._blocks():
            first = x
            x, (middle, h) = block(x, None)
            kept.append(Kept(h[last[1], last[0]], rms(first[last]), rms(middle[last])))
        return behind(x, lengths), State(self._blocks(), kept)

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]


class Block(nn.Module):
    """One layer.

    Arguments:
        width, dropout: as of `MinGru`.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        state = round(WIDER * width)
        self.mix_state, self.mix_mlp = (nn.Parameter(torch.linspace(0.0, 1.0, width) * 0.5) for _ in range(2))
        self.parts = nn.Parameter(torch.randn(3, state, width) * width**-0.5)  # three matrices to the optimiser
        self.bias = nn.Parameter(torch.linspace(0.0, math.log(LONGEST), state))
        self.mix = linear(state, width, 0.0)
        self.up, self.down = linear(width, 4 * width), linear(4 * width, width, 0.0)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, stays: Tensor | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Tokens [rows, tokens, width] to the same shape; what they are in the middle, and states, are told as well.

        `stays` is as of `shifted_rms`; states are [tokens, rows, numbers].
        """
        parts = F.linear(shifted_rms(x, self.mix_state, stays), self.parts.flatten(0, 1))
        out, h = gated(parts, self.bias, stays)
        middle = x + self.drop(self.mix(out).to(x.dtype))
        inner = squared_relu(self.up(shifted_rms(middle, self.mix_mlp, stays)))
        return middle + self.drop(self.down(inner).to(x.dtype)), (middle, h)

    def step(self, x: Tensor, kept: Kept) -> Tensor:
        """One more token of each row, [rows, width]; what is kept is changed."""
        n = rms(x)
        z, c, g = F.linear(torch.lerp(n, kept.before, self.mix_state), self.parts.flatten(0, 1)).chunk(3, -1)
        h = torch.lerp(c, kept.state, torch.sigmoid(z + self.bias))
        x = torch.addmm(x, F.silu(g).mul_(h), self.mix.weight.t())
        middle = rms(x)
        inner = F.linear(torch.lerp(middle, kept.middle, self.mix_mlp), self.up.weight).relu_()
        kept.state, kept.before, kept.middle = h, n, middle
        return torch.addmm(x, inner.mul_(inner), self.down.weight.t())


@dataclass
class Kept:
    """What a layer keeps of each row: its state, and the norms of the last token at each half of the block."""

    state: Tensor
    before: Tensor
    middle: Tensor

    def take(self, rows: Tensor) -> Kept:
        """Copies of these rows."""
        return Kept(self.state[rows], self.before[rows], self.middle[rows])

    def put(self, rows: Tensor, other: Kept) -> None:
        """Another's in place of these rows."""
        self.state = self.state.index_put((rows,), other.state)
        self.before = self.before.index_put((rows,), other.before)
        self.middle = self.middle.index_put((rows,), other.middle)


class State(Memory):
    """What every layer keeps: as much however long the sequences are.

    Arguments:
        blocks: of the network.
        kept: of each of them.
    """

    def __init__(self, blocks: list[Block], kept: list[Kept]) -> None:
        self.blocks, self.kept = blocks, kept

    def step(self, x: Tensor) -> Tensor:
        """One token through all layers."""
        for block, kept in zip(self.blocks, self.kept, strict=True):
            x = block.step(x, kept)
        return x

    def take(self, rows: Tensor) -> Self:
        """Copies of what is kept."""
        return type(self)(self.blocks, [kept.take(rows) for kept in self.kept])

    def put(self, rows: Tensor, other: Self) -> None:
        """Other rows in place of these."""
        for mine, new in zip(self.kept, other.kept, strict=True):
            mine.put(rows, new)


def gated(parts: Tensor, bias: Tensor, stays: Tensor | None) -> tuple[Tensor, Tensor]:
    """`silu(g) h` with `h_t = f h_{t-1} + (1 - f) c` and `f = sigmoid(z + bias)`.

    Arguments:
        parts: z, c and g side by side, [rows, tokens, 3 numbers].
        bias: [numbers]; the state is of its type.
        stays: 1 where the state before is of the same record, else 0, [rows, tokens, 1]; None: all of a row are of one.

    Returns:
        `silu(g) h` [rows, tokens, numbers] of the type of the parts, and h [tokens, rows, numbers], without gradients.
    """
    out: tuple[Tensor, Tensor] = _Gated.apply(parts, bias, stays)  # type: ignore[no-untyped-call]
    return out


class _Gated(torch.autograd.Function):
    """With d for the gradient of h: `dc = (1 - f) d`, and `dz = (1 - f) d (h - c)`, since `f (h_{t-1} - c) = h - c`.

    The tokens come first in memory: the loop over them then reads what lies side by side.
    """

    @staticmethod
    def forward(ctx: Any, parts: Tensor, bias: Tensor, stays: Tensor | None) -> tuple[Tensor, Tensor]:
        z, c, g = (_first(part, bias) for part in parts.chunk(3, -1))
        f = z.add_(bias).sigmoid_()
        h = torch.addcmul(c, f, c, value=-1.0)
        decay = f if stays is None else f * stays.transpose(0, 1)
        rows, decays = h.unbind(0), decay.unbind(0)
        for t in range(1, len(rows)):
            rows[t].addcmul_(decays[t], rows[t - 1])
        ctx.save_for_backward(f, c, g, h, decay)
        ctx.type = parts.dtype
        ctx.mark_non_differentiable(h)
        return (F.silu(g) * h).transpose(0, 1).to(parts.dtype, memory_format=torch.contiguous_format), h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_out: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None]:
        f, c, g, h, decay = ctx.saved_tensors
        g_out = _first(g_out, h)
        of_g = torch.ops.aten.silu_backward(g_out * h, g)
        d = g_out.mul_(F.silu(g))
        rows, decays = d.unbind(0), decay.unbind(0)
        for t in range(len(rows) - 2, -1, -1):
            rows[t].addcmul_(decays[t + 1], rows[t + 1])
        of_c = d.addcmul_(d, f, value=-1.0)
        of_z = (h - c).mul_(of_c)
        of_parts = torch.empty(f.shape[1], f.shape[0], 3 * f.shape[2], dtype=ctx.type)
        for place, part in zip(of_parts.chunk(3, -1), (of_z, of_c, of_g), strict=True):
            place.copy_(part.transpose(0, 1))
        return of_parts, of_z.sum((0, 1)), None


def _first(x: Tensor, like: Tensor) -> Tensor:
    """A copy of [rows, tokens, numbers] with the tokens first, of the type of another."""
    copy: Tensor = x.transpose(0, 1).to(like.dtype, memory_format=torch.contiguous_format, copy=True)
    return copy
