"""Mixtures of Gaussian and categorical components, learned by expectation maximisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch, Mixed
from ensample.families.base import Distribution, Statistics, at_least
from ensample.families.mixture.cells import mixture_of
from ensample.families.mixture.choice import Trials, choice_named
from ensample.families.mixture.components import (
    Components,
    Layout,
    Prepared,
    expected_statistics,
    log_prior,
    most_likely,
    prepare,
)
from ensample.families.mixture.covariance import structure_named
from ensample.families.mixture.model import MixtureDistribution
from ensample.families.mixture.moves import improved
from ensample.kinds.records import Records

_SAMPLE = 20_000
"""Rows on which starts are tried."""


@dataclass(frozen=True)
class Mixture:
    """p(x) = sum_k weight_k N(numbers of x; mean_k, covariance_k) prod_j Categorical(class_j of x; table_kj).

    Learned by EM on additive statistics (Dempster, Laird and Rubin 1977). A missing or non-existing coordinate is
    integrated out exactly (Ghahramani and Jordan 1994). Every number stands for its whole cell: its statistics are the
    expectation over a uniform value inside the cell, so that no component ever gets narrower than a cell. A component
    that is left with fewer than five rows is dropped, since its mean would give these rows away.

    Arguments:
        components: how many at most; None lets `choice` decide.
        covariance: "full", "tied", "diagonal" or "spherical".
        smoothing: class probabilities are as if each component had seen this many more rows with the overall shares.
        ridge: variance added to every number, in units of the column's (standardised) variance.
        tolerance: learning stops when a step gains less than this, in nats per record.
        steps: most passes over the records.
        choice: how a free number of components is chosen, on a sample. "held-out" tries 1, 2, 4, ... 64 and takes the
            best on held-out rows; "bic" does so by the Bayesian information criterion (Schwarz 1978) and then looks
            between the powers of two; "dirichlet" starts from 64, under a Dirichlet prior on the weights that empties
            those which are not worth their parameters (Figueiredo and Jain 2002).
        moves: most merge-and-split moves (Ueda et al. 2000) that are tried to leave a poor start, on a sample.
        minibatch: rows after which parameters move (stepwise EM: Cappé and Moulines 2009), for large data and streams;
            None is a step a pass.

    Raises:
        InputError: an argument is out of its range.

    Example:
        >>> Mixture(components=8, covariance="diagonal")
        Mixture(components=8, covariance='diagonal', smoothing=1.0, ridge=1e-06, tolerance=0.0001, steps=200,
                choice='held-out', moves=0, minibatch=None)
    """

    components: int | None = None
    covariance: str = "full"
    smoothing: float = 1.0
    ridge: float = 1e-6
    tolerance: float = 1e-4
    steps: int = 200
    choice: Literal["held-out", "bic", "dirichlet"] = "held-out"
    moves: int = 0
    minibatch: int | None = None

    name: ClassVar[str] = "mixture"
    distribution: ClassVar[type[Distribution]] = MixtureDistribution

    def __post_init__(self) -> None:
        structure_named(self.covariance)
        choice_named(self.choice)
        at_least(self, components=1, steps=1, tolerance=0.0, smoothing=1e-6, ridge=1e-12, moves=0, minibatch=1)

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Accepts every mixed event."""
        return None if isinstance(event, Mixed) else "a mixture needs a table of fields"

    def start(self, records: Records, seed: int) -> MixtureDistribution:
        """`start_within` without a limit of time."""
        return self.start_within(records, seed, Clock(Budget()))

    def start_within(self, records: Records, seed: int, clock: Clock) -> MixtureDistribution:
        """From clusters of a sample, refined on it if there is more, its number of components chosen if that is free.

        Starts are tried for half of the time; what is left is for EM on all records.

        Raises:
            InputError: there are no records.
        """
        if len(records) == 0:
            raise InputError("A mixture needs at least one record.", "the training data", "0 rows", "add rows")
        sample = records.sample(_SAMPLE, seed)
        trials = Trials(self, sample, seed, clock)
        if self.components is None:
            current = choice_named(self.choice)(trials)
        else:
            current = trials.begun(self.components)
            if len(sample) < len(records) or self.moves:
                current = trials.refined(current)
        return improved(trials, current, self.moves)

    def prepare(self, current: MixtureDistribution, batch: Batch) -> Prepared:
        """A batch sorted by what is known in each row, encoded once for all steps."""
        return prepare(current.layout, current.layout.join(batch), self.ridge)

    def summarize(self, current: MixtureDistribution, batch: Batch) -> Statistics:
        """The E step on one batch."""
        return self.summarize_prepared(current, self.prepare(current, batch))

    def summarize_prepared(self, current: MixtureDistribution, prepared: Prepared) -> Statistics:
        """The E step on one prepared batch."""
        return expected_statistics(current.structure, current.components, prepared)

    def update(self, current: MixtureDistribution, statistics: Statistics) -> MixtureDistribution:
        """The M step."""
        components = most_likely(current.structure, current.components, statistics, self.smoothing, self.ridge)
        return mixture_of(current.event, current.given, current.structure, components)

    def log_prior(self, current: MixtureDistribution) -> float:
        """Log prior of the class probabilities: EM raises the log-likelihood plus this."""
        return log_prior(current.components, self.smoothing)

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> MixtureDistribution:
        """Inverse of `MixtureDistribution.arrays`."""
        columns = Layout.of(event, given).classes
        components = Components(
            arrays["log_weights"],
            arrays["means"],
            arrays["covariances"],
            {j: arrays[f"table.{j}"] for j in columns},
            {j: arrays[f"share.{j}"] for j in columns},
        )
        return mixture_of(event, given, structure_named(self.covariance), components)
