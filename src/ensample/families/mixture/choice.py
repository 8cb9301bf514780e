"""How many components: by held-out rows, by the Bayesian information criterion, or by a prior that empties them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch
from ensample.families.base import Statistics
from ensample.families.mixture.cells import mixture_of
from ensample.families.mixture.components import Components, Layout, Prepared
from ensample.families.mixture.covariance import structure_named
from ensample.families.mixture.model import MixtureDistribution
from ensample.families.mixture.moves import improved
from ensample.families.mixture.start import components_of, starting_components
from ensample.kinds.records import Records

if TYPE_CHECKING:
    from ensample.families.mixture.family import Mixture

LADDER = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of components that are tried."""

TRIAL_STEPS = 20
"""Steps of EM of one trial."""

SETTLING_STEPS = 60
"""Most steps of EM under the prior that empties components, between two cuts."""

SETTLED = 1e-5
"""They end when a step gains less than this, in nats a record."""

STARTING = 0.5
"""Share of the time after which no further start is tried."""

MOVES = 6
"""Merge-and-split moves of a trial close to the best number, where a poor start would mislead."""


@dataclass(frozen=True)
class Trials:
    """Mixtures tried on a sample, for `STARTING` of the time."""

    family: Mixture
    sample: Records
    seed: int
    clock: Clock = field(default_factory=lambda: Clock(Budget()))

    @property
    def over(self) -> bool:
        """Whether it is time to go on with what there is."""
        return self.clock.seconds > STARTING * self.clock.budget.seconds

    @cached_property
    def layout(self) -> Layout:
        """Of the sample's event."""
        return Layout.of(self.sample.event, self.sample.given)

    @cached_property
    def joint(self) -> Batch:
        """The sample's rows."""
        return self.layout.join(self.sample.batch())

    @cached_property
    def _prepared(self) -> dict[str, Prepared]:
        return {}

    def made(self, components: Components) -> MixtureDistribution:
        """The distribution of these components."""
        return mixture_of(self.sample.event, self.sample.given, structure_named(self.family.covariance), components)

    def begun(self, k: int) -> MixtureDistribution:
        """A start with k components."""
        own = self.family
        generator = torch.Generator().manual_seed(self.seed)
        structure = structure_named(own.covariance)
        found = starting_components(structure, self.layout, self.joint, k, own.smoothing, own.ridge, generator)
        return self.made(found)

    def labelled(self, labels: Tensor) -> MixtureDistribution:
        """A start with a component for the rows of each label [rows]."""
        own = self.family
        structure = structure_named(own.covariance)
        return self.made(components_of(structure, self.layout, self.joint, labels, own.smoothing, own.ridge))

    def summarized(self, current: MixtureDistribution) -> Statistics:
        """The E step on the sample."""
        if "sample" not in self._prepared:
            self._prepared["sample"] = self.family.prepare(current, self.sample.batch())
        return self.family.summarize_prepared(current, self._prepared["sample"])

    def refined(self, current: MixtureDistribution) -> MixtureDistribution:
        """After `TRIAL_STEPS` of EM."""
        for _ in range(TRIAL_STEPS):
            if self.over:
                break
            current = self.family.update(current, self.summarized(current))
        return current

    def objective(self, current: MixtureDistribution) -> float:
        """Log-likelihood (its bound) and log prior of the sample, nats."""
        return float(self.summarized(current)["log_prob"]) + self.family.log_prior(current)


def parameters(current: MixtureDistribution) -> tuple[int, int]:
    """Free parameters: (of one component, its weight apart; shared by all)."""
    d = len(current.layout.numbers)
    tables = sum(size - 1 for size in current.layout.classes.values())
    own, shared = current.structure.parameters(d)
    return d + tables + own, shared


def criterion(trials: Trials, current: MixtureDistribution) -> float:
    """Log-likelihood less half a logarithm of the rows for each free parameter (Schwarz 1978), nats."""
    own, shared = parameters(current)
    free = len(current.components) * (own + 1) - 1 + shared
    return float(trials.summarized(current)["log_prob"]) - 0.5 * math.log(len(trials.sample)) * free


def by_held_out(trials: Trials) -> MixtureDistribution:
    """The number on the ladder that is best on a fifth of the rows, held out; the first that is worse ends it."""
    learn, held = trials.sample.split(0.2, trials.seed)
    held = held if len(held) else learn
    inner = replace(trials, sample=learn)
    best, most = inner.begun(1), -math.inf
    for k in LADDER:
        if trials.over:
            break
        current = inner.refined(inner.begun(k))
        score = float(current.log_prob(held.batch()).mean())
        if score <= most:
            break
        best, most = current, score
    return best


def by_bic(trials: Trials) -> MixtureDistribution:
    """The best by the Bayesian information criterion: up the ladder, then closer around its best."""
    tried: dict[int, tuple[float, MixtureDistribution]] = {}

    def score(k: int, moves: int = 0) -> float:
        if k not in tried or moves:
            current = improved(trials, trials.refined(trials.begun(k)), moves)
            tried[k] = criterion(trials, current), current
        return tried[k][0]

    best = LADDER[0]
    for k in LADDER[1:]:
        if score(k) <= score(best) or trials.over:
            break
        best = k
    step = max(1, best // 2)
    while step >= 1 and not trials.over:
        best = max((k for k in (best, best - step, best + step) if k >= 1), key=lambda k: score(k, MOVES))
        step //= 2
    return tried[best][1]


def by_dirichlet(trials: Trials) -> MixtureDistribution:
    """EM with the prior `p(weights) ~ prod weight_k^(-T/2)`, T the parameters of a component.

    Its most probable weights are `max(0, N_k - T/2)`, normalised: a component whose rows do not pay for its parameters
    is emptied and dropped. What is left settles, loses its lightest components, settles again, and so on down to one
    (Figueiredo and Jain, Unsupervised learning of finite mixture models, 2002). Of all stages that of the best Bayesian
    information criterion is taken: their message length would keep components of a few rows.
    """
    best, most = trials.begun(LADDER[-1]), -math.inf
    price = 0.5 * parameters(best)[0]
    current = best
    while True:
        current, length = _settled(trials, current, price)
        if length > most:
            best, most = current, length
        k = len(current.components)
        if k == 1 or trials.over:
            return best
        keep = current.components.log_weights.argsort(descending=True)[: k - max(1, k // 8)]
        current = _only(current, keep.sort().values, current.components.log_weights.exp())


def _settled(trials: Trials, current: MixtureDistribution, price: float) -> tuple[MixtureDistribution, float]:
    """After EM under the prior, and its criterion."""
    before = -math.inf
    for _ in range(SETTLING_STEPS):
        if trials.over:
            break
        statistics = trials.summarized(current)
        reached = float(statistics["log_prob"]) - price * float(current.components.log_weights.sum())
        if abs(reached - before) < SETTLED * len(trials.sample):
            break
        before = reached
        current = priced(trials.family.update(current, statistics), statistics["count"], price)
    return current, criterion(trials, current)


def priced(current: MixtureDistribution, count: Tensor, price: float) -> MixtureDistribution:
    """The mixture with weights from rows [k] less their price; those that cannot pay are gone."""
    if len(current.components) < len(count):  # the update has given up those of few rows already
        return current
    left = (count - price).clamp(min=0.0)
    if not bool((left > 0).any()):
        left = (count == count.max()).to(torch.float64)
    return _only(current, left.nonzero()[:, 0], left)


def _only(current: MixtureDistribution, kept: Tensor, weights: Tensor) -> MixtureDistribution:
    """Some of the components, with these weights [k], normalised."""
    own = current.components
    found = Components(
        (weights[kept] / weights[kept].sum()).log(),
        own.means[kept],
        own.covariances[kept],
        {j: table[kept] for j, table in own.tables.items()},
        own.shares,
    )
    return mixture_of(current.event, current.given, current.structure, found)


CHOICES: dict[str, Callable[[Trials], MixtureDistribution]] = {
    "held-out": by_held_out,
    "bic": by_bic,
    "dirichlet": by_dirichlet,
}
"""Ways to choose by their public name."""


def choice_named(name: str) -> Callable[[Trials], MixtureDistribution]:
    """The way of this name.

    Raises:
        InputError: there is none.
    """
    if name not in CHOICES:
        raise InputError(
            "The way to choose is one that the mixture knows.", "choice", repr(name), f"say one of {', '.join(CHOICES)}"
        )
    return CHOICES[name]
