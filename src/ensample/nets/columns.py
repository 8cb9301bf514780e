"""A network for tables: every column is predicted from any set of columns, all of them in one pass.

The first layer is a sum over the inputs in use, so one embedding of a row serves every (target, set of inputs); the
layers after it belong to each target and run as one batched product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.nets.heads import Head, cross_entropy


class ColumnNet(nn.Module):
    """Predicts the bins of each target column.

    Arguments:
        inputs: standardised middles [bins] of each input column's bins; the number of classes of one that has no order.
        targets: the same for each target column.
        log_shares: log share of each bin of each target: where the logits start.
        width: of the hidden layers.
        layers: hidden layers after the shared first one.
        bumps: location-scale bumps in the logits of a number.
        generator: of the initial weights.
    """

    start: Tensor

    def __init__(
        self,
        inputs: Sequence[Tensor | int],
        targets: Sequence[Tensor | int],
        log_shares: Sequence[Tensor],
        *,
        width: int,
        layers: int,
        bumps: int,
        generator: Generator,
    ) -> None:
        super().__init__()
        count, scale = len(inputs), math.sqrt(1.0 / max(1, len(inputs)))
        sizes = [c if isinstance(c, int) else len(c) for c in inputs]
        self.register_buffer("start", torch.tensor([0, *sizes])[:-1].cumsum(0), persistent=False)
        tables = [_waves(c, width, generator) for c in inputs]
        self.table = nn.Parameter(torch.cat([torch.zeros(0, width), *tables]) * scale)
        self.slope = nn.Parameter(_normal((count, width), scale, generator))
        self.offset = nn.Parameter(_normal((len(targets), 1, width), 0.5, generator))
        self.weights = nn.ParameterList(
            _normal((len(targets), width, width), math.sqrt(1.5 / width), generator) for _ in range(layers)
        )
        self.biases = nn.ParameterList(torch.zeros(len(targets), 1, width) for _ in range(layers))
        heads = [
            Head(share, None if isinstance(c, int) else c, width, count, bumps, generator)
            for c, share in zip(targets, log_shares, strict=True)
        ]
        self.heads = nn.ModuleList(heads)

    def _heads(self) -> list[Head]:
        return [head for head in self.heads if isinstance(head, Head)]

    def embed(self, index: Tensor, values: Tensor) -> Tensor:
        """Bins [rows, inputs] int64 and standardised values [rows, inputs] (0 for classes) as [rows, inputs, width]."""
        return torch.addcmul(F.embedding(index + self.start, self.table), values[:, :, None], self.slope)

    def hidden(self, embedded: Tensor, use: Tensor) -> Tensor:
        """Hidden states [targets, rows, width]; `use` [rows, targets, inputs] is 1 where an input serves a target."""
        h = F.silu(torch.bmm(use, embedded).transpose(0, 1).contiguous() + self.offset)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            h = h + F.silu(torch.baddbmm(bias, h, weight))
        return h

    def loss(self, index: Tensor, values: Tensor, use: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Weighted sum of cross-entropies of bins `target`, a scalar; `target` and `weight` are [rows, targets]."""
        known = use.transpose(0, 1) * values
        return cross_entropy(self._heads(), self.hidden(self.embed(index, values), use), known, target.t(), weight.t())

    def log_p(self, index: Tensor, values: Tensor, use: Tensor, target: Tensor) -> Tensor:
        """Log-probability of bins `target`, [rows, targets]."""
        h, known = self.hidden(self.embed(index, values), use), use.transpose(0, 1) * values
        parts = [
            head.logits(h[j], known[j]).log_softmax(1).gather(1, target[:, j : j + 1])
            for j, head in enumerate(self._heads())
        ]
        return torch.cat(parts, 1)

    def table_of(self, column: int, index: Tensor, values: Tensor, use: Tensor) -> Tensor:
        """Log-probabilities [rows, bins] of one target's bins; `use` [rows, inputs]."""
        h = torch.bmm(use[:, None], self.embed(index, values))[:, 0] + self.offset[column]
        h = F.silu(h)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            h = h + F.silu(torch.addmm(bias[column], h, weight[column]))
        log_p: Tensor = self._heads()[column].logits(h, use * values).log_softmax(1)
        return log_p


def _normal(shape: tuple[int, ...], scale: float, generator: Generator) -> Tensor:
    return torch.randn(shape, generator=generator) * scale


def _waves(centers: Tensor | int, width: int, generator: Generator) -> Tensor:
    """Start of an embedding table [bins, width]: smooth in value and rank for numbers, independent for classes."""
    if isinstance(centers, int):
        return _normal((centers, width), 1.0, generator)
    place = torch.stack([centers.to(torch.float32).clamp(-4, 4), torch.linspace(-1.7, 1.7, len(centers))], 1)
    phase = torch.rand(width, generator=generator) * 2 * math.pi
    return math.sqrt(2) * torch.sin(place @ _normal((2, width), 1.5, generator) + phase)
