"""Parameters of a hidden Markov model, and the M step that sets them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ensample.families.base import Statistics
from ensample.families.markov.lengths import LengthLaw
from ensample.families.markov.trellis import Chain
from ensample.families.mixture.components import FEWEST, RESOLVED, Components
from ensample.families.mixture.covariance import Covariance, Moments

_NEVER = 1e-300


@dataclass(frozen=True)
class Parameters:
    """The chain of hidden states, what they emit, and how long sequences are.

    `components` are those of all states, state by state, equally many each; their weights are those within the state.
    """

    chain: Chain
    components: Components
    lengths: LengthLaw

    @property
    def states(self) -> int:
        """How many hidden states there are."""
        return len(self.chain.start)


def most_likely(
    structure: Covariance, current: Parameters, statistics: Statistics, smoothing: float, ridge: float
) -> Parameters:
    """The M step.

    Class tables are smoothed as if each component had seen `smoothing` more steps with the overall shares; starts,
    transitions from a state and weights within it, as if as many more had been spread evenly. A state that is left with
    fewer than five steps is dropped, since its mean would give these steps away.
    """
    own, count = current.components, statistics["count"]
    moments = Moments(count, statistics["observed"], statistics["first"], statistics["second"])
    means = moments.means(own.means)
    none = torch.zeros(means.shape[1], dtype=torch.float64)  # the noise of each step holds the ridge already
    covariances = structure.pool(moments, means, own.covariances, none)
    covariances = structure.form.at_least(covariances, ridge + RESOLVED * means.square())
    tables = {j: _shares(statistics[f"classes.{j}"] + smoothing * share).log() for j, share in own.shares.items()}
    weights = _shares(_even(count.view(current.states, -1), smoothing)).clamp(min=_NEVER).log().flatten()
    chain = Chain.of(
        _shares(_even(statistics["start"], smoothing)), _shares(_even(statistics["transitions"], smoothing))
    )
    found = Parameters(chain, Components(weights, means, covariances, tables, own.shares), current.lengths)
    return _of_several(found, count.view(current.states, -1).sum(1))


def log_prior(current: Parameters, smoothing: float) -> float:
    """Dirichlet log-density of start, transitions, weights and tables, up to a constant."""
    own, states = current.components, current.states
    total = smoothing / states * (current.chain.start.log().sum() + current.chain.transitions.log().sum())
    total = total + smoothing * states / len(own) * own.log_weights.sum()
    for j, table in own.tables.items():
        total = total + smoothing * (table * own.shares[j]).sum()
    return float(total)


def _of_several(found: Parameters, count: Tensor) -> Parameters:
    """The states of at least `FEWEST` steps, or the one with the most alone."""
    kept = count >= torch.minimum(count.max(), torch.tensor(FEWEST, dtype=count.dtype))
    if bool(kept.all()):
        return found
    own, each = found.components, len(found.components) // found.states
    at = kept.repeat_interleave(each)
    tables = {j: table[at] for j, table in own.tables.items()}
    components = Components(own.log_weights[at], own.means[at], own.covariances[at], tables, own.shares)
    chain = Chain.of(_shares(found.chain.start[kept]), _shares(found.chain.transitions[kept][:, kept]))
    return Parameters(chain, components, found.lengths)


def _even(counts: Tensor, smoothing: float) -> Tensor:
    return counts + smoothing / counts.shape[-1]


def _shares(counts: Tensor) -> Tensor:
    return counts / counts.sum(-1, keepdim=True)
