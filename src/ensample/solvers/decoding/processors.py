"""Ways to change what may come next: each takes logits and gives logits; they are applied one after the other.

The order in which `ensample` applies them is that of this file, after classes that must not come are taken out (by a
constraint, by a least number of steps): penalties see what the model says, temperature comes before whatever cuts the
distribution, and each cut sees what the one before has left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Processor(Protocol):
    """One change of a distribution over the next class."""

    def __call__(self, logits: Tensor, past: Tensor) -> Tensor:
        """Changed logits; minus infinity takes a class out, and at least one stays.

        Arguments:
            logits: unnormalised log-probabilities, float [rows, classes + 1]; the last column is the end.
            past: what came before, prompts included, int64 [rows, steps]; rows that are shorter begin with the number
                of classes, which stands for nothing.
        """
        ...


@dataclass(frozen=True)
class RepetitionPenalty:
    """Make classes that came before less probable (Keskar et al. 2019, section 4.1).

    A logit above 0 is divided by `penalty`, one below 0 is multiplied by it: the usual reading, by which a penalty
    above 1 always lowers. It depends on where the model's logits have their zero, which softmax does not see; values
    from 1.1 to 1.3 are usual for networks.

    Arguments:
        penalty: above 0; 1 changes nothing.

    Example:
        >>> RepetitionPenalty(2.0)(torch.tensor([[3.0, -1.0, 4.0, 0.5]]), torch.tensor([[0, 1, 0]])).tolist()
        [[1.5, -2.0, 4.0, 0.5]]
    """

    penalty: float

    def __call__(self, logits: Tensor, past: Tensor) -> Tensor:
        """See `Processor`."""
        met = logits.gather(1, past)
        changed = logits.scatter(1, past, torch.where(met > 0, met / self.penalty, met * self.penalty))
        changed[:, -1] = logits[:, -1]  # the end has not come before
        return changed


@dataclass(frozen=True)
class NoRepeat:
    """Take out classes that would repeat a run of `size` classes (Paulus, Xiong and Socher 2018, section 2.5).

    A row in which nothing else would be left stays as it is.

    Arguments:
        size: of the runs, at least 1.

    Example:
        >>> NoRepeat(2)(torch.zeros(1, 4), torch.tensor([[0, 1, 2, 0]])).tolist()
        [[0.0, -inf, 0.0, 0.0]]
    """

    size: int

    def __call__(self, logits: Tensor, past: Tensor) -> Tensor:
        """See `Processor`."""
        nothing = logits.shape[1] - 1
        if past.shape[1] < self.size:
            return logits
        runs = past.unfold(1, self.size, 1)  # [rows, runs, size]
        last = past[:, past.shape[1] - self.size + 1 :]
        again = (runs[:, :, :-1] == last[:, None]).all(2)
        banned = torch.zeros_like(logits, dtype=torch.bool)
        banned.scatter_(1, torch.where(again, runs[:, :, -1], nothing), True)
        banned[:, -1] = False
        changed = logits.masked_fill(banned, -math.inf)
        return torch.where(changed.amax(1, keepdim=True) == -math.inf, logits, changed)


@dataclass(frozen=True)
class Temperature:
    """Divide logits: below 1 the distribution becomes sharper, above 1 flatter (Ackley, Hinton and Sejnowski 1985).

    Example:
        >>> Temperature(0.5)(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 0, dtype=torch.int64)).tolist()
        [[2.0, 4.0]]
    """

    temperature: float

    def __call__(self, logits: Tensor, past: Tensor) -> Tensor:
        """See `Processor`."""
        return logits / self.temperature


@dataclass(frozen=True)
class TopK:
    """Keep the `k` most probable classes, and those that are as probable as the last (Fan, Lewis and Dauphin 2018).

    Example:
        >>> TopK(2)(torch.tensor([[1.0, 3.0, 2.0]]), torch.zeros(1, 0, dtype=torch.int64)).tolist()
        [[-inf, 3.0, 2.0]]
    """

    k: int

    def __call__(self, logits: Tensor, past: Tensor) -> Tensor:
        """See `Processor`."""
        if self.k >= logits.shape[1]:
            return logits
        return logits.masked_fill(logits < logits.topk(self.k).values[:, -1:], -math.inf)


@dataclass(frozen=True)
class TopP:
    """Keep the fewest most probable classes that hold a share `p` of the probability (Holtzman et al. 2020).

    Example:
        >>> TopP(0.6)(torch.tensor([[3.0, 2.0, 1.0]]), torch.zeros(1, 0, dtype=torch.int64)).tolist()
        [[3.0, -inf, -inf]]
    """

    p: float

    def __call__(self, logits: Tensor, past: Tensor) -> Tensor:
        """See `Processor`."""
        return _fewest(logits, torch.softmax(logits, 1), -logits, self.p)


@dataclass(frozen=True)
class MinP:
    """Keep classes at least `p` times as probable as the most probable one (Nguyen et al. 2024).

    Example:
        >>> MinP(0.5)(torch.tensor([[3.0, 2.5, 2.0]]), torch.zeros(1, 0, dtype=torch.int64)).tolist()
        [[3.0, 2.5, -inf]]
    """

    p: float

    def __call__(self, logits: Tensor, past: Tensor) -> Tensor:
        """See `Processor`."""
        return logits.masked_fill(logits < logits.amax(1, keepdim=True) + math.log(self.p), -math.inf)


@dataclass(frozen=True)
class Typical:
    """Keep the fewest classes of a share `mass` whose surprise is nearest to what is expected (Meister et al. 2023).

    Surprise is -log p, expected is its mean, the entropy: what is too probable goes as well as what is too improbable.

    Example:
        >>> Typical(0.2)(torch.tensor([[2.0, 1.5, 1.0]]), torch.zeros(1, 0, dtype=torch.int64)).tolist()
        [[-inf, 1.5, -inf]]
    """

    mass: float

    def __call__(self, logits: Tensor, past: Tensor) -> Tensor:
        """See `Processor`."""
        log_p = torch.log_softmax(logits, 1)
        p = log_p.exp()
        surprise = log_p.clamp(min=torch.finfo(logits.dtype).min)  # 0 times infinity is 0 here
        entropy = -(p * surprise).sum(1, keepdim=True)
        return _fewest(logits, p, (-log_p - entropy).abs(), self.mass)


FEW = 256
"""Classes that are put in order at first: nearly always enough, and to order all of a large vocabulary takes long."""


def _fewest(logits: Tensor, p: Tensor, rank: Tensor, mass: float) -> Tensor:
    """Keep the fewest classes, in order of rising `rank`, whose probabilities `p` add up to `mass`."""
    size, columns = FEW, logits.shape[1]
    if mass >= 1.0:  # rounded sums may be 1 before the last
        return logits
    while True:
        whole = size >= columns
        order = torch.sort(rank, dim=1).indices if whole else rank.topk(size, 1, largest=False).indices
        share = p.gather(1, order)
        total = share.cumsum(1)
        if whole or bool((total[:, -1] >= mass).all()):
            break
        size *= 8
    kept = total - share < mass
    kept[:, 0] = True
    return logits.masked_fill(~torch.zeros_like(logits, dtype=torch.bool).scatter_(1, order, kept), -math.inf)
