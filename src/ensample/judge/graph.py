"""The picture of a learned graph: layers from parents to children, thicker edges where they tell more."""

from __future__ import annotations

import html
import math
from itertools import pairwise
from pathlib import Path

import numpy as np

from ensample.families.graph import Edge, Graph
from ensample.judge.svg import hint, tag, text
from ensample.storage import write_atomically

LETTER, HEIGHT, ACROSS, DOWN, MARGIN = 7.0, 28.0, 26.0, 84.0, 24.0
"""Pixels: width of a letter, height of a box, gap between boxes of a layer, from layer to layer, around it all."""

BEND = 10.0
"""Width of the place that a long edge takes in a layer it passes."""

SWEEPS = 24
"""Rounds of ordering layers by the mean place of neighbours."""

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1c2430; text-anchor: middle; }
.box { fill: #eef3fb; stroke: #5b7db1; } .given { fill: #fdf1dc; stroke: #b98a35; }
.edge { fill: none; stroke: #5b7db1; }
"""


class GraphPicture:
    """A graph that shows itself in a notebook and saves as SVG. Made by `Model.graph`.

    Example:
        >>> picture = GraphPicture(Graph(("age", "income"), (Edge("age", "income", 0.07),)))
        >>> picture
        GraphPicture(2 nodes, age -> income: 0.07 nats)
        >>> picture.svg().startswith("<svg")
        True
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the fields."""
        return self.graph.nodes

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Edges with their strength, the strongest first."""
        return tuple(sorted(self.graph.edges, key=lambda edge: -edge.strength))

    def svg(self) -> str:
        """The whole picture."""
        return draw(self.graph)

    def save(self, path: str | Path) -> None:
        """Write the picture, an SVG file. Raises FormatError if the path cannot be written."""
        write_atomically(Path(path), lambda target: target.write_text(self.svg(), encoding="utf-8"))

    def _repr_html_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        edges = ", ".join(f"{e.parent} -> {e.child}: {e.strength:.2g} nats" for e in self.edges)
        return f"GraphPicture({len(self.nodes)} nodes, {edges or 'no edges'})"


def draw(graph: Graph) -> str:
    """A graph as SVG: every parent above its children (layers: Sugiyama, Tagawa and Toda 1981)."""
    plan = _Plan(graph)
    x, y = plan.places()
    width = max((x[v] + plan.width[v] / 2 for v in x), default=0.0) + MARGIN
    height = max(y.values(), default=0.0) + HEIGHT / 2 + MARGIN
    most = max((edge.strength for edge in graph.edges), default=1.0) or 1.0
    lines = [
        _edge(edge, [(x[v], y[v]) for v in route], edge.strength / most)
        for edge, route in zip(graph.edges, plan.routes, strict=True)
    ]
    boxes = [_box(v, x[v], y[v], plan.width[v], v in graph.given) for v in graph.nodes]
    head = tag("path", d="M0,0L8,4L0,8Z", fill="#5b7db1")
    marker = tag("marker", head, id="arrow", viewBox="0 0 8 8", refX=7, refY=4, markerWidth=8, markerHeight=8,
                 markerUnits="userSpaceOnUse", orient="auto")  # fmt: skip
    return tag(
        "svg",
        tag("style", html.escape(STYLE)),
        tag("defs", marker),
        tag("rect", width=width, height=height, fill="#ffffff"),
        *lines,
        *boxes,
        xmlns="http://www.w3.org/2000/svg",
        width=width,
        height=height,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        aria_label=f"Graph of {len(graph.nodes)} fields with {len(graph.edges)} edges",
    )


def _box(name: str, x: float, y: float, width: float, given: bool) -> str:
    kind = "box given" if given else "box"
    frame = tag(
        "rect", x=x - width / 2, y=y - HEIGHT / 2, width=width, height=HEIGHT, rx=6, class_=kind, stroke_width=1.2
    )
    return tag("g", frame, text(x, y + 4.5, name, most=28), hint(name + (" (given)" if given else "")))


def _edge(edge: Edge, points: list[tuple[float, float]], share: float) -> str:
    """A smooth line from the bottom of the first box, through the bends, to the top of the last."""
    (x0, y0), (x1, y1) = points[0], points[-1]
    points = [(x0, y0 + HEIGHT / 2), *points[1:-1], (x1, y1 - HEIGHT / 2 - 1)]
    line = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for (ax, ay), (bx, by) in pairwise(points):
        middle = (ay + by) / 2
        line += f"C{ax:.1f},{middle:.1f} {bx:.1f},{middle:.1f} {bx:.1f},{by:.1f}"
    bits = edge.strength / math.log(2.0)
    words = f"{edge.parent} → {edge.child}: {edge.strength:.3g} nats ({bits:.3g} bits) a record"
    return tag(
        "path",
        hint(words),
        d=line,
        class_="edge",
        stroke_width=round(0.8 + 4.2 * math.sqrt(share), 2),
        stroke_opacity=round(0.35 + 0.65 * math.sqrt(share), 2),
        marker_end="url(#arrow)",
    )


class _Plan:
    """Where boxes and bends go. A vertex is a node's name, or (edge number, layer) for a bend of a long edge."""

    def __init__(self, graph: Graph) -> None:
        self.layer = _layers(graph)
        self.width: dict[object, float] = {v: max(44.0, LETTER * min(len(v), 28) + 20.0) for v in graph.nodes}
        self.routes: list[list[object]] = []
        rows: list[list[object]] = [[] for _ in range(max(self.layer.values(), default=-1) + 1)]
        for v in graph.nodes:
            rows[self.layer[v]].append(v)
        for i, edge in enumerate(graph.edges):
            bends: list[object] = [(i, k) for k in range(self.layer[edge.parent] + 1, self.layer[edge.child])]
            self.width |= dict.fromkeys(bends, BEND)
            for bend, k in zip(bends, range(self.layer[edge.parent] + 1, self.layer[edge.child]), strict=True):
                rows[k].append(bend)
            self.routes.append([edge.parent, *bends, edge.child])
        self.rows = rows
        self.up: dict[object, list[object]] = {v: [] for row in rows for v in row}
        self.down: dict[object, list[object]] = {v: [] for row in rows for v in row}
        for route in self.routes:
            for a, b in pairwise(route):
                self.down[a].append(b)
                self.up[b].append(a)

    def places(self) -> tuple[dict[object, float], dict[object, float]]:
        """Middle of every vertex: x and y."""
        x = {v: at for row in self.rows for v, at in zip(row, self._packed(row), strict=True)}
        best, fewest = [list(row) for row in self.rows], math.inf
        for sweep in range(SWEEPS):  # order each layer by its neighbours above, then below, and again
            near = self.up if sweep % 2 == 0 else self.down
            for row in self.rows if sweep % 2 == 0 else self.rows[::-1]:
                row.sort(key=lambda v: _mean([x[u] for u in near[v]], x[v]))
                x.update(zip(row, self._packed(row), strict=True))
            crossed = self._crossings(x)
            if crossed < fewest:
                best, fewest = [list(row) for row in self.rows], crossed
        self.rows = best
        x = {v: at for row in best for v, at in zip(row, self._packed(row), strict=True)}
        for _ in range(SWEEPS):
            for row in best:
                x.update(zip(row, self._settled(row, x), strict=True))
        left = min((x[v] - self.width[v] / 2 for v in x), default=0.0)
        y = {v: MARGIN + HEIGHT / 2 + DOWN * k for k, row in enumerate(best) for v in row}
        return {v: at - left + MARGIN for v, at in x.items()}, y

    def _packed(self, row: list[object]) -> list[float]:
        """As close as gaps allow, about 0."""
        ends = np.cumsum([self.width[v] + ACROSS for v in row])
        places = ends - np.array([self.width[v] + ACROSS for v in row]) / 2 - ends[-1] / 2 if row else ends
        return [float(at) for at in places]

    def _settled(self, row: list[object], x: dict[object, float]) -> list[float]:
        """Nearest to the mean of all neighbours in this order and with all gaps (isotonic regression)."""
        offset = np.array(self._packed(row))
        wanted = np.array([_mean([x[u] for u in self.up[v] + self.down[v]], x[v]) for v in row])
        return [float(at) for at in _ascending(wanted - offset) + offset]

    def _crossings(self, x: dict[object, float]) -> int:
        count = 0
        for row in self.rows:
            ends = np.array([(x[a], x[b]) for a in row for b in self.down[a]]).reshape(-1, 2)
            over = (ends[:, None] - ends[None]) > 0
            count += int((over[..., 0] & (ends[:, None] < ends[None])[..., 1]).sum())
        return count


def _layers(graph: Graph) -> dict[str, int]:
    """Every child below all of its parents, and each parent as low as its children allow."""
    parents = {v: [e.parent for e in graph.edges if e.child == v] for v in graph.nodes}
    children = {v: [e.child for e in graph.edges if e.parent == v] for v in graph.nodes}
    layer: dict[str, int] = {}
    while len(layer) < len(graph.nodes):
        for v in graph.nodes:
            if v not in layer and all(p in layer for p in parents[v]):
                layer[v] = max((layer[p] + 1 for p in parents[v]), default=0)
    for v in sorted(graph.nodes, key=lambda v: -layer[v]):
        if children[v]:
            layer[v] = min(layer[c] for c in children[v]) - 1
    return layer


def _ascending(values: np.ndarray) -> np.ndarray:
    """The nearest ascending sequence in the squared error (pool adjacent violators)."""
    blocks: list[list[float]] = []
    for value in values:
        blocks.append([float(value), 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, m), (b, n) = blocks[-2:]
            blocks[-2:] = [[(a * m + b * n) / (m + n), m + n]]
    return np.repeat([b[0] for b in blocks], [int(b[1]) for b in blocks]) if blocks else values


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
