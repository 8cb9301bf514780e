"""Hidden Markov models against enumeration, hmmlearn's arithmetic written out, and what can be known by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from tests.laws.ragged import CASES, LETTERS, fitted, generator

from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, Batch, Continuous, Discrete, Lattice, Mixed, Ragged, Span
from ensample.families.markov import expectation
from ensample.families.markov.em import fit_categorical, fit_gaussian
from ensample.families.markov.family import Markov
from ensample.families.markov.lengths import LengthLaw
from ensample.families.markov.packing import Packing, similar
from ensample.families.markov.parameters import Parameters
from ensample.families.markov.trellis import Chain, best_path, forward, sampled_path, smooth
from ensample.kinds.records import ABSENT
from ensample.kinds.sequences import Sequences
from ensample.run import Run
from ensample.train import learn

STATES = 3


def chain(seed: int = 0) -> Chain:
    rng = np.random.default_rng(seed)
    return Chain.of(torch.tensor(rng.dirichlet(np.ones(STATES))), torch.tensor(rng.dirichlet(np.ones(STATES), STATES)))


def paths(own: Chain, log_b: torch.Tensor) -> tuple[list[tuple[int, ...]], torch.Tensor]:
    """Every path of states of one sequence, and its log p(path, x), by multiplying out; log_b [steps, states]."""
    found, scores = [], []
    for path in itertools.product(range(STATES), repeat=len(log_b)):
        score = own.start[path[0]].log() + sum(log_b[t, s] for t, s in enumerate(path))
        found.append(path)
        scores.append(score + sum(own.transitions[r, s].log() for r, s in itertools.pairwise(path)))
    return found, torch.stack(scores)


def unequal() -> tuple[Packing, torch.Tensor, list[torch.Tensor]]:
    """Sequences of 4, 1, 0 and 3 steps: packing, packed log b [positions, states], and the same for each sequence."""
    lengths = torch.tensor([4, 1, 0, 3])
    log_b = torch.randn(4, 4, STATES, generator=generator(1), dtype=torch.float64) * 2
    packing = Packing.of(lengths)
    return packing, log_b[packing.rows, packing.steps], [log_b[i, : lengths[i]] for i in range(4)]


def of_row(packing: Packing, packed: torch.Tensor, row: int) -> torch.Tensor:
    return packed[packing.rows == row]


def test_forward_and_smoothing_are_sums_over_all_paths():
    own = chain()
    packing, packed, each = unequal()
    b = packing.by_step(packed.exp())
    predicted, scales = forward(own, b)
    total = packing.sum(torch.cat(scales).log(), 4)
    counts = smooth(own, b, predicted)
    gamma = torch.cat([part.T for part in b])
    expected_counts = torch.zeros(STATES, STATES, dtype=torch.float64)
    for row in (0, 1, 3):
        found, scores = paths(own, each[row])
        assert float(total[row]) == pytest.approx(float(scores.logsumexp(0)), abs=1e-12)
        weights = torch.softmax(scores, 0)
        posterior = torch.zeros(len(each[row]), STATES, dtype=torch.float64)
        for path, weight in zip(found, weights, strict=True):
            for t, s in enumerate(path):
                posterior[t, s] += weight
            for r, s in itertools.pairwise(path):
                expected_counts[r, s] += weight
        assert torch.allclose(of_row(packing, gamma, row), posterior, atol=1e-12)
    assert torch.allclose(counts, expected_counts, atol=1e-12)
    assert float(total[2]) == 0.0


def test_viterbi_finds_the_best_of_all_paths():
    for seed in range(5):
        own = chain(seed)
        packing, packed, each = unequal()
        path, best = best_path(own, packing.by_step(packed))
        for place, row in enumerate((0, 3, 1)):
            found, scores = paths(own, each[row])
            assert tuple(of_row(packing, torch.cat(path), row).tolist()) == found[int(scores.argmax())]
            assert float(best[place]) == pytest.approx(float(scores.max()), abs=1e-12)


def test_sampled_paths_follow_the_posterior():
    own = chain()
    log_b = torch.randn(3, STATES, generator=generator(5), dtype=torch.float64)
    found, scores = paths(own, log_b)
    n = 20_000
    b = [row.exp()[:, None].expand(-1, n).contiguous() for row in log_b]
    forward(own, b)
    made = torch.stack(sampled_path(own, b, generator(6)), 1)
    code = {path: i for i, path in enumerate(found)}
    seen = np.bincount([code[tuple(row)] for row in made.tolist()], minlength=len(found))
    expected = torch.softmax(scores, 0).numpy() * n
    keep = expected > 5
    assert stats.chisquare(seen[keep], expected[keep] * seen[keep].sum() / expected[keep].sum()).pvalue > 1e-4


def test_extreme_emissions_neither_vanish_nor_overflow():
    own = Chain.of(torch.tensor([1.0, 0.0]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))  # no way out of a state
    log_b = torch.tensor([[0.0, -700.0], [-700.0, 0.0]]).repeat(50, 1).double()
    packing = Packing.of(torch.tensor([100]))
    b = packing.by_step(log_b.exp())
    predicted, scales = forward(own, b)
    smooth(own, b, predicted)
    gamma = torch.cat([part.T for part in b])
    assert torch.isfinite(torch.cat(scales).log()).all()
    assert torch.isfinite(gamma).all() and torch.allclose(gamma.sum(1), torch.ones(100, dtype=torch.float64))


@pytest.mark.parametrize("case", [case for case in CASES if case.name == "markov"], ids=lambda case: case.id)
def test_states_of_records_are_those_of_all_paths(case):
    distribution = fitted(case.id)
    batch = case.truth.records(12, seed=3).batch()
    decoded, posterior = distribution.states(batch), distribution.state_probabilities(batch)
    states = distribution.parameters.states
    for row in range(len(batch)):
        length = int(batch.lengths[row])
        assert (decoded[row, length:] == -1).all() and (posterior[row, length:] == 0).all()
        if length == 0:
            continue
        log_b = distribution.emissions.log_prob(Batch(batch.cells[row, :length], batch.mask[row, :length]))
        scores = {}
        for path in itertools.product(range(states), repeat=length):
            own = distribution.parameters.chain
            score = own.start[path[0]].log() + sum(log_b[t, s] for t, s in enumerate(path))
            scores[path] = float(score + sum(own.transitions[r, s].log() for r, s in itertools.pairwise(path)))
        assert tuple(decoded[row, :length].tolist()) == max(scores, key=lambda path: scores[path])
        weights = torch.softmax(torch.tensor(list(scores.values()), dtype=torch.float64), 0)
        first = torch.zeros(states, dtype=torch.float64).index_add_(0, torch.tensor([p[0] for p in scores]), weights)
        assert torch.allclose(posterior[row, 0], first, atol=1e-9)


def reference_step(x, lengths, start, moves, means, covariances):
    """One iteration of Baum and Welch in plain loops: (log-likelihood, start, moves, means, covariances)."""
    states, d = means.shape
    total, first, pairs = 0.0, np.zeros(states), np.zeros((states, states))
    count, sums, squares = np.zeros(states), np.zeros((states, d)), np.zeros((states, d, d))
    for piece in np.split(x, np.cumsum(lengths)[:-1]):
        b = np.stack(
            [stats.multivariate_normal.pdf(piece, m, c).reshape(-1) for m, c in zip(means, covariances, strict=True)], 1
        )
        alpha, beta = [start * b[0]], [np.ones(states)]
        for t in range(1, len(piece)):
            alpha.append(alpha[-1] @ moves * b[t])
        for t in range(len(piece) - 1, 0, -1):
            beta.append(moves @ (b[t] * beta[-1]))
        beta.reverse()
        p = alpha[-1].sum()
        gamma = np.array(alpha) * np.array(beta) / p
        total += np.log(p)
        first += gamma[0]
        for t in range(len(piece) - 1):
            pairs += alpha[t][:, None] * moves * (b[t + 1] * beta[t + 1]) / p
        count += gamma.sum(0)
        sums += gamma.T @ piece
        squares += np.einsum("ts,ti,tj->sij", gamma, piece, piece)
    means = sums / count[:, None]
    covariances = squares / count[:, None, None] - means[:, :, None] * means[:, None, :]
    return total, first / first.sum(), pairs / pairs.sum(1, keepdims=True), means, covariances


def test_em_is_that_of_the_book():
    rng = np.random.default_rng(0)
    lengths = [5, 1, 9, 3]
    x = rng.normal(size=(18, 2)) + 3 * rng.integers(0, 2, (18, 1))
    given = (np.array([0.6, 0.4]), np.array([[0.7, 0.3], [0.2, 0.8]]), x[:2], np.stack([2 * np.eye(2)] * 2))
    told, now = [], given
    for _ in range(4):
        score, *now = reference_step(x, lengths, *now)
        told.append(score)
    fit = fit_gaussian(x, lengths, *given, covariance="full", iterations=4)
    assert fit.log_likelihood == pytest.approx(told, rel=1e-12)
    for mine, theirs in zip((fit.start, fit.transitions, fit.means, fit.covariances), now, strict=True):
        assert np.allclose(mine.numpy(), theirs, atol=1e-9)


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_em_is_that_of_hmmlearn(covariance):
    hmm = pytest.importorskip("hmmlearn.hmm")
    rng = np.random.default_rng(1)
    lengths = [30, 7, 12]
    x = rng.normal(size=(49, 2)) + 3 * rng.integers(0, 3, (49, 1))
    start, moves, variances = np.full(3, 1 / 3), rng.dirichlet(np.ones(3), 3), np.full((3, 2), 2.0)
    spread = variances if covariance == "diag" else np.stack([np.diag(v) for v in variances])
    rival = hmm.GaussianHMM(
        3, covariance, min_covar=0, covars_prior=0.0, covars_weight=1.0 if covariance == "diag" else 0.0,
        n_iter=6, tol=-np.inf, init_params="",
    )  # fmt: skip
    rival.startprob_, rival.transmat_, rival.means_, rival.covars_ = start, moves, x[:3], spread
    rival.fit(x, lengths)
    name = {"diag": "diagonal"}.get(covariance, covariance)
    fit = fit_gaussian(x, lengths, start, moves, x[:3], spread, covariance=name, iterations=6)
    assert np.allclose(fit.log_likelihood, rival.monitor_.history, rtol=1e-9)


def test_large_blocks_in_float32_find_the_same(monkeypatch):
    rng = np.random.default_rng(2)
    lengths = rng.integers(1, 60, 400)
    x = rng.normal(size=(lengths.sum(), 2)) + 2 * rng.integers(0, 3, (lengths.sum(), 1))
    given = (np.full(3, 1 / 3), rng.dirichlet(np.ones(3), 3), x[:3], np.full((3, 2), 2.0))
    assert len(x) > expectation.SMALL
    fast = fit_gaussian(x, lengths, *given, iterations=15)
    monkeypatch.setattr(expectation, "SMALL", 10**9)
    slow = fit_gaussian(x, lengths, *given, iterations=15)
    assert np.allclose(fast.log_likelihood, slow.log_likelihood, rtol=1e-7)
    assert np.allclose(fast.means, slow.means, atol=1e-4)


def test_categorical_em_counts_what_is_certain():
    table = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    half = np.full((2, 2), 0.5)
    fit = fit_categorical(np.array([0, 1, 2, 0, 0]), [3, 2], half[0], half, table, iterations=2)
    assert np.allclose(fit.start, [1.0, 0.0]) and np.allclose(fit.transitions, [[0.5, 0.5], [0.0, 1.0]])
    assert np.allclose(fit.emissions, [[1, 0, 0], [0, 0.5, 0.5]])
    # start and two moves of one half each at first, and a half for each of the letters 1 and 2
    assert fit.log_likelihood[0] == pytest.approx(7 * np.log(0.5))


def test_lengths_that_do_not_add_up_are_told():
    with pytest.raises(InputError, match="4 steps by lengths, 5 rows"):
        fit_categorical(np.zeros(5), [2, 2], np.ones(1), np.ones((1, 1)), np.ones((1, 1)))


def test_groups_hold_every_row_once_and_are_bounded():
    lengths = torch.randint(0, 60, (500,), generator=generator(0))
    groups = similar(lengths, sequences=64, positions=400)
    assert sorted(torch.cat(groups).tolist()) == list(range(500))
    for rows in groups:
        assert len(rows) <= 64 and len(rows) * max(1, int(lengths[rows].max())) <= max(400, int(lengths[rows].max()))


@pytest.mark.parametrize("lengths", [[7] * 50, list(range(40)), [0], [3, 900], [5, 5, 6, MISSING_LENGTH]])
def test_length_laws_sum_to_one(lengths):
    law = LengthLaw.of(torch.tensor(lengths))
    reach = torch.cat([torch.tensor([MISSING_LENGTH]), torch.arange(20_000)])
    assert float(law.log_prob(reach).exp().sum()) == pytest.approx(1.0, abs=1e-9)


def test_the_longest_of_records_have_a_probability():
    law = LengthLaw.of(torch.tensor([5, 6, 7]))
    far = law.log_prob(torch.tensor([40_000, 40_001]))
    assert torch.isfinite(far).all() and float(far[1] - far[0]) == pytest.approx(np.log(7 / 8))


def test_a_constant_length_costs_next_to_nothing():
    law = LengthLaw.of(torch.full((1_000,), 200))
    assert float(law.log_prob(torch.tensor([200]))) > -1e-3
    assert set(law.sample(200, generator(0)).tolist()) == {200}


def test_a_state_of_few_steps_is_dropped():
    """Its mean would be a training value."""
    x = np.concatenate([np.arange(400) % 7, [1_000, 1_000]])
    event = Ragged(Mixed((Span("x", Continuous(Lattice(0, 1_000, shift=5.0, scale=50.0))),)), 2)
    records = Sequences(event, x[:, None], lengths=np.full(201, 2))
    distribution = learn(Markov(states=2, starts=2), records, 0, Run())
    assert distribution.parameters.states == 1


def test_the_number_of_states_is_found():
    rng = np.random.default_rng(0)
    states = rng.integers(0, 4, (300, 20))
    for t in range(1, 20):
        move = rng.random(300) < 0.15
        states[:, t] = np.where(move, rng.integers(0, 4, 300), states[:, t - 1])
    cells = np.rint(100 * states + 10 * rng.normal(size=states.shape)).astype(np.int64)
    event = Ragged(Mixed((Span("x", Continuous(Lattice(-50, 350, shift=150.0, scale=110.0))),)), 20)
    records = Sequences(event, cells.reshape(-1, 1), lengths=np.full(300, 20))
    distribution = learn(Markov(), records, 0, Run())
    assert distribution.parameters.states == 4
    decoded = distribution.states(records.batch()).numpy()
    table = np.zeros((4, 4), np.int64)
    np.add.at(table, (states, decoded), 1)
    assert table.max(1).sum() / table.sum() > 0.98  # each true state has a learned one


def test_evidence_on_both_sides_of_a_hole_counts():
    """States never change here, so a hole between two letters of state 1 is filled from state 1."""
    distribution = fitted(CASES[0].id)
    own = distribution.parameters
    stays = replace(own, chain=Chain.of(torch.tensor([0.5, 0.5]), torch.eye(2)))
    sharp = {0: torch.tensor([[0.98, 0.01, 0.01], [0.01, 0.01, 0.98]], dtype=torch.float64).log()}
    known = type(distribution)(
        LETTERS,
        distribution.structure,
        Parameters(stays.chain, replace(own.components, tables=sharp), own.lengths),
    )
    cells = torch.tensor([[[0], [2]], [[0], [0]]]).repeat(500, 1, 1)
    mask = torch.tensor([[[False], [True]], [[False], [True]]]).repeat(500, 1, 1)
    made, _ = known.draw(Batch(cells, mask, lengths=torch.full((1_000,), 2)), generator(0))
    first = made.cells[:, 0, 0].reshape(-1, 2)
    assert float((first[:, 0] == 2).double().mean()) > 0.9 and float((first[:, 1] == 0).double().mean()) > 0.9


def test_steps_without_any_known_field_say_nothing():
    case = CASES[1]
    distribution = fitted(case.id)
    batch = case.truth.records(50, seed=1).batch()
    blind = replace(batch, mask=torch.zeros_like(batch.mask), cells=torch.zeros_like(batch.cells))
    expected = distribution.parameters.lengths.log_prob(batch.lengths)
    assert torch.allclose(distribution.log_prob(blind), expected, atol=1e-9)


def test_holes_are_learned_around():
    """A class that is unknown half of the time is learned as well as the rest."""
    case = CASES[0]
    records = case.truth.records(4_000)
    table = records.table.copy()
    table[np.random.default_rng(0).random(len(table)) < 0.3] = ABSENT
    distribution = case.fit(Sequences(LETTERS, table, lengths=records.lengths))
    fresh = case.truth.records(2_000, seed=9)
    gap = case.truth.log_prob(fresh) - distribution.log_prob(fresh.batch()).numpy()
    assert gap.mean() < 0.03


def test_options_out_of_range_are_told():
    for wrong in ({"states": 0}, {"components": 0}, {"covariance": "round"}, {"smoothing": 0.0}, {"starts": 0}):
        with pytest.raises(InputError):
            Markov(**wrong)


def test_sets_and_stepless_records_are_refused():
    family = Markov()
    assert "order" in str(family.refuses_sequences(replace(LETTERS, ordered=False), None))
    assert "given" in str(family.refuses_sequences(LETTERS, Mixed((Span("a", Discrete(2)),))))
    with pytest.raises(InputError, match="no step"):
        learn(family, Sequences(LETTERS, np.zeros((0, 1), np.int64), lengths=np.zeros(3, np.int64)), 0, Run())
