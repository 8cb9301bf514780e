"""EM for a Gaussian mixture on a plain matrix: the passes of `mixture_kernels` from a given start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ensample.errors import InputError
from ensample.families.mixture.covariance import Moments, structure_named
from ensample.families.mixture.kernels import BLOCK, Rows, accumulate, kernel_settings


@dataclass(frozen=True)
class Fit:
    """What `fit_em` found: float64, in scikit-learn's shapes, with the mean log-likelihood before each iteration."""

    weights: Tensor
    means: Tensor
    covariances: Tensor
    log_likelihood: tuple[float, ...]


def fit_em(
    x: np.ndarray | Tensor,
    weights: np.ndarray | Tensor,
    means: np.ndarray | Tensor,
    covariances: np.ndarray | Tensor,
    covariance: str = "full",
    iterations: int = 50,
    dtype: torch.dtype = torch.float64,
    ridge: float = 1e-6,
    threads: int | None = None,
) -> Fit:
    """Iterations of EM for a Gaussian mixture, from a given start, on complete numeric rows.

    Arguments:
        x: rows [n, d], float32 or float64, not copied.
        weights: [k], summing to one.
        means: [k, d].
        covariances: [k, d, d] for "full", [d, d] for "tied", [k, d] for "diagonal", [k] for "spherical".
        covariance: the structure.
        iterations: how many.
        dtype: of the matrix products; with float32 those that would lose accuracy are still done in float64.
        ridge: added to every variance, in the units of x squared.
        threads: of this process; as many as torch uses by default.

    Raises:
        InputError: the structure is unknown, or x is not a finite matrix.

    Example:
        >>> rows = np.array([[0.0], [0.2], [5.0], [5.2]])
        >>> fit = fit_em(rows, [0.5, 0.5], [[0.0], [4.0]], [[1.0], [1.0]], covariance="diagonal", iterations=5)
        >>> fit.means[:, 0].round(decimals=3).tolist()
        [0.1, 5.1]
    """
    structure = structure_named(covariance)
    with kernel_settings() as inherited:
        rows = _standardised(torch.as_tensor(x), structure.isotropic)
        weights, means, covariances = (torch.as_tensor(a, dtype=torch.float64) for a in (weights, means, covariances))
        shift, scale = torch.as_tensor(rows.shift), torch.as_tensor(rows.scale)
        means = (means - shift) / scale
        covariances = structure.form.rescale(structure.widen(covariances, means), 1.0 / scale)
        history = []
        for _ in range(iterations):
            natural = structure.form.natural(weights.log(), means, covariances)
            sums = accumulate(rows, structure.form, natural, (), dtype, threads or inherited)
            history.append(sums.log_prob / len(rows) - float(scale.log().sum()))
            count, first, second = structure.form.moments(sums.features, means.shape[1])
            moments = Moments(count, count[:, None].expand_as(first), first, second)
            means, before = moments.means(means), covariances
            covariances = structure.pool(moments, means, before, ridge / scale.square())
            weights = (count / count.sum()).clamp(min=1e-300)
    covariances = structure.narrow(structure.form.rescale(covariances, scale))
    return Fit(weights, means * scale + shift, covariances, tuple(history))


def _standardised(x: Tensor, isotropic: bool) -> Rows:
    """Rows seen through the mean and standard deviation of each column (of all columns together if isotropic)."""
    finite = x.ndim == 2 and len(x) > 0 and bool(torch.isfinite(x).all())
    if not finite:
        raise InputError(
            "Rows for EM are a finite matrix.", "x", f"shape {tuple(x.shape)}", "leave out rows with holes"
        )
    shift = x.mean(0, dtype=torch.float64)
    square = sum((part.to(torch.float64) - shift).square().sum(0) for part in torch.split(x, BLOCK)) / len(x)
    assert isinstance(square, Tensor)
    if isotropic:
        square = square.mean().expand_as(square)
    scale = torch.where(square > 0.0, square.sqrt(), 1.0)
    return Rows(x, None, (), shift, scale)
