"""Bayesian networks: trees and searches against known graphs, inference against enumeration, tables that back off."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import gammaln
from tests.laws.cases import everything, fitted, toy_records

from ensample.errors import InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Limit, Mixed, Span, unknown
from ensample.families.bayesnet import BayesNet
from ensample.families.bayesnet.elimination import heaviest
from ensample.families.bayesnet.network import Network
from ensample.families.bayesnet.nodes import Node, quantiles, with_view
from ensample.families.bayesnet.scores import EQUIVALENT, Families, bdeu, bic, predictive
from ensample.families.bayesnet.structure import Climb, chow_liu, information
from ensample.families.bayesnet.tables import FLOOR, STRENGTHS, backed_off, conditional
from ensample.families.bins import Bins
from ensample.infer.condition import draw_where
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run

PARENTS = ((), (0,), (0,), (1, 2), (3,), (1,))
SIZES = (3, 2, 2, 3, 2, 4)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def class_node(j: int, view: list[int]) -> Node:
    states = torch.arange(len(view))
    bins = Bins(states, states, 0.0, torch.ones(len(view), dtype=torch.float64))
    return Node(f"x{j}", j, None, (), bins, None, torch.tensor(view))


def hand_made(given: int = 0) -> Network:
    """Six classes in a graph with a loop (0-1-3-2-0); column 0 and 5 are seen coarsely by their children."""
    rng = np.random.default_rng(5)
    views = [[0, 1, 1], [0, 1], [1, 0], [0, 1, 2], [0, 1], [0, 0, 1, 1]]
    nodes = tuple(class_node(j, view) for j, view in enumerate(views))
    tables = []
    for j, own in enumerate(PARENTS):
        shape = (*(nodes[p].coarse for p in own), SIZES[j])
        p = rng.dirichlet(np.full(SIZES[j], 0.7), size=shape[:-1])
        tables.append(torch.from_numpy(p))
    return Network(nodes, PARENTS, tuple(tables), given)


def joint_of(network: Network) -> dict[tuple[int, ...], float]:
    """Probability of every state of the hand-made network, by the product rule."""
    out = {}
    for state in itertools.product(*(range(s) for s in SIZES)):
        p = 1.0
        for j, own in enumerate(network.parents):
            p *= float(network.tables[j][(*(int(network.nodes[q].view[state[q]]) for q in own), state[j])])
        out[state] = p
    return out


def rows_of(network: Network, n: int, seed: int) -> np.ndarray:
    joint = joint_of(network)
    return np.array(list(joint))[np.random.default_rng(seed).choice(len(joint), n, p=list(joint.values()))]


def class_records(rows: np.ndarray) -> Records:
    event = Mixed(tuple(Span(f"x{j}", Discrete(s)) for j, s in enumerate(SIZES)))
    return Records(event, rows.astype(np.int64))


def fit(records: Records, **options: object) -> object:
    return BayesNet(**options).fit(records, 0, Run())


@pytest.mark.parametrize("given", [0, 1])
def test_evidence_has_the_probability_of_enumeration(given):
    network = hand_made(given)
    joint = joint_of(network)
    states, p = torch.tensor(list(joint)), torch.tensor(list(joint.values()), dtype=torch.float64)
    rng = np.random.default_rng(0)
    for known in itertools.product((True, False), repeat=6):
        row = torch.tensor([rng.integers(s) for s in SIZES])
        codes = torch.where(torch.tensor(known), row, torch.tensor(SIZES))
        agrees = ((states == row) | ~torch.tensor(known)).all(1)
        before = ((states == row) | ~torch.tensor(known))[:, :given].all(1)
        expected = float(torch.log(p[agrees].sum() / p[before].sum())) if given else float(torch.log(p[agrees].sum()))
        found = network.log_evidence(torch.stack([codes, codes]), {})
        assert found.tolist() == pytest.approx([expected] * 2, abs=1e-12), known


@pytest.mark.parametrize("ranges", [{}, {1: ((0, 0),), 3: ((1, 2),)}, {5: ((1, 2),)}])
def test_draws_follow_the_conditional_of_enumeration(ranges):
    network = hand_made()
    joint = joint_of(network)
    codes = torch.tensor([[SIZES[0], SIZES[1], SIZES[2], SIZES[3], 1, SIZES[5]]]).repeat(8_000, 1)
    states, total = network.draw(codes, ranges, generator(1))
    keys = np.array(list(joint))
    fits = keys[:, 4] == 1
    for column, allowed in ranges.items():
        fits &= np.any([(keys[:, column] >= a) & (keys[:, column] <= b) for a, b in allowed], axis=0)
    p = np.array(list(joint.values()))
    assert float(total[0]) == pytest.approx(math.log(p[fits].sum()), abs=1e-12)
    place = {tuple(key): i for i, key in enumerate(keys.tolist())}
    counts = np.bincount([place[tuple(row)] for row in states.tolist()], minlength=len(keys))
    assert counts[~fits].sum() == 0
    expected = np.where(fits, p, 0) / p[fits].sum() * 8_000
    often = expected >= 5
    pooled = [np.append(v[often], v[~often].sum()) for v in (counts, expected)]
    assert stats.chisquare(*pooled).pvalue > 1e-4


def test_the_skeleton_of_a_known_network_is_found():
    rows = rows_of(hand_made(), 20_000, 4)
    for score in ("bic", "predictive"):
        model = fit(class_records(rows), score=score, states=8)
        found = {frozenset((e.parent, e.child)) for e in model.graph().edges}
        wanted = {frozenset((f"x{p}", f"x{j}")) for j, own in enumerate(PARENTS) for p in own}
        assert found == wanted, score
    truth = torch.tensor(list(joint_of(hand_made()).values()), dtype=torch.float64)
    batch = class_records(np.array(list(joint_of(hand_made())))).batch()
    assert float((truth * (truth.log() - model.log_prob(batch))).sum()) < 0.01


def test_chow_liu_finds_the_best_of_all_trees():
    families = Families(rows_of(hand_made(), 3_000, 1), SIZES, bic)
    strength = information(families)
    best = max(
        sum(strength[a, b] for a, b in edges)
        for edges in itertools.combinations(itertools.combinations(range(6), 2), 5)
        if connected(edges)
    )
    parents = chow_liu(strength, 0)
    assert sum(strength[own[0], j] for j, own in enumerate(parents) if own) == pytest.approx(best)
    assert sorted(len(own) for own in parents) == [0, 1, 1, 1, 1, 1]
    counts = families.counts(1, [0]) / 3_000
    by_hand = (counts * np.log(counts / counts.sum(0) / counts.sum(1, keepdims=True))).sum()
    assert strength[0, 1] == pytest.approx(by_hand)


def connected(edges: tuple[tuple[int, int], ...]) -> bool:
    reached = {0}
    for _ in range(6):
        reached |= {v for edge in edges if reached & set(edge) for v in edge}
    return len(reached) == 6


def test_given_fields_are_roots_and_are_conditioned_on():
    rows = rows_of(hand_made(), 6_000, 2)
    event = Mixed(tuple(Span(f"x{j}", Discrete(s)) for j, s in enumerate(SIZES)))
    records = Records(Mixed(event.spans[1:]), rows[:, 1:].copy(), Mixed(event.spans[:1]), rows[:, :1].copy())
    for structure in ("tree", "search"):
        model = fit(records, structure=structure)
        assert model.graph().given == ("x0",)
        assert all(edge.child != "x0" for edge in model.graph().edges)
        states = np.array(list(itertools.product(*(range(s) for s in SIZES))))
        every = Records(records.event, states[:, 1:], records.given, states[:, :1]).batch()
        totals = np.bincount(states[:, 0], weights=model.log_prob(every).exp().numpy())
        assert totals.tolist() == pytest.approx([1.0] * 3)
        made = model.sample(4_000, generator(1), records.batch().cond.take(slice(0, 4_000)))
        for value in range(3):
            share = (made.cells[made.cond.cells[:, 0] == value, 0] == 1).double().mean()
            assert float(share) == pytest.approx(rows[rows[:, 0] == value, 1].mean(), abs=0.06)


def test_scores_have_their_closed_forms():
    counts = np.array([[7.0, 3.0, 0.0], [1.0, 5.0, 2.0]])
    inner, outer = EQUIVALENT / 6, EQUIVALENT / 2
    wanted = sum(gammaln(outer) - gammaln(n.sum() + outer) for n in counts)
    wanted += sum(gammaln(n + inner) - gammaln(inner) for n in counts.flatten())
    assert bdeu(counts) == pytest.approx(float(wanted))
    likelihood = sum(n * math.log(n / row.sum()) for row in counts for n in row if n)
    assert bic(counts) == pytest.approx(likelihood - 0.5 * math.log(18) * 4)
    rows = [(c, k) for c in range(2) for k in range(3) for _ in range(int(counts[c, k]))]
    by_strength = []
    for a in STRENGTHS.tolist():
        total = 0.0
        for c, k in rows:
            others = counts.copy()
            others[c, k] -= 1
            lower = (others.sum(0)[k] + FLOOR) / (17 + FLOOR * 3)
            total += math.log((others[c, k] + a * lower) / (others[c].sum() + a))
        by_strength.append(total)
    assert predictive(counts) == pytest.approx(max(by_strength))


def test_tables_are_normalised_and_back_off_where_nothing_was_seen():
    counts = torch.zeros(2, 3, 5, dtype=torch.float64)
    counts[0, 0] = torch.tensor([40.0, 10, 0, 0, 0])
    counts[0, 1] = torch.tensor([38.0, 12, 0, 0, 0])
    counts[1, 0] = torch.tensor([0.0, 0, 30, 0, 10])
    view = torch.tensor([0, 0, 1, 2, 2])
    table = conditional(counts, view)
    assert torch.allclose(table.sum(-1), torch.ones(2, 3, dtype=torch.float64)) and bool((table > 0).all())
    alone = conditional(counts.sum(1), view)
    assert torch.allclose(table[0, 2], alone[0]) and torch.allclose(table[1, 1], alone[1])
    assert float(table[1, 0, 2]) > 0.6 > float(table[0, 0, 2])
    shuffled = torch.from_numpy(np.random.default_rng(0).multinomial(60, [0.2] * 5, size=20)).double()
    flat = backed_off(shuffled, torch.zeros(5, dtype=torch.int64))
    assert float((flat - flat.mean(0)).abs().max()) < 0.03  # contexts that tell nothing are pooled


def test_marginals_and_conditionals_of_mixed_columns_add_up():
    """Summing what is unset by hand gives what the model says, an amount's state and value apart."""
    for case in ("bayesnet", "bayesnet-structure=tree"):
        model = fitted(case)
        batch = everything(reach=300)
        whole = model.log_prob(batch).exp()
        for known in ({0: 1}, {1: 0}, {1: 1}, {2: 3}, {3: 1, 2: 2}, {3: 0, 1: 1}):
            row = unknown(1, model.event)
            agrees = torch.ones(len(batch), dtype=torch.bool)
            for column, cell in known.items():
                row.cells[0, column], row.mask[0, column] = cell, True
                agrees &= batch.mask[:, column] & (batch.cells[:, column] == cell)
            assert float(model.log_prob(row).exp()) == pytest.approx(float(whole[agrees].sum()), abs=2e-3), known


def test_what_cannot_be_is_impossible():
    model = fitted("bayesnet")
    row = unknown(1, model.event)
    row.cells[0, 2], row.mask[0, 1:3] = 3, True  # an amount in the state that has none
    assert float(model.log_prob(row)) == -math.inf
    assert float(model.draw(row, generator(0))[1]) == -math.inf
    nothing = [Limit(1, ((1, 1),)), Limit(2, ((900, 901),))]
    assert bool(torch.isinf(model.draw(unknown(3, model.event), generator(0), nothing)[1]).all())


def test_numbers_are_learned_in_bins_and_limits_on_them_are_met():
    rng = np.random.default_rng(0)
    a = np.round(rng.normal(0, 1_000, 8_000)).astype(np.int64)
    b = a + np.round(rng.normal(0, 100, 8_000)).astype(np.int64)
    lattice = Lattice(-5_000, 5_000, scale=1_000.0)
    event = Mixed((Span("a", Continuous(lattice)), Span("b", Continuous(lattice))))
    model = fit(Records(event, np.stack([a, b], 1)))
    made = draw_where(model, 3_000, [Limit(1, ((1_000, 1_400),))], generator(0), None)
    assert int(made.cells[:, 1].min()) >= 1_000 and int(made.cells[:, 1].max()) <= 1_400
    inside = a[(b >= 1_000) & (b <= 1_400)]
    assert float(made.cells[:, 0].double().mean()) == pytest.approx(inside.mean(), abs=60)


def test_rows_with_holes_are_counted_where_they_are_whole():
    rows = rows_of(hand_made(), 8_000, 4).astype(np.int64)
    holes = rows.copy()
    holes[np.random.default_rng(1).random(rows.shape) < 0.3] = ABSENT
    whole, part = fit(class_records(rows)), fit(class_records(holes))
    batch = class_records(rows_of(hand_made(), 2_000, 9)).batch()
    assert abs(float((whole.log_prob(batch) - part.log_prob(batch)).mean())) < 0.03


def test_graphs_that_inference_cannot_afford_are_not_taken(monkeypatch):
    assert heaviest([{0, 1}, {1, 2}, {0, 2, 3}], (2, 3, 5, 7)) == 70
    rng = np.random.default_rng(0)
    parents = rng.integers(2, size=(4_000, 4))
    rows = np.concatenate([parents, (parents.sum(1, keepdims=True) + (rng.random((4_000, 1)) < 0.1)) % 2], 1)
    families = Families(rows, (2,) * 5, predictive)
    start = [[], [0], [1], [2], [3]]
    strength = np.ones((5, 5))
    roomy = Climb(families, (2,) * 5, 0, 4).climbed(start, strength, lambda: False)
    monkeypatch.setattr("ensample.families.bayesnet.structure.WIDEST", 8)
    tight = Climb(families, (2,) * 5, 0, 4).climbed(start, strength, lambda: False)
    assert max(map(len, tight)) <= 2 <= max(map(len, roomy))
    assert Climb(families, (2,) * 5, 0, 4).climbed(start, strength, lambda: True) == start


def test_coarse_states_keep_frequent_classes_and_split_numbers_evenly():
    node = class_node(0, list(range(40)))
    counts = np.r_[np.full(37, 1.0), 50.0, 60.0, 70.0]
    view = with_view(node, counts, 4).view
    assert view[37:].tolist() == [0, 1, 2] and set(view[:37].tolist()) == {3}
    groups = quantiles(np.ones(100), 10)
    assert np.bincount(groups).tolist() == [10] * 10


def test_clear_refusals():
    with pytest.raises(InputError, match="one that the family knows"):
        BayesNet(structure="forest")
    two = Mixed(
        (
            Span("s", Discrete(2)),
            Span("a", Continuous(Lattice(0, 9)), (0, (1,))),
            Span("b", Continuous(Lattice(0, 9)), (0, (1,))),
        )
    )
    assert "several spans" in BayesNet().refuses(two, None)
    assert BayesNet().refuses(toy_records(2).event, None) is None


def test_a_stopped_run_goes_on_with_its_graph(tmp_path):
    records = toy_records(500)
    first = BayesNet().fit(records, 0, Run(folder=tmp_path))
    again = BayesNet(structure="tree").fit(records, 0, Run(folder=tmp_path))
    assert again.graph() == first.graph()
    batch = records.batch()
    assert torch.equal(first.log_prob(batch), again.log_prob(Batch(batch.cells, batch.mask)))
