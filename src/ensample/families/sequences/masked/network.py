"""A network that tells hidden classes of a sequence from those around them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.sequences.blocks import product_type
from ensample.nets.sequences.encoder import Encoder, turns
from ensample.nets.transformer import rms

SPREAD = 0.5
"""Of the first vectors of classes, and of the weights of given fields."""


class MaskedNet(nn.Module):
    """Logits of every class of a sequence, told by those that are shown; blocks are those of `Encoder`.

    A step is a class, the mark (`classes`), which stands before and behind a record and is never hidden, or hidden
    (`classes` + 1). A token sees all of its own record, both marks included; of a mark nothing is asked, and it sees
    itself alone, so that records of one window know nothing of each other. Build it inside
    `ensample.nets.random.seeded`.

    Arguments:
        classes: of a step.
        encoder: the blocks.
        width: of the tokens.
        given: width of the given fields, 0 for none: a vector that is added at every place.

    Example:
        >>> net = MaskedNet(3, Encoder(8, 1, heads=1, context=8), 8, 0)
        >>> tokens = torch.tensor([[3, 0, 4, 4, 3]])
        >>> net(tokens, torch.tensor([5]), torch.zeros(1, 0)).shape
        torch.Size([1, 5, 3])
    """

    def __init__(self, classes: int, encoder: Encoder, width: int, given: int) -> None:
        super().__init__()
        self.mark, self.hidden, self.width, self.encoder = classes, classes + 1, width, encoder
        self.table = nn.Parameter(torch.randn((classes + 2) * width) * SPREAD)  # flat: no matrix to the optimiser
        self.head = nn.Parameter(torch.zeros(classes * width))
        self.given = nn.Parameter(torch.randn(given, width) * SPREAD) if given else None

    def forward(self, tokens: Tensor, lengths: Tensor, cond: Tensor) -> Tensor:
        """Logits [rows, tokens, classes] float32 of the class at each place.

        Arguments:
            tokens: classes, marks and hidden ones, int64 [rows, tokens].
            lengths: tokens of each row that are no padding, [rows].
            cond: given fields [rows, given].
        """
        x = F.embedding(tokens, self.table.view(-1, self.width))
        x = rms(x if self.given is None else x + (cond @ self.given)[:, None])
        marks = tokens == self.mark
        seen, stays = self._seen(marks, lengths).to(x.dtype), (~marks)[:, :, None].to(x.dtype)
        turn = turns(self.encoder.turn, tokens.shape[1])
        seen = product_type(seen)
        for block in self.encoder.blocks:
            x = block(x, turn, seen, stays)
        return F.linear(rms(x), self.head.view(-1, self.width)).to(torch.float32)

    def _seen(self, marks: Tensor, lengths: Tensor) -> Tensor:
        """Which keys each query sees, bool [rows, 1, tokens, tokens]."""
        record = marks.cumsum(1)
        there = (torch.arange(marks.shape[1]) < lengths[:, None])[:, None]
        own = record[:, :, None] == record[:, None]
        closing = marks[:, None] & (record[:, :, None] + 1 == record[:, None])
        itself = torch.eye(marks.shape[1], dtype=torch.bool)
        return (torch.where(marks[:, :, None], itself, (own | closing) & there) | itself)[:, None]
