"""What a solver may ask of a field, whatever was learned and however it is parameterised."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ensample.solvers.paths import Path


class Field(Protocol):
    """The data and the noise that a state is expected to hold: `x = alpha data + sigma noise`."""

    @property
    def path(self) -> Path:
        """The way from data to noise."""
        ...

    def predict(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """E[x_0 | x_t = x] and E[e | x_t = x], each like x [rows, columns]; t is [1] or [rows, 1]."""
        ...


class Jumping(Field, Protocol):
    """A field that also knows its mean velocity over any piece of the way (Geng et al. 2025)."""

    def mean_velocity(self, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """The mean of dx/dt between times s and t along the flow line that passes x at time t."""
        ...


def velocity(field: Field, x: Tensor, t: Tensor) -> Tensor:
    """dx/dt of the probability-flow ODE (Song et al. 2021): `alpha' data + sigma' noise`."""
    data, noise = field.predict(x, t)
    d_alpha, d_sigma = field.path.rates(t)
    return d_alpha * data + d_sigma * noise


def score(field: Field, x: Tensor, t: Tensor) -> Tensor:
    """Gradient of log p_t(x): `-noise / sigma` (Tweedie)."""
    return -field.predict(x, t)[1] / field.path.sigma(t)
