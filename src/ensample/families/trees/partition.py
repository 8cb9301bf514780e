"""A decision tree as plain arrays: which cell of a partition holds a row, and the way to it from the root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Input:
    """One column that trees may split on.

    `codes` [rows] float32 are its values in the training rows as integers; `cuts` [codes] float64 is the largest value
    of each code. A column of `classes` (absence is one) has no cuts: each tree puts them in an order of its own.
    """

    codes: np.ndarray
    cuts: np.ndarray | None
    classes: int = 0

    def take(self, rows: np.ndarray) -> Input:
        """The input for these rows alone."""
        return Input(self.codes[rows], self.cuts, self.classes)


@dataclass(frozen=True)
class Partition:
    """A fitted tree.

    `feature` [nodes] int64 and `threshold` [nodes] float64 decide at each node; `children` [nodes, 2] int64 is where a
    value at most (or above) the threshold goes, the node itself at a leaf. `parent` [nodes] int64 is -1 at the root;
    parents come before their children. `ranks` maps a column of classes to the place of each class in the tree's order.
    """

    feature: np.ndarray
    threshold: np.ndarray
    children: np.ndarray
    parent: np.ndarray
    ranks: dict[int, np.ndarray]

    @classmethod
    def root(cls) -> Partition:
        """The tree that does not ask anything."""
        zero = np.zeros(1, dtype=np.int64)
        return cls(zero, np.zeros(1), np.zeros((1, 2), dtype=np.int64), zero - 1, {})

    @classmethod
    def fit(
        cls,
        inputs: Sequence[Input],
        key: np.ndarray,
        labels: np.ndarray,
        leaf: int,
        seed: int,
    ) -> Partition:
        """Grow a classification tree (Breiman et al., CART, 1984) by Gini impurity.

        Arguments:
            inputs: the columns, each with codes for these rows.
            key: [rows] float64; classes are put in the order of their mean key.
            labels: [rows] int64, what leaves should be pure in.
            leaf: fewest rows of a leaf.
            seed: decides between questions that are equally good.
        """
        from sklearn.tree import DecisionTreeClassifier

        if len(labels) < 2 * leaf or not inputs:
            return cls.root()
        codes = [i.codes.astype(np.int64) if i.cuts is None else i.codes for i in inputs]
        ranks = {f: _order(codes[f], i.classes, key, leaf) for f, i in enumerate(inputs) if i.cuts is None}
        columns = [ranks[f][codes[f]] if f in ranks else codes[f] for f in range(len(inputs))]
        learner = DecisionTreeClassifier(min_samples_leaf=leaf, random_state=seed)
        tree = learner.fit(np.stack(columns, 1).astype(np.float32), labels).tree_
        own = np.arange(tree.node_count)
        inner = tree.children_left >= 0
        children = np.stack([np.where(inner, c, own) for c in (tree.children_left, tree.children_right)], 1)
        parent = np.full(tree.node_count, -1, dtype=np.int64)
        parent[children[inner, 0]] = parent[children[inner, 1]] = own[inner]
        feature = np.where(inner, tree.feature, 0)
        threshold = np.where(inner, tree.threshold, 0.0)
        for f in np.unique(feature[inner]).tolist():
            cuts, nodes = inputs[f].cuts, inner & (feature == f)
            if cuts is not None:
                threshold[nodes] = cuts[np.floor(threshold[nodes]).astype(np.int64)]
        used = set(feature[inner].tolist())
        return cls(feature, threshold, children, parent, {f: r for f, r in ranks.items() if f in used})

    def __len__(self) -> int:
        return len(self.feature)

    def leaves(self, values: np.ndarray) -> np.ndarray:
        """The leaf (a node number, int64) of each row of `values` [rows, columns] float64, NaN where there is none."""
        if len(self) == 1:
            return np.zeros(len(values), dtype=np.int64)
        if self.ranks:
            values = values.copy()
            for f, rank in self.ranks.items():
                absent = np.isnan(values[:, f])
                values[:, f] = rank[np.where(absent, len(rank) - 1, values[:, f]).astype(np.int64)]
        node = np.zeros(len(values), dtype=np.int64)
        rows = np.arange(len(values))
        flat, width = np.ascontiguousarray(values).reshape(-1), values.shape[1]
        while len(rows):
            here = node[rows]
            above = ~(flat[rows * width + self.feature[here]] <= self.threshold[here])
            below = self.children[here, above.astype(np.int64)]
            node[rows] = below
            rows = rows[self.children[below, 0] != below]
        return node

    @property
    def is_leaf(self) -> np.ndarray:
        """[nodes] bool."""
        leaf: np.ndarray = self.children[:, 0] == np.arange(len(self))
        return leaf

    def depths(self) -> np.ndarray:
        """Number of nodes above each node, [nodes] int64."""
        depth = np.zeros(len(self), dtype=np.int64)
        for node in range(1, len(self)):
            depth[node] = depth[self.parent[node]] + 1
        return depth

    def arrays(self) -> dict[str, Tensor]:
        """State as tensors; `restore` is the inverse."""
        names = ("feature", "threshold", "children", "parent")
        state = {name: torch.from_numpy(getattr(self, name)) for name in names}
        return {**state, **{f"rank{f}": torch.from_numpy(rank) for f, rank in self.ranks.items()}}

    @classmethod
    def restore(cls, arrays: dict[str, Tensor]) -> Partition:
        """Inverse of `arrays`."""
        ranks = {int(k.removeprefix("rank")): v.numpy() for k, v in arrays.items() if k.startswith("rank")}
        nodes = {name: arrays[name].numpy() for name in ("feature", "threshold", "children", "parent")}
        return cls(**nodes, ranks=ranks)


def numbered(cells: np.ndarray, cuts: np.ndarray) -> Input:
    """An input of numbers: code i holds values up to cuts[i], the last code what is absent (NaN)."""
    codes = np.searchsorted(cuts, cells, side="left").astype(np.float32)
    return Input(codes, np.r_[cuts, np.inf])


def classed(cells: np.ndarray, classes: int) -> Input:
    """An input of classes; what is absent (NaN) is one more class."""
    return Input(np.where(np.isnan(cells), classes, cells).astype(np.float32), None, classes + 1)


def _order(codes: np.ndarray, codes_in_all: int, key: np.ndarray, fewest: int) -> np.ndarray:
    """Place of each code in the order of mean keys [codes] float64; codes of fewer rows count as the overall mean.

    Without that floor the order of many rare classes would tell the tree the key of single rows.
    """
    counts = np.bincount(codes, minlength=codes_in_all)
    sums = np.bincount(codes, weights=key, minlength=codes_in_all)
    middle = key.mean()
    means = np.where(counts >= fewest, (sums + fewest * middle) / (counts + fewest), middle)
    return np.unique(means, return_inverse=True)[1].astype(np.float64)
