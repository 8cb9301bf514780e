"""Linear measurements, fields that agree with them: pseudo-inverses, a Gaussian whose conditional law is known."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Generator, Tensor

from ensample.solvers.measured import Blur, Downsample, Grey, Mask, Measured, travelled
from ensample.solvers.paths import PATHS, Path, polynomial

KNOWN = torch.tensor([True, True, False, False]).view(1, 1, 2, 2)

MAPS = {
    "mask": (Mask(torch.arange(12).view(1, 1, 4, 3) % 3 > 0), (1, 4, 3)),
    "down": (Downsample(2), (2, 4, 6)),
    "grey": (Grey(), (3, 4, 5)),
    "blur": (Blur.gaussian(6, 5, 0.7), (2, 6, 5)),
}


@pytest.mark.parametrize("name", MAPS)
def test_pseudo_inverses_and_constants(name):
    """A A+ A = A, A+ A is symmetric, and a picture of one level stays one."""
    linear, shape = MAPS[name]
    size = torch.Size(shape).numel()
    basis = torch.eye(size, dtype=torch.float64).view(size, *shape)
    a = linear.of(basis)
    again = linear.back(a)
    assert torch.allclose(linear.of(again), a, atol=1e-9)
    onto = again.flatten(1)
    assert torch.allclose(onto, onto.T, atol=1e-9)
    matrix = a.flatten(1).T
    assert torch.allclose(onto, torch.linalg.pinv(matrix, rtol=1e-3) @ matrix, atol=1e-9)
    if name != "mask":
        assert torch.allclose(linear.of(torch.full((1, *shape), 0.4).double()), torch.tensor(0.4).double())


@pytest.mark.parametrize("name", MAPS)
def test_ridge_is_the_posterior_mean_of_white_pictures(name):
    linear, shape = MAPS[name]
    size = torch.Size(shape).numel()
    matrix = linear.of(torch.eye(size, dtype=torch.float64).view(size, *shape)).flatten(1).T
    y = linear.of(torch.randn(1, *shape, generator=Generator().manual_seed(0), dtype=torch.float64))
    ridge = 0.3
    gram = matrix @ matrix.T + ridge * torch.eye(len(matrix), dtype=torch.float64)
    truth = matrix.T @ torch.linalg.solve(gram, y.flatten())
    assert torch.allclose(linear.back(y, ridge).flatten(), truth, atol=1e-9)


@dataclass
class Gaussian:
    """The exact field of correlated Gaussian pixels."""

    path: Path
    mean: Tensor
    cov: Tensor

    def __post_init__(self) -> None:
        self.sizes, self.turn = torch.linalg.eigh(self.cov)

    def predict(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        alpha, sigma = self.path.alpha(t), self.path.sigma(t)
        part = (x - alpha * self.mean) @ self.turn / (alpha**2 * self.sizes + sigma**2)
        return self.mean + alpha * (part * self.sizes) @ self.turn.T, sigma * part @ self.turn.T


def correlated(path: str = "edm") -> Gaussian:
    a = torch.randn(4, 4, generator=Generator().manual_seed(0), dtype=torch.float64)
    cov = a @ a.T / 4 + 0.1 * torch.eye(4, dtype=torch.float64)
    return Gaussian(PATHS[path], torch.tensor([0.3, -0.2, 0.1, 0.4]).double(), cov / cov.diagonal().mean())


def completed(field: Gaussian, y: Tensor, travel: int, rows: int = 1_500, steps: int = 40) -> Tensor:
    measured = Measured(field, Mask(KNOWN), y.expand(rows, 1, 2, 2), (1, 2, 2))
    grid, g = polynomial(field.path, steps, 0.03, 80.0), Generator().manual_seed(1)
    x = field.path.spread(grid[:1]) * torch.randn(rows, 4, generator=g, dtype=torch.float64)
    return travelled(measured, x, grid, g, travel)


@pytest.mark.parametrize("path", ["edm", "linear"])
def test_law_8_completions_come_near_to_the_closed_form_with_more_turns(path):
    """What is known stays; the mean and spread of the rest approach those of the conditional law."""
    field = correlated(path)
    y = torch.tensor([1.0, -0.5, 0.0, 0.0]).double().view(1, 1, 2, 2)
    known, rest = slice(0, 2), slice(2, 4)
    gain = field.cov[rest, known] @ torch.linalg.inv(field.cov[known, known])
    mean = field.mean[rest] + gain @ (y.flatten()[known] - field.mean[known])
    cov = field.cov[rest, rest] - gain @ field.cov[known, rest]
    away = {}
    for travel in (1, 16):
        x = completed(field, y, travel)
        assert torch.allclose(x[:, known], y.flatten()[known].expand(len(x), 2), atol=0.02)
        away[travel] = float((x[:, rest].mean(0) - mean).norm())
        if travel > 1:
            assert torch.allclose(torch.cov(x[:, rest].T), cov, atol=0.15)
    assert away[16] < 0.15 < 0.4 < away[1]  # the mean lies 1.0 from that of the law without what is known


def test_without_correlation_completions_are_exact():
    field = Gaussian(PATHS["edm"], torch.tensor([0.0, 0.0, 1.0, -1.0]).double(), torch.eye(4).double() * 0.5)
    x = completed(field, torch.tensor([2.0, 2.0, 0.0, 0.0]).double().view(1, 1, 2, 2), 1, steps=400)
    assert torch.allclose(x[:, 2:].mean(0), field.mean[2:], atol=0.05)
    assert torch.allclose(torch.cov(x[:, 2:].T), field.cov[2:, 2:], atol=0.05)


def test_noise_in_a_measurement_is_allowed_for():
    """White pictures and one noisy pixel: the data move by the gain of the posterior, not all the way."""
    field = Gaussian(PATHS["edm"], torch.zeros(4).double(), torch.eye(4).double())
    y, noise = torch.tensor([1.0, 0.0, 0.0, 0.0]).double().view(1, 1, 2, 2), 0.8
    mask = torch.tensor([True, False, False, False]).view(1, 1, 2, 2)
    t = field.path.time(torch.tensor([50.0]).double())
    x = torch.zeros(1, 4).double()
    exact, trusting = (Measured(field, Mask(mask), y, (1, 2, 2), sd).predict(x, t)[0] for sd in (noise, 0.0))
    assert float(exact[0, 0]) == pytest.approx(1 / (1 + noise**2), abs=1e-3)
    assert float(trusting[0, 0]) == pytest.approx(1.0)
    rows = 1_500
    measured = Measured(field, Mask(mask), y.expand(rows, 1, 2, 2), (1, 2, 2), noise)
    grid, g = polynomial(field.path, 40, 0.03, 80.0), Generator().manual_seed(2)
    made = travelled(measured, 80 * torch.randn(rows, 4, generator=g, dtype=torch.float64), grid, g, 16)
    assert float(made[:, 0].mean()) == pytest.approx(1 / (1 + noise**2), abs=0.1)
