"""A network over classes that looks at another sequence of classes: encoder and decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.dropout import Dropout
from ensample.nets.sequences.cross import CrossTransformer, Source
from ensample.nets.sequences.encoder import Encoder
from ensample.nets.sequences.tokens import SPREAD, TokenNet
from ensample.nets.sequences.trunk import Memory
from ensample.nets.transformer import rms

NOTHING = -1
"""In a source: padding."""


class Translator(TokenNet):
    """Logits of `p(x_t | x_<t, source)`: see `TokenNet`. What is given is a source as classes.

    A source [rows, places] int64 holds its classes, its mark (one more than its classes) behind the last, and then
    `NOTHING`. Build it inside `ensample.nets.random.seeded`.

    Arguments:
        classes: of a step, without the mark.
        sources: classes of the source, without the mark.
        decoder, encoder: the networks, of one width.
        tied: as of `TokenNet`.
        shared: sources are read by the vectors of the classes; both have equally many.
        dropout: share left out, in training, of the vectors of all classes.

    Example:
        >>> decoder, encoder = (sort(4, 1, heads=1, context=8) for sort in (CrossTransformer, Encoder))
        >>> net = Translator(5, 3, decoder, encoder)
        >>> net(torch.tensor([[5, 1, 0]]), torch.tensor([[2, 2, 3, -1]])).shape
        torch.Size([1, 3, 6])
    """

    trunk: CrossTransformer

    def __init__(
        self,
        classes: int,
        sources: int,
        decoder: CrossTransformer,
        encoder: Encoder,
        *,
        tied: bool = False,
        shared: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(classes, decoder, 0, tied=tied)
        self.encoder, self.drop = encoder, Dropout(dropout)
        self.source = None if shared else nn.Parameter(torch.randn((sources + 1) * decoder.width) * SPREAD)

    def forward(self, tokens: Tensor, cond: Tensor) -> Tensor:
        """Logits [rows, tokens, classes + 1] float32 of what follows each token; `cond` are the sources."""
        x = self.drop(self.embedded(tokens, cond))
        return self.logits(self.trunk(x, None, self.encoded(cond)))

    @torch.no_grad()
    def read(self, tokens: Tensor, lengths: Tensor, cond: Tensor) -> tuple[Tensor, Memory]:
        """See `TokenNet.read`; `cond` are the sources, which are read once."""
        out, memory = self.trunk.read(self.embedded(tokens, cond), lengths, self.encoded(cond))
        return self.logits(out), memory

    def encoded(self, cond: Tensor) -> Source:
        """Sources as the encoder reads them."""
        there = cond >= 0
        table = self.table if self.source is None else self.source
        x = rms(F.embedding(cond.clamp(min=0), table.view(-1, self.trunk.width)))
        return Source(self.encoder(self.drop(x), there), there)

    def embedded(self, tokens: Tensor, cond: Tensor) -> Tensor:
        """Vectors [.., width] of tokens [..], each of mean square 1; sources change none."""
        return rms(F.embedding(tokens, self._rows(self.table)))
