"""The number of components, merge-and-split moves, and stepwise EM: known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from tests.clocks import Ticking

from ensample.budget import Budget
from ensample.errors import InputError
from ensample.events import Continuous, Lattice, Mixed, Span
from ensample.families.mixture.choice import Trials, parameters, priced
from ensample.families.mixture.family import Mixture
from ensample.families.mixture.moves import _proposals, improved
from ensample.kinds.records import Records
from ensample.run import Run
from ensample.train.summaries import fit_by_summaries

FINE = Lattice(-100_000, 100_000, scale=10_000.0)
CENTRES = np.array([[-3.0, -2.0], [3.0, 2.0], [-2.0, 3.0], [2.0, -3.0], [0.0, 0.0]])


def clusters(k: int, n: int = 2_000, seed: int = 0) -> Records:
    rng = np.random.default_rng(seed)
    x = CENTRES[rng.integers(k, size=n)] + rng.normal(size=(n, 2)) @ np.array([[0.5, 0.3], [0.0, 0.3]])
    event = Mixed(tuple(Span(name, Continuous(FINE)) for name in "ab"))
    return Records(event, np.round(x * FINE.scale).astype(np.int64))


def fit(family: Mixture, records: Records, seed: int = 0, **run: object) -> object:
    return fit_by_summaries(family, records, seed, Run(**run))


@pytest.mark.parametrize("choice", ["bic", "dirichlet"])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_the_true_number_of_components_is_found(choice, k):
    model = fit(Mixture(choice=choice), clusters(k))
    assert len(model.components) == k
    assert float(model.components.log_weights.exp().sum()) == pytest.approx(1.0)
    found = model.components.means.numpy()
    assert max(np.abs(found - centre).max(1).min() for centre in CENTRES[:k]) < 0.15


def test_scikit_learn_finds_the_same():
    """Their least criterion, the components that their Dirichlet prior leaves, and the likelihood of both."""
    records = clusters(3, 900)
    x = records.table / FINE.scale
    mixtures = [GaussianMixture(k, random_state=0).fit(x) for k in (2, 3, 4)]
    assert 2 + int(np.argmin([twin.bic(x) for twin in mixtures])) == 3
    sparse = BayesianGaussianMixture(n_components=6, weight_concentration_prior=1e-3, max_iter=300, random_state=0)
    assert (sparse.fit(x).weights_ > 0.01).sum() == 3
    for choice in ("bic", "dirichlet"):
        model = fit(Mixture(choice=choice), records)
        density = float(model.log_prob(records.batch()).mean())
        assert len(model.components) == 3 and density == pytest.approx(mixtures[1].score(x), abs=5e-3)


@pytest.mark.parametrize("options", [{}, {"choice": "bic"}, {"choice": "dirichlet"}, {"components": 6, "moves": 50}])
def test_the_search_for_a_start_ends_within_half_of_the_time(options):
    clock = Ticking(Budget(seconds=10.0))
    model = Mixture(**options).start_within(clusters(5, 500), 0, clock)
    assert clock.ticks < 20 and len(model.components) >= 1


def test_parameters_are_counted():
    for covariance, wanted in {"full": (5, 0), "tied": (2, 3), "diagonal": (4, 0), "spherical": (3, 0)}.items():
        trials = Trials(Mixture(covariance=covariance), clusters(2, 100), 0)
        assert parameters(trials.begun(2)) == wanted


def test_what_does_not_pay_for_its_parameters_is_emptied():
    trials = Trials(Mixture(), clusters(3, 600), 0)
    current = trials.begun(3)
    left = priced(current, torch.tensor([10.0, 2.0, 20.0], dtype=torch.float64), 2.5)
    assert left.components.log_weights.exp().tolist() == pytest.approx([7.5 / 25, 17.5 / 25])
    assert torch.equal(left.components.means, current.components.means[[0, 2]])
    assert len(priced(current, torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64), 2.5).components) == 1


def test_merge_and_split_leaves_a_bad_start():
    """Two components share one cluster and one covers two others: plain EM stays there."""
    records = clusters(4, 3_000)
    trials = Trials(Mixture(4), records, 0)
    x = torch.from_numpy(records.table) / FINE.scale
    nearest = (x[:, None] - torch.from_numpy(CENTRES[:4])).square().sum(2).argmin(1)
    labels = torch.where(nearest == 3, 0, nearest)  # one for clusters 0 and 3
    labels = torch.where((nearest == 1) & (x[:, 0] > 3.0), 3, labels)  # two for cluster 1
    stuck = trials.refined(trials.refined(trials.labelled(labels)))
    best = trials.objective(trials.refined(trials.labelled(nearest))) / len(records)
    assert trials.objective(stuck) / len(records) < best - 0.2
    assert trials.objective(improved(trials, stuck, 0)) == trials.objective(stuck)
    assert trials.objective(improved(trials, stuck, 9)) / len(records) == pytest.approx(best, abs=5e-3)


def test_the_component_of_most_misfit_is_split_first():
    """Few rows in two places under one component fit worse than many in one: counts do not decide."""
    rng = np.random.default_rng(0)
    x = CENTRES[np.repeat([0, 1, 2, 4], [700, 40, 40, 700])] + 0.3 * rng.normal(size=(1480, 2))
    event = Mixed(tuple(Span(name, Continuous(FINE)) for name in "ab"))
    trials = Trials(Mixture(4), Records(event, np.round(x * FINE.scale).astype(np.int64)), 0)
    labels = torch.tensor(np.repeat([0, 1, 2, 3], [700, 80, 350, 350]))
    (merged, split), *_ = _proposals(trials, trials.refined(trials.labelled(labels)))
    assert merged == (2, 3) and split == 1


def test_moves_never_make_it_worse():
    records = clusters(5, 1_000, seed=3)
    trials = Trials(Mixture(6), records, 1)
    start = trials.refined(trials.begun(6))
    assert trials.objective(improved(trials, start, 5)) >= trials.objective(start)
    x = torch.from_numpy(records.table) / FINE.scale
    nearest = (x[:, None] - torch.from_numpy(CENTRES)).square().sum(2).argmin(1)
    best = trials.refined(trials.refined(trials.labelled(nearest)))
    assert improved(trials, best, 3) is best


def test_stepwise_em_reaches_full_em_in_fewer_passes():
    records = clusters(5, 8_000)
    start = Mixture(5).start(clusters(5, 50, seed=9), 4)  # a poor one
    losses: dict[int | None, list[float]] = {}
    ends = {}
    for minibatch in (None, 200):
        seen = losses.setdefault(minibatch, [])
        run = Run(report=lambda progress, seen=seen: seen.append(progress.loss))
        family = Mixture(5, minibatch=minibatch, tolerance=1e-5, steps=40)
        ends[minibatch] = fit_by_summaries(family, records, 0, run, start=start)
    likelihood = {m: float(model.log_prob(records.batch()).mean()) for m, model in ends.items()}
    assert likelihood[200] == pytest.approx(likelihood[None], abs=1e-2)
    reached = {
        m: next(i for i, loss in enumerate(seen) if loss < losses[None][-1] + 0.01) for m, seen in losses.items()
    }
    assert reached[200] < reached[None]


def test_a_stopped_stepwise_run_ends_with_the_same_bits(tmp_path):
    records = clusters(3, 2_000)
    whole = fit(Mixture(3, minibatch=100, steps=4, tolerance=0.0), records)
    fit(Mixture(3, minibatch=100, steps=2, tolerance=0.0), records, folder=tmp_path)
    again = fit(Mixture(3, minibatch=100, steps=4, tolerance=0.0), records, folder=tmp_path)
    assert torch.equal(whole.components.means, again.components.means)
    other = fit(Mixture(3, minibatch=100, steps=4, tolerance=0.0), records, seed=1)
    assert not torch.equal(whole.components.means, other.components.means)


def test_unknown_choices_are_refused():
    with pytest.raises(InputError, match="held-out, bic, dirichlet"):
        Mixture(choice="aic")
