"""The classes of an event by the product rule, and their places in a latent space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.events import Discrete, Mixed
from ensample.nets.staircase import Conditioner

EDGE = 1e-12
"""Shares of the normal distribution closer than this to 0 or 1 are not told apart."""


def classes_of(event: Mixed) -> Mixed:
    """The event of the Discrete spans alone."""
    places = [j for j, span in enumerate(event.spans) if isinstance(span.event, Discrete)]
    spans = [event.spans[j] for j in places]
    return Mixed(
        tuple(
            span if span.exists is None else replace(span, exists=(places.index(span.exists[0]), span.exists[1]))
            for span in spans
        )
    )


class Classes(nn.Module):
    """p(classes | context) = product over spans of a softmax that sees the classes before it (MADE).

    Its latent space: class c of a span owns the interval of a standard normal's distribution function that has its
    probability, and stands in the middle of it. Every standard normal place therefore makes a draw.

    Arguments:
        event: the Discrete spans, as `classes_of` gives them.
        net: a causal conditioner from the class indicators before a span to its logits.
    """

    def __init__(self, event: Mixed, net: Conditioner) -> None:
        super().__init__()
        self.event, self.net = event, net
        self.sizes = [span.event.classes for span in event.spans if isinstance(span.event, Discrete)]

    @torch.no_grad()
    def begin(self, codes: Tensor, known: Tensor) -> None:
        """Start the logits at the shares of these rows, half a row added to each class."""
        shares = []
        for j, size in enumerate(self.sizes):
            counts = torch.bincount(codes[known[:, j], j], minlength=size) + 0.5
            shares.append(torch.log(counts / counts.sum()))
        self.net.last.bias.copy_(torch.cat(shares)[:, None])

    def nats(self, codes: Tensor, known: Tensor, context: Tensor) -> Tensor:
        """Negative log-probability [rows] of classes [rows, spans]; those that are not known count as not existing."""
        total = context.new_zeros(len(codes))
        for j, log_p in enumerate(self._log_tables(codes, known, context)):
            total -= torch.where(known[:, j], log_p.gather(0, codes[None, :, j])[0], 0.0)
        return total

    def encode(self, codes: Tensor, known: Tensor, context: Tensor) -> Tensor:
        """Places [rows, spans] float32 of the classes; 0 for those that do not exist."""
        out = torch.zeros(codes.shape)
        for j, log_p in enumerate(self._log_tables(codes, known, context)):
            ends, code = _ends(log_p), codes[:, j : j + 1]
            middle = (ends.gather(1, code) + ends.gather(1, code + 1))[:, 0] / 2
            place = torch.special.ndtri(middle.clamp(EDGE, 1 - EDGE)).to(torch.float32)
            out[:, j] = torch.where(known[:, j], place, 0.0)
        return out

    def decode(self, latent: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """(codes [rows, spans] int64, which exist) at places [rows, spans]."""
        codes = torch.zeros(latent.shape, dtype=torch.int64)
        known = torch.zeros(latent.shape, dtype=torch.bool)
        stepper = self.net.stepper(context)
        for j, size in enumerate(self.sizes):
            inner = _ends(stepper.theta().log_softmax(0))[:, 1:].contiguous()
            u = torch.special.ndtr(latent[:, j : j + 1].to(torch.float64))
            chosen = torch.searchsorted(inner, u, right=True)[:, 0].clamp(max=size - 1)
            known[:, j] = self.event.existing(codes, j)
            codes[:, j] = torch.where(known[:, j], chosen, 0)
            stepper.push(indicators(codes[:, j : j + 1], known[:, j : j + 1], [size]))
        return codes, known

    def _log_tables(self, codes: Tensor, known: Tensor, context: Tensor) -> list[Tensor]:
        """Log-probabilities [classes, rows] of each span."""
        logits = self.net(indicators(codes, known, self.sizes), context)
        return [part.log_softmax(0) for part in logits.split(self.sizes)]


def indicators(codes: Tensor, known: Tensor, sizes: Sequence[int]) -> Tensor:
    """Classes [rows, spans] as rows of 0 and 1, [sum of sizes, rows] float32; all 0 for one that is not known."""
    parts = [F.one_hot(codes[:, j], size) * known[:, j : j + 1] for j, size in enumerate(sizes)]
    return torch.cat(parts, 1).t().to(torch.float32) if parts else torch.zeros(0, len(codes))


def _ends(log_p: Tensor) -> Tensor:
    """Ends [rows, classes + 1] float64 of the classes' intervals: 0, ..., 1."""
    ends = log_p.t().to(torch.float64).exp().cumsum(1)
    return torch.cat([ends.new_zeros(len(ends), 1), ends / ends[:, -1:]], 1)
