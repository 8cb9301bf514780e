"""Counts as arrays of a model file: narrow whole numbers, owners told by how many each has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ensample.families.sequences.ngram.smoothing import Counts

WIDTHS = (np.uint8, np.int16, np.int32, np.int64)


def stored(levels: Sequence[Counts]) -> dict[str, Tensor]:
    """Arrays of all levels; `restored` is the inverse."""
    out = {"discounts": torch.from_numpy(np.stack([level.discounts for level in levels]))}
    parents = 1
    for k, level in enumerate(levels):
        parts = {
            "contexts": level.contexts,
            "children": np.bincount(level.parents, minlength=parents),
            "totals": level.totals,
            "symbols": level.symbols,
            "sizes": np.bincount(level.owners, minlength=len(level.contexts)),
            "counts": level.counts,
        }
        out |= {f"{k}.{name}": _narrow(part) for name, part in parts.items()}
        parents = len(level.contexts)
    return out


def restored(arrays: Mapping[str, Tensor]) -> list[Counts]:
    """Inverse of `stored`."""
    levels = []
    for k, discounts in enumerate(arrays["discounts"]):
        names = ("contexts", "children", "totals", "symbols", "sizes", "counts")
        contexts, children, totals, symbols, sizes, counts = (_wide(arrays[f"{k}.{name}"]) for name in names)
        parents, owners = np.repeat(np.arange(len(children)), children), np.repeat(np.arange(len(sizes)), sizes)
        levels.append(Counts(contexts, parents, totals, symbols, owners, counts, discounts.numpy()))
    return levels


def _narrow(part: np.ndarray) -> Tensor:
    most = int(part.max(initial=0))
    return torch.from_numpy(part.astype(next(w for w in WIDTHS if most <= np.iinfo(w).max)))


def _wide(part: Tensor) -> np.ndarray:
    return np.asarray(part.numpy().astype(np.int64))
