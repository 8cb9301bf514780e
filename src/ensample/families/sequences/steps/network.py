"""The network of a series: a trunk over steps, and inside a step one distribution after the other."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.events import Limit, Mixed
from ensample.families.sequences.steps.lags import Lags
from ensample.nets.emissions import Gaussians, Logistics
from ensample.nets.emissions.base import FAR
from ensample.nets.emissions.columns import class_sizes, class_spans
from ensample.nets.emissions.mixtures import Mixture
from ensample.nets.sequences.trunk import SequenceTrunk
from ensample.nets.transformer import rms

HEADS: dict[str, Callable[[Mixed, int], Mixture]] = {"gaussian": Gaussians, "logistic": Logistics}
"""Mixtures that numbers may have, by name."""
UNITS: dict[str, float] = {"gaussian": 1.0, "logistic": math.sqrt(3.0) / math.pi}
"""Scale of a component of deviation 1."""
SHOWN = 8.0
"""Largest number that the network is shown."""
MODERATE = 0.3
"""Size of the first weights of what a step tells of itself."""
ANYWHERE = ((-FAR, FAR),)


class StepNet(nn.Module):
    """p(step | steps before, given) as a chain over the spans of the step, and p(end | steps before, given).

    A trunk reads the steps; for each span a hidden layer takes its output and the spans before it. Numbers are mixtures
    placed around a linear autoregression (`Lags`) in units of its spread, so that a network which has learned nothing
    is that autoregression. Build it inside `ensample.nets.random.seeded`.

    Arguments:
        event: of a step.
        trunk: the network over the steps.
        given: width of the given fields, 0 for none.
        lags: steps that the autoregression looks back on.
        head: of numbers, one of `HEADS`.
        pieces: components of a number.
        hidden: units of the layer of each span.
    """

    earlier: Tensor

    def __init__(
        self, event: Mixed, trunk: SequenceTrunk, given: int, *, lags: int, head: str, pieces: int, hidden: int
    ) -> None:
        super().__init__()
        self.event, self.trunk, self.hidden, self.unit = event, trunk, hidden, UNITS[head]
        self.lags, self.numbers = Lags(event, lags), HEADS[head](event, pieces)
        self.number_spans, self.class_spans, self.sizes = self.lags.numbers, class_spans(event), class_sizes(event)
        width, features, spans = trunk.width, self.lags.layout.width, len(event)
        inputs = features + len(self.number_spans)
        self.inlet = nn.Parameter(torch.randn(inputs, width) / math.sqrt(inputs))
        self.marks = nn.Parameter(torch.randn(2 * width))  # of a beginning, and of a cut
        self.given = nn.Parameter(torch.randn(given, width) / math.sqrt(max(1, given))) if given else None
        self.outer = nn.Parameter(torch.randn(width, spans * hidden) / math.sqrt(width))
        self.inner = nn.Parameter(torch.randn(features, spans * hidden) * MODERATE)
        self.bias = nn.Parameter(torch.zeros(spans * hidden))
        earlier = self.lags.span_of[:, None] < torch.arange(spans)
        self.register_buffer("earlier", earlier.repeat_interleave(hidden, 1).to(torch.float32), persistent=False)
        self.number_out = nn.Parameter(torch.zeros(len(self.number_spans), hidden, self.numbers.outputs))
        self.number_bias = nn.Parameter(self._spread(pieces))
        self.class_out = nn.ParameterList(torch.zeros(hidden, size) for size in self.sizes)
        self.class_bias = nn.ParameterList(torch.zeros(size) for size in self.sizes)
        self.end_out, self.end_bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(1))

    @torch.no_grad()
    def begin(self, cells: Tensor, mask: Tensor, lengths: Tensor) -> None:
        """Start at the autoregression, and at independent classes: from padded records, see `Lags.begin`."""
        self.lags.begin(cells, mask, lengths)
        for bias, j, size in zip(self.class_bias, self.class_spans, self.sizes, strict=True):
            counts = torch.bincount(cells[..., j][mask[..., j]], minlength=size) + 0.5
            bias.copy_(torch.log(counts / counts.sum()))
        ends, goes_on = len(lengths) + 0.5, float(lengths.sum()) + 0.5
        self.end_bias.fill_(math.log(ends / goes_on))

    def inputs(self, features: Tensor, begins: Tensor, cond: Tensor) -> Tensor:
        """What the trunk reads: a mark, then the steps [rows, 1 + steps, width].

        Arguments:
            features: of the steps [rows, steps, features].
            begins: whether a row begins a record; else it was cut, bool [rows].
            cond: given fields [rows, given].
        """
        first = F.embedding((~begins).to(torch.int64), self.marks.view(2, -1))[:, None]
        x = torch.cat([first.to(features.dtype), self._shown(features) @ self.inlet], 1)
        return rms(x if self.given is None else x + (cond @ self.given)[:, None])

    def later(self, features: Tensor, cond: Tensor) -> Tensor:
        """What the trunk reads of the last of several steps alone [rows, width]; `features` [rows, steps, features]."""
        x = self._shown(features)[:, -1] @ self.inlet
        return rms(x if self.given is None else x + cond @ self.given)

    def _shown(self, features: Tensor) -> Tensor:
        """Features of steps and how far their numbers lie from where they were expected, in units of the spread."""
        count = len(self.number_spans)
        place, log_spread = self.lags.told(features)
        there = features[..., count : 2 * count]
        off = ((features[..., :count] - place) * torch.exp(-log_spread) * there).clamp(-SHOWN, SHOWN)
        return torch.cat([features.clamp(-SHOWN, SHOWN), off], -1)

    def log_p(self, out: Tensor, features: Tensor, cells: Tensor, mask: Tensor) -> Tensor:
        """Log-probability [rows, steps, spans] of steps; 0 where the mask is unset.

        Arguments:
            out: of the trunk, before each step [rows, steps, width].
            features: of the steps themselves; none before the first of them can be seen.
            cells: of the steps [rows, steps, spans].
            mask: what of them is there.
        """
        shown = features.clamp(-SHOWN, SHOWN)
        h = F.silu(rms(out) @ self.outer + shown @ (self.inner * self.earlier) + self.bias).flatten(0, 1)
        h = h.view(len(h), len(self.event), self.hidden)
        parts = h.new_zeros(len(h), len(self.event))
        flat = cells.flatten(0, 1)
        if self.number_spans:
            place, log_spread = (part.flatten(0, 1) for part in self.lags.told(features))
            raw = torch.einsum("rjh,jho->rjo", h[:, self.number_spans], self.number_out) + self.number_bias
            raw = self._placed(raw.to(torch.float32), place, log_spread)
            parts[:, self.number_spans] = self.numbers.log_prob(raw, flat[:, self.number_spans])
        for weight, bias, j in zip(self.class_out, self.class_bias, self.class_spans, strict=True):
            log_p = (h[:, j] @ weight + bias).to(torch.float32).log_softmax(1)
            parts[:, j] = log_p.gather(1, flat[:, j : j + 1])[:, 0]
        return torch.where(mask, parts.view(mask.shape), 0.0)

    def end(self, out: Tensor) -> Tensor:
        """Logit [..] of the end, from outputs of the trunk [.., width]."""
        return (rms(out) @ self.end_out + self.end_bias).to(torch.float32)

    def draw(
        self, j: int, out: Tensor, features: Tensor, generator: Generator, limit: Limit | None
    ) -> tuple[Tensor, Tensor]:
        """Cells [rows] of span j within a limit, and the log-probability of the limit [rows] float64.

        Arguments:
            j: the span.
            out: of the trunk before the step [rows, width].
            features: of the last steps that can be seen, at most `lags` and this one, [rows, steps, features].
            generator: of the draws.
            limit: what is allowed.
        """
        parameters, ranges = self._of(j, out, features), ANYWHERE if limit is None else limit.ranges
        weight = torch.zeros(len(out), dtype=torch.float64)
        if j not in self.number_spans:
            log_p = parameters.to(torch.float64).log_softmax(1)
            if limit is not None:
                log_p = log_p.masked_fill(~limit.contains(torch.arange(log_p.shape[1])), -torch.inf)
                weight = log_p.logsumexp(1).clamp(max=0.0)
            return _chosen(log_p, generator), weight
        at, raw = self._at(j), parameters[:, None].to(torch.float64)
        ends = torch.tensor(ranges).clamp(-FAR, FAR)
        if limit is None:
            low, high = (ends[:, i].expand(len(out), 1) for i in range(2))
        else:
            shares = torch.cat([self.numbers.log_within(raw, a.expand(len(out), 1), b.expand(len(out), 1), at)
                                for a, b in ends], 1)  # fmt: skip
            picked = ends[_chosen(shares, generator)]
            low, high, weight = picked[:, :1], picked[:, 1:], shares.logsumexp(1).clamp(max=0.0)
        return self.numbers.draw(raw, low, high, generator, at)[:, 0], weight

    def score(self, j: int, out: Tensor, features: Tensor, cells: Tensor) -> Tensor:
        """Log-probability [rows] float64 of cells [rows] of span j; arguments as of `draw`."""
        parameters = self._of(j, out, features)
        if j not in self.number_spans:
            return parameters.log_softmax(1).gather(1, cells[:, None])[:, 0].to(torch.float64)
        return self.numbers.log_prob(parameters[:, None], cells[:, None], self._at(j))[:, 0].to(torch.float64)

    def _of(self, j: int, out: Tensor, features: Tensor) -> Tensor:
        """Of the distribution of span j [rows, parameters]."""
        own = slice(j * self.hidden, (j + 1) * self.hidden)
        shown = features[:, -1].clamp(-SHOWN, SHOWN)
        inner = (self.inner * self.earlier)[:, own]
        h = F.silu(rms(out) @ self.outer[:, own] + shown @ inner + self.bias[own])
        if j not in self.number_spans:
            i = self.class_spans.index(j)
            logits: Tensor = h @ self.class_out[i] + self.class_bias[i]
            return logits.to(torch.float32)
        i = self.number_spans.index(j)
        place, log_spread = (part[:, -1, i] for part in self.lags.told(features))
        raw = (h @ self.number_out[i] + self.number_bias[i]).to(torch.float32)
        return self._placed(raw, place, log_spread)

    def _placed(self, raw: Tensor, place: Tensor, log_spread: Tensor) -> Tensor:
        """Mixtures around a place and in units of a spread as mixtures of the numbers themselves."""
        logits, location, log_scale = raw.chunk(3, -1)
        place, log_spread = place[..., None], log_spread[..., None]
        return torch.cat([logits, place + torch.exp(log_spread) * location, log_spread + log_scale], -1)

    def _spread(self, pieces: int) -> Tensor:
        """Parameters [numbers, outputs] of a mixture that is about standard normal."""
        middles = torch.special.ndtri((torch.arange(pieces) + 0.5) / pieces)
        inside = math.log(self.unit) + 0.5 * math.log(max(0.05, 1.0 - float(middles.square().mean())))
        start = torch.cat([torch.zeros(pieces), middles, torch.full((pieces,), inside)])
        return start.expand(len(self.number_spans), -1).clone()

    def _at(self, j: int) -> slice:
        i = self.number_spans.index(j)
        return slice(i, i + 1)


def _chosen(log_p: Tensor, generator: Generator) -> Tensor:
    """One of the columns in proportion to exp(log_p) [rows, columns], by one uniform number a row; int64 [rows]."""
    share = torch.exp(log_p - log_p.amax(1, keepdim=True).clamp(min=-1e300)).to(torch.float64).cumsum(1)
    u = torch.rand(len(log_p), 1, generator=generator, dtype=torch.float64) * share[:, -1:]
    return torch.searchsorted(share, u, right=True)[:, 0].clamp(max=log_p.shape[1] - 1)
