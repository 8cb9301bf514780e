"""The two networks: a generator of outputs from noise, and a critic that looks at several rows at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from ensample.nets.mlp import Affine, Mlp


class GeneratorNet(nn.Module):
    """`G(z, given)`; starts at the shares of classes that `bias` holds and at numbers that are nearly standard normal.

    Arguments:
        latent, given, outputs: columns of the noise, of what is given, of the result.
        width, layers: of the hidden layers.
        bias: [outputs], of the last layer.
    """

    def __init__(self, latent: int, given: int, outputs: int, width: int, layers: int, bias: Tensor) -> None:
        super().__init__()
        self.latent = latent
        self.net = Mlp(latent + given, outputs, width, layers)
        with torch.no_grad():
            self.net.last.bias.copy_(bias)

    def forward(self, noise: Tensor, given: Tensor) -> Tensor:
        """[rows, latent], [rows, given] -> [rows, outputs]."""
        out: Tensor = self.net(torch.cat([noise, given], 1))
        return out


class CriticNet(nn.Module):
    """`C(x, given) = w f(x) + given' V f(x)`: a projection critic (Miyato and Koyama 2018), of `pack` rows at once.

    Packing (PacGAN: Lin et al. 2018) shows a lack of variety: rows of a generator that has lost modes are too alike.

    Arguments:
        inputs, given: columns of one row and of what is given for it.
        pack: rows that are judged together, all real or all made.
        width, layers: of the hidden layers.
        dropout: share of hidden units left out.
        level: whether a constant is added to the numbers.
        spectral: whether every matrix is divided by its largest singular value (Miyato et al. 2018).
    """

    def __init__(
        self,
        inputs: int,
        given: int,
        pack: int,
        width: int,
        layers: int,
        *,
        dropout: float = 0.0,
        level: bool = True,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        self.pack, self.inputs = pack, inputs
        self.features = Mlp(pack * inputs, width, width, layers, dropout=dropout, act=_leaky)
        self.head = Affine(width, 1, bias=level)
        self.match = Affine(pack * given, width, bias=False) if given else None
        if spectral:
            for layer in [m for m in self.modules() if isinstance(m, Affine)]:
                spectral_norm(layer)

    def packed(self, rows: Tensor) -> Tensor:
        """`pack` rows side by side, [rows // pack, pack * columns]; rows too few for one pack are repeated."""
        groups = max(1, len(rows) // self.pack)
        index = torch.arange(groups * self.pack) % len(rows)
        return rows[index].reshape(groups, -1)

    def forward(self, packed: Tensor, given: Tensor) -> Tensor:
        """Numbers [groups] of packed rows [groups, pack * inputs] and what is given, packed alike."""
        f = _leaky(self.features(packed))
        score: Tensor = self.head(f)[:, 0]
        if self.match is not None:
            score = score + (self.match(given) * f).mean(1)
        return score


def _leaky(x: Tensor) -> Tensor:
    """Piecewise linear, so that the gradient of a gradient costs little."""
    return F.leaky_relu(x, 0.2)
