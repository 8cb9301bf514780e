"""How a plan is made: which columns are Gaussian, how they are warped, what they lean on, and the tree."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ensample.events import Batch, Continuous, Discrete, Lattice
from ensample.families.bins import Bins
from ensample.families.circuit.plan import Plan
from ensample.families.circuit.warp import Warp, logarithmic
from ensample.families.mixture.components import Layout
from ensample.kinds.records import ABSENT, Records

MOST_COMBINATIONS = 64
"""Product of the classes of all contexts: what a query with unknown contexts has to sum over."""

MANY = 5.0
"""Numbers of this many times `grain` values are Gaussian whatever they hang on."""

MOST_ROWS = 20_000
"""Rows that these relations are looked for on."""

LEAN = 1.5
"""Numbers lean on classes where these move them by more than this many typical residuals."""

LEAST_LEAN = 0.3
"""A class that moves no such number by more than this share of the residual is no context."""

FEWEST_ROWS = 500
"""Rows below which nothing leans."""

GROUPS = 16
"""Groups that a number falls in when mutual information is counted."""


def joint_table(records: Records) -> np.ndarray:
    """Given and modelled cells side by side, [rows, spans] int64."""
    table = np.asarray(records.table)
    return table if records.given_table is None else np.concatenate([np.asarray(records.given_table), table], 1)


def effective(cells: np.ndarray) -> float:
    """Effective number of different values: the exponential of the entropy."""
    if len(cells) == 0:
        return 0.0
    share = np.unique(cells, return_counts=True)[1] / len(cells)
    return float(np.exp(-(share * np.log(share)).sum()))


def bare_plan(records: Records, grain: float, window: float, log: bool) -> Plan:
    """One node, no contexts. Numbers of at least `grain` effective values are Gaussian, the rest tables."""
    layout, table = Layout.of(records.event, records.given), joint_table(records)
    known = {j: column[column != ABSENT] for j, column in enumerate(table.T)}
    numbers = _gaussian(layout, known, table, grain)
    warps = [Warp.fit(_lattice(layout, j, known[j], log), known[j], window) for j in numbers]
    spans = layout.event.spans
    bins = {j: Bins.fit(spans[j].event, known[j]) for j in range(len(spans)) if j not in numbers}
    shifts = torch.zeros(len(numbers), 0, dtype=torch.float64)
    return Plan(layout, bins, numbers, tuple(warps), (), shifts, (tuple(range(len(spans))),), (-1,))


def _lattice(layout: Layout, j: int, cells: np.ndarray, log: bool) -> Lattice:
    event = layout.event.spans[j].event
    assert isinstance(event, Continuous)
    return logarithmic(event.lattice, cells) if log else event.lattice


def _gaussian(layout: Layout, known: dict[int, np.ndarray], table: np.ndarray, grain: float) -> tuple[int, ...]:
    """Columns with Gaussian leaves: of many values, or of `grain` values and half explained by other such numbers."""
    crowded = [j for j in layout.numbers if len(known[j]) > 1 and effective(known[j]) >= grain]
    chosen = [j for j in crowded if effective(known[j]) >= MANY * grain]
    rows = table[:: max(1, len(table) // MOST_ROWS)]
    encoded = {j: _lattice(layout, j, known[j], True).encode(torch.from_numpy(rows[:, j])).numpy() for j in crowded}
    always = [j for j in crowded if (rows[:, j] != ABSENT).all()]
    for j in set(crowded) - set(chosen):
        there = rows[:, j] != ABSENT
        others = np.stack([np.ones(there.sum()), *(encoded[i][there] for i in always if i != j)], 1)
        target = encoded[j][there]
        left = target - others @ np.linalg.lstsq(others, target, rcond=None)[0]
        if left.var() < 0.5 * target.var():
            chosen.append(j)
    return tuple(sorted(chosen))


def leaning(plan: Plan, joint: Batch) -> Plan:
    """The same with contexts: classes that move a number by much more than what the other numbers leave open.

    A price per carat hangs on colour and clarity: as a shift of the price, the relation costs no latent state. The
    shift is a least squares fit of a number on powers of the others and on one-hot classes.
    """
    parents = {span.exists[0] for span in plan.spans if span.exists is not None}
    able = [
        j
        for j, bins in plan.bins.items()
        if isinstance(plan.spans[j].event, Discrete) and j not in parents and 1 < len(bins) <= MOST_COMBINATIONS
    ]
    able = [j for j in able if bool(joint.mask[:, j].all())]
    full = joint.mask[:, list(plan.numbers)].all(1)
    if not able or len(plan.numbers) < 2 or int(full.sum()) < FEWEST_ROWS:
        return plan
    rows = joint.take(full.nonzero()[:, 0])
    x = plan.values(rows.cells, list(range(len(plan.numbers))))
    hot = {j: _one_hot(plan.bins[j].index(rows.cells[:, j]), len(plan.bins[j])) for j in able}
    fits = [_leaning_of(x, i, hot) for i in range(x.shape[1])]
    moved = [i for i, (shift, left) in enumerate(fits) if _spread(hot, shift) > LEAN * left]
    power = {j: max((_spread(hot, {j: fits[i][0][j]}) / fits[i][1] for i in moved), default=0.0) for j in able}
    context: list[int] = []
    for j in sorted(able, key=lambda j: -power[j]):
        combinations = int(np.prod([len(plan.bins[c]) for c in [*context, j]]))
        if power[j] > LEAST_LEAN and combinations <= MOST_COMBINATIONS:
            context.append(j)
    context.sort()
    if not context:
        return plan
    shifts = torch.zeros(x.shape[1], sum(len(plan.bins[j]) for j in context), dtype=torch.float64)
    for i in moved:
        found = _leaning_of(x, i, {j: hot[j] for j in context})[0]
        shifts[i] = torch.cat([found[j] for j in context])
    return replace(plan, context=tuple(context), shifts=shifts)


def _one_hot(codes: Tensor, size: int) -> Tensor:
    hot: Tensor = torch.nn.functional.one_hot(codes, size)
    return hot.to(torch.float64)


def _leaning_of(x: Tensor, i: int, hot: dict[int, Tensor]) -> tuple[dict[int, Tensor], float]:
    """What each class adds to number i beside the other numbers and their powers, and the typical residual."""
    others = torch.cat([x[:, :i], x[:, i + 1 :]], 1).clamp(-5.0, 5.0)
    classes = [codes[:, 1:] for codes in hot.values()]
    design = torch.cat([torch.ones(len(x), 1, dtype=torch.float64), others, others**2, others**3, *classes], 1)
    gram = design.T @ design / len(x) + 1e-6 * torch.eye(design.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, design.T @ x[:, i] / len(x))
    left = float((x[:, i] - design @ weights).std()) + 1e-9
    shifts, at = {}, design.shape[1] - sum(part.shape[1] for part in classes)
    for j, part in zip(hot, classes, strict=True):
        found = torch.cat([torch.zeros(1, dtype=torch.float64), weights[at : at + part.shape[1]]])
        shifts[j] = found - hot[j].mean(0) @ found
        at += part.shape[1]
    return shifts, left


def _spread(hot: dict[int, Tensor], shifts: dict[int, Tensor]) -> float:
    """Standard deviation of what the classes of some columns add together."""
    return float(sum((hot[j] @ shift for j, shift in shifts.items()), torch.zeros(())).std())


def grown(plan: Plan, joint: Batch, labels: Tensor) -> Plan:
    """The same with a tree: a node for numbers and contexts, one for every other column with what depends on it.

    The tree is that of most mutual information between nodes (Chow and Liu 1968), which the latents take over (a hidden
    Chow-Liu tree: Liu and Van den Broeck 2021). `labels` [rows] stand for the numbers together.
    """
    groups = _groups(plan)
    codes = [labels if plan.numbers and v == 0 else _code(plan, joint, group) for v, group in enumerate(groups)]
    order, parents = _spanning(codes)
    return replace(plan, nodes=tuple(groups[v] for v in order), parents=tuple(parents))


def _groups(plan: Plan) -> list[tuple[int, ...]]:
    """Columns that must share a latent: those that depend on each other, and all that goes with the numbers."""
    label = list(range(len(plan.spans)))
    together = [(j, span.exists[0]) for j, span in enumerate(plan.spans) if span.exists is not None]
    block = [*plan.numbers, *plan.context]
    together += list(itertools.pairwise(block))
    for a, b in together:
        old, new = label[a], label[b]
        label = [new if value == old else value for value in label]
    found: dict[int, list[int]] = {}
    for j, value in enumerate(label):
        found.setdefault(value, []).append(j)
    first = label[block[0]] if block else label[0]
    rest = [tuple(columns) for value, columns in found.items() if value != first]
    return [tuple(found[first]), *rest]


def _code(plan: Plan, joint: Batch, group: tuple[int, ...]) -> Tensor:
    """A class [rows] of a group of columns: that of its first, with the second (a number) in a few groups."""
    code = torch.zeros(len(joint), dtype=torch.int64)
    for j in group[:2]:
        mask, size = joint.mask[:, j], len(plan.bins[j])
        index = plan.bins[j].index(joint.cells[:, j])
        if isinstance(plan.spans[j].event, Continuous) and size > GROUPS:
            edges = torch.quantile(index[mask].to(torch.float64), torch.linspace(0, 1, GROUPS + 1, dtype=torch.float64))
            index, size = torch.bucketize(index.to(torch.float64), edges[1:-1]), GROUPS
        code = code * (size + 1) + torch.where(mask, index, size)
    found: Tensor = torch.unique(code, return_inverse=True)[1]
    return found


def _spanning(codes: list[Tensor]) -> tuple[list[int], list[int]]:
    """The tree of most mutual information from node 0 on: nodes in order, and the place in it of each one's parent."""
    order, parents = [0], [-1]
    best = {v: (information(codes[0], codes[v]), 0) for v in range(1, len(codes))}
    while best:
        v = max(best, key=lambda u: best[u][0])
        parents.append(best.pop(v)[1])
        order.append(v)
        for u in best:
            gain = information(codes[v], codes[u])
            if gain > best[u][0]:
                best[u] = gain, len(order) - 1
    return order, parents


def information(a: Tensor, b: Tensor) -> float:
    """Mutual information of two classes in nats, less its expectation for independent ones."""
    if not len(a):
        return 0.0
    sizes = int(a.max()) + 1, int(b.max()) + 1
    table = torch.bincount(a * sizes[1] + b, minlength=sizes[0] * sizes[1]).reshape(sizes).to(torch.float64)
    joint = table / table.sum()
    alone = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    plain = float(torch.where(joint > 0, joint * (joint / alone.clamp(min=1e-300)).log(), 0.0).sum())
    return plain - (sizes[0] - 1) * (sizes[1] - 1) / (2.0 * len(a))
