"""MADE: one network with masked weights gives the hidden states of all columns at once."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.nets.ordered import Ordered, normal


class Made(nn.Module):
    """Masked autoencoder for distribution estimation (Germain, Gregor, Murray and Larochelle 2015).

    Each hidden unit k has a degree m_k: it sees inputs whose place is below m_k. A later unit sees units of its degree
    or less, and the target at place p sees units of degree p or less, so that no path leads from a target or a later
    column to it. All layers share their degrees, which a residual connection needs: with degrees of their own it would
    leak. Only the first and the last mask depend on the order, so each row may have its own.

    Arguments:
        targets: how many columns are predicted.
        width: hidden units, shared by all targets: it takes more of them than networks of their own would.
        layers: hidden layers after the first.
        dropout: share of hidden units left out in training.
        generator: of the initial weights.

    Example:
        >>> made = Made(3, 7, 1, 0.0, Generator().manual_seed(0))
        >>> made.degree.tolist()
        [0, 1, 2, 0, 1, 2, 0]
    """

    degree: Tensor
    mask: Tensor

    def __init__(self, targets: int, width: int, layers: int, dropout: float, generator: Generator) -> None:
        super().__init__()
        degree = torch.arange(width) % targets
        mask = (degree[:, None] >= degree).to(torch.float32)  # [unit, unit that it sees]
        self.register_buffer("degree", degree, persistent=False)
        self.register_buffer("mask", mask, persistent=False)
        self.offset = nn.Parameter(normal((width,), 0.5, generator))
        scale = torch.sqrt(1.5 / mask.sum(1, keepdim=True))
        self.weights = nn.ParameterList(normal((width, width), 1.0, generator) * scale for _ in range(layers))
        self.biases = nn.ParameterList(torch.zeros(width) for _ in range(layers))
        self.drop = nn.Dropout(dropout)

    def _hidden(self, rows: Ordered) -> Tensor:
        """All units [rows, width]."""
        sees = (rows.seen_at[:, :, None] < self.degree).to(rows.known.dtype) * rows.known[:, :, None]
        h: Tensor = self.drop(F.silu((sees * rows.embedded).sum(1) + self.offset))
        for weight, bias in zip(self.weights, self.biases, strict=True):
            h = h + self.drop(F.silu(F.linear(h, weight * self.mask, bias)))
        return h

    def states(self, rows: Ordered) -> Tensor:
        """What each target may see of the units, the rest 0: [targets, rows, width]."""
        return self._hidden(rows) * (self.degree <= rows.place.t()[:, :, None])

    def state(self, column: int, rows: Ordered) -> Tensor:
        """The same for one target, [rows, width]."""
        return self._hidden(rows) * (self.degree <= rows.place[:, column, None])
