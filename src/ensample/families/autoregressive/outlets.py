"""What hidden states say of each span: a distribution over its bins, or one over the cells of its lattice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from ensample.events import Continuous, Mixed, Span
from ensample.families.bins import Bins
from ensample.nets.emissions import SORTS, Emission
from ensample.nets.heads import Head, cross_entropy
from ensample.nets.random import seeded

SMOOTH_HEAD = "logistic"
"""Where a density is smooth, a mixture of few parameters learns faster than a softmax over hundreds of bins."""
SMOOTH_WIDTH = 64
"""A smooth column has bins of at least this many cells (in the median): more cells than a softmax could tell apart."""


HEAPED = 0.1
"""Share of a column's bins that may hold values met more often than by chance: a few do by chance."""
FADING = 3
"""A smooth column fades out: its outermost bins are so many times as wide as its bins are in the median."""


def smooth(bins: Bins) -> bool:
    """Whether a number's column is finer than its bins, meets few values more often than by chance, and fades out.

    A mixture of smooth components is slow to learn a density that ends at an edge; bins end anywhere.
    """
    if bins.favourites is not None:
        heaped = int(torch.bincount(bins.index(bins.favourites)).count_nonzero())
        if heaped > HEAPED * len(bins):
            return False
    width = bins.last - bins.first + 1
    middle, ends = int(width.median()), int(torch.minimum(width[0], width[-1]))
    return bins.weights is None and middle >= SMOOTH_WIDTH and ends >= FADING * middle


class Outlets(nn.Module):
    """The last layer of every span.

    Classes have a softmax over bins, numbers what `head` says, each by a hidden state of its own.

    Arguments:
        event: whose spans these are.
        head: of numbers: "bins", the name of a distribution in `ensample.nets.emissions`, or "auto": `SMOOTH_HEAD` for
            smooth columns, bins for the others.
        bins: of each span.
        pieces: of that distribution: components of a mixture, pieces of a spline.
        middles: of each span, standardised middles [bins] of a number's bins, or the number of classes.
        log_shares: log share of each bin of each span: where the logits start.
        width: of the hidden states.
        inputs: how many values bumps may follow.
        bumps: of a number's bins.
        generator: of the initial weights.
    """

    def __init__(
        self,
        event: Mixed,
        head: str,
        bins: Sequence[Bins],
        pieces: int,
        middles: Sequence[Tensor | int],
        log_shares: Sequence[Tensor],
        *,
        width: int,
        inputs: int,
        bumps: int,
        generator: Generator,
    ) -> None:
        super().__init__()
        numbers = [j for j, span in enumerate(event.spans) if isinstance(span.event, Continuous)]
        self.cellwise = [j for j in numbers if head != "bins" and (head != "auto" or smooth(bins[j]))]
        self.binned = [j for j in range(len(event)) if j not in self.cellwise]
        self.heads = nn.ModuleList(
            Head(log_shares[j], None if isinstance(m := middles[j], int) else m, width, inputs, bumps, generator)
            for j in self.binned
        )
        self.emission: Emission | None = None
        if self.cellwise:
            served = Mixed(tuple(Span(event.spans[j].name, event.spans[j].event) for j in self.cellwise))
            with seeded(generator):
                sort = SORTS[SMOOTH_HEAD if head == "auto" else head]
                self.emission = Emission(served, width, sort(served, pieces))

    def begin(self, cells: Tensor, mask: Tensor) -> None:
        """Start distributions over cells where the columns of training cells [rows, spans] are by themselves."""
        if self.emission is not None:
            self.emission.begin(cells[:, self.cellwise], mask[:, self.cellwise])

    def loss(self, h: Tensor, values: Tensor, cells: Tensor, index: Tensor, weight: Tensor, smoothing: float) -> Tensor:
        """Weighted sum of nats, a scalar.

        Arguments:
            h: hidden states [spans, rows, width].
            values: known values [spans, rows, inputs] that each span may see.
            cells: [rows, spans] int64.
            index: bins of the cells [rows, spans] int64.
            weight: [rows, spans] of each in the sum.
            smoothing: share of a softmax's target that is spread over all bins.
        """
        total = h.new_zeros(())
        at = slice(None) if not self.cellwise else self.binned
        if self.binned:
            parts = values[at], index.t()[at], weight.t()[at]
            total = total + cross_entropy(self._heads(), h[at], *parts, smoothing)
        if self.emission is not None:
            part = weight[:, self.cellwise]
            log_p = torch.where(part != 0, self._log_cells(h, cells), 0.0)
            total = total - (log_p * part).sum()
        return total

    def log_p(self, h: Tensor, values: Tensor, cells: Tensor, index: Tensor) -> Tensor:
        """Log-probability [rows, spans] of bins `index`, or of cells where a span has no bins."""
        out = torch.empty(cells.shape)
        for j, head in zip(self.binned, self._heads(), strict=True):
            out[:, j] = head.logits(h[j], values[j]).log_softmax(1).gather(1, index[:, j : j + 1])[:, 0]
        if self.emission is not None:
            out[:, self.cellwise] = self._log_cells(h, cells)
        return out

    def table(self, column: int, h: Tensor, values: Tensor) -> Tensor:
        """Log-probabilities [rows, bins] of a binned span from its hidden state [rows, width]."""
        head = self._heads()[self.binned.index(column)]
        return head.logits(h, values).log_softmax(1)

    def score(self, column: int, h: Tensor, cells: Tensor) -> Tensor:
        """Log-probability [rows] float64 of cells of a span without bins from its hidden state [rows, width]."""
        emission, i = self._emission(), self.cellwise.index(column)
        return emission.log_prob_of(i, self._raw(i, h), cells).to(torch.float64)

    def draw(
        self, column: int, h: Tensor, generator: Generator, ranges: Sequence[tuple[int, int]] | None
    ) -> tuple[Tensor, Tensor]:
        """Cells [rows] of a span without bins, and the log-probability [rows] float64 of the ranges."""
        emission, i = self._emission(), self.cellwise.index(column)
        if ranges is None:
            return emission.draw_of(i, self._raw(i, h), generator)[0], torch.zeros(len(h), dtype=torch.float64)
        return emission.draw_of(i, self._raw(i, h), generator, ranges)

    def _heads(self) -> list[Head]:
        return [head for head in self.heads if isinstance(head, Head)]

    def _emission(self) -> Emission:
        assert self.emission is not None
        return self.emission

    def _raw(self, i: int, h: Tensor) -> Tensor:
        """Parameters [rows, outputs of one span] of the i-th span without bins."""
        layer, part = self._emission().layer, self._emission().of(i)
        return torch.addmm(layer.bias[part], h, layer.weight[part].t())

    def _log_cells(self, h: Tensor, cells: Tensor) -> Tensor:
        """Log-probability [rows, spans without bins] of their cells, all at once."""
        emission, count = self._emission(), len(self.cellwise)
        weight = emission.layer.weight.view(count, -1, h.shape[2])
        raw = torch.baddbmm(emission.layer.bias.view(count, 1, -1), h[self.cellwise], weight.transpose(1, 2))
        return emission.numbers.log_prob(raw.transpose(0, 1).to(weight.dtype), cells[:, self.cellwise])
