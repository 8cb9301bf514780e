"""Graphs of columns: what a family with a learned structure shows of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edge:
    """From a parent to its child; `strength` is the information it carries, in nats a record."""

    parent: str
    child: str
    strength: float


@dataclass(frozen=True)
class Graph:
    """Names of the nodes, directed edges between them, and which nodes are given fields.

    Example:
        >>> Graph(("a", "b"), (Edge("a", "b", 0.3),)).edges[0].child
        'b'
    """

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
    given: tuple[str, ...] = ()
