"""Rows of a table as sequences, one token a column, in any order: what a transformer or an LSTM reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from ensample.nets.ordered import Ordered, normal


class SequenceNet(nn.Module):
    """Hidden states of columns by a network over tokens that never looks ahead.

    The token at step t holds the column that was looked at in step t - 1 (what it is, its value or that it is unknown)
    and names the one to predict now, so that the same network serves any order: rows are sorted into theirs, which
    permutes the mask of attention (sigma-GPT: Pannatier, Courdier and Fleuret 2024). Given fields come first.

    Arguments:
        body: a causal network, tokens [rows, tokens, width] -> the same shape.
        targets: how many columns are predicted.
        slots: the input that holds each target, -1 for a target that is no input.
        inputs: how many there are; those that are no targets are given from the start.
        width: of the tokens.
        generator: of the initial weights.
    """

    slots: Tensor
    given: Tensor

    def __init__(
        self, body: nn.Module, targets: int, slots: Sequence[int], inputs: int, width: int, generator: Generator
    ) -> None:
        super().__init__()
        self.body = body
        self.wanted = nn.Parameter(normal((targets, width), 0.5, generator))
        self.origin = nn.Parameter(normal((inputs, width), 0.5, generator))
        given = [i for i in range(inputs) if i not in set(slots)]
        self.register_buffer("slots", torch.tensor(slots).clamp(min=0), persistent=False)
        self.register_buffer("given", torch.tensor(given, dtype=torch.int64), persistent=False)

    def states(self, rows: Ordered) -> Tensor:
        """Hidden states [targets, rows, width]."""
        out = self._read(rows, rows.place.shape[1])
        return out.gather(1, rows.place[:, :, None].expand(-1, -1, out.shape[2])).transpose(0, 1)

    def state(self, column: int, rows: Ordered) -> Tensor:
        """Hidden state [rows, width] of one target; columns after the last row's place of it are not read."""
        place = rows.place[:, column]
        out = self._read(rows, int(place.max()) + 1)
        return out[torch.arange(len(out)), place]

    def _read(self, rows: Ordered, steps: int) -> Tensor:
        """Outputs [rows, steps, width] of the first steps."""
        order = rows.place.argsort(1)[:, :steps]
        content = rows.embedded * rows.known[:, :, None] + self.origin
        tokens = self.wanted[order]
        if steps > 1:
            before = self.slots[order[:, :-1]][:, :, None].expand(-1, -1, content.shape[2])
            seen = content.gather(1, before)
            tokens = tokens + torch.cat([torch.zeros_like(seen[:, :1]), seen], 1)
        if len(self.given):
            tokens = torch.cat([content[:, self.given], tokens], 1)
        out: Tensor = self.body(tokens)
        return out[:, len(self.given) :]
