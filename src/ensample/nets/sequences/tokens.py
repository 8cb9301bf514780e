"""A network over classes: what may come next at each place of a sequence."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.sequences.cache import Cache
from ensample.nets.sequences.trunk import Memory, SequenceTrunk
from ensample.nets.transformer import rms

SPREAD = 0.5
"""Of the first vectors of classes."""
LOUD = 0.5
"""Initial spread of the weights of given fields."""


class TokenNet(nn.Module):
    """Classes as vectors, a trunk, and a score for each class and for the end: logits of `p(x_t | x_<t, given)`.

    The mark, one more than the classes, begins a sequence as an input, and is its end as an output. Given fields are a
    vector that is added at every place. Build it inside `ensample.nets.random.seeded`.

    Arguments:
        classes: of a step, without the mark.
        trunk: the network between.
        given: width of the given fields, 0 for none.
        tied: the vectors of the classes are also those that score them (Press and Wolf 2017); else the scores have
            vectors of their own, which start at 0.
        more: classes above the mark that are inputs alone: nothing is ever scored as one of them.

    Example:
        >>> from ensample.nets.sequences.wavenet import WaveNet
        >>> net = TokenNet(5, WaveNet(4, 2, cycle=2), 0)
        >>> net(torch.tensor([[5, 1, 0]]), torch.zeros(1, 0)).shape
        torch.Size([1, 3, 6])
    """

    def __init__(self, classes: int, trunk: SequenceTrunk, given: int, *, tied: bool = False, more: int = 0) -> None:
        super().__init__()
        self.mark, self.trunk, self.more = classes, trunk, more
        size = (classes + 1) * trunk.width  # tables are flat: they are not matrices to the optimiser
        self.table = nn.Parameter(torch.randn(size + more * trunk.width) * SPREAD)
        self.head = None if tied else nn.Parameter(torch.zeros(size))
        self.given = nn.Parameter(torch.randn(given, trunk.width) * LOUD) if given else None

    def forward(self, tokens: Tensor, cond: Tensor) -> Tensor:
        """Logits [rows, tokens, classes + 1] float32 of what follows each token.

        Arguments:
            tokens: classes and marks, int64 [rows, tokens]; a mark behind the first place begins another record.
            cond: given fields [rows, given].
        """
        begins: Tensor | None = tokens == self.mark
        if begins is not None and not bool(begins[:, 1:].any()):
            begins = None
        return self.logits(self.trunk(self.embedded(tokens, cond[:, None]), begins))

    @torch.no_grad()
    def read(self, tokens: Tensor, lengths: Tensor, cond: Tensor) -> tuple[Tensor, Memory]:
        """Logits [rows, classes + 1] behind the last token of each row, and the memory to go on from; no gradients.

        Arguments:
            tokens: one record a row, [rows, tokens].
            lengths: how many of them are looked at, from 1 on, [rows].
            cond: given fields [rows, given].
        """
        out, memory = self.trunk.read(self.embedded(tokens, cond[:, None]), lengths)
        return self.logits(out), memory

    @torch.no_grad()
    def step(self, tokens: Tensor, memory: Memory, cond: Tensor) -> Tensor:
        """Logits [rows, classes + 1] behind one more token of every row, [rows]; no gradients."""
        return self.logits(memory.step(self.embedded(tokens, cond)))

    @torch.no_grad()
    def extend(self, tokens: Tensor, memory: Cache, cond: Tensor) -> Tensor:
        """Logits [rows, n, classes + 1] behind each of n more tokens of every row, [rows, n]; no gradients."""
        return self.logits(memory.extend(self.embedded(tokens, cond[:, None])))

    def embedded(self, tokens: Tensor, cond: Tensor) -> Tensor:
        """Vectors [.., width] of tokens [..], each of mean square 1."""
        x = F.embedding(tokens, self._rows(self.table))
        return rms(x if self.given is None else x + cond @ self.given)

    def logits(self, out: Tensor) -> Tensor:
        """Of outputs [.., width] of the trunk, float32 [.., classes + 1]."""
        if self.head is None:
            scores = F.linear(rms(out), self._rows(self.table)[: self.mark + 1]).to(torch.float32)
            return scores.mul(self.trunk.width**-0.5)
        return F.linear(rms(out), self._rows(self.head)).to(torch.float32)

    def _rows(self, flat: Tensor) -> Tensor:
        return flat.view(-1, self.trunk.width)
