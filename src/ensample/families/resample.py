"""Resampling: rows of the training data as they are. The ceiling of fidelity, and no privacy at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.errors import CapabilityError
from ensample.events import Batch, Limit, Mixed, unknown
from ensample.families.base import Distribution, Guarantee
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run


class TrainingRows(Distribution):
    """The empirical distribution: draws are rows of the training data, with replacement.

    It has no likelihood (a row never seen would have none), and it is never stored, since it holds training rows.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "draw": "exact"}
    storable: ClassVar[bool] = False

    def __init__(self, records: Records) -> None:
        self.event, self.given, self.records = records.event, records.given, records

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N training rows; with `cond`, rows that have the same given fields.

        Raises:
            CapabilityError: no training row has the given fields of some row of `cond`.
        """
        batch, weight = self.draw(unknown(n, self.event, cond), generator)
        impossible = torch.isinf(weight).nonzero()[:, 0]
        if len(impossible):
            raise CapabilityError(
                "Resampling can only return rows that were in the training data.",
                f"given fields of row {int(impossible[0])}",
                f"{len(impossible)} of {n} rows whose given fields no training row has",
                "give values that occur together in the training data, or fit another family",
            )
        return batch

    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Fill each row from a training row that agrees with all that is known of it (a hot deck).

        A row that no training row within the limits agrees with is left as it is, with weight minus infinity.
        """
        source = torch.full((len(batch),), -1, dtype=torch.int64)
        u = torch.rand(len(batch), generator=generator, dtype=torch.float64)
        given = _table(batch.cond) if batch.cond is not None else None
        known, evidence = batch.mask.numpy(), _table(batch)
        patterns, members = np.unique(known, axis=0, return_inverse=True)
        for p, pattern in enumerate(patterns):
            rows = np.flatnonzero(members.reshape(-1) == p)
            columns = np.flatnonzero(pattern)
            wanted = [evidence[rows][:, columns]] + ([given[rows]] if given is not None else [])
            found = self._matching(columns, np.concatenate(wanted, 1), u[rows].numpy(), limits, given is not None)
            source[rows] = torch.from_numpy(found)
        return self._filled(batch, source)

    def _matching(
        self, columns: np.ndarray, wanted: np.ndarray, u: np.ndarray, limits: Sequence[Limit], given: bool
    ) -> np.ndarray:
        """A training row [rows] int64 equal to each row of `wanted` in these columns (and the given ones), or -1."""
        table = self.records.table
        allowed = np.ones(len(table), dtype=bool)
        for limit in (one for one in limits if one.column not in columns):
            cells = table[:, limit.column]
            allowed &= (cells == ABSENT) | limit.contains(torch.from_numpy(np.array(cells))).numpy()
        candidates = np.flatnonzero(allowed)
        parts = [table[candidates][:, columns]]
        if given and self.records.given_table is not None:
            parts.append(self.records.given_table[candidates])
        group, group_wanted = _grouped(np.concatenate(parts, 1), wanted)
        order = np.argsort(group, kind="stable")
        start, end = (np.searchsorted(group[order], group_wanted, side) for side in ("left", "right"))
        place = start + np.minimum(u * (end - start), np.maximum(end - start - 1, 0)).astype(np.int64)
        out = np.full(len(wanted), -1, dtype=np.int64)
        out[end > start] = candidates[order[place[end > start]]]
        return out

    def _filled(self, batch: Batch, source: Tensor) -> tuple[Batch, Tensor]:
        found = source >= 0
        if not bool(found.any()):
            return batch, torch.full((len(batch),), -torch.inf, dtype=torch.float64)
        rows = self.records.batch(source.clamp(min=0).numpy())
        keep = batch.mask | ~found[:, None]
        mask = torch.where(keep, batch.mask, rows.mask)
        cells = torch.where(keep, batch.cells, rows.cells)
        weight = torch.where(found, 0.0, -torch.inf).to(torch.float64)
        return Batch(cells, mask, batch.cond), weight

    def arrays(self) -> dict[str, Tensor]:
        """Nothing: training rows are never written."""
        return {}


@dataclass(frozen=True)
class Resample:
    """Returns rows of the training data, with replacement: as good as samples can look, and nothing but copies.

    Use it as the ceiling of a comparison. A model that comes close to it without its copies has learned the data; a
    model of it cannot be saved, because the file would hold the training rows.
    """

    name: ClassVar[str] = "resample"
    distribution: ClassVar[type[Distribution]] = TrainingRows

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Accepts every mixed event, and any given fields."""
        return None if isinstance(event, Mixed) else "resampling needs a table of fields"

    def fit(self, records: Records, seed: int, run: Run) -> TrainingRows:
        """Keep the records where they are."""
        return TrainingRows(records)

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> TrainingRows:
        """Refused: there is nothing stored to restore.

        Raises:
            CapabilityError: always.
        """
        raise CapabilityError(
            "Resampling is never stored, since the file would hold the training rows.",
            "model file",
            "family resample",
            "fit it again from the training data",
        )


def _table(batch: Batch) -> np.ndarray:
    """Cells with ABSENT where the mask is unset, [rows, columns] int64."""
    return torch.where(batch.mask, batch.cells, int(ABSENT)).numpy()


def _grouped(rows: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One number for equal rows, [rows] and [wanted] int64: columns are folded in one by one, so numbers stay small."""
    both = np.concatenate([rows, wanted])
    group = np.zeros(len(both), dtype=np.int64)
    for j in range(both.shape[1]):
        codes = np.unique(both[:, j], return_inverse=True)[1].reshape(-1)
        group = np.unique(group * (int(codes.max()) + 1) + codes, return_inverse=True)[1].reshape(-1)
    return group[: len(rows)], group[len(rows) :]
