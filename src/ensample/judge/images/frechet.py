"""Frechet distance between two sets of features (Heusel et al., 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ensample.errors import InputError
from ensample.judge.measure import resamples


@dataclass(frozen=True)
class Gaussian:
    """Mean [d], covariance [d, d] (float64, divided by rows - 1) and a square root of it, of some features."""

    mean: np.ndarray
    covariance: np.ndarray
    root: np.ndarray
    inverse: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> Gaussian:
        """Raises InputError: fewer than two rows, or numbers that are not finite."""
        wide = np.asarray(features, np.float64)
        if wide.ndim != 2 or len(wide) < 2 or not np.isfinite(wide).all():
            raise InputError(
                "A Frechet distance is of two finite matrices of features with two rows at least.",
                "features",
                f"shape {wide.shape}, {int((~np.isfinite(wide)).sum())} numbers not finite",
                "pass more pictures, or another extractor",
            )
        covariance = np.atleast_2d(np.cov(wide, rowvar=False))
        values, vectors = np.linalg.eigh(covariance)
        # what rounding leaves of a zero would count with its square root, ten thousand times as much
        cut = values > values[-1] * len(values) * np.finfo(np.float64).eps
        sizes = np.sqrt(np.where(cut, values, 0.0))
        root = (vectors * sizes) @ vectors.T
        inverse = (vectors * np.where(cut, 1 / np.where(cut, sizes, 1.0), 0.0)) @ vectors.T
        return cls(wide.mean(0), covariance, root, inverse)


def frechet_distance(made: np.ndarray | Gaussian, real: np.ndarray | Gaussian) -> float:
    """Squared 2-Wasserstein distance of two normal distributions with the means and covariances of the features.

        |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1^(1/2) S2 S1^(1/2))^(1/2)

    The last trace is the sum of the singular values of `S1^(1/2) S2^(1/2)`, which loses no digits where a product of
    covariances would square its condition.

    Arguments:
        made: features [rows, dimensions], or their `Gaussian`.
        real: the same of real pictures.

    Raises:
        InputError: fewer than two rows, or numbers that are not finite.

    Example:
        >>> a = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
        >>> round(frechet_distance(a + 3, a), 9)
        18.0
    """
    a, b = (g if isinstance(g, Gaussian) else Gaussian.of(g) for g in (made, real))
    overlap = np.linalg.svd(a.root @ b.root, compute_uv=False).sum()
    return _distance(a, b, float(overlap))


def _distance(a: Gaussian, b: Gaussian, overlap: float) -> float:
    apart = a.mean - b.mean
    return float(apart @ apart + np.trace(a.covariance) + np.trace(b.covariance) - 2 * overlap)


def frechet_draws(made: np.ndarray, real: np.ndarray, seed: int) -> tuple[float, np.ndarray]:
    """The distance and bootstrap replicates of it [DRAWS], to first order in the resampling.

    The distance is smooth in means and covariances, so a replicate is the value plus the mean influence of the rows it
    drew. With T the optimal map between the two normal distributions, the influence of a row x of the made side is
    `2 (m1 - m2)'(x - m1) + (x - m1)'(I - T)(x - m1)` less its mean; for the real side, T's inverse stands for T.
    Real rows are drawn alike for every model that is judged with this seed.
    """
    a, b = Gaussian.of(made), Gaussian.of(real)
    u, sizes, v = np.linalg.svd(a.root @ b.root)
    value = _distance(a, b, float(sizes.sum()))
    forth, back = b.root @ v.T @ u.T @ a.inverse, a.root @ u @ v @ b.inverse
    apart = a.mean - b.mean
    draws = np.full(1, value)
    for rows, gaussian, step, map_, key in ((made, a, apart, forth, seed + 1), (real, b, -apart, back, seed)):
        each = _influence(np.asarray(rows, np.float64) - gaussian.mean, step, map_)
        draws = draws + resamples(len(each), key) @ each / len(each)
    return value, draws


def _influence(centred: np.ndarray, step: np.ndarray, transport: np.ndarray) -> np.ndarray:
    each = 2 * centred @ step + np.einsum("nd,nd->n", centred, centred - centred @ (transport + transport.T) / 2)
    return np.asarray(each - each.mean())
