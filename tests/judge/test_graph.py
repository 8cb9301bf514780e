"""The picture of a learned graph: parents above children, nothing on top of anything, all edges there."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

import ensample as en
from ensample.families.graph import Edge, Graph
from ensample.judge.graph import GraphPicture, _ascending, draw
from ensample.verbs import MissingVerb

NS = "{http://www.w3.org/2000/svg}"


def some_graph(nodes: int, share: float, seed: int) -> Graph:
    rng = np.random.default_rng(seed)
    names = tuple(f"field <{j}> & more"[: int(rng.integers(6, 18))] + str(j) for j in range(nodes))
    edges = [
        Edge(names[a], names[b], float(rng.random())) for b in range(nodes) for a in range(b) if rng.random() < share
    ]
    return Graph(names, tuple(edges), names[:1])


@pytest.mark.parametrize(("nodes", "share", "seed"), [(1, 0.0, 0), (5, 0.5, 1), (14, 0.2, 2), (25, 0.1, 3)])
def test_boxes_do_not_overlap_and_parents_stand_above(nodes, share, seed):
    graph = some_graph(nodes, share, seed)
    root = ET.fromstring(draw(graph))
    frames = {}
    for group in root.iter(f"{NS}g"):
        box = {key: float(group.find(f"{NS}rect").get(key)) for key in ("x", "y", "width", "height")}
        frames[group.find(f"{NS}title").text.removesuffix(" (given)")] = box
    assert set(frames) == set(graph.nodes)
    width, height = float(root.get("width")), float(root.get("height"))
    boxes = list(frames.values())
    for i, a in enumerate(boxes):
        assert a["x"] >= 0 and a["x"] + a["width"] <= width and a["y"] >= 0 and a["y"] + a["height"] <= height
        for b in boxes[:i]:
            beside = a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
            assert beside or a["y"] != b["y"]
    assert all(frames[e.parent]["y"] < frames[e.child]["y"] for e in graph.edges)
    lines = [p for p in root.iter(f"{NS}path") if p.get("class") == "edge"]
    assert len(lines) == len(graph.edges)
    for line, edge in zip(lines, graph.edges, strict=True):
        start, end = line.get("d")[1:].split("C")[0], line.get("d").split(" ")[-1]
        for point, name in ((start, edge.parent), (end, edge.child)):
            x = float(point.split(",")[0])
            assert x == pytest.approx(frames[name]["x"] + frames[name]["width"] / 2, abs=0.1)
        assert f"{edge.strength:.3g} nats" in line.find(f"{NS}title").text


def test_stronger_edges_are_thicker():
    graph = Graph(("a", "b", "c"), (Edge("a", "b", 0.1), Edge("a", "c", 0.4)))
    lines = [p for p in ET.fromstring(draw(graph)).iter(f"{NS}path") if p.get("class") == "edge"]
    weak, strong = (float(line.get("stroke-width")) for line in lines)
    assert weak < strong
    assert [edge.child for edge in GraphPicture(graph).edges] == ["c", "b"]


def test_the_nearest_ascending_sequence():
    assert _ascending(np.array([1.0, 3.0, 2.0, 2.0, 5.0])).tolist() == pytest.approx([1, 7 / 3, 7 / 3, 7 / 3, 5])


def test_a_model_shows_its_graph(tmp_path):
    rng = np.random.default_rng(0)
    sex = rng.integers(2, size=600)
    data = {
        "sex": np.where(sex, "F", "M"),
        "height": np.round(165 + 12 * (1 - sex) + rng.normal(size=600) * 5),
        "town": rng.choice(["x", "y"], 600),
    }
    model = en.fit(data, "bayesnet", given=["town"])
    picture = model.graph()
    assert model.can["graph"] == "exact" and set(picture.nodes) == {"sex", "height", "town"}
    assert {picture.edges[0].parent, picture.edges[0].child} == {"sex", "height"}
    assert picture.edges[0].strength == pytest.approx(0.4, abs=0.15)
    picture.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text() == picture.svg() == picture._repr_html_()
    model.save(tmp_path / "model.ens")
    assert en.load(tmp_path / "model.ens").graph().edges == picture.edges
    with pytest.raises(MissingVerb):
        en.fit(data, "independent").graph()
