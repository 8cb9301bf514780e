"""What stands between a beginning and an end, class by class, with the end in view: the length stays open."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ensample.events import Batch
from ensample.families.markov.lengths import LengthLaw
from ensample.families.sequences.masked.network import MaskedNet

SUPPOSED = 24
"""Lengths of one hole that are followed side by side."""

UNLIKELY = 1e-6
"""A length that is so much less probable than the most probable one is not followed."""

NEVER = -30.0
"""Least log-probability of a class: a rule that bars all others still finds one."""


@dataclass(frozen=True)
class Frame:
    """How much is shown around holes, and what is supposed of their lengths.

    Arguments:
        context: most tokens that the network sees.
        room: most classes of a hole.
        law: of the lengths of whole records; None finds all lengths of a hole alike.
        ends: whether records begin and end where prompts and suffixes do: then marks are shown there.
    """

    context: int
    room: int
    law: LengthLaw | None
    ends: bool

    def sizes(self, around: int, open_: bool) -> tuple[Tensor, Tensor]:
        """Supposed lengths of a hole in a record of so many other classes, and their log-probabilities [lengths].

        Where nothing follows (`open_`) and no law tells the length, a hole is as long as it may be.
        """
        if self.law is None and open_:
            return torch.tensor([self.room]), torch.zeros(1, dtype=torch.float64)
        sizes = torch.arange(self.room + 1)
        chance = torch.ones(self.room + 1, dtype=torch.float64)
        if self.law is not None:
            chance = self.law.log_prob(sizes + around).softmax(0)
        if len(sizes) > SUPPOSED:
            places = (torch.arange(SUPPOSED) + 0.5).to(torch.float64) / SUPPOSED * chance.sum()
            found = torch.searchsorted(chance.cumsum(0), places).clamp(max=self.room)
            sizes, counts = torch.unique(found, return_counts=True)
            chance = counts.to(torch.float64)
        kept = chance >= UNLIKELY * chance.max()
        return sizes[kept], chance[kept].log()


class Gaps:
    """A `Continuation`: holes that are filled from their beginnings on, each under several supposed lengths.

    `p(class) = sum over lengths of p(length | classes so far) p(class | length, all that is shown)`, and the end is the
    chance that the hole is over. A length loses weight where it makes what was written less probable.

    Arguments:
        net: the network.
        cond: given fields [holes, width].
        tokens: windows of each hole, one for each length: marks, classes, hidden ones, int64 [holes, lengths, width].
        used: tokens of each window that are no padding, [holes, lengths].
        start: place of the first hidden one in the windows of a hole, [holes].
        sizes: the lengths, int64 [holes, lengths].
        weight: log-probability of each, float64 [holes, lengths]; minus infinity for none.
        written: classes so far.
    """

    def __init__(
        self, net: MaskedNet, cond: Tensor, tokens: Tensor, used: Tensor, start: Tensor, sizes: Tensor, weight: Tensor,
        written: int = 0,
    ) -> None:  # fmt: skip
        self.net, self.cond, self.tokens, self.used, self.start = net, cond, tokens, used, start
        self.sizes, self.weight, self.written = sizes, weight, written
        self.told = self._told()

    @classmethod
    def of(cls, net: MaskedNet, cond: Tensor, frame: Frame, before: Batch, after: Batch | None) -> Self:
        """Holes behind these beginnings and before these ends; None leaves the ends open."""
        parts = [_windows(net, frame, *pair) for pair in zip(_texts(before), _texts(after, len(before)), strict=True)]
        windows = [window for part in parts for window in part[0]]
        ends = np.cumsum([0, *(len(part[0]) for part in parts)]).tolist()
        padded, lengths = pad_sequence(windows, batch_first=True), torch.tensor([len(window) for window in windows])
        whole, used = ([part[a:b] for a, b in itertools.pairwise(ends)] for part in (padded, lengths))
        return cls(
            net, cond, pad_sequence(whole, batch_first=True),
            pad_sequence(used, batch_first=True, padding_value=1), torch.tensor([part[1] for part in parts]),
            pad_sequence([part[2] for part in parts], batch_first=True),
            pad_sequence([part[3] for part in parts], batch_first=True, padding_value=-torch.inf),
        )  # fmt: skip

    def logits(self) -> Tensor:
        """Log-probabilities of the next class of each hole, float32 [holes, classes + 1]; the last is the end."""
        weight = self.weight - self.weight.logsumexp(1, keepdim=True).clamp(min=-1e300)
        mixed = torch.logsumexp(weight[:, :, None] + self.told, 1)
        over = torch.logsumexp(torch.where(self.sizes == self.written, weight, -torch.inf), 1, keepdim=True)
        over = torch.where(torch.isinf(self.weight).all(1, keepdim=True), 0.0, over)
        return torch.cat([mixed, over], 1).clamp(min=NEVER).to(torch.float32)

    def append(self, classes: Tensor) -> None:
        """Go on by one class in every hole, int64 [holes]."""
        self.weight = (
            self.weight + self.told.gather(2, classes[:, None, None].expand(-1, self.sizes.shape[1], 1))[..., 0]
        )
        place = (self.start + self.written).clamp(max=self.tokens.shape[2] - 1)
        open_ = (self.sizes > self.written) & torch.isfinite(self.weight)
        row, length = open_.nonzero(as_tuple=True)
        self.tokens[row, length, place[row]] = classes[row]
        self.written += 1
        self.told = self._told()

    def take(self, rows: Tensor) -> Self:
        """These holes, which go on by themselves."""
        windows = (self.tokens[rows], self.used[rows], self.start[rows])
        return type(self)(self.net, self.cond[rows], *windows, self.sizes[rows], self.weight[rows], self.written)

    @torch.no_grad()
    def _told(self) -> Tensor:
        """Log p(next class | each length) float64 [holes, lengths, classes]; minus infinity where a hole is over."""
        told = torch.full((*self.sizes.shape, self.net.mark), -torch.inf, dtype=torch.float64)
        row, length = ((self.sizes > self.written) & torch.isfinite(self.weight)).nonzero(as_tuple=True)
        if len(row):
            logits = self.net(self.tokens[row, length], self.used[row, length], self.cond[row])
            here = logits[torch.arange(len(row)), self.start[row] + self.written]
            told[row, length] = here.double().log_softmax(1)
        return told


def _texts(batch: Batch | None, rows: int = 0) -> list[Tensor | None]:
    """Classes of each record."""
    if batch is None:
        return [None] * rows
    assert batch.lengths is not None
    lengths = batch.lengths.clamp(min=0).tolist()
    return [row[:length] for row, length in zip(batch.cells[:, :, 0], lengths, strict=True)]


def _windows(
    net: MaskedNet, frame: Frame, before: Tensor | None, after: Tensor | None
) -> tuple[list[Tensor], int, Tensor, Tensor]:
    """The windows of one hole, where it begins in them, its lengths, and their log-probabilities."""
    assert before is not None
    behind = before[:0] if after is None else after
    sizes, weight = frame.sizes(len(before) + len(behind), after is None)
    most = frame.context - 2 - int(sizes.max())
    late = min(len(behind), max(most // 2, most - len(before)))
    early = min(len(before), most - late)
    mark = torch.tensor([net.mark])
    head = [mark] if frame.ends and early == len(before) else []
    tail = [mark] if frame.ends and late == len(behind) else []
    shown = torch.cat([*head, before[len(before) - early :]])
    windows = [torch.cat([shown, torch.full((size,), net.hidden), behind[:late], *tail]) for size in sizes.tolist()]
    return windows, len(shown), sizes, weight
