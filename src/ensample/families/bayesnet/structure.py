"""Which variable depends on which: the best tree, and hill climbing from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ensample.families.bayesnet.elimination import heaviest
from ensample.families.bayesnet.scores import Families

Parents = list[list[int]]
"""Parents of every variable."""

WIDEST = 2**14
"""Most cells of a table that inference may need: a graph beyond it is not considered."""

LARGEST = 2**19
"""Most cells of the table of one variable and its parents."""

CANDIDATES = 12
"""New parents of a variable are sought among so many that tell most of it alone (Friedman, Nachman and Pe'er 1999)."""

LEAST = 1e-6
"""A move must gain this, in nats for all rows."""


def information(families: Families) -> np.ndarray:
    """Mutual information of every pair of variables, nats, [variables, variables] with zeros on the diagonal."""
    size = len(families.sizes)
    out = np.zeros((size, size))
    for a in range(size):
        for b in range(a):
            out[a, b] = out[b, a] = families.information(a, b, [])
    return out


def chow_liu(strength: np.ndarray, given: int) -> Parents:
    """The tree of largest total mutual information, which is the most likely one (Chow and Liu 1968).

    The first `given` variables are known always: they get no parents, and need no edge between them. Without given
    variables the root is the one with the strongest edges. Grown as Prim does, in O(variables^2).

    Arguments:
        strength: mutual information [variables, variables].
        given: number of given variables.
    """
    size = len(strength)
    parents: Parents = [[] for _ in range(size)]
    inside = list(range(given)) or [int(strength.sum(1).argmax())]
    best = strength[:, inside].max(1)
    source = np.array(inside)[strength[:, inside].argmax(1)]
    best[inside] = -np.inf
    for _ in range(size - len(inside)):
        child = int(best.argmax())
        parents[child] = [int(source[child])]
        nearer = (strength[:, child] > best) & np.isfinite(best)
        best[nearer], source[nearer] = strength[nearer, child], child
        best[child] = -np.inf
    return parents


@dataclass(frozen=True)
class Move:
    """Add, take away or turn the edge from parent to child; `gain` in nats for all rows."""

    gain: float
    kind: str
    parent: int
    child: int

    def made(self, parents: Parents) -> Parents:
        """The graph after the move."""
        out = [list(own) for own in parents]
        if self.kind == "add":
            out[self.child].append(self.parent)
        else:
            out[self.child].remove(self.parent)
        if self.kind == "turn":
            out[self.parent].append(self.child)
        return out


@dataclass(frozen=True)
class Climb:
    """Greedy search over graphs: the best of all single-edge moves, until none gains.

    Only graphs are considered in which nobody has more than `most` parents, tables keep within `LARGEST` cells and
    exact inference within `WIDEST` a row (bounded treewidth, cf. Elidan and Gould 2008): whatever is found can answer
    every question exactly.
    """

    families: Families
    table_sizes: tuple[int, ...]
    given: int
    most: int

    def best(self, strength: np.ndarray, over: Callable[[], bool]) -> Parents:
        """The better of two climbs, from the tree of most information [variables, variables] and from no edge."""
        starts: list[Parents] = [chow_liu(strength, self.given), [[] for _ in strength]]
        return max((self.climbed(start, strength, over) for start in starts), key=self.total)

    def total(self, parents: Parents) -> float:
        """The score of a graph."""
        return sum(
            self.families.of(child, frozenset(own)) for child, own in enumerate(parents[self.given :], self.given)
        )

    def climbed(self, parents: Parents, strength: np.ndarray, over: Callable[[], bool]) -> Parents:
        """Climb from a graph until no move gains or the time is `over`."""
        near = np.argsort(-strength, axis=1, kind="stable")[:, :CANDIDATES]
        allowed = [set(row.tolist()) for row in near]
        while not over():
            moves = sorted(self._moves(parents, allowed), key=lambda m: (-m.gain, m.child, m.parent, m.kind))
            found = next((graph for m in moves if self.affordable(graph := m.made(parents))), None)
            if found is None:
                break
            parents = found
        return parents

    def _moves(self, parents: Parents, allowed: Sequence[set[int]]) -> Iterator[Move]:
        above = ancestors(parents)
        for child in range(self.given, len(parents)):
            own = frozenset(parents[child])
            now = self.families.of(child, own)
            for parent in own:
                gain = self.families.of(child, own - {parent}) - now
                if gain > -LEAST:  # an edge that tells nothing goes
                    yield Move(gain, "remove", parent, child)
                if parent >= self.given and len(parents[parent]) < self.most:
                    others = own - {parent}
                    if not any(parent in above[other] for other in others):  # turned, it would close a circle
                        its = frozenset(parents[parent])
                        turned = self.families.of(parent, its | {child}) - self.families.of(parent, its)
                        if gain + turned > LEAST:
                            yield Move(gain + turned, "turn", parent, child)
            if len(own) < self.most:
                for parent in sorted(allowed[child] - own - {child}):
                    if child not in above[parent] and self._fits(child, own | {parent}):
                        gain = self.families.of(child, own | {parent}) - now
                        if gain > LEAST:
                            yield Move(gain, "add", parent, child)

    def _fits(self, child: int, parents: frozenset[int]) -> bool:
        cells = self.table_sizes[child]
        for parent in parents:
            cells *= self.families.sizes[parent]
        return cells <= LARGEST

    def affordable(self, parents: Parents) -> bool:
        """Whether tables and exact inference in this graph stay small; given variables are always known."""
        if not all(self._fits(child, frozenset(own)) for child, own in enumerate(parents)):
            return False
        scopes = [{j, *own} - set(range(self.given)) for j, own in enumerate(parents)]
        return heaviest(scopes, self.families.sizes) <= WIDEST


def ancestors(parents: Parents) -> list[set[int]]:
    """All variables above each.

    Example:
        >>> ancestors([[], [0], [1]])
        [set(), {0}, {0, 1}]
    """
    found: list[set[int]] = [set() for _ in parents]
    for j in topological(parents):
        for parent in parents[j]:
            found[j] |= found[parent] | {parent}
    return found


def topological(parents: Parents) -> list[int]:
    """Every variable after its parents."""
    order: list[int] = []
    placed: set[int] = set()
    waiting = list(range(len(parents)))
    while waiting:
        ready = [j for j in waiting if placed.issuperset(parents[j])]
        order += ready
        placed |= set(ready)
        waiting = [j for j in waiting if j not in placed]
    return order
