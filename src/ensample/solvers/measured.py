"""What is missing given what is there: linear measurements of pictures, and fields that agree with one.

A field says what data a noisy state is expected to hold; a measurement y = A x_0 + noise says something of them too.
`Measured` joins both, and any solver can follow it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ensample.solvers.field import Field
from ensample.solvers.paths import Path
from ensample.solvers.steps import Ancestral

LEAST = 1e-3
"""Singular values of a blur below this share of the largest are taken as lost."""


class Measurement(ABC):
    """A linear map A of pictures [rows, channels, height, width] that keeps constants. Abstract; leaves are final."""

    @abstractmethod
    def of(self, x: Tensor) -> Tensor:
        """A x."""

    @abstractmethod
    def back(self, y: Tensor, ridge: Tensor | float = 0.0) -> Tensor:
        """`A' (A A' + ridge)^-1 y`, the pseudo-inverse where `ridge` is 0; it may be [rows, 1, 1, 1]."""


@dataclass(frozen=True)
class Mask(Measurement):
    """Pixels that are known, the others 0: inpainting, and outpainting where a border is unknown.

    Arguments:
        known: bool, of the shape of the pictures or one that broadcasts to it.
    """

    known: Tensor

    def of(self, x: Tensor) -> Tensor:
        """Known pixels."""
        return x * self.known

    def back(self, y: Tensor, ridge: Tensor | float = 0.0) -> Tensor:
        """The same pixels, 0 elsewhere."""
        return y * self.known / (1 + ridge)


@dataclass(frozen=True)
class Downsample(Measurement):
    """Means of squares of pixels: what super-resolution starts from.

    Arguments:
        factor: side of a square; height and width are multiples of it.

    Example:
        >>> Downsample(2).of(torch.tensor([[[[0.0, 2.0], [4.0, 6.0]]]])).item()
        3.0
    """

    factor: int

    def of(self, x: Tensor) -> Tensor:
        """The small picture."""
        return F.avg_pool2d(x, self.factor)

    def back(self, y: Tensor, ridge: Tensor | float = 0.0) -> Tensor:
        """Each small pixel spread over its square; `A A' = 1 / factor^2`."""
        return F.interpolate(y / (1 + ridge * self.factor**2), scale_factor=float(self.factor), mode="nearest")


@dataclass(frozen=True)
class Grey(Measurement):
    """A weighted mean of the colours: what colourisation starts from.

    Arguments:
        weights: of the channels, of sum 1; by default those of luma (ITU-R BT.601) for red, green and blue.
    """

    weights: tuple[float, ...] = (0.299, 0.587, 0.114)

    def _row(self, like: Tensor) -> Tensor:
        return torch.tensor(self.weights, dtype=like.dtype)[:, None, None]

    def of(self, x: Tensor) -> Tensor:
        """The grey picture [rows, 1, height, width]."""
        return (x * self._row(x)).sum(1, keepdim=True)

    def back(self, y: Tensor, ridge: Tensor | float = 0.0) -> Tensor:
        """The shortest colours of that mean."""
        row = self._row(y)
        return row * y / (row.square().sum() + ridge)


@dataclass(frozen=True)
class Blur(Measurement):
    """A separable blur, a Gaussian one by `Blur.gaussian`; edges are mirrored.

    Arguments:
        down, across: matrices [height, height] and [width, width] that blur columns and rows; their rows sum to 1.
    """

    down: Tensor
    across: Tensor

    @classmethod
    def gaussian(cls, height: int, width: int, sd: float) -> Blur:
        """A Gaussian blur of this standard deviation, in pixels."""
        return cls(_mirrored(height, sd), _mirrored(width, sd))

    def of(self, x: Tensor) -> Tensor:
        """The blurred picture."""
        return self.down.to(x.dtype) @ x @ self.across.to(x.dtype).T

    def back(self, y: Tensor, ridge: Tensor | float = 0.0) -> Tensor:
        """By the singular values of both matrices; those that are nearly 0 stay lost."""
        u, s, v = (part.to(y.dtype) for part in torch.linalg.svd(self.down.to(torch.float64)))
        p, r, q = (part.to(y.dtype) for part in torch.linalg.svd(self.across.to(torch.float64)))
        size = s[:, None] * r
        gain = torch.where(size > LEAST * size.max(), size / (size.square() + ridge), 0.0)
        out: Tensor = v.T @ (gain * (u.T @ y @ p)) @ q
        return out


def _mirrored(size: int, sd: float) -> Tensor:
    """A Gaussian blur as a matrix [size, size] float64, edges mirrored."""
    reach = math.ceil(4 * sd)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / sd).square())
    place = torch.arange(size)[:, None] + torch.arange(-reach, reach + 1)
    place = torch.remainder(place, 2 * size)
    place = torch.minimum(place, 2 * size - 1 - place)
    out = torch.zeros(size, size, dtype=torch.float64)
    return out.scatter_add_(1, place, (weights / weights.sum()).expand(size, -1).contiguous())


@dataclass(frozen=True)
class Measured:
    """A field whose data agree with a measurement `y = A x_0 + noise`.

    Without noise they are projected, `A+ y + (1 - A+ A) data` (DDNM: Wang, Yu and Zhang 2023). With it they move to the
    mean of x_0 given y, where x_0 is thought normal about the data with the variance sigma^2 / (alpha^2 + sigma^2) that
    data of unit variance would have (Zhu et al. 2023). Neither is exact: the covariance of what is missing with what is
    there is left to the later steps.

    Arguments:
        field: of rows [rows, coordinates].
        measurement: A.
        y: what was measured, [rows, ...] in units of the field.
        shape: of a picture.
        noise: standard deviation of the measurement's noise.
    """

    field: Field
    measurement: Measurement
    y: Tensor
    shape: tuple[int, ...]
    noise: float = 0.0

    @property
    def path(self) -> Path:
        """That of the field."""
        return self.field.path

    def predict(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Data that agree, and the noise that is left."""
        data = self.field.predict(x, t)[0].view(-1, *self.shape)
        alpha, sigma = self.path.alpha(t), self.path.sigma(t)
        ridge = self.noise**2 * (self.path.spread(t) / sigma).square().view(-1, 1, 1, 1)
        missed = self.y - self.measurement.of(data)
        data = (data + self.measurement.back(missed, ridge if self.noise else 0.0)).flatten(1)
        return data, (x - alpha * data) / sigma


def travelled(field: Field, x: Tensor, grid: Tensor, generator: Generator, travel: int = 1) -> Tensor:
    """The reverse chain of DDPM along a falling grid, each step taken `travel` times with noise put back between.

    What is missing then gets several chances to fit what is there (RePaint: Lugmayr et al. 2022).

    Arguments:
        field: `Measured`.
        x: states [rows, coordinates] at the first time.
        grid: times [steps + 1].
        generator: of the noise.
        travel: 1 goes down once.
    """
    step, path = Ancestral(), field.path
    for t, s in pairwise(grid.to(x.dtype)[:, None]):
        for left in reversed(range(travel)):
            x = step(field, x, torch.cat([t, s]), generator)
            if left:
                ratio = path.alpha(t) / path.alpha(s)
                fresh = (path.sigma(t).square() - (ratio * path.sigma(s)).square()).clamp(min=0.0).sqrt()
                x = ratio * x + fresh * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x
