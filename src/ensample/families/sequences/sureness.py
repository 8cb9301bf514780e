"""How sure a distribution over the next class is: what tells a blend how far to trust it."""

from __future__ import annotations

import torch
from torch import Tensor

SURENESS = 2
"""How many numbers say it."""


def sureness(log_p: Tensor) -> Tensor:
    """Entropy, and log-probability of the most probable class, of log-probabilities [.., classes]: [.., 2].

    Example:
        >>> [[round(x, 3) for x in row] for row in sureness(torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log()).tolist()]
        [[0.693, -0.693], [0.325, -0.105]]
    """
    entropy = torch.special.entr(log_p.exp()).sum(-1)
    return torch.stack([entropy, log_p.amax(-1)], -1)
