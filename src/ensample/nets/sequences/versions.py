"""Whether the weights of a network are still what they were."""

from __future__ import annotations

from torch import nn


def versions(module: nn.Module) -> tuple[int, ...]:
    """Numbers that differ when a weight has been changed, or replaced.

    Example:
        >>> import torch
        >>> layer = nn.Linear(2, 2)
        >>> before = versions(layer)
        >>> with torch.no_grad():
        ...     _ = layer.weight.add_(1.0)
        >>> before == versions(layer), versions(layer) == versions(layer)
        (False, True)
    """
    weights = list(module.parameters())
    return tuple(0 if w.is_inference() else w._version for w in weights) + tuple(w.data_ptr() for w in weights)
