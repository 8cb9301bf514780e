"""Invertible steps over maps [rows, channels, height, width], each with its log-determinant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.families.flow.transforms.scalar import Affine as AffineMap
from ensample.families.flow.transforms.scalar import Scalar, Spline
from ensample.nets.images.blocks import channel_rms, conv
from ensample.nets.mlp import Affine

SMALLEST = 1e-3
"""Least standard deviation of a channel that a norm is started from."""
STEEPEST = 2.0
"""Bound of the log scale of an affine coupling."""
BINS, BOUND = 8, 4.0
"""Bins of a spline and half the width of its box, the identity outside."""

Map = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(numbers [channels, n], parameters [channels, each, n]) to (numbers, log slopes) [channels, n]."""


class Step(nn.Module, ABC):
    """A bijection y = f(x) of maps, given the columns `cond` [rows, width]. Abstract."""

    @abstractmethod
    def forward(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """(y, log |det dy/dx| [rows])."""

    @abstractmethod
    def inverse(self, y: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """(x, log |det dx/dy| [rows])."""

    def start(self, x: Tensor) -> None:
        """Set first weights from the maps that come in; most steps have nothing to set."""
        return None


class ActNorm(Step):
    """`y = exp(s) x + b` by channel, started so that channels have mean 0 and variance 1 (Kingma and Dhariwal 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale, self.shift = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """From the mean and the deviation of every channel."""
        deviation = x.std((0, 2, 3), unbiased=False).clamp(min=SMALLEST)
        self.log_scale.copy_(-torch.log(deviation))
        self.shift.copy_(-x.mean((0, 2, 3)) / deviation)

    def forward(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift."""
        return x * _wide(self.log_scale.exp()) + _wide(self.shift), self._log_det(x)

    def inverse(self, y: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and scale back."""
        return (y - _wide(self.shift)) * _wide((-self.log_scale).exp()), -self._log_det(y)

    def _log_det(self, x: Tensor) -> Tensor:
        return (self.log_scale.sum() * x.shape[2] * x.shape[3]).expand(len(x))


class Standardised(Step):
    """`y = exp(s) x + b` with s and b of every single pixel, started like `ActNorm`.

    A pixel of the border that is always dark is a narrow line that no later step, the same at all places, could widen.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.log_scale, self.shift = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(shape))

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """From mean and variance of every pixel, that of its channel counting as one more picture."""
        channel = x.var((0, 2, 3), unbiased=False)[:, None, None]
        variance = (len(x) * x.var(0, unbiased=False) + channel) / (len(x) + 1)
        deviation = variance.sqrt().clamp(min=SMALLEST)
        self.log_scale.copy_(-torch.log(deviation))
        self.shift.copy_(-x.mean(0) / deviation)

    def forward(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift."""
        return x * self.log_scale.exp() + self.shift, self.log_scale.sum().expand(len(x))

    def inverse(self, y: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and scale back."""
        return (y - self.shift) * (-self.log_scale).exp(), -self.log_scale.sum().expand(len(y))


class Permutation(Step):
    """Channels in a random order, the same for ever."""

    order: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("order", torch.randperm(channels))

    def forward(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Reorder."""
        return x[:, self.order], x.new_zeros(len(x))

    def inverse(self, y: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Put back."""
        return y[:, self.order.argsort()], y.new_zeros(len(y))


class Convolution(Step):
    """An invertible 1 x 1 convolution, `W = P L U` (Kingma and Dhariwal 2018, eq. 10), started as a random rotation.

    `log |det| = height x width x sum log |U_ii|`; the signs of the diagonal stay as they start.
    """

    order: Tensor
    sign: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels))[0]
        swaps, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        self.register_buffer("order", swaps.argmax(1))
        self.register_buffer("sign", diagonal.sign())
        self.lower, self.upper = nn.Parameter(lower.tril(-1)), nn.Parameter(upper.triu(1))
        self.log_diagonal = nn.Parameter(diagonal.abs().log())

    def forward(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """One product at each place."""
        lower, upper = self._factors()
        matrix = (lower @ upper)[self.order]
        return F.conv2d(x, matrix[:, :, None, None]), self._log_det(x)

    def inverse(self, y: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """By the inverse matrix, in float64."""
        lower, upper = (factor.to(torch.float64) for factor in self._factors())
        matrix = torch.linalg.inv((lower @ upper)[self.order]).to(y.dtype)
        return F.conv2d(y, matrix[:, :, None, None]), -self._log_det(y)

    def _factors(self) -> tuple[Tensor, Tensor]:
        lower = self.lower.tril(-1) + torch.eye(len(self.sign))
        return lower, self.upper.triu(1) + torch.diag(self.sign * self.log_diagonal.exp())

    def _log_det(self, x: Tensor) -> Tensor:
        return (self.log_diagonal.sum() * x.shape[2] * x.shape[3]).expand(len(x))


class Coupling(Step):
    """`y_a = x_a`, `y_b = f(x_b; theta(x_a))`: a small convolutional net sees one half of the channels.

    With affine f that is RealNVP (Dinh, Sohl-Dickstein and Bengio 2017), with splines Durkan et al. 2019.

    Arguments:
        channels: at least 2; the first half (rounded down) is x_a.
        given: columns of the given fields.
        width: channels of the net.
        scalar: f, a monotonic map of single numbers.
    """

    def __init__(self, channels: int, given: int, width: int, scalar: Scalar) -> None:
        super().__init__()
        self.kept, self.scalar = channels // 2, scalar
        self.net = CouplingNet(self.kept, scalar.each * (channels - self.kept), given, width)

    def forward(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """One pass of the net."""
        return self._moved(self.scalar.forward, x, cond)

    def inverse(self, y: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """One pass of the net."""
        return self._moved(self.scalar.inverse, y, cond)

    def _moved(self, f: Map, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x.tensor_split([self.kept], 1)
        shape = (b.shape[1], len(b), *b.shape[2:])
        theta = self.net(a, cond).movedim(1, 0).reshape(shape[0], self.scalar.each, -1)
        moved, log_slope = f(b.transpose(0, 1).reshape(shape[0], -1), theta)
        total = log_slope.view(shape).sum((0, 2, 3))
        return torch.cat([a, moved.view(shape).transpose(0, 1)], 1), total


class CouplingNet(nn.Module):
    """`conv3 -> silu -> conv1 -> norm, silu -> conv3`, the last at 0 at first: steps start as the identity.

    Arguments:
        inputs, outputs: channels; no inputs leave what is given.
        given: columns of the given fields, which shift the first map.
        width: channels in between.
    """

    def __init__(self, inputs: int, outputs: int, given: int, width: int) -> None:
        super().__init__()
        self.first, self.middle = conv(inputs, width, 3, bias=True), conv(width, width, 1)
        self.last = conv(width, outputs, 3, scale=0.0, bias=True)
        self.given = Affine(given, width, bias=False) if given else None

    def forward(self, a: Tensor, cond: Tensor) -> Tensor:
        """[rows, inputs, height, width] and [rows, given] -> [rows, outputs, height, width]."""
        h = self.first(a.contiguous(memory_format=torch.channels_last))
        if self.given is not None:
            h = h + self.given(cond)[:, :, None, None]
        out: Tensor = self.last(F.silu(channel_rms(self.middle(F.silu(h)))))
        return out


class Split(Step):
    """Leaves the map as it is but for its second half, which becomes standard normal given the first.

    `y_b = (x_b - m(x_a)) exp(-s(x_a))`: the learned Gaussian of what leaves the flow at a scale (Dinh et al. 2017,
    section 3.6, with the learned prior of Glow).

    Arguments:
        channels: of the map.
        kept: of x_a; 0 for the last scale, where all that is left leaves.
        given: columns of the given fields.
        size: height and width of the map.
    """

    def __init__(self, channels: int, kept: int, given: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.kept, out = kept, 2 * (channels - kept)
        self.bias = nn.Parameter(torch.zeros(out, *size))
        self.net = conv(kept, out, 3, scale=0.0) if kept else None
        self.given = Affine(given, out, bias=False) if given else None
        if self.given is not None:
            nn.init.zeros_(self.given.weight)

    def forward(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Standardise the second half."""
        a, b = x.tensor_split([self.kept], 1)
        mean, log_scale = self._map(a, cond)
        return torch.cat([a, (b - mean) * (-log_scale).exp()], 1), -log_scale.flatten(1).sum(1)

    def inverse(self, y: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Back to the map."""
        a, b = y.tensor_split([self.kept], 1)
        mean, log_scale = self._map(a, cond)
        return torch.cat([a, b * log_scale.exp() + mean], 1), log_scale.flatten(1).sum(1)

    def _map(self, a: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        out = self.bias.expand(len(a), -1, -1, -1)
        if self.net is not None:
            out = out + self.net(a)
        if self.given is not None:
            out = out + self.given(cond)[:, :, None, None]
        mean, raw = out.chunk(2, 1)
        return mean, raw / (1 + raw.abs() / (2 * STEEPEST))


MIXINGS: dict[str, type[Permutation] | type[Convolution]] = {"permutation": Permutation, "convolution": Convolution}
"""How channels are mixed between couplings, by name."""
COUPLINGS: dict[str, Scalar] = {"affine": AffineMap(STEEPEST), "spline": Spline(BINS, BOUND)}
"""Maps of single numbers in couplings, by name."""


def _wide(channel: Tensor) -> Tensor:
    return channel[:, None, None]
