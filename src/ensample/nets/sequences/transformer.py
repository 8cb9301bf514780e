"""The transformer over long sequences: rotary positions, token shift, a cache of keys and values."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.attention import LARGEST, attend
from ensample.nets.dropout import Dropout
from ensample.nets.sequences.blocks import placed, product_type, shifted_rms, squared_relu, waves
from ensample.nets.sequences.cache import Cache, Layer
from ensample.nets.sequences.trunk import Memory, SequenceTrunk, linear
from ensample.nets.sequences.versions import versions


class TextTransformer(SequenceTrunk):
    """`x = x + attention(shifted norm(x)); x = x + mlp(shifted norm(x))` in each layer.

    Pre-norm blocks with RMSNorm (Zhang and Sennrich 2019), rotary positions (Su et al. 2021), queries and keys of unit
    length with a learned gain a head (Henry et al. 2020), token shift before both halves (RWKV: Peng et al. 2023), and
    outputs of both that start at 0. Norms have no gains of their own: the matrices behind them have. Several heads may
    share their keys and values (grouped queries: Ainslie et al. 2023). Attention and token shift see no other record
    than a token's own. Build it inside `ensample.nets.random.seeded`.

    Arguments:
        width: of the tokens; its part for each head must be even.
        layers: blocks.
        heads: of attention.
        context: most tokens that are read to go on from; learning may look at more.
        groups: of heads that share their keys and values; each head has its own if left out.
        gated: the small network of a token is SwiGLU (Shazeer 2020) instead of a squared ReLU (So et al. 2021).
        dropout: share left out, in training, of what each half of a block adds.

    Example:
        >>> net = TextTransformer(8, 2, heads=2, context=6)
        >>> net(torch.randn(3, 6, 8), None).shape
        torch.Size([3, 6, 8])
    """

    turn: Tensor

    def __init__(
        self,
        width: int,
        layers: int,
        *,
        heads: int,
        context: int,
        groups: int | None = None,
        gated: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(width)
        self.blocks = nn.ModuleList(Block(width, heads, gated, dropout, groups) for _ in range(layers))
        self.register_buffer("turn", waves(context, width // heads), persistent=False)
        self._known: tuple[tuple[int, ...], list[Layer]] | None = None

    def forward(self, x: Tensor, begins: Tensor | None) -> Tensor:
        """Each token sees itself and those before it of its own record."""
        tokens, seen, stays = x.shape[1], None, None
        turn = self.turn[:, :tokens] if tokens <= self.turn.shape[1] else waves(tokens, 2 * self.turn.shape[2])
        if begins is not None:
            record = begins.cumsum(1)
            seen = product_type((record[:, None, :, None] == record[:, None, None]).to(x.dtype)).tril_()
            stays = (~begins)[:, :, None].to(x.dtype)
        for block in self._blocks():
            x = block(x, turn, seen, stays)
        return x

    def read(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Memory]:
        """With room for keys and values of a whole context; no gradients."""
        return Cache.read(self._ordered(), self.turn, x, lengths)

    def _ordered(self) -> list[Layer]:
        """The weights in the order in which they are read without gradients: put in order once, while they stay."""
        now = versions(self)
        if self._known is None or self._known[0] != now:
            self._known = now, [Layer.of(block) for block in self._blocks()]
        return self._known[1]

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]


class Block(nn.Module):
    """One layer.

    Arguments:
        width, heads, gated, dropout, groups: as of `TextTransformer`.
    """

    def __init__(self, width: int, heads: int, gated: bool, dropout: float, groups: int | None = None) -> None:
        super().__init__()
        self.heads, self.groups, self.size, self.gated = heads, groups or heads, width // heads, gated
        self.mix_attention, self.mix_mlp = (nn.Parameter(torch.linspace(0.0, 1.0, width) * 0.5) for _ in range(2))
        outputs = (width, self.groups * self.size, self.groups * self.size)
        self.queries, self.keys, self.values = (nn.Parameter(torch.randn(o, width) * width**-0.5) for o in outputs)
        self.gain = nn.Parameter(torch.full((heads, 1, 1), math.sqrt(self.size)))
        self.mix = linear(width, width, 0.0)
        inner = 4 * width if not gated else 2 * (4 * width // 3)  # as many weights, about
        self.up, self.down = linear(width, inner), linear(inner // (2 if gated else 1), width, 0.0)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, turn: Tensor, seen: Tensor | None, stays: Tensor | None) -> Tensor:
        """Tokens [rows, tokens, width] to the same shape; `seen` and `stays` are as of `attend` and `shifted_rms`."""
        return self.thought(self.attended(x, turn, seen, stays), stays)

    def attended(self, x: Tensor, turn: Tensor, seen: Tensor | None, stays: Tensor | None) -> Tensor:
        """The first half: tokens, and what attention adds to them."""
        told = self.told(shifted_rms(x, self.mix_attention, stays))
        q, k, v = placed(told, self.gain.clamp(-LARGEST, LARGEST), turn)
        out = attend(q, k, v, seen, causal=seen is None).transpose(1, 2).reshape(x.shape)
        middle: Tensor = x + self.drop(self.mix(out).to(x.dtype))
        return middle

    def told(self, n: Tensor) -> Tensor:
        """Queries of heads, keys and values of groups, of tokens [.., width]: [.., vectors, width of a head]."""
        inner = F.linear(n, torch.cat([self.queries, self.keys, self.values]))
        return inner.view(*n.shape[:-1], -1, self.size)

    def thought(self, x: Tensor, stays: Tensor | None) -> Tensor:
        """The second half: tokens, and what the small network of each adds to them."""
        whole: Tensor = x + self.drop(self.mlp(shifted_rms(x, self.mix_mlp, stays)).to(x.dtype))
        return whole

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
