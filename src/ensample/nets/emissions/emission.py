"""From hidden vectors to a distribution over all spans of a table, independent given the vector."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from ensample.events import Batch, Limit, Mixed
from ensample.nets.emissions.base import ALL, FAR, Numbers, uniform
from ensample.nets.emissions.columns import class_sizes, class_spans, number_spans
from ensample.nets.mlp import Affine

GAIN = 0.3
"""Size of the first weights: the hidden vector tilts what the columns are by themselves."""


class Emission(nn.Module):
    """`p(x | h) = prod_j p(x_j | h)`: classes by softmax, numbers as `numbers` says, all as probabilities of cells.

    The parameters of a row are one vector: those of the numbers, span by span, then the logits of the classes. A
    network that makes them itself (masked, one span at a time) leaves out `forward` and uses the rest; `of` and
    `span_of` say whose each one is. Build it inside `ensample.nets.random.seeded`, then call `begin`.

    Arguments:
        event: a table's event.
        width: of the hidden vectors.
        numbers: how numbers are distributed, one of `ensample.nets.emissions.SORTS` made for this event.

    Example:
        >>> from ensample.events import Continuous, Discrete, Lattice, Span
        >>> from ensample.nets.emissions import Logistics
        >>> event = Mixed((Span("a", Discrete(3)), Span("b", Continuous(Lattice(0, 9, shift=4.5, scale=2.0)))))
        >>> emission = Emission(event, 8, Logistics(event, pieces=2))
        >>> cells = torch.tensor([[0, 3], [2, 9]])
        >>> emission.begin(cells, cells >= 0)
        >>> parameters = emission(torch.randn(5, 8, generator=Generator().manual_seed(0)))
        >>> len(emission.draw(parameters, Generator().manual_seed(1)))
        5
    """

    place: Tensor
    back: Tensor
    span_of: Tensor

    def __init__(self, event: Mixed, width: int, numbers: Numbers) -> None:
        super().__init__()
        self.event, self.numbers = event, numbers
        self.number_spans, self.class_spans, self.sizes = number_spans(event), class_spans(event), class_sizes(event)
        self.split = len(self.number_spans) * numbers.outputs
        """Where the logits of the classes begin."""
        self.outputs = self.split + sum(self.sizes)
        place = torch.full((len(self.sizes), max(self.sizes, default=1)), self.outputs - self.split)
        for i, size in enumerate(self.sizes):
            place[i, :size] = torch.arange(size) + sum(self.sizes[:i])
        spans = [j for j in self.number_spans for _ in range(numbers.outputs)]
        spans += [j for j, size in zip(self.class_spans, self.sizes, strict=True) for _ in range(size)]
        self.register_buffer("place", place, persistent=False)  # of each class among the logits; one past them if none
        back = torch.tensor([*self.number_spans, *self.class_spans], dtype=torch.int64).argsort()
        self.register_buffer("back", back, persistent=False)  # from numbers, then classes, to the order of the event
        self.register_buffer("span_of", torch.tensor(spans, dtype=torch.int64), persistent=False)
        self.layer = Affine(width, self.outputs)
        with torch.no_grad():
            self.layer.weight.mul_(GAIN)

    @torch.no_grad()
    def begin(self, cells: Tensor, mask: Tensor) -> None:
        """Start at independent columns: biases (and bins, where there are any) from training cells [rows, spans]."""
        spans = self.number_spans
        start = [self.numbers.begin(cells[:, spans], mask[:, spans]).flatten()]
        for j, size in zip(self.class_spans, self.sizes, strict=True):
            counts = torch.bincount(cells[mask[:, j], j], minlength=size) + 0.5
            start.append(torch.log(counts / counts.sum()))
        self.layer.bias.copy_(torch.cat(start))

    def forward(self, h: Tensor) -> Tensor:
        """Parameters [rows, outputs] of hidden vectors [rows, width]."""
        out: Tensor = self.layer(h)
        return out

    def of(self, column: int) -> slice:
        """Which parameters span `column` has."""
        if column in self.number_spans:
            first = self.number_spans.index(column) * self.numbers.outputs
            return slice(first, first + self.numbers.outputs)
        i = self.class_spans.index(column)
        first = self.split + sum(self.sizes[:i])
        return slice(first, first + self.sizes[i])

    def log_prob(self, parameters: Tensor, cells: Tensor, mask: Tensor) -> Tensor:
        """Log-probability of each cell [rows, spans], nats, in the type of the parameters; 0 where unset.

        Parameters [times, rows, outputs] score the same rows several times: [times, rows, spans].
        """
        parts = [parameters.new_zeros(*parameters.shape[:-1], 0)] * 2
        if self.number_spans:
            parts[0] = self.numbers.log_prob(self._raw(parameters), cells[:, self.number_spans])
        if self.class_spans:
            log_p = self.log_classes(parameters)
            chosen = cells[:, self.class_spans, None].expand(*log_p.shape[:-1], 1)
            parts[1] = log_p.gather(-1, chosen)[..., 0]
        return torch.where(mask, torch.cat(parts, -1)[..., self.back], 0.0)

    def log_classes(self, parameters: Tensor) -> Tensor:
        """Log-probabilities [rows, spans with classes, most classes]; minus infinity where a span has no such class."""
        logits = torch.nn.functional.pad(parameters[..., self.split :], (0, 1), value=-torch.inf)
        return logits[..., self.place].log_softmax(-1)

    def draw(self, parameters: Tensor, generator: Generator, cond: Batch | None = None) -> Batch:
        """One record [rows, spans] for each row of parameters; the mask is what exists under the classes drawn."""
        cells = torch.zeros(len(parameters), len(self.event), dtype=torch.int64)
        if self.class_spans:
            cells[:, self.class_spans] = _gumbel(self.log_classes(parameters), generator)
        if self.number_spans:
            raw = self._raw(parameters)
            low = torch.full(raw.shape[:2], -FAR)
            cells[:, self.number_spans] = self.numbers.draw(raw, low, -low, generator)
        mask = torch.stack([self.event.existing(cells, j) for j in range(len(self.event))], 1)
        return Batch(torch.where(mask, cells, 0), mask, cond)

    def log_prob_of(self, column: int, parameters: Tensor, cells: Tensor) -> Tensor:
        """Log-probability [rows] of cells [rows] of one span, from its parameters alone [rows, its outputs]."""
        if column in self.number_spans:
            return self.numbers.log_prob(parameters[:, None], cells[:, None], self._at(column))[:, 0]
        return parameters.log_softmax(1).gather(1, cells[:, None])[:, 0]

    def draw_of(
        self,
        column: int,
        parameters: Tensor,
        generator: Generator,
        ranges: Sequence[tuple[int, int]] = ((-FAR, FAR),),
    ) -> tuple[Tensor, Tensor]:
        """Cells [rows] int64 of one span within inclusive ranges (`Limit.ranges`), from its parameters alone.

        Also the log-probability [rows] float64 of the ranges together: minus infinity where they are impossible.
        """
        if column not in self.number_spans:
            classes = torch.arange(parameters.shape[1])
            inside = Limit(column, tuple(ranges)).contains(classes)
            logits = parameters.to(torch.float64).log_softmax(1).masked_fill(~inside, -torch.inf)
            return _gumbel(logits, generator), logits.logsumexp(1).clamp(max=0.0)
        raw, at = parameters.to(torch.float64)[:, None], self._at(column)
        pieces = _disjoint(ranges)
        if not pieces:
            return torch.zeros(len(raw), dtype=torch.int64), torch.full((len(raw),), -torch.inf, dtype=torch.float64)
        ends = torch.tensor(pieces).clamp(-FAR, FAR).expand(len(raw), -1, -1)  # [rows, ranges, 2]
        parts = [self.numbers.log_within(raw, ends[:, i, :1], ends[:, i, 1:], at) for i in range(ends.shape[1])]
        weight = torch.cat(parts, 1)
        chosen = _gumbel(weight, generator)
        picked = ends[torch.arange(len(raw)), chosen]
        cells = self.numbers.draw(raw, picked[:, :1], picked[:, 1:], generator, at)
        return cells[:, 0], weight.logsumexp(1).clamp(max=0.0)

    def mean(self, parameters: Tensor) -> Batch:
        """The middle of the distribution as a record: most probable classes, and cells of mean real numbers."""
        cells = torch.zeros(len(parameters), len(self.event), dtype=torch.int64)
        if self.class_spans:
            cells[:, self.class_spans] = self.log_classes(parameters).argmax(2)
        if self.number_spans:
            cells[:, self.number_spans] = self.numbers.lattices.cells(self.numbers.mean(self._raw(parameters)))
        mask = torch.stack([self.event.existing(cells, j) for j in range(len(self.event))], 1)
        return Batch(torch.where(mask, cells, 0), mask)

    def _raw(self, parameters: Tensor) -> Tensor:
        """Parameters of the numbers [..., rows, numbers, outputs of each]."""
        shape = (*parameters.shape[:-1], len(self.number_spans), self.numbers.outputs)
        return parameters[..., : self.split].reshape(shape)

    def _at(self, column: int) -> slice:
        if len(self.number_spans) == 1:
            return ALL
        i = self.number_spans.index(column)
        return slice(i, i + 1)


def _gumbel(logits: Tensor, generator: Generator) -> Tensor:
    """One choice in proportion to exp(logits) along the last axis (Gumbel-max), int64."""
    return (logits.to(torch.float64) - torch.log(-torch.log(uniform(logits, generator)))).argmax(-1)


def _disjoint(ranges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The same cells as ascending ranges that do not touch."""
    pieces: list[list[int]] = []
    for low, high in sorted(r for r in ranges if r[0] <= r[1]):
        if pieces and low <= pieces[-1][1] + 1:
            pieces[-1][1] = max(pieces[-1][1], high)
        else:
            pieces.append([low, high])
    return pieces
