"""One span given the columns before it: back-off leaves of a few trees, and a bump around a linear prediction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.families.location import Location
from ensample.families.trees.bump import CHUNK, Bump
from ensample.families.trees.leaves import Leaves
from ensample.families.trees.partition import Partition


@dataclass(frozen=True)
class Pull:
    """Where the bump of a row stands: a linear prediction, corrected by the leaf's centre and scale.

    `centers` and `scales` [nodes] float64, one pair per tree, are averaged over the trees.
    """

    location: Location
    bump: Bump
    centers: tuple[np.ndarray, ...]
    scales: tuple[np.ndarray, ...]

    def table(self, prediction: np.ndarray, nodes: Sequence[np.ndarray]) -> Tensor:
        """Probabilities [rows, bins] float64, from predictions [rows] and each tree's leaves."""
        return self.bump.table(*self._moments(prediction, nodes))

    def matched(self, prediction: np.ndarray, nodes: Sequence[np.ndarray], margin: np.ndarray) -> Pull:
        """The same with the bump's popularity fitted to the margin [bins] on these rows."""
        bump = self.bump.matched(*self._moments(prediction, nodes), torch.from_numpy(margin))
        return Pull(self.location, bump, self.centers, self.scales)

    def _moments(self, prediction: np.ndarray, nodes: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        center = np.mean([c[n] for c, n in zip(self.centers, nodes, strict=True)], 0)
        scale = np.mean([s[n] for s, n in zip(self.scales, nodes, strict=True)], 0)
        return torch.from_numpy(prediction + center), torch.from_numpy(scale)


@dataclass(frozen=True)
class Forest:
    """p(bin | inputs) = share * bump(bin) + (1 - share) * mean over trees of leaf(bin).

    `margin` [bins] float64 is the column's own histogram, `strength` the weight of a parent in rows.
    """

    margin: np.ndarray
    strength: float
    trees: tuple[Leaves, ...]
    pull: Pull | None = None
    share: float = 0.0

    def look(self, values: np.ndarray) -> Look:
        """What the trees and the regression make of inputs [rows, columns] float64, NaN where there is none."""
        prediction = None
        if self.pull is not None:
            prediction = self.pull.location.predict(values)
            values = np.column_stack([values, prediction])
        return Look(self, prediction, [tree.partition.leaves(values) for tree in self.trees])

    def arrays(self) -> dict[str, Tensor]:
        """State as tensors; `restore` is the inverse."""
        state = {"margin": torch.from_numpy(self.margin)}
        state["facts"] = torch.tensor([self.strength, self.share, len(self.trees)], dtype=torch.float64)
        for t, tree in enumerate(self.trees):
            state |= {f"tree{t}.{k}": v for k, v in (tree.partition.arrays() | tree.arrays()).items()}
        if self.pull is not None:
            state |= {f"location.{k}": v for k, v in self.pull.location.arrays().items()}
            state |= {f"bump.{k}": v for k, v in self.pull.bump.arrays().items()}
            for t, (center, scale) in enumerate(zip(self.pull.centers, self.pull.scales, strict=True)):
                state |= {f"tree{t}.center": torch.from_numpy(center), f"tree{t}.scale": torch.from_numpy(scale)}
        return state

    @classmethod
    def restore(cls, arrays: dict[str, Tensor]) -> Forest:
        """Inverse of `arrays`."""
        strength, share, number = arrays["facts"].tolist()
        margin = arrays["margin"].numpy()
        parts = [_part(arrays, f"tree{t}") for t in range(int(number))]
        trees = tuple(
            Leaves.build(Partition.restore(p), p["place"].numpy(), p["count"].numpy(), margin, strength) for p in parts
        )
        pull = None
        if "bump.edges" in arrays:
            location, bump = Location.restore(_part(arrays, "location")), Bump.restore(_part(arrays, "bump"))
            centers, scales = (tuple(p[k].numpy() for p in parts) for k in ("center", "scale"))
            pull = Pull(location, bump, centers, scales)
        return cls(margin, strength, trees, pull, share)


@dataclass(frozen=True)
class Look:
    """A forest and what it saw of some rows: the leaf in each tree and the linear prediction."""

    forest: Forest
    prediction: np.ndarray | None
    nodes: list[np.ndarray]

    def shares(self) -> Tensor:
        """Probabilities [rows, bins] float64."""
        total = self._leaf_shares(slice(None)).to(torch.float64)
        share = self.forest.share
        return total if self.prediction is None else total.mul_(1 - share).add_(self._bumps(slice(None)), alpha=share)

    def share_of(self, index: Tensor) -> Tensor:
        """Probability [rows] float64 of one bin a row."""
        parts = [
            t.table[torch.from_numpy(t.slot[n]), index] for t, n in zip(self.forest.trees, self.nodes, strict=True)
        ]
        leaf = torch.stack(parts).to(torch.float64).mean(0)
        if self.prediction is None:
            return leaf
        bump = torch.empty_like(leaf)
        for part in self._parts():
            bump[part] = self._bumps(part).gather(1, index[part, None])[:, 0]
        return (1 - self.forest.share) * leaf + self.forest.share * bump

    def draw(self, generator: Generator) -> Tensor:
        """A bin for each row, int64: first which part of the mixture, then from that part alone."""
        rows = len(self.nodes[0])
        out = torch.empty(rows, dtype=torch.int64)
        for part in self._parts():
            out[part] = self._draw_part(np.arange(rows)[part], generator)
        return out

    def _draw_part(self, numbers: np.ndarray, generator: Generator) -> Tensor:
        rows = len(numbers)
        out = torch.empty(rows, dtype=torch.int64)
        bumped = torch.rand(rows, generator=generator, dtype=torch.float64) < self.forest.share
        if self.prediction is not None and bool(bumped.any()):
            out[bumped] = chosen(self._bumps(numbers[bumped.numpy()]), generator)
        rest = ~bumped
        if bool(rest.any()):
            out[rest] = chosen(self._leaf_shares(numbers[rest.numpy()]), generator)
        return out

    def _parts(self) -> Iterator[slice]:
        """Rows in pieces whose tables stay in the cache."""
        return (slice(start, start + CHUNK) for start in range(0, len(self.nodes[0]), CHUNK))

    def _leaf_shares(self, rows: Any) -> Tensor:
        tables = (
            t.table[torch.from_numpy(t.slot[n[rows]])] for t, n in zip(self.forest.trees, self.nodes, strict=True)
        )
        first, *others = tables
        for table in others:
            first += table
        return first / len(self.nodes)

    def _bumps(self, rows: Any) -> Tensor:
        assert self.prediction is not None and self.forest.pull is not None
        return self.forest.pull.table(self.prediction[rows], [n[rows] for n in self.nodes])


def chosen(shares: Tensor, generator: Generator) -> Tensor:
    """One category a row, in proportion to shares [rows, categories]; int64 [rows]."""
    cumulative = shares.cumsum(1, dtype=torch.float64)
    u = torch.rand(len(shares), 1, generator=generator, dtype=torch.float64) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, u, right=True)[:, 0].clamp(max=shares.shape[1] - 1)


def _part(arrays: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix + "."): v for k, v in arrays.items() if k.startswith(prefix + ".")}
