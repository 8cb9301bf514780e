"""What the covariances of the components may look like: full, tied, diagonal or spherical."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ensample.errors import InputError
from ensample.families.mixture.forms import Axis, Dense, Form


@dataclass(frozen=True)
class Moments:
    """Weighted sums over rows: those of x [k, d] and of its products [k, d, d] or [k, d].

    `count` [k] are the weights of all rows, `observed` [k, d] those of the rows in which a coordinate is known.
    """

    count: Tensor
    observed: Tensor
    first: Tensor
    second: Tensor

    def means(self, before: Tensor) -> Tensor:
        """[k, d]; a coordinate that nothing was seen of keeps its mean."""
        return torch.where(self.observed > _NOTHING, self.first / self.observed.clamp(min=_NOTHING), before)


_NOTHING = 1e-10


class Covariance(ABC):
    """Abstract: how moments become covariances.

    `isotropic` structures are not free to rescale single coordinates; in `independent` ones coordinates are independent
    within a component.
    """

    form: ClassVar[Form]
    isotropic: ClassVar[bool] = False
    independent: ClassVar[bool] = False

    @abstractmethod
    def pool(self, moments: Moments, means: Tensor, before: Tensor, ridge: Tensor) -> Tensor:
        """The most likely covariances, in this structure's form, plus `ridge` [d] on the diagonal.

        `before` are the covariances so far, kept where nothing was seen.
        """

    @abstractmethod
    def spread(self, variances: Tensor) -> Tensor:
        """Covariances of this structure with these variances [k, d], for a start."""

    @abstractmethod
    def widen(self, stored: Tensor, means: Tensor) -> Tensor:
        """From the shape in which scikit-learn keeps this structure to the form's shape."""

    @abstractmethod
    def narrow(self, covariances: Tensor) -> Tensor:
        """Inverse of `widen`."""

    @abstractmethod
    def parameters(self, d: int) -> tuple[int, int]:
        """Free parameters for d coordinates: (of each component, shared by all)."""


class Full(Covariance):
    """Each component has a covariance matrix of its own."""

    form = Dense()

    def pool(self, moments: Moments, means: Tensor, before: Tensor, ridge: Tensor) -> Tensor:
        """`E[x x'] - m m'` of each component."""
        count = moments.count[:, None, None]
        fresh = moments.second / count.clamp(min=_NOTHING) - means[:, :, None] * means[:, None, :] + torch.diag(ridge)
        return torch.where(count > _NOTHING, fresh, before)

    def spread(self, variances: Tensor) -> Tensor:
        """Diagonal matrices."""
        return torch.diag_embed(variances)

    def widen(self, stored: Tensor, means: Tensor) -> Tensor:
        """[k, d, d] already."""
        return stored

    def narrow(self, covariances: Tensor) -> Tensor:
        """[k, d, d]."""
        return covariances

    def parameters(self, d: int) -> tuple[int, int]:
        """A symmetric matrix each."""
        return d * (d + 1) // 2, 0


class Tied(Full):
    """All components share one covariance matrix."""

    def pool(self, moments: Moments, means: Tensor, before: Tensor, ridge: Tensor) -> Tensor:
        """The scatter about the means, summed over components."""
        inside = moments.second - moments.count[:, None, None] * means[:, :, None] * means[:, None, :]
        shared = inside.sum(0) / moments.count.sum() + torch.diag(ridge)
        return shared.expand(len(means), -1, -1).contiguous()

    def spread(self, variances: Tensor) -> Tensor:
        """The average variances."""
        return super().spread(variances.mean(0).expand_as(variances))

    def widen(self, stored: Tensor, means: Tensor) -> Tensor:
        """One matrix [d, d] for all."""
        return stored.expand(len(means), -1, -1).contiguous()

    def narrow(self, covariances: Tensor) -> Tensor:
        """[d, d]."""
        return covariances[0]

    def parameters(self, d: int) -> tuple[int, int]:
        """One symmetric matrix."""
        return 0, d * (d + 1) // 2


class Diagonal(Covariance):
    """Coordinates are independent within a component."""

    form = Axis()
    independent = True

    def pool(self, moments: Moments, means: Tensor, before: Tensor, ridge: Tensor) -> Tensor:
        """`E[x^2] - m^2` of each coordinate."""
        fresh = moments.second / moments.observed.clamp(min=_NOTHING) - means.square()
        return torch.where(moments.observed > _NOTHING, fresh.clamp(min=0.0) + ridge, before)

    def spread(self, variances: Tensor) -> Tensor:
        """As they are."""
        return variances

    def widen(self, stored: Tensor, means: Tensor) -> Tensor:
        """[k, d] already."""
        return stored

    def narrow(self, covariances: Tensor) -> Tensor:
        """[k, d]."""
        return covariances

    def parameters(self, d: int) -> tuple[int, int]:
        """A variance a coordinate."""
        return d, 0


class Spherical(Diagonal):
    """One variance a component, the same in every direction."""

    isotropic = True

    def pool(self, moments: Moments, means: Tensor, before: Tensor, ridge: Tensor) -> Tensor:
        """The mean over what was observed."""
        inside = (moments.second - moments.observed * means.square()).sum(1, keepdim=True)
        observed = moments.observed.sum(1, keepdim=True)
        fresh = (inside / observed.clamp(min=_NOTHING)).clamp(min=0.0) + ridge.mean()
        return torch.where(observed > _NOTHING, fresh, before[:, :1]).expand_as(means).contiguous()

    def spread(self, variances: Tensor) -> Tensor:
        """The average over coordinates."""
        return variances.mean(1, keepdim=True).expand_as(variances).contiguous()

    def widen(self, stored: Tensor, means: Tensor) -> Tensor:
        """From one number a component."""
        return stored[:, None].expand_as(means).contiguous()

    def narrow(self, covariances: Tensor) -> Tensor:
        """[k]."""
        return covariances[:, 0]

    def parameters(self, d: int) -> tuple[int, int]:
        """One variance."""
        return min(d, 1), 0


STRUCTURES: dict[str, Covariance] = {
    "full": Full(),
    "tied": Tied(),
    "diagonal": Diagonal(),
    "spherical": Spherical(),
}
"""Covariance structures by the name that the public edge knows them by."""


def structure_named(name: str) -> Covariance:
    """The covariance structure of this name.

    Raises:
        InputError: there is none.
    """
    if name not in STRUCTURES:
        raise InputError(
            "A covariance structure is one that the mixture knows.",
            "covariance",
            repr(name),
            "say one of " + ", ".join(STRUCTURES),
        )
    return STRUCTURES[name]
