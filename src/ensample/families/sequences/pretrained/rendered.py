"""A language model of `transformers` over dialogues that a chat template has written: all tokens are classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ensample.families.sequences.pretrained.network import NEVER, KeysAndValues, PretrainedNet


class RenderedNet(PretrainedNet):
    """Classes as the tokens of a checkpoint, all of them: the token that ends a reply is the last class.

    What stands in a written dialogue is all that the network reads. So the mark, with which a record begins, is no
    token and is left out, and the end of a dialogue has no probability: it is given, as all is that is no reply.

    Arguments:
        network: a causal language model of `transformers`.
        end: number of the token that ends a reply.
    """

    begin: int | None  # type: ignore[assignment]  # a mark without a token

    def __init__(self, network: Any, end: int) -> None:
        super().__init__(network, end, end)
        self.begin, self.mark = None, self.mark + 1

    def forward(self, tokens: Tensor, cond: Tensor | None = None) -> Tensor:
        """Logits [rows, tokens, classes + 1] float32 of what follows each of classes; behind a mark they are 0."""
        marked = tokens[:, 0] == self.mark
        logits = torch.zeros(*tokens.shape, self.mark + 1)
        for rows, first in ((marked, 1), (~marked, 0)):
            if bool(rows.any()) and tokens.shape[1] > first:
                logits[rows, first:] = super().forward(tokens[rows, first:])
        return logits

    @torch.no_grad()
    def read(self, tokens: Tensor, lengths: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Any]:
        """As of the class above; a mark is padding."""
        width = tokens.shape[1]
        place = torch.arange(width) - (width - lengths)[:, None]
        shown = tokens.gather(1, place.clamp(min=0))
        there = ((place >= 0) & (shown != self.mark)).to(torch.int64)
        used = int(there.sum(1).max())
        shown, there = shown[:, width - used :], there[:, width - used :]
        _, following, cache = self.run(shown, there, None)
        return following, KeysAndValues(self, cache, there)

    def numbers(self, tokens: Tensor) -> Tensor:
        """Tokens of the checkpoint for classes."""
        return torch.where(tokens >= self.mark - 1, self.end, tokens + (tokens >= self.end).to(torch.int64))

    def columns(self, logits: Tensor) -> Tensor:
        """Logits of classes, and of an end that never comes in the last column, from those of tokens."""
        found = super().columns(logits)
        return torch.cat([found, torch.full_like(found[..., :1], NEVER)], -1)
