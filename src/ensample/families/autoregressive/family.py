"""Autoregressive network: each column from the columns before it, in one order or in any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ensample.events import Batch, Mixed
from ensample.families.autoregressive.cells import Reader
from ensample.families.autoregressive.determined import LOOKED_AT, learned_order
from ensample.families.base import Distribution, Guarantee, Player, at_least
from ensample.families.bins import Bins, fit_all
from ensample.families.chain import Chain, Seen
from ensample.families.independent import part
from ensample.families.inputs import Inputs
from ensample.families.orders import Orders, standing
from ensample.families.training import Training
from ensample.kinds.records import ABSENT, Records
from ensample.nets.columns import ColumnNet

SHARES = (0.1, 0.2)
"""Shares of the rows of a step that follow the standing order, and that look at evidence first; see `Orders`."""
BLOCK = 256
"""Rows of one pass of `log_prob`: always the same, so that a row's result does not depend on its company."""


class AutoregressiveColumns(nn.Module, Chain):
    """Networks that give each span's bins from a set of known spans and the given fields.

    Draws are estimates of the conditionals of `log_prob`: in a fixed order late evidence can only weigh draws, and a
    network of every order learns each conditional for itself, near to those of the joint but not equal.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact", "draw": "estimate"}

    order: tuple[int, ...]

    def __init__(
        self,
        event: Mixed,
        given: Mixed | None,
        bins: tuple[Bins, ...],
        given_bins: tuple[Bins, ...],
        order: tuple[int, ...],
        log_shares: tuple[Tensor, ...],
        options: Autoregressive,
        generator: Generator,
    ) -> None:
        super().__init__()
        self.event, self.given, self.bins, self.given_bins = event, given, bins, given_bins
        self.any_order, self.order = options.any_order, order
        self.inputs = list(order if options.any_order and len(order) > 1 else order[:-1])
        self.targets = Reader(event.spans, bins)
        self.sources = Reader(
            (*(event.spans[j] for j in self.inputs), *(given.spans if given is not None else ())),
            (*(bins[j] for j in self.inputs), *given_bins),
        )
        self.net = ColumnNet(
            self.sources.middles,
            self.targets.middles,
            log_shares,
            width=options.width,
            layers=options.layers,
            bumps=options.bumps,
            generator=generator,
        )

    def loss(self, batch: Batch, earlier: Tensor) -> Tensor:
        """Mean nats per row, a scalar, of bins; `earlier` bool [rows, spans, spans] says which serve which."""
        inputs = self._inputs(batch)
        use = self._use(inputs[2], earlier)
        weight = batch.mask.to(torch.float32) / len(batch)
        total: Tensor = self.net.loss(*inputs[:2], use, self.targets.index(batch.cells), weight)
        return total

    @torch.no_grad()
    def nats(self, batch: Batch, earlier: Tensor) -> Tensor:
        """Nats [rows] of each row's bins, float64."""
        inputs = self._inputs(batch)
        use = self._use(inputs[2], earlier)
        log_p = self.net.log_p(*inputs[:2], use, self.targets.index(batch.cells))
        return -torch.where(batch.mask, log_p, 0.0).sum(1, dtype=torch.float64)

    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probability of each record's cell in the standing order, nats [rows] float64.

        All spans in one pass; rows in blocks of one size, so that the same row gives the same number in any batch.
        """
        index = self.targets.index(batch.cells)
        total = torch.zeros(len(batch), dtype=torch.float64)
        for j, bins in enumerate(self.bins):
            total += torch.where(batch.mask[:, j], bins.log_inside(batch.cells[:, j], index[:, j]), 0.0)
        earlier = standing(self.order).expand(BLOCK, -1, -1)
        for start in range(0, len(batch), BLOCK):
            rows = torch.arange(start, start + BLOCK).clamp(max=len(batch) - 1)
            block = -self.nats(batch.take(rows), earlier)
            total[start : start + BLOCK] += block[: len(batch) - start]
        return total

    @torch.no_grad()
    def table(self, column: int, seen: Seen) -> Tensor:
        """Log-probabilities of the span's bins [rows, bins] given what is seen."""
        index, values, known = self._inputs(Batch(seen.cells, seen.known, seen.cond))
        return self.net.table_of(column, index, values, known)

    def arrays(self) -> dict[str, Tensor]:
        """Weights and bins."""
        state = {f"weights.{name}": value for name, value in self.state_dict().items()}
        state["order"] = torch.tensor(self.order)
        for kind, group in (("bins", self.bins), ("given", self.given_bins)):
            state |= {f"{kind}.{j}.{name}": a for j, bins in enumerate(group) for name, a in bins.arrays().items()}
        return state

    def _inputs(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Bins, values and known (float) of the input columns, each [rows, inputs]."""
        cells, mask = batch.cells[:, self.inputs], batch.mask[:, self.inputs]
        if self.given is not None and batch.cond is not None:
            cells, mask = torch.cat([cells, batch.cond.cells], 1), torch.cat([mask, batch.cond.mask], 1)
        return self.sources.index(cells), self.sources.values(cells) * mask, mask.to(torch.float32)

    def _use(self, known: Tensor, earlier: Tensor) -> Tensor:
        """Which inputs serve which span, float [rows, spans, inputs]: known and earlier, given fields always."""
        use = known[:, None].repeat(1, len(self.event), 1)
        use[:, :, : len(self.inputs)] *= earlier[:, :, self.inputs]
        return use


@dataclass(frozen=True)
class Autoregressive(Training):
    """p(x) = product over columns of p(column | columns before it), each a network's softmax over bins.

    With `any_order` one network learns every order at once (NADE: Uria, Murray and Larochelle 2014), so any set of
    columns may be known when records are drawn; without, it learns one order, which costs less to learn and scores a
    little better.

    Arguments:
        any_order: learn every order, or one alone.
        bins: most bins of a column.
        width: hidden units of each column's network.
        layers: hidden layers of a column's network after the shared first one.
        bumps: moving peaks in a number's distribution over its bins.

    How it is trained: the options of `Training`.

    Example:
        >>> from ensample.events import Discrete, Span
        >>> records = Records(Mixed((Span("a", Discrete(2)),)), np.array([[0], [1], [1]]))
        >>> start = Autoregressive(width=8).build(records, seed=0)  # learning goes on from here
        >>> len(start.sample(5, Generator().manual_seed(0)))
        5
    """

    any_order: bool = True
    bins: int = 256
    width: int = 128
    layers: int = 2
    bumps: int = 3
    learning_rate: float = 6e-3
    weight_decay: float = 0.1

    name: ClassVar[str] = "autoregressive"
    distribution: ClassVar[type[Distribution]] = AutoregressiveColumns

    def __post_init__(self) -> None:
        at_least(self, bins=1, width=1, layers=0, bumps=0)
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Accepts every mixed event."""
        return None if isinstance(event, Mixed) else "an autoregressive network over columns needs a table of fields"

    def build(self, records: Records, seed: int) -> AutoregressiveColumns:
        """A network that starts at independent columns."""
        bins = fit_all(records.event, records.table, ABSENT, self.bins)
        given_bins: tuple[Bins, ...] = ()
        if records.given is not None and records.given_table is not None:
            given_bins = fit_all(records.given, records.given_table, ABSENT, self.bins)
        shares = tuple(_log_share(records.table[:, j], b) for j, b in enumerate(bins))
        generator = Generator().manual_seed(seed)
        return AutoregressiveColumns(
            records.event, records.given, bins, given_bins, _order(records), shares, self, generator
        )

    def players(self, module: AutoregressiveColumns) -> tuple[Player, ...]:
        """Maximum likelihood."""
        return (
            Player("network", lambda b, g: module.loss(b, self._earlier(module, b, g)), tuple(module.parameters())),
        )

    def validate(self, module: AutoregressiveColumns, batch: Batch, generator: Generator) -> Tensor:
        """Nats [rows], in orders drawn as in learning."""
        return module.nats(batch, self._earlier(module, batch, generator))

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> AutoregressiveColumns:
        """Inverse of `AutoregressiveColumns.arrays`."""
        bins = tuple(Bins.restore(part(part(arrays, "bins"), str(j))) for j in range(len(event)))
        given_bins = tuple(Bins.restore(part(part(arrays, "given"), str(j))) for j in range(len(given or ())))
        shares = tuple(torch.zeros(len(b)) for b in bins)
        order = tuple(arrays["order"].tolist())
        module = AutoregressiveColumns(event, given, bins, given_bins, order, shares, self, Generator())
        module.load_state_dict(part(arrays, "weights"))
        return module.eval()

    def _earlier(self, module: AutoregressiveColumns, batch: Batch, generator: Generator) -> Tensor:
        if not self.any_order:
            return standing(module.order).expand(len(batch), -1, -1)
        return Orders(module.event, module.order, *SHARES).earlier(len(batch), generator)


def _order(records: Records) -> tuple[int, ...]:
    """The standing order: as the columns come, those that are rounded functions of others last."""
    inputs = Inputs(records.event, records.given)
    rows = np.linspace(0, len(records) - 1, min(len(records), LOOKED_AT)).astype(np.int64)
    return tuple(learned_order(inputs, inputs.training(records.select(rows))).tolist())


def _log_share(column: np.ndarray, bins: Bins) -> Tensor:
    index = bins.index(torch.from_numpy(np.ascontiguousarray(column[column != ABSENT])))
    counts = torch.bincount(index, minlength=len(bins)).to(torch.float64) + 0.5
    return torch.log(counts / counts.sum())
