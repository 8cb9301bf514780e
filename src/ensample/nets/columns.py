"""A network for tables: every column is predicted from any set of columns, all of them in one pass.

The first layer is a sum over the inputs in use, so one embedding of a row serves every (target, set of inputs); the
layers after it belong to each target and run as one batched product.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.nets.ordered import Ordered, normal


class ColumnNet(nn.Module):
    """`h_j = act(sum_i use_ji e_i + b_j); h_j = h_j + act(W_j h_j + c_j) ...`: layers of their own for each target.

    Arguments:
        targets: how many columns are predicted.
        width: of the hidden layers and the embedded inputs.
        layers: hidden layers after the shared first one.
        dropout: share of hidden units left out in training (Srivastava et al. 2014).
        generator: of the initial weights.

    Example:
        >>> net = ColumnNet(2, 8, 1, 0.0, Generator().manual_seed(0))
        >>> rows = Ordered(torch.ones(3, 1, 8), torch.ones(3, 1), torch.zeros(3, 1).long(), torch.tensor([[0, 1]] * 3))
        >>> net.states(rows).shape  # of 2 targets from 1 input
        torch.Size([2, 3, 8])
    """

    def __init__(self, targets: int, width: int, layers: int, dropout: float, generator: Generator) -> None:
        super().__init__()
        self.offset = nn.Parameter(normal((targets, 1, width), 0.5, generator))
        self.weights = nn.ParameterList(
            normal((targets, width, width), math.sqrt(1.5 / width), generator) for _ in range(layers)
        )
        self.biases = nn.ParameterList(torch.zeros(targets, 1, width) for _ in range(layers))
        self.drop = nn.Dropout(dropout)

    def states(self, rows: Ordered) -> Tensor:
        """Hidden states [targets, rows, width]."""
        h = torch.bmm(rows.use(), rows.embedded).transpose(0, 1).contiguous() + self.offset
        h = cast(Tensor, self.drop(F.silu(h)))
        for weight, bias in zip(self.weights, self.biases, strict=True):
            h = h + self.drop(F.silu(torch.baddbmm(bias, h, weight)))
        return h

    def state(self, column: int, rows: Ordered) -> Tensor:
        """Hidden state [rows, width] of one target."""
        h = torch.bmm(rows.use_of(column)[:, None], rows.embedded)[:, 0] + self.offset[column]
        h = F.silu(h)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            h = h + F.silu(torch.addmm(bias[column], h, weight[column]))
        return h
