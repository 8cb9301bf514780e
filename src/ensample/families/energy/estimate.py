"""Log sums that are estimated by weighted chains, and how far to trust them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A log sum estimated by weights of independent chains: mean and standard error, nats [rows] float64."""

    value: Tensor
    error: Tensor

    @classmethod
    def of(cls, log_weight: Tensor) -> Estimate:
        """From log weights [chains, rows]; the error is that of the mean weight, carried through the logarithm."""
        count = len(log_weight)
        value = log_weight.logsumexp(0) - math.log(count)
        relative = torch.exp(log_weight - value).std(0) if count > 1 else torch.zeros_like(value)
        return cls(value, relative / count**0.5)
