"""A transformer over pixels: each is a token that attends to all before it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.images.pixels import PixelTrunk, Scan, given_weights, weights
from ensample.nets.transformer import Transformer


class PixelTransformer(PixelTrunk):
    """Image GPT (Chen et al. 2020) over pixels: `p(x_i | x_<i)` from the token of place i, which holds pixel i - 1.

    Tokens know their place by a learned vector of their row and one of their column. The time of a layer grows with
    the square of the number of pixels, so it is for small pictures and grids of codes.

    Arguments:
        inputs, outputs, size: as of `PixelTrunk`.
        given: width of the given fields, which are added to every token.
        width: of the tokens, a multiple of `heads`.
        layers: blocks.
        heads: of attention.
        dropout: share left out, in training, of what each half of a block adds.

    Example:
        >>> net = PixelTransformer(1, 2, (3, 3), 0, width=8, layers=1, heads=2)
        >>> net(torch.zeros(5, 1, 3, 3), torch.zeros(5, 0)).shape
        torch.Size([5, 9, 2])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: tuple[int, int],
        given: int,
        *,
        width: int,
        layers: int,
        heads: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(inputs, outputs, size)
        self.read = weights(width, inputs)
        self.row, self.column = (nn.Parameter(torch.randn(n * width) * 0.3) for n in size)
        self.first = nn.Parameter(torch.randn(width) * 0.3)
        self.given = given_weights(width, given)
        self.body = Transformer(width, layers, heads=heads, dropout=dropout)
        self.out = weights(outputs, width, 0.3)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """Parameters [rows, pixels, outputs] of pictures [rows, inputs, height, width]."""
        held = F.linear(x.flatten(2).transpose(1, 2)[:, :-1], self.read)
        tokens = torch.cat([self.first.expand(len(x), 1, -1).to(held.dtype), held], 1) + self.places()
        return F.linear(self.body(tokens + self.shift(cond)), self.out)

    def places(self) -> Tensor:
        """A vector for each pixel [pixels, width]."""
        row, column = self.row.view(self.size[0], 1, -1), self.column.view(1, self.size[1], -1)
        return (row + column).flatten(0, 1)

    def shift(self, cond: Tensor) -> Tensor:
        """What the given fields add to every token, [rows, 1, width]."""
        return F.linear(cond, self.given)[:, None]

    def scan(self, cond: Tensor) -> Scan:
        """With a cache of keys and values."""
        return TransformerScan(self, cond)


class TransformerScan(Scan):
    """One token after the other."""

    def __init__(self, net: PixelTransformer, cond: Tensor) -> None:
        self.net, self.at, self.cache = net, 0, net.body.empty_cache()
        self.places, self.shift = net.places(), net.shift(cond)
        self.token = net.first.expand(len(cond), -1)

    def next(self) -> Tensor:
        """The token of this place, attending to those kept."""
        token = (self.token + self.places[self.at])[:, None] + self.shift
        return F.linear(self.net.body(token, self.cache)[:, 0], self.net.out)

    def tell(self, x: Tensor) -> None:
        """The next token holds this pixel."""
        self.token = F.linear(x, self.net.read)
        self.at += 1
