"""The transformer that reads: every token sees all tokens of its sequence."""

from __future__ import annotations

from torch import Tensor, nn

from ensample.nets.sequences.blocks import product_type, waves
from ensample.nets.sequences.transformer import Block


class Encoder(nn.Module):
    """Blocks of `TextTransformer` without its causal order (Vaswani et al. 2017). Build it inside `seeded`.

    Arguments:
        width, heads, gated, dropout: as of `TextTransformer`.
        layers: blocks.
        context: tokens whose rotary positions are kept ready; there may be more.

    Example:
        >>> import torch
        >>> there = torch.tensor([[True, True, True], [True, False, False]])
        >>> Encoder(8, 2, heads=2, context=4)(torch.randn(2, 3, 8), there).shape
        torch.Size([2, 3, 8])
    """

    turn: Tensor

    def __init__(
        self, width: int, layers: int, *, heads: int, context: int, gated: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, gated, dropout) for _ in range(layers))
        self.register_buffer("turn", waves(context, width // heads), persistent=False)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Tokens [rows, tokens, width] to the same shape; `there` [rows, tokens] tells which are no padding."""
        turn = turns(self.turn, x.shape[1])
        seen = product_type(there[:, None, None].to(x.dtype))
        for block in self.blocks:
            x = block(x, turn, seen, None)
        return x


def turns(turn: Tensor, tokens: int) -> Tensor:
    """Cosines and sines of the first places [2, tokens, half of a head], of those kept ready or made anew."""
    return turn[:, :tokens] if tokens <= turn.shape[1] else waves(tokens, 2 * turn.shape[2])
