"""How sure a distribution over the next class is: what tells a blend how far to trust it."""

from __future__ import annotations

import torch
from torch import Tensor

SURENESS = 2
"""How many numbers say it."""


def sureness(log_p: Tensor) -> Tensor:
    """Entropy, and log-probability of the most probable class, of log-probabilities [.., classes]: [.., 2].

    Example:
        >>> sureness(torch.tensor([[0.5, 0.5], [1.0, 0.0]]).log()).round(decimals=3).tolist()
        [[0.693, -0.693], [-0.0, 0.0]]
    """
    entropy = torch.special.entr(log_p.exp()).sum(-1)
    return torch.stack([entropy, log_p.amax(-1)], -1)
