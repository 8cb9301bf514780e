"""The ordinary network of vectors: layers of equal width with residual connections."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Batch(nn.BatchNorm1d):
    """Batch normalisation (Ioffe and Szegedy 2015) that takes a single row by what it knows of earlier ones."""

    def forward(self, x: Tensor) -> Tensor:
        """[rows, width] -> the same shape."""
        if len(x) > 1 or not self.training:
            return super().forward(x)
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),
    "batch": Batch,
    "layer": nn.LayerNorm,
    "group": lambda width: nn.GroupNorm(max(g for g in (8, 4, 2, 1) if width % g == 0), width),
}
"""Normalisations of a hidden layer [rows, width] by name."""


class Mlp(nn.Module):
    """`h = act(W x); h = h + act(norm(W h)) ...; y = W h`, with dropout after each hidden layer.

    Build it inside `ensample.nets.random.seeded`.

    Arguments:
        inputs, outputs: columns; no inputs at all is allowed.
        width, layers: hidden units, hidden layers (at least one).
        norm: one of `NORMS`, before each hidden layer after the first.
        dropout: share of hidden units left out in training (Srivastava et al. 2014).
        zero: whether the last layer starts at 0, so that the network begins as a constant.
        act: activation; silu is cheap on processors.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        layers: int = 2,
        *,
        norm: str = "none",
        dropout: float = 0.0,
        zero: bool = False,
        act: Callable[[Tensor], Tensor] = F.silu,
    ) -> None:
        super().__init__()
        self.first = Affine(inputs, width)
        self.norms = nn.ModuleList(NORMS[norm](width) for _ in range(layers - 1))
        self.hidden = nn.ModuleList(Affine(width, width) for _ in range(layers - 1))
        self.last = Affine(width, outputs)
        self.drop = nn.Dropout(dropout)
        self.act = act
        if zero:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[rows, inputs] -> [rows, outputs]."""
        h = self.drop(self.act(self.first(x)))
        for norm, layer in zip(self.norms, self.hidden, strict=True):
            h = h + self.drop(self.act(layer(norm(h))))
        out: Tensor = self.last(h)
        return out


class Affine(nn.Linear):
    """A linear layer that may have no inputs or no outputs, with the initial weights of He et al. (2015) halved."""

    def reset_parameters(self) -> None:
        """Normal weights of variance 1 / inputs, biases 0."""
        if self.weight.numel():
            nn.init.normal_(self.weight, std=self.in_features**-0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def waves(t: Tensor, width: int, fastest: float = 64.0) -> Tensor:
    """Fourier features [rows, width] of a scalar in about (0, 1), [rows]: sines and cosines, slow to fast.

    Vaswani et al. 2017; Ho et al. 2020 use them to tell a network the time.
    """
    rates = torch.exp(torch.linspace(0.0, 1.0, width // 2) * torch.log(torch.tensor(fastest)))
    angle = t[:, None] * rates
    return torch.cat([torch.sin(angle), torch.cos(angle)], 1)
