"""What parameters of one pixel say of its levels: channel after channel, each given those before it in the pixel.

Networks that predict pixels one after the other end in one of these heads. A pixel of several channels (red, green,
blue) is a chain of its own: parameters come from the pixels before, and what the earlier channels of the same pixel
hold enters by terms of the head.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.emissions.mixtures import log_logistic_interval

FEW = 32
"""Up to so many ordered levels a softmax learns well; beyond, a mixture of logistics, which knows of order."""
NARROWEST = -7.0
"""Least log scale of a logistic, of numbers in [-1, 1]: far narrower than one of 256 levels."""


class PixelHead(nn.Module):
    """Distribution of the levels of one pixel's channels. Abstract.

    Arguments:
        levels: how many levels each channel has.
        channels: of a pixel.

    `outputs` is how many parameters a pixel has.
    """

    outputs: int

    def __init__(self, levels: int, channels: int) -> None:
        super().__init__()
        self.levels, self.channels = levels, channels

    @abstractmethod
    def begin(self, codes: Tensor) -> Tensor:
        """Parameters [outputs, pixels] float32 at which pixels are as they are by themselves in these pictures.

        `codes` is [rows, channels, pixels] int64.
        """

    @abstractmethod
    def log_prob(self, raw: Tensor, codes: Tensor) -> Tensor:
        """Log-probability [..., channels] of each level, given the pixel's earlier channels, in nats.

        Arguments:
            raw: parameters [..., outputs], float32 or float64.
            codes: levels [..., channels] int64.
        """

    @abstractmethod
    def table(self, raw: Tensor, codes: Tensor, channel: int) -> Tensor:
        """Log-probabilities [rows, levels] of all levels of a channel, given the earlier ones in `codes`.

        Of `codes` [rows, channels] only the channels before this one are looked at.
        """

    def choose(self, raw: Tensor, codes: Tensor, channel: int, u: Tensor) -> Tensor:
        """The level [rows] at which the channel's distribution function passes u [rows] float64."""
        return invert(self.table(raw, codes, channel).to(torch.float64), u)


class Bernoulli(PixelHead):
    """Two levels: `logit p(x_c = 1) = z_c + sum over c' < c of a_cc' (2 x_c' - 1)`; z and a are the parameters.

    Example:
        >>> head = Bernoulli(2, 2)
        >>> raw, pairs = torch.randn(3, generator=torch.Generator().manual_seed(0)), torch.tensor([[0, 0], [0, 1]])
        >>> total = head.log_prob(raw.expand(2, 3), pairs).sum(1).exp().sum()
        >>> bool((total - head.table(raw[None], pairs[:1], 0).exp()[0, 0]).abs() < 1e-6)
        True
    """

    def __init__(self, levels: int, channels: int) -> None:
        super().__init__(levels, channels)
        self.outputs = channels + channels * (channels - 1) // 2

    def begin(self, codes: Tensor) -> Tensor:
        """Log-odds of each pixel's share of level 1."""
        share = (codes.sum(0) + 0.5) / (len(codes) + 1.0)
        return F.pad(torch.logit(share.to(torch.float32)), (0, 0, 0, self.outputs - self.channels))

    def log_prob(self, raw: Tensor, codes: Tensor) -> Tensor:
        """`log sigmoid` of the logit, its sign turned for level 0."""
        sign = 2.0 * codes.to(raw.dtype) - 1.0
        return F.logsigmoid(sign * torch.stack([self._logit(raw, sign, c) for c in range(self.channels)], -1))

    def table(self, raw: Tensor, codes: Tensor, channel: int) -> Tensor:
        """Both levels."""
        logit = self._logit(raw, 2.0 * codes.to(raw.dtype) - 1.0, channel)
        return F.logsigmoid(torch.stack([-logit, logit], -1))

    def choose(self, raw: Tensor, codes: Tensor, channel: int, u: Tensor) -> Tensor:
        """Level 1 from the probability of level 0 on."""
        logit = self._logit(raw, 2.0 * codes.to(raw.dtype) - 1.0 if channel else codes, channel)
        return (u >= torch.sigmoid(-logit)).to(torch.int64)

    def _logit(self, raw: Tensor, sign: Tensor, channel: int) -> Tensor:
        logit, first = raw[..., channel], self.channels + channel * (channel - 1) // 2
        for before in range(channel):
            logit = logit + raw[..., first + before] * sign[..., before]
        return logit


class Softmax(PixelHead):
    """A logit for each level; earlier channels add `(1 + a_cc') T_cc'[x_c']`, T being tables and a parameters."""

    def __init__(self, levels: int, channels: int) -> None:
        super().__init__(levels, channels)
        pairs = channels * (channels - 1) // 2
        self.outputs = levels * channels + pairs
        self.tables = nn.Parameter(torch.randn(pairs * levels, levels) * 0.1)

    def begin(self, codes: Tensor) -> Tensor:
        """Log shares of the levels, each pixel's own as far as it was seen."""
        places = codes[0].numel()
        index = codes.flatten(1) + torch.arange(places) * self.levels
        counts = torch.bincount(index.flatten(), minlength=places * self.levels).to(torch.float32)
        counts = counts.view(self.channels, -1, self.levels)  # [channels, pixels, levels]
        whole = (counts.sum(1, keepdim=True) + 0.5) / (counts.sum((1, 2), keepdim=True) + 0.5 * self.levels)
        log_share = torch.log((counts + 10.0 * whole) / (len(codes) + 10.0))
        flat = log_share.permute(0, 2, 1).reshape(self.channels * self.levels, -1)
        return F.pad(flat, (0, 0, 0, self.outputs - len(flat)))

    def log_prob(self, raw: Tensor, codes: Tensor) -> Tensor:
        """Of each channel's softmax."""
        parts = [self.table(raw, codes, c).gather(-1, codes[..., c : c + 1]) for c in range(self.channels)]
        return torch.cat(parts, -1)

    def table(self, raw: Tensor, codes: Tensor, channel: int) -> Tensor:
        """Log-softmax over the levels."""
        logits = raw[..., channel * self.levels : (channel + 1) * self.levels]
        first = channel * (channel - 1) // 2
        for before in range(channel):
            rows = F.embedding(codes[..., before] + (first + before) * self.levels, self.tables)
            gain = raw[..., self.channels * self.levels + first + before, None]
            logits = logits + (1.0 + gain) * rows.to(raw.dtype)
        return logits.log_softmax(-1)


class Logistics(PixelHead):
    """Discretised mixture of logistics (PixelCNN++: Salimans, Karpathy, Chen and Kingma 2017).

    Levels are numbers `2 k / (levels - 1) - 1`; the lowest and the highest level reach to infinity. All channels share
    the component, and a component's locations of later channels are linear in the earlier ones:
    `p(x) = sum over m of pi_m product over c of P(x_c | mu_mc + sum over c' < c of tanh(a_mcc') x_c', s_mc)`.

    Arguments:
        levels, channels: as of `PixelHead`.
        pieces: components.
    """

    def __init__(self, levels: int, channels: int, pieces: int) -> None:
        super().__init__(levels, channels)
        self.pieces, self.pairs = pieces, channels * (channels - 1) // 2
        self.outputs = pieces * (1 + 2 * channels + self.pairs)

    def begin(self, codes: Tensor) -> Tensor:
        """Equal components at the quantiles of each channel over all pixels."""
        values = self._numbers(codes.transpose(1, 2).reshape(-1, self.channels)).sort(0).values
        at = (torch.arange(self.pieces) + 0.5) / self.pieces * len(values)
        middles = values[at.to(torch.int64)].t()  # [channels, pieces]
        gap = (values.std(0, correction=0)[:, None] / self.pieces + 0.02).expand_as(middles)
        if self.pieces > 1:
            step = middles.diff(dim=1)
            gap = torch.maximum(0.6 * torch.maximum(F.pad(step, (1, 0)), F.pad(step, (0, 1))), gap)
        parts = [torch.zeros(self.pieces), middles.flatten(), torch.log(gap).flatten()]
        flat = torch.cat([*parts, torch.zeros(self.pairs * self.pieces)])
        return flat.to(torch.float32)[:, None].repeat(1, codes.shape[2])

    def log_prob(self, raw: Tensor, codes: Tensor) -> Tensor:
        """Of each channel, by how much the mixture's probability falls when it joins the earlier ones."""
        log_share, _, location, log_scale = self._parts(raw, self._numbers(codes).to(raw.dtype))
        log_p = self._log_cell(location, log_scale, codes[..., None])
        joint = torch.logsumexp(log_share[..., None, :] + log_p.cumsum(-2), -1)
        return torch.diff(joint, dim=-1, prepend=torch.zeros_like(joint[..., :1]))

    def table(self, raw: Tensor, codes: Tensor, channel: int) -> Tensor:
        """Components weighed by how well they tell the earlier channels, then all levels of this one."""
        codes = torch.where(torch.arange(self.channels) < channel, codes, 0)
        log_share, _, location, log_scale = self._parts(raw, self._numbers(codes).to(raw.dtype))
        before = self._log_cell(location[..., :channel, :], log_scale[..., :channel, :], codes[..., :channel, None])
        weight = (log_share + before.sum(-2)).log_softmax(-1)
        levels = torch.arange(self.levels)[:, None]  # [levels, 1]
        log_p = self._log_cell(location[..., None, channel, :], log_scale[..., None, channel, :], levels)
        return torch.logsumexp(weight[..., None, :] + log_p, -1)

    def _numbers(self, codes: Tensor) -> Tensor:
        return codes.to(torch.float32) * (2.0 / (self.levels - 1)) - 1.0

    def _parts(self, raw: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Log shares [..., pieces]; slopes, locations and log scales [..., channels or pairs, pieces]."""
        sizes = [self.pieces * n for n in (1, self.channels, self.channels, self.pairs)]
        logits, *rest = torch.split(raw, sizes, -1)
        location, log_scale, slope = (part.reshape(*part.shape[:-1], -1, self.pieces) for part in rest)
        slope = torch.tanh(slope)
        moved = [location[..., 0, :]]
        for c in range(1, self.channels):
            first = c * (c - 1) // 2
            moved.append(location[..., c, :] + (slope[..., first : first + c, :] * x[..., :c, None]).sum(-2))
        return logits.log_softmax(-1), slope, torch.stack(moved, -2), log_scale.clamp(min=NARROWEST)

    def _log_cell(self, location: Tensor, log_scale: Tensor, codes: Tensor) -> Tensor:
        """Log-probability of a level under each component; all of one shape after broadcasting."""
        rate, half = torch.exp(-log_scale), 1.0 / (self.levels - 1)
        middle = (self._numbers(codes).to(location.dtype) - location) * rate
        a, b = middle - half * rate, middle + half * rate
        inside = log_logistic_interval(a, b, math.log(half) - log_scale)
        low, high = F.logsigmoid(b), F.logsigmoid(-a)
        return torch.where(codes == 0, low, torch.where(codes == self.levels - 1, high, inside))


def invert(table: Tensor, u: Tensor) -> Tensor:
    """The level at which the distribution function passes u: [rows] from log-probabilities [rows, levels].

    Example:
        >>> invert(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([0.7])).tolist()
        [1]
    """
    cumulative = torch.exp(table).cumsum(1)
    passed = torch.searchsorted(cumulative, u[:, None] * cumulative[:, -1:], right=True)
    return passed[:, 0].clamp(max=table.shape[1] - 1)


HEADS: dict[str, Callable[[int, int, int], PixelHead]] = {
    "bernoulli": lambda levels, channels, pieces: Bernoulli(levels, channels),
    "softmax": lambda levels, channels, pieces: Softmax(levels, channels),
    "logistic": Logistics,
}
"""Heads by name, made of (levels, channels, components)."""


def usual_head(levels: int, ordered: bool) -> str:
    """The head for so many levels: two are a coin, few or unordered ones a softmax, many a mixture of logistics."""
    if levels == 2:
        return "bernoulli"
    return "logistic" if ordered and levels > FEW else "softmax"
