"""How wrong a field of pictures is: least squares at random levels of noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.families.field.coupling import COUPLINGS
from ensample.families.field.mean import bend, earlier
from ensample.families.images.field.network import PictureField
from ensample.solvers.paths import log_normal


@dataclass(frozen=True)
class Learning:
    """How rows are prepared.

    Arguments:
        mean, sd: of the normal law of log(sigma / alpha), by which levels of noise are drawn.
        drop: share of rows that learn without the given fields.
        coupling: of noise with pictures, a name of `families.field.coupling.COUPLINGS`.
    """

    mean: float
    sd: float
    drop: float
    coupling: str


@dataclass(frozen=True)
class Told:
    """Given fields [rows, given], as far as they tell rows apart."""

    given: Tensor

    def labels(self) -> Tensor:
        """A number for each row [rows] int64, the same for rows of which the same is given."""
        return torch.from_numpy(np.unique(self.given.numpy(), axis=0, return_inverse=True)[1].ravel())


def errors(
    field: PictureField, data: Tensor, known: Tensor, learning: Learning, generator: Generator, slopes: bool = True
) -> Tensor:
    """Mean squared error of each row [rows], by the weight of its time.

    Arguments:
        field: of these rows.
        data: numbers [rows, coordinates].
        known: which of them count, bool of the same shape.
        learning: how rows are prepared.
        generator: of all noise.
        slopes: off where only the instant field is judged and not what lies between two times.
    """
    rows = len(data)
    place = torch.randperm(rows, generator=generator)[:, None] + torch.rand(rows, 1, generator=generator)
    path, parameterisation = field.path, field.parameterisation
    t = log_normal(path, place / rows, learning.mean, learning.sd)
    field = field.learning(torch.rand(rows, 1, generator=generator) >= learning.drop)
    noise = torch.randn(data.shape, generator=generator)
    noise = COUPLINGS[learning.coupling](data, noise, Told(field.given))
    x = path.alpha(t) * data + path.sigma(t) * noise
    target = parameterisation.target(data, noise, path, t)
    s = None
    if parameterisation.jumps:
        s = earlier(t, generator) if slopes else t
        if slopes:
            target = target - bend(field.output, x, t, s, target)
    wrong = torch.where(known, (field.output(x, t, s) - target).square(), 0.0).mean(1)
    return parameterisation.weight(path, t).squeeze(1) * wrong
