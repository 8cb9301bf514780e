"""The fast passes against scikit-learn, against plain formulas, and where float32 gives out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from ensample.errors import InputError
from ensample.families.mixture.covariance import STRUCTURES
from ensample.families.mixture.em import fit_em
from ensample.families.mixture.kernels import BLOCK, TRUSTED, Rows, accumulate, kernel_settings

SKLEARN = {"full": "full", "tied": "tied", "diagonal": "diag", "spherical": "spherical"}
K = 3


def clusters(n: int = 2 * BLOCK + 777, d: int = 4, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    means, which = rng.normal(size=(K, d)) * 3, rng.integers(K, size=n)
    shapes = rng.normal(size=(K, d, d)) * 0.4 + np.eye(d)
    x = np.einsum("nd,nde->ne", rng.normal(size=(n, d)), shapes[which]) + means[which]
    return x * np.array([1, 10, 0.1, 1])[:d] + 7


def start(x: np.ndarray, covariance: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    means = x[np.random.default_rng(1).choice(len(x), K, replace=False)]
    variances = x.var(0)
    shapes = {
        "full": np.stack([np.diag(variances)] * K),
        "tied": np.diag(variances),
        "diagonal": np.stack([variances] * K),
        "spherical": np.full(K, variances.mean()),
    }
    return np.full(K, 1 / K), means, shapes[covariance]


def twin(x: np.ndarray, covariance: str, iterations: int) -> GaussianMixture:
    weights, means, covariances = start(x, covariance)
    inverse = np.linalg.inv if covariance in ("full", "tied") else lambda c: 1 / c
    model = GaussianMixture(
        K,
        covariance_type=SKLEARN[covariance],
        tol=0.0,
        max_iter=iterations,
        weights_init=weights,
        means_init=means,
        precisions_init=inverse(covariances),
        init_params="random_from_data",
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning):
        return model.fit(x)


@pytest.mark.parametrize("covariance", SKLEARN)
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_twin_of_scikit_learn(covariance, dtype, close):
    x = clusters()
    theirs, ours = twin(x, covariance, 15), fit_em(x, *start(x, covariance), covariance, 15, dtype)
    assert np.allclose(ours.weights, theirs.weights_, rtol=close)
    assert np.allclose(ours.means, theirs.means_, rtol=close, atol=close)
    assert np.allclose(ours.covariances, theirs.covariances_, rtol=close, atol=close * theirs.covariances_.max())
    assert ours.log_likelihood[-1] == pytest.approx(theirs.lower_bound_, abs=max(close / 10, 1e-9))


@pytest.mark.parametrize("covariance", SKLEARN)
def test_likelihood_never_falls(covariance):
    x = clusters(3_000)
    steps = np.diff(fit_em(x, *start(x, covariance), covariance, 40, ridge=0.0).log_likelihood)
    assert steps.min() > -1e-10
    assert steps[0] > 0.01


def test_threads_do_not_matter():
    x = clusters(9 * BLOCK)
    one, two = (fit_em(x, *start(x, "full"), "full", 5, threads=threads) for threads in (1, 2))
    assert torch.allclose(one.covariances, two.covariances, rtol=1e-10)


def test_global_settings_are_restored():
    torch.set_float32_matmul_precision("highest")  # torch's default
    before = torch.get_num_threads(), "highest"
    fit_em(clusters(500), *start(clusters(500), "full"), "full", 2, torch.float32)
    with pytest.raises(ZeroDivisionError), kernel_settings():
        raise ZeroDivisionError
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before


@pytest.mark.parametrize("name", ["full", "diagonal"])
def test_pass_is_the_plain_formula(name):
    """Responsibilities, sums and likelihood, classes and noise included, by loops over components."""
    rng = np.random.default_rng(0)
    n, d, k, classes = 700, 3, 4, 5
    x, codes = torch.tensor(rng.normal(size=(n, d))), torch.tensor(rng.integers(classes, size=n))
    noise = torch.tensor(rng.random((n, d)) * 0.1)
    means, spread = torch.tensor(rng.normal(size=(k, d))), torch.tensor(rng.random((k, d)) + 0.2)
    mixing = torch.tensor(rng.normal(size=(k, d, d)) * 0.3)
    structure = STRUCTURES[name]
    full = torch.diag_embed(spread) + (mixing @ mixing.mT if name == "full" else 0.0)
    covariances = full if name == "full" else spread
    log_weights = torch.log_softmax(torch.tensor(rng.normal(size=k)), 0)
    table = torch.log_softmax(torch.tensor(rng.normal(size=(k, classes))), 1)
    natural = structure.form.natural(log_weights, means, covariances)
    sums = accumulate(Rows(x, noise, (codes,)), structure.form, natural, (table,), torch.float64, 1)

    joint = torch.stack(
        [
            torch.distributions.MultivariateNormal(means[j], full[j]).log_prob(x)
            - 0.5 * noise @ torch.linalg.inv(full[j]).diagonal()
            + log_weights[j]
            + table[j, codes]
            for j in range(k)
        ],
        1,
    )
    share = torch.softmax(joint, 1)
    count, first, second = structure.form.moments(sums.features, d)
    squares = share.T @ (x**2 + noise)
    assert sums.log_prob == pytest.approx(float(joint.logsumexp(1).sum()), rel=1e-12)
    assert torch.allclose(count, share.sum(0))
    assert torch.allclose(first, share.T @ x)
    assert torch.allclose(structure.form.diagonal(second), squares)
    if name == "full":
        assert torch.allclose(second[:, 0, 2], share.T @ (x[:, 0] * x[:, 2]))
    assert torch.allclose(sums.classes[0], share.T @ torch.nn.functional.one_hot(codes, classes).double())


@pytest.mark.parametrize("size", [1e-1, 1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_narrow_components_far_from_the_centre(covariance, size):
    """Where products of float32 would cancel, the result is still that of float64."""
    rng = np.random.default_rng(0)
    centres = np.array([[2.0, -2, 2, 2], [-2, 2, -2, 2], [0, 0, 1, -3]])
    x = np.repeat(centres, 3_000, 0) + rng.normal(size=(9_000, 4)) * np.repeat([1.0, size, size], 3_000)[:, None]
    variances = np.repeat([1.0, size**2, size**2], 4).reshape(3, 4)
    begin = np.full(3, 1 / 3), centres, np.stack([np.diag(v) for v in variances]) if covariance == "full" else variances
    wide, narrow = (fit_em(x, *begin, covariance, 10, dtype, ridge=1e-12) for dtype in (torch.float64, torch.float32))
    assert narrow.log_likelihood[-1] == pytest.approx(wide.log_likelihood[-1], abs=1e-4)
    assert torch.allclose(narrow.covariances, wide.covariances, rtol=2e-3, atol=2e-3 * size**2)


def test_float32_is_refused_only_where_it_errs():
    """The bound is above the error of every likely component, and the trusted error is small."""
    rng = np.random.default_rng(3)
    form, eps = STRUCTURES["full"].form, torch.finfo(torch.float32).eps
    for size in (1.0, 0.3, 0.1, 0.03, 0.01):
        shape = torch.tensor(rng.normal(size=(1, 6, 6))) * 0.3 + torch.eye(6, dtype=torch.float64)
        covariance, mean = shape @ shape.mT * size**2, torch.tensor(rng.normal(size=(1, 6)) * 2)
        x = mean + torch.tensor(rng.normal(size=(2_000, 6))) @ shape[0].T * size
        natural = form.natural(torch.zeros(1, dtype=torch.float64), mean, covariance)
        phi = form.features(x.T, None, torch.empty(form.size(6), 2_000, dtype=torch.float64))
        error = ((natural.weights.float() @ phi.float()).double() - natural.weights @ phi).abs().max() * math.log(2)
        assert float(error) < natural.terms * eps * 3
        if size == 1.0:
            assert natural.terms * eps < TRUSTED
        if size == 0.01:
            assert natural.terms * eps > TRUSTED


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_beyond_the_range_of_the_number_format(dtype):
    """An outlier so far away that every component underflows is still shared out and counted."""
    x = clusters(2_000)
    x[5] += 400 * x.std(0)
    covariance = "diagonal"
    begin = start(x[:2_000], covariance)
    one = fit_em(x, *begin[:2], begin[2] / 1e2, covariance, 1, dtype)
    rows = torch.tensor(x)
    normal = torch.distributions.Normal(torch.tensor(begin[1])[:, None], torch.tensor(begin[2] / 1e2)[:, None].sqrt())
    expected = (normal.log_prob(rows).sum(2) - math.log(K)).logsumexp(0)
    assert float(expected.min()) < -800
    assert one.log_likelihood[0] == pytest.approx(float(expected.mean()), rel=1e-5)


def test_unusable_input_is_told():
    x = clusters(50)
    with pytest.raises(InputError, match="covariance structure"):
        fit_em(x, *start(x, "full"), "round")
    x[3, 1] = np.nan
    with pytest.raises(InputError, match="finite matrix"):
        fit_em(x, *start(x, "full"), "full")
