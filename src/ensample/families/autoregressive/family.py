"""Autoregressive network: each column from the columns before it, in one order or in any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import Batch, Mixed
from ensample.families.autoregressive.determined import LOOKED_AT, learned_order
from ensample.families.autoregressive.model import AutoregressiveColumns
from ensample.families.base import Distribution, Player, at_least
from ensample.families.bins import Bins, fit_all
from ensample.families.independent import part
from ensample.families.inputs import Inputs
from ensample.families.orders import Orders
from ensample.families.training import Training
from ensample.kinds.records import ABSENT, Records

SHARES = (0.1, 0.2)
"""Shares of the rows of a step that follow the standing order, and that look at evidence first; see `Orders`."""
START = 20_000
"""Rows by which distributions over cells start."""


@dataclass(frozen=True)
class Autoregressive(Training):
    """p(x) = product over columns of p(column | columns before it), each from a network of the columns before.

    With `any_order` one network learns every order at once (NADE: Uria, Murray and Larochelle 2014), so any set of
    columns may be known when records are drawn; without, it learns one order, which costs less to learn and scores a
    little better. Use it for tables of any sort, to condition on any columns, and where exact likelihoods count; not
    where a fit may only take seconds (trees, independent) or for hundreds of columns.

    Arguments:
        any_order: learn every order, or one alone.
        network: "columns" (layers of their own for each column: best on tables), "made" (one masked network of all
            columns, Germain et al. 2015: the cheapest where columns are many), "transformer" (a token a column, masked
            attention) or "lstm" (Hochreiter and Schmidhuber 1997, over columns in their order).
        head: what a number has: "bins" (softmax over bins, with moving peaks), "logistic" (a discretised mixture of
            logistics, Salimans et al. 2017), "gaussian" (a mixture too) or "spline" (Durkan et al. 2019); "auto" takes
            "logistic" for smooth columns much finer than their bins, "bins" for others. Classes have a softmax.
        bins: most bins of a column.
        width: hidden units, of each column's network or of the shared one.
        layers: hidden layers of a column's network after the shared first one; of the shared one; blocks.
        bumps: moving peaks in a number's distribution over its bins.
        pieces: components of a mixture, or pieces of a spline.
        attention_heads: of a transformer; `width` is a multiple of it.
        dropout: share of hidden units left out in training.
        label_smoothing: share of a softmax's target that is spread over all its bins (Szegedy et al. 2016).
        scheduled_sampling: share of inputs that are the model's own draws in training (Bengio et al. 2015, drawn for
            all columns at once as by Duckworth et al. 2019), so that it meets its own mistakes. Its objective is not
            the likelihood any more; with 0 all inputs are those of the record (teacher forcing: Williams and Zipser
            1989), and it is.

    How it is trained: the options of `Training`.

    Example:
        >>> from ensample.events import Discrete, Span
        >>> records = Records(Mixed((Span("a", Discrete(2)),)), np.array([[0], [1], [1]]))
        >>> start = Autoregressive(width=8).build(records, seed=0)  # learning goes on from here
        >>> len(start.sample(5, Generator().manual_seed(0)))
        5
    """

    any_order: bool = True
    network: Literal["columns", "made", "transformer", "lstm"] = "columns"
    head: Literal["auto", "bins", "logistic", "gaussian", "spline"] = "auto"
    bins: int = 256
    width: int = 128
    layers: int = 2
    bumps: int = 3
    pieces: int = 16
    attention_heads: int = 4
    dropout: float = 0.0
    label_smoothing: float = 0.0
    scheduled_sampling: float = 0.0
    learning_rate: float = 6e-3
    weight_decay: float = 0.1

    name: ClassVar[str] = "autoregressive"
    distribution: ClassVar[type[Distribution]] = AutoregressiveColumns

    def __post_init__(self) -> None:
        at_least(self, bins=1, width=1, layers=0, bumps=0, pieces=1, attention_heads=1)
        self.check_shares("dropout", "label_smoothing", "scheduled_sampling")
        if self.network == "lstm":
            at_least(self, layers=1)
        if self.network == "transformer" and self.width % self.attention_heads:
            seen = f"width={self.width}, attention_heads={self.attention_heads}"
            raise InputError("The width must be a multiple of the heads.", self.name, seen, "change one of them")
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
        module = AutoregressiveColumns(
            records.event, records.given, bins, given_bins, _order(records), shares, self, generator
        )
        some = records.sample(START, seed).batch()
        module.outlets.begin(some.cells, some.mask)
        return module

    def players(self, module: AutoregressiveColumns) -> tuple[Player, ...]:
        """Maximum likelihood."""
        return (Player("network", lambda b, g: self._loss(module, b, g), tuple(module.parameters())),)

    def validate(self, module: AutoregressiveColumns, batch: Batch, generator: Generator) -> Tensor:
        """Nats [rows], in orders drawn as in learning."""
        return module.nats(batch, self._places(module, batch, generator))

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

    def _loss(self, module: AutoregressiveColumns, batch: Batch, generator: Generator) -> Tensor:
        places = self._places(module, batch, generator)
        if not self.scheduled_sampling:
            return module.loss(batch, places)
        return module.loss(batch, places, module.redrawn(batch, places, self.scheduled_sampling, generator))

    def _places(self, module: AutoregressiveColumns, batch: Batch, generator: Generator) -> Tensor:
        if not self.any_order:
            return module.standing.expand(len(batch), -1)
        return Orders(module.event, module.order, *SHARES).places(len(batch), generator)


def _order(records: Records) -> tuple[int, ...]:
    """The standing order: as the columns come, those that are rounded functions of others last."""
    inputs = Inputs(records.event, records.given)
    rows = np.linspace(0, len(records) - 1, min(len(records), LOOKED_AT)).astype(np.int64)
    return tuple(learned_order(inputs, inputs.training(records.select(rows))).tolist())


def _log_share(column: np.ndarray, bins: Bins) -> Tensor:
    index = bins.index(torch.from_numpy(np.ascontiguousarray(column[column != ABSENT])))
    counts = torch.bincount(index, minlength=len(bins)).to(torch.float64) + 0.5
    return torch.log(counts / counts.sum())
