"""Growing, weighing and filling the forest of one span."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ensample.families.bins import Bins
from ensample.families.location import Location
from ensample.families.trees.bump import Bump, leaf_moments
from ensample.families.trees.forest import Forest, Pull
from ensample.families.trees.leaves import Leaves, path_shares, summed, tally
from ensample.families.trees.partition import Input, Partition, numbered

STRENGTHS = np.array([1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0])
"""Candidates for the weight of a node's parent, in rows."""
LABELS, CLASSES = 8, 32
"""Trees separate this many equally full parts of a number, or the most frequent classes and the rest."""
MOST_LEAVES, MOST_GROWING = 4096, 200_000
"""Leaves of a tree; rows that its questions are chosen on (all rows are counted in its leaves)."""


@dataclass(frozen=True)
class Task:
    """What a forest is fitted on: the rows that have a value at the span.

    `values` [rows, columns] float64 with NaN where there is none, `classes` [columns] (0 for numbers), `inputs` the
    same columns as the trees see them, `index` [rows] int64 the bins of the target and `cells` [rows] its cells.
    """

    values: np.ndarray
    classes: np.ndarray
    inputs: tuple[Input, ...]
    index: np.ndarray
    cells: np.ndarray
    bins: Bins
    number: bool


def fit_forest(task: Task, trees: int, leaf: int, held: np.ndarray, seed: int) -> Forest:
    """Grow, weigh and fill a forest.

    Arguments:
        task: the rows and what they look like to trees.
        trees: how many; more than one are grown on bootstrap draws of the rows.
        leaf: fewest rows of a leaf.
        held: [rows] bool, rows that the weights are chosen on (they are counted in the leaves afterwards).
        seed: of bootstrap draws and ties between questions.
    """
    bins = len(task.bins)
    counts = np.bincount(task.index, minlength=bins) + 0.5
    margin = counts / counts.sum()
    if bins == 1 or (~held).sum() < 2 * leaf or not task.inputs:
        return alone(margin)
    rng = np.random.default_rng(seed)
    location, residual, inputs, values = None, None, task.inputs, task.values
    if task.number:
        location = Location.best(values, task.classes, task.cells)
        prediction = location.predict(values)
        residual = location.warp(task.cells) - prediction
        cuts = np.unique(np.quantile(prediction, np.linspace(0, 1, 257)[1:-1]))
        inputs, values = (*inputs, numbered(prediction, cuts)), np.column_stack([values, prediction])
    key, labels = _labels(task, residual)
    learn = np.flatnonzero(~held)
    partitions = [_grown(inputs, key, labels, learn, leaf, trees > 1, rng) for _ in range(trees)]
    nodes = [p.leaves(values) for p in partitions]
    by_strength = _held_shares(task, partitions, nodes, margin, learn, held)
    pull, bumped = None, None
    if residual is not None and location is not None:
        part = [n[learn] for n in nodes]
        pull = _fit_pull(task, location, partitions, part, residual[learn], prediction[learn], margin, rng)
        bumped = pull.table(prediction[held], [n[held] for n in nodes]).numpy()
        bumped = bumped[np.arange(len(bumped)), task.index[held]]
    best, share = _weighed(by_strength, bumped)
    filled = [
        Leaves.build(p, *tally(n, task.index, bins), margin, STRENGTHS[best])
        for p, n in zip(partitions, nodes, strict=True)
    ]
    return Forest(margin, float(STRENGTHS[best]), tuple(filled), pull, share)


def alone(margin: np.ndarray) -> Forest:
    """The forest that knows nothing but the column's own histogram."""
    none = np.zeros(0, dtype=np.int64)
    return Forest(margin, 1.0, (Leaves.build(Partition.root(), none, none.astype(np.int32), margin, 1.0),))


def _labels(task: Task, residual: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(key, labels): by what classes of inputs are put in order, and what leaves should be pure in."""
    if residual is not None:
        cuts = np.unique(np.quantile(residual, np.linspace(0, 1, LABELS + 1)[1:-1]))
        return residual, np.searchsorted(cuts, residual)
    ranked = np.argsort(np.argsort(-np.bincount(task.index, minlength=len(task.bins)), kind="stable"), kind="stable")
    labels = np.minimum(ranked[task.index], CLASSES - 1)
    return (labels == 0).astype(np.float64), labels


def _grown(
    inputs: tuple[Input, ...],
    key: np.ndarray,
    labels: np.ndarray,
    rows: np.ndarray,
    leaf: int,
    bootstrap: bool,
    rng: np.random.Generator,
) -> Partition:
    rows = rng.choice(rows, MOST_GROWING, replace=False) if len(rows) > MOST_GROWING else rows
    rows = rng.choice(rows, len(rows)) if bootstrap else rows
    fewest = max(leaf, len(rows) // MOST_LEAVES)
    seen = [i.take(rows) for i in inputs]
    return Partition.fit(seen, key[rows], labels[rows], fewest, int(rng.integers(2**31)))


def _held_shares(
    task: Task,
    partitions: list[Partition],
    nodes: list[np.ndarray],
    margin: np.ndarray,
    learn: np.ndarray,
    held: np.ndarray,
) -> np.ndarray:
    """Probability [strengths, held rows] by leaves filled with the learning rows."""
    total = np.zeros((len(STRENGTHS), int(held.sum())))
    for partition, node in zip(partitions, nodes, strict=True):
        flat = np.bincount(node[learn] * len(margin) + task.index[learn], minlength=len(partition) * len(margin))
        counts = summed(partition, flat.reshape(len(partition), len(margin)))
        total += path_shares(partition, counts, margin, node[held], task.index[held], STRENGTHS)
    return total / len(partitions)


def _fit_pull(
    task: Task,
    location: Location,
    partitions: list[Partition],
    nodes: list[np.ndarray],
    residual: np.ndarray,
    prediction: np.ndarray,
    margin: np.ndarray,
    rng: np.random.Generator,
) -> Pull:
    moments = [leaf_moments(n, len(p), residual) for p, n in zip(partitions, nodes, strict=True)]
    centers, scales, standard = zip(*moments, strict=True)
    first, last = task.bins.first.numpy(), task.bins.last.numpy()
    edges = np.r_[first[0] - 0.5, (last[:-1] + first[1:]) / 2, last[-1] + 0.5]
    bump = Bump.fit(np.concatenate(standard), location.warp(edges))
    pull = Pull(location, bump, centers, scales)
    rows = rng.choice(len(residual), min(len(residual), 2000), replace=False)
    return pull.matched(prediction[rows], [n[rows] for n in nodes], margin)


def _weighed(leaf: np.ndarray, bump: np.ndarray | None, rounds: int = 20) -> tuple[int, float]:
    """The strength (its number) and the bump's share that score best on held-out rows; the share by EM.

    Arguments:
        leaf: [strengths, rows] probabilities by the leaves.
        bump: [rows] probabilities by the bump, or None.
        rounds: steps of EM.
    """
    leaf = np.maximum(leaf, 1e-300)
    if bump is None:
        return int(np.log(leaf).sum(1).argmax()), 0.0
    share = np.full((len(leaf), 1), 0.5)
    for _ in range(rounds):
        taken = share * bump / (share * bump + (1 - share) * leaf)
        share = (taken.sum(1, keepdims=True) + 0.5) / (leaf.shape[1] + 1)
    best = int(np.log(share * bump + (1 - share) * leaf).sum(1).argmax())
    return best, float(share[best, 0])
