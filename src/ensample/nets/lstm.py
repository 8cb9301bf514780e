"""Recurrent networks over sequences of vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Lstm(nn.Module):
    """LSTM (Hochreiter and Schmidhuber 1997) whose gates forget little at first (Jozefowicz et al. 2015).

    Build it inside `ensample.nets.random.seeded`.

    Arguments:
        width: of the tokens and of the memory.
        layers: one above the other.
        dropout: share left out between layers and at the end, in training.

    Example:
        >>> Lstm(4, 1)(torch.zeros(2, 3, 4)).shape
        torch.Size([2, 3, 4])
    """

    def __init__(self, width: int, layers: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.net = nn.LSTM(width, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.drop = nn.Dropout(dropout)
        with torch.no_grad():
            for name, bias in self.net.named_parameters():
                if name.startswith("bias_ih"):
                    bias[width : 2 * width] = 1.0  # the forget gate

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [rows, tokens, width] to outputs of the same shape; each sees itself and those before it."""
        out: Tensor = self.drop(self.net(x)[0])
        return out


class Gru(nn.Module):
    """Gated recurrent units (Cho et al. 2014): an LSTM with one gate and one memory less; arguments are those of it.

    Example:
        >>> Gru(4, 1)(torch.zeros(2, 3, 4)).shape
        torch.Size([2, 3, 4])
    """

    def __init__(self, width: int, layers: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.net = nn.GRU(width, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [rows, tokens, width] to outputs of the same shape; each sees itself and those before it."""
        out: Tensor = self.drop(self.net(x)[0])
        return out
