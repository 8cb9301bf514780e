"""Counts in the leaves of a tree, each backed off toward the root."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ensample.families.trees.partition import Partition


@dataclass(frozen=True)
class Leaves:
    """Distributions over bins at the leaves of one tree.

    `p_node = (counts + strength * p_parent) / (rows + strength)` along the path from the root, above which stands the
    margin of the column (Bahl, Brown, de Souza and Mercer, A tree-based statistical language model, 1989). `place` and
    `count` hold the places of [nodes, bins] with any row and how many; `table` [leaves, bins] float32 follows from
    them, `slot` [nodes] is the row of a leaf in it.
    """

    partition: Partition
    place: np.ndarray
    count: np.ndarray
    slot: np.ndarray
    table: Tensor

    @classmethod
    def build(
        cls, partition: Partition, place: np.ndarray, count: np.ndarray, margin: np.ndarray, strength: float
    ) -> Leaves:
        """Smooth the counts of the leaves."""
        counts = np.zeros((len(partition), len(margin)))
        counts.reshape(-1)[place] = count
        dense = summed(partition, counts)
        depth, rows = partition.depths(), dense.sum(1)
        shares = np.empty(dense.shape)
        for d in range(int(depth.max()) + 1):
            nodes = np.flatnonzero(depth == d)
            above = shares[partition.parent[nodes]] if d else margin
            shares[nodes] = (dense[nodes] + strength * above) / (rows[nodes, None] + strength)
        leaf = partition.is_leaf
        slot = np.where(leaf, np.cumsum(leaf) - 1, 0)
        return cls(partition, place, count, slot, torch.from_numpy(shares[leaf].astype(np.float32)))

    def arrays(self) -> dict[str, Tensor]:
        """State as tensors; `build` is the inverse."""
        return {"place": torch.from_numpy(self.place), "count": torch.from_numpy(self.count)}


def tally(leaf: np.ndarray, index: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """(places, counts): which places of [nodes, bins] hold any rows, and how many, from each row's leaf and bin."""
    place, count = np.unique(leaf * bins + index, return_counts=True)
    return place, count.astype(np.int32)


def summed(partition: Partition, counts: np.ndarray) -> np.ndarray:
    """Counts [nodes, bins] of every node from those of the leaves, in place."""
    for node in range(len(partition) - 1, 0, -1):
        counts[partition.parent[node]] += counts[node]
    return counts


def path_shares(
    partition: Partition,
    counts: np.ndarray,
    margin: np.ndarray,
    leaf: np.ndarray,
    index: np.ndarray,
    strengths: np.ndarray,
) -> np.ndarray:
    """Probability [strengths, rows] of each row's bin for several strengths, from summed counts [nodes, bins]."""
    path, node = [], leaf
    while (node >= 0).any():
        path.append(node)
        node = np.where(node >= 0, partition.parent[node], -1)
    rows = counts.sum(1)
    share = np.broadcast_to(margin[index], (len(strengths), len(leaf)))
    weight = strengths[:, None]
    for node in reversed(path):
        here = (counts[node, index] + weight * share) / (rows[node] + weight)
        share = np.where(node >= 0, here, share)
    return share
