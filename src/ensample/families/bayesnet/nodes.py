"""The variables of a network: what a column is to itself (many states) and to its children (few)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.events import Batch, Continuous, Discrete, Mixed
from ensample.families.bins import Bins
from ensample.kinds.records import ABSENT, Records

Ranges = dict[int, tuple[tuple[int, int], ...]]
"""Allowed ranges of cells by column, of the columns that have a limit."""

NUMBERS = 4
"""Fewest coarse states that the numbers of a column get, where it has that many bins."""


@dataclass(frozen=True)
class Node:
    """One variable: a class, a number, or a class together with the number that exists in some of the classes.

    Its states are the groups of classes that have no number (one state each) and, for each class that has one, the
    bins of the number. As a parent it is seen through `view` [states] int64, its coarse states.

    `state` and `number` are columns of the joint event (given spans first), None where there is none; `existing` holds
    the classes that have a number.
    """

    name: str
    state: int | None
    number: int | None
    existing: tuple[int, ...]
    classes: Bins | None
    numbers: Bins | None
    view: Tensor

    def __len__(self) -> int:
        return len(self.layout[0])

    @cached_property
    def coarse(self) -> int:
        """Number of coarse states."""
        return int(self.view.max()) + 1

    @cached_property
    def layout(self) -> tuple[Tensor, Tensor]:
        """Group of classes and bin of the number of each state, int64 [states]; bin -1 where there is no number."""
        groups = 1 if self.classes is None else len(self.classes)
        bins = 0 if self.numbers is None else len(self.numbers)
        held = set(self.existing) if self.classes is not None else {0}
        parts = [(g, torch.arange(bins) if bins and g in held else torch.tensor([-1])) for g in range(groups)]
        group = torch.cat([torch.full((len(part),), g) for g, part in parts])
        return group, torch.cat([part for _, part in parts])

    @cached_property
    def _start(self) -> Tensor:
        """First state of each group."""
        return torch.searchsorted(self.layout[0], torch.arange(int(self.layout[0][-1]) + 1))

    @cached_property
    def _numbered(self) -> Tensor:
        """Which groups have a number."""
        return self.layout[1][self._start] >= 0

    def evidence(self, joint: Batch) -> Tensor:
        """What is known of this node in each row, as a code [rows] int64.

        A code below the number of states is that state. The codes from there on mean, in this order: nothing is known;
        the group is known (one code each) but not its number; the number is known (one code each bin) but not the
        group; a number where there can be none.
        """
        size, groups = len(self), len(self._start)
        group, known = self._group(joint)
        if self.number is None:
            return torch.where(known, self._start[group], size)
        assert self.numbers is not None
        bins, valued = self.numbers.index(joint.cells[:, self.number]), joint.mask[:, self.number]
        numbered = self._numbered[group]
        nameless = torch.full_like(group, size) if self.state is None else size + 1 + group
        alone = torch.where(numbered, nameless, self._start[group])
        both = torch.where(numbered, self._start[group] + bins, size + 1 + groups + len(self.numbers))
        unnamed = torch.where(valued, size + 1 + groups + bins, size)
        return torch.where(known, torch.where(valued, both, alone), unnamed)

    def _group(self, joint: Batch) -> tuple[Tensor, Tensor]:
        rows = len(joint)
        if self.state is None or self.classes is None:
            return torch.zeros(rows, dtype=torch.int64), torch.ones(rows, dtype=torch.bool)
        return self.classes.index(joint.cells[:, self.state]), joint.mask[:, self.state]

    def weights(self, codes: Tensor, ranges: Ranges) -> Tensor:
        """Share of each state that agrees with each code and the ranges of what it leaves open: [codes, states]."""
        size, groups = len(self), len(self._start)
        group, bins = self.layout
        of_group, of_number = self._shares(self.state, self.classes, ranges), torch.ones(size, dtype=torch.float64)
        if self.number is not None and self.number in ranges:
            of_number = torch.where(bins >= 0, self._shares(self.number, self.numbers, ranges)[bins], 1.0)
        code = codes[:, None]
        exact = (code == torch.arange(size)).to(torch.float64)
        grouped = (code == size + 1 + group) * of_number
        numbered = ((code == size + 1 + groups + bins) & (bins >= 0)) * of_group[group]
        return exact + (code == size) * (of_group[group] * of_number) + grouped + numbered

    def _shares(self, column: int | None, bins: Bins | None, ranges: Ranges) -> Tensor:
        if column is None or bins is None:
            return torch.ones(len(self._start), dtype=torch.float64)
        if column in ranges:
            return bins.share(ranges[column])
        return torch.ones(len(bins), dtype=torch.float64)

    def limited(self, ranges: Ranges) -> bool:
        """Whether some range concerns this node."""
        return self.state in ranges or self.number in ranges

    def log_inside(self, joint: Batch) -> Tensor:
        """Log-probability [rows] of the known cells given their groups and bins."""
        total = torch.zeros(len(joint), dtype=torch.float64)
        for column, bins in ((self.state, self.classes), (self.number, self.numbers)):
            if column is not None and bins is not None:
                rows = joint.mask[:, column].nonzero()[:, 0]
                cells = joint.cells[rows, column]
                total[rows] += bins.log_inside(cells, bins.index(cells))
        return total

    def fill(self, joint: Batch, states: Tensor, ranges: Ranges, generator: Generator) -> None:
        """Write cells of what is open in each row from its state [rows], in place."""
        group, place = self.layout[0][states], self.layout[1][states]
        for column, bins, index in ((self.state, self.classes, group), (self.number, self.numbers, place)):
            if column is not None and bins is not None:
                rows = (~joint.mask[:, column] & (index >= 0)).nonzero()[:, 0]
                joint.cells[rows, column] = bins.draw_inside(index[rows], generator, ranges.get(column))
                joint.mask[rows, column] = True

    def arrays(self) -> dict[str, Tensor]:
        """Bins and view."""
        out = {"view": self.view}
        for name, bins in (("classes", self.classes), ("numbers", self.numbers)):
            out |= {} if bins is None else {f"{name}.{key}": value for key, value in bins.arrays().items()}
        return out


def shape_of(event: Mixed) -> list[tuple[str, int | None, int | None, tuple[int, ...]]]:
    """Name, state column, number column and classes that have a number, of the node of each column of a joint event."""
    dependants = {span.exists[0]: j for j, span in enumerate(event.spans) if span.exists is not None}
    out: list[tuple[str, int | None, int | None, tuple[int, ...]]] = []
    for j, span in enumerate(event.spans):
        if span.exists is not None:
            continue
        if isinstance(span.event, Continuous):
            out.append((span.name, None, j, ()))
        elif j in dependants:
            child = event.spans[dependants[j]]
            assert child.exists is not None
            out.append((child.name, j, dependants[j], child.exists[1]))
        else:
            out.append((span.name, j, None, ()))
    return out


def fit_nodes(event: Mixed, records: Records, most: int, coarse: int) -> tuple[Node, ...]:
    """Nodes of a joint event, with bins and coarse states from the records (given columns first)."""
    nodes = []
    for name, state, number, existing in shape_of(event):
        classes = None if state is None else _classes(event, state, column(records, state), most, bool(existing))
        numbers = None
        if number is not None:
            cells, span = column(records, number), event.spans[number].event
            assert isinstance(span, Continuous)
            numbers = Bins.fit(span, cells[cells != ABSENT], most)
        node = Node(name, state, number, existing, classes, numbers, torch.zeros(1, dtype=torch.int64))
        nodes.append(with_view(node, _counts(node, records), coarse))
    return tuple(nodes)


def _classes(event: Mixed, state: int, cells: np.ndarray, most: int, numbered: bool) -> Bins:
    span = event.spans[state].event
    assert isinstance(span, Discrete)
    return Bins.fit(span, cells[cells != ABSENT], span.classes if numbered else most)


def column(records: Records, j: int) -> np.ndarray:
    """Cells [rows] of a column of the joint event."""
    start = 0 if records.given is None else len(records.given)
    if j < start:
        assert records.given_table is not None
        return np.asarray(records.given_table[:, j])
    return np.asarray(records.table[:, j - start])


def _counts(node: Node, records: Records) -> np.ndarray:
    """Rows in each state."""
    columns = [j for j in (node.state, node.number) if j is not None]
    cells = np.stack([column(records, j) for j in columns], 1)
    mask = torch.from_numpy(cells != ABSENT)
    place = {j: i for i, j in enumerate(columns)}
    alone = replace(node, state=place.get(node.state), number=place.get(node.number))  # type: ignore[arg-type]
    codes = alone.evidence(Batch(torch.where(mask, torch.from_numpy(cells), 0), mask))
    return np.bincount(codes[codes < len(node)].numpy(), minlength=len(node)).astype(np.float64)


def with_view(node: Node, counts: np.ndarray, coarse: int) -> Node:
    """The node with at most about `coarse` coarse states: frequent classes alone, numbers in quantiles."""
    group, bins = (part.numpy() for part in node.layout)
    view = np.zeros(len(group), dtype=np.int64)
    numbers = np.flatnonzero(bins >= 0)
    share = counts[numbers].sum() / max(counts.sum(), 1.0)
    room = min(len(numbers), max(NUMBERS, round(coarse * share))) if len(numbers) else 0
    classes = np.flatnonzero(bins < 0)
    view[classes] = _frequent(counts[classes], max(2, coarse - room))
    held = group[numbers]
    offset = int(view[classes].max()) + 1 if len(classes) else 0
    for g in np.unique(held):
        inside = numbers[held == g]
        part = counts[inside].sum() / max(counts[numbers].sum(), 1.0)
        view[inside] = offset + quantiles(counts[inside], max(1, round(room * part)))
        offset = int(view[inside].max()) + 1
    return replace(node, view=torch.from_numpy(view))


def _frequent(counts: np.ndarray, most: int) -> np.ndarray:
    """The most frequent classes alone, in their order, and one state for all the others."""
    if len(counts) <= most:
        return np.arange(len(counts))
    kept = np.sort(np.argsort(-counts, kind="stable")[: most - 1])
    view = np.full(len(counts), most - 1, dtype=np.int64)
    view[kept] = np.arange(most - 1)
    return view


def quantiles(counts: np.ndarray, most: int) -> np.ndarray:
    """Runs of neighbours of about equal mass, numbered from 0; what holds a whole share of the mass stands alone.

    Example:
        >>> quantiles(np.array([1.0, 1.0, 6.0, 1.0, 1.0]), 3).tolist()
        [0, 0, 1, 2, 2]
    """
    share = (counts + 1e-9) / (counts + 1e-9).sum()
    level = np.floor((np.cumsum(share) - share / 2) * most)
    alone = share >= 1.0 / most
    breaks = np.r_[True, (np.diff(level) > 0) | alone[1:] | alone[:-1]]
    groups: np.ndarray = np.cumsum(breaks) - 1
    return groups
