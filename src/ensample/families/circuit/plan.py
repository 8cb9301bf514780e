"""The plan of a circuit: which columns share a latent, how the latents hang together, how numbers are written."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ensample.events import Batch, Mixed, Span
from ensample.families.bins import Bins
from ensample.families.circuit.warp import Warp
from ensample.families.mixture.components import Layout, by_pattern


@dataclass(frozen=True)
class Plan:
    """Everything about a circuit that learning does not change.

    `nodes` lists the columns of each node, `parents` the node above each (-1 for node 0, the root; a parent comes
    before its children). Node 0 holds all `numbers`, the columns with Gaussian leaves, each seen through a warp. Every
    other column is a table over its bins. `context` are columns of node 0 on whose classes the numbers lean: `shifts`
    [numbers, classes of all contexts side by side] float64 is what they add to a warped number.
    """

    layout: Layout
    bins: dict[int, Bins]
    numbers: tuple[int, ...]
    warps: tuple[Warp, ...]
    context: tuple[int, ...]
    shifts: Tensor
    nodes: tuple[tuple[int, ...], ...]
    parents: tuple[int, ...]

    @property
    def spans(self) -> tuple[Span, ...]:
        """Spans of the joint event: the given ones first."""
        return self.layout.event.spans

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Nodes below each node."""
        every = range(len(self.nodes))
        return tuple(tuple(v for v in every if self.parents[v] == u) for u in every)

    def distances(self, node: int) -> list[int]:
        """Edges between this node and every other."""
        found = {node: 0}
        while len(found) < len(self.nodes):
            for v, parent in enumerate(self.parents):
                if (v in found) != (parent in found) and parent >= 0:
                    near, far = (v, parent) if v in found else (parent, v)
                    found[far] = found[near] + 1
        return [found[v] for v in range(len(self.nodes))]

    @cached_property
    def starts(self) -> dict[int, int]:
        """Where the classes of each context begin in `shifts`."""
        sizes = [len(self.bins[j]) for j in self.context]
        return dict(zip(self.context, itertools.accumulate([0, *sizes[:-1]]), strict=True))

    def dependants(self, column: int) -> list[int]:
        """Columns that exist only for some classes of this one."""
        return [j for j, span in enumerate(self.spans) if span.exists is not None and span.exists[0] == column]

    def existing_in(self, column: int) -> tuple[int, ...]:
        """The classes of the column that this one depends on for which it has a value; none if it depends on none."""
        exists = self.spans[column].exists
        return () if exists is None else exists[1]

    def values(self, cells: Tensor, numbers: list[int], offset: Tensor | float = 0.0) -> Tensor:
        """Warped numbers [rows, len(numbers)] of these positions among `numbers`, `offset` from the cells' middles."""
        shift = torch.as_tensor(offset, dtype=torch.float64).expand(len(numbers))
        parts = [self.warps[i].encode(cells[:, self.numbers[i]] + shift[p]) for p, i in enumerate(numbers)]
        return torch.stack(parts, 1) if parts else torch.zeros(len(cells), 0, dtype=torch.float64)

    def log_widths(self, cells: Tensor, numbers: list[int]) -> Tensor:
        """Log of the warped widths of the cells, [rows, len(numbers)] float64."""
        parts = [self.warps[i].log_width(cells[:, self.numbers[i]]) for i in numbers]
        return torch.stack(parts, 1) if parts else torch.zeros(len(cells), 0, dtype=torch.float64)

    def shift_of(self, classes: dict[int, Tensor]) -> Tensor:
        """What these classes [rows] of every context add to the numbers, [rows, numbers]."""
        total = torch.zeros(1, len(self.numbers), dtype=torch.float64)
        for j in self.context:
            total = total + self.shifts[:, self.starts[j] + classes[j]].T
        return total

    def cells(self, i: int, x: Tensor) -> Tensor:
        """Cells [rows] of warped values of number i; what no file could hold is pulled in to 2^52."""
        position = self.warps[i].position(x).clamp(-(2.0**52), 2.0**52)
        return torch.round(position).to(torch.int64)

    def arrays(self) -> dict[str, Tensor]:
        """Tensors of bins, warps and shifts."""
        out = {"shifts": self.shifts}
        for j, bins in self.bins.items():
            out |= {f"bins.{j}.{name}": tensor for name, tensor in bins.arrays().items()}
        for j, warp in zip(self.numbers, self.warps, strict=True):
            out |= {f"warp.{j}.{name}": tensor for name, tensor in warp.arrays().items()}
        return out

    def facts(self) -> dict[str, Any]:
        """Structure as JSON values."""
        return {
            "numbers": list(self.numbers),
            "context": list(self.context),
            "nodes": [list(columns) for columns in self.nodes],
            "parents": list(self.parents),
        }

    @classmethod
    def restore(cls, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]) -> Plan:
        """Inverse of `arrays` and `facts`."""
        layout, numbers = Layout.of(event, given), tuple(facts["numbers"])
        tables = [j for j in range(len(layout.event)) if j not in numbers]
        return cls(
            layout,
            {j: Bins.restore(_under(arrays, f"bins.{j}.")) for j in tables},
            numbers,
            tuple(Warp.restore(_under(arrays, f"warp.{j}.")) for j in numbers),
            tuple(facts["context"]),
            arrays["shifts"],
            tuple(tuple(columns) for columns in facts["nodes"]),
            tuple(facts["parents"]),
        )


def _under(arrays: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in arrays.items() if name.startswith(prefix)}


@dataclass
class Coded:
    """A joint batch as learning looks at it: `codes[j]` [rows] is the bin of a table column.

    An unknown one has the code past the last bin. `patterns` sorts the rows by which numbers are known in them.
    `constant` [rows] is the log-probability of the cells inside their bins and of the widths of the cells, `nbytes` the
    memory of it all.
    """

    codes: dict[int, Tensor]
    patterns: list[Known]
    constant: Tensor
    nbytes: int


@dataclass
class Known:
    """Rows with the same known numbers: positions among the numbers, warped values less shift, noise (variances)."""

    rows: Tensor
    known: Tensor
    x: Tensor
    noise: Tensor


def coded(plan: Plan, joint: Batch, ridge: float) -> Coded:
    """Encode a joint batch once for all steps.

    A number stands for its whole cell: its noise is the variance of a uniform value in the warped cell, plus the ridge.
    The numbers of a row with an unknown context are left out (as if unknown): EM stays EM, on less.
    """
    codes, constant = {}, torch.zeros(len(joint), dtype=torch.float64)
    for j, bins in plan.bins.items():
        mask, cells = joint.mask[:, j], joint.cells[:, j]
        index = bins.index(cells)
        codes[j] = torch.where(mask, index, len(bins))
        constant += torch.where(mask, bins.log_inside(torch.where(mask, cells, bins.first[0]), index), 0.0)
    seen = joint.mask[:, list(plan.numbers)] & joint.mask[:, list(plan.context)].all(1, keepdim=True)
    shift = plan.shift_of({j: codes[j].clamp(max=len(plan.bins[j]) - 1) for j in plan.context})
    shift = shift.expand(len(joint), -1)
    patterns, size = [], 8 * len(joint) * (len(codes) + 1)
    for rows, mask in by_pattern(seen):
        known = mask.nonzero()[:, 0].tolist()
        cells, log_width = joint.cells[rows], plan.log_widths(joint.cells[rows], known)
        constant[rows] += log_width.sum(1)
        noise = (2.0 * log_width).exp() / 12.0 + ridge
        x = plan.values(cells, known) - shift[rows][:, known]
        patterns.append(Known(rows, torch.tensor(known, dtype=torch.int64), x, noise))
        size += len(rows) * 8 * (2 * len(known) + 1)
    return Coded(codes, patterns, constant, size)
