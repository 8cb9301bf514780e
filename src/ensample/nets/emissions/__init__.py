"""Decoders: from a hidden vector to a distribution over the cells of an event."""

from __future__ import annotations

from collections.abc import Callable

from ensample.events import Mixed
from ensample.nets.emissions.base import Numbers
from ensample.nets.emissions.binned import Binned
from ensample.nets.emissions.emission import Emission
from ensample.nets.emissions.mixtures import Gaussians, Logistics
from ensample.nets.emissions.spline import Spline

SORTS: dict[str, Callable[[Mixed, int], Numbers]] = {
    "gaussian": Gaussians,
    "logistic": Logistics,
    "binned": Binned,
    "spline": Spline,
}
"""Distributions of numbers by name: made of (event, pieces), pieces being components, bins or knots."""

__all__ = ["SORTS", "Binned", "Emission", "Gaussians", "Logistics", "Numbers", "Spline"]
