"""Independent columns: the floor of every comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ensample.events import Mixed
from ensample.families.base import Distribution, Guarantee, at_least
from ensample.families.bins import Bins, fit_all
from ensample.families.chain import Chain, Seen
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run


class IndependentColumns(Chain):
    """Each span has its own histogram; fields know nothing of each other."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact", "draw": "exact"}
    any_order = True

    def __init__(
        self, event: Mixed, given: Mixed | None, bins: tuple[Bins, ...], log_shares: tuple[Tensor, ...]
    ) -> None:
        self.event, self.given, self.bins, self.log_shares = event, given, bins, log_shares

    def table(self, column: int, seen: Seen) -> Tensor:
        """The same log-shares for every row, [rows, bins]."""
        return self.log_shares[column].expand(len(seen.cells), -1)

    def arrays(self) -> dict[str, Tensor]:
        """Bins and shares of every span."""
        state = {f"{j}.{k}": v for j, bins in enumerate(self.bins) for k, v in bins.arrays().items()}
        return {**state, **{f"{j}.log_share": t for j, t in enumerate(self.log_shares)}}


@dataclass(frozen=True)
class Independent:
    """p(x) = product over fields of a histogram of each: what a model scores that learns no relation at all.

    Arguments:
        bins: most bins of a span.

    Use it as the floor of a comparison; a model that is not clearly better has learned nothing.
    """

    bins: int = 256

    name: ClassVar[str] = "independent"
    distribution: ClassVar[type[Distribution]] = IndependentColumns

    def __post_init__(self) -> None:
        at_least(self, bins=1)

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Accepts every mixed event; given fields are ignored."""
        return None if isinstance(event, Mixed) else "independent columns need a table of fields"

    def fit(self, records: Records, seed: int, run: Run) -> IndependentColumns:
        """Count each span on its own, Laplace-smoothed by half a row a bin."""
        bins = fit_all(records.event, records.table, ABSENT, self.bins)
        shares = []
        for j, span_bins in enumerate(bins):
            column = records.table[:, j]
            index = span_bins.index(torch.from_numpy(np.ascontiguousarray(column[column != ABSENT])))
            counts = torch.bincount(index, minlength=len(span_bins)).to(torch.float64) + 0.5
            shares.append(torch.log(counts / counts.sum()))
        return IndependentColumns(records.event, records.given, bins, tuple(shares))

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> IndependentColumns:
        """Inverse of `IndependentColumns.arrays`."""
        bins = tuple(Bins.restore(part(arrays, str(j))) for j in range(len(event)))
        return IndependentColumns(event, given, bins, tuple(arrays[f"{j}.log_share"] for j in range(len(event))))


def part(arrays: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The arrays below a prefix, with the prefix taken off."""
    return {name.removeprefix(prefix + "."): value for name, value in arrays.items() if name.startswith(prefix + ".")}
