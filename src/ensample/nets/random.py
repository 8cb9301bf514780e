"""Networks are built, and noise inside them drawn, from a generator: the global random state stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator


@contextmanager
def seeded(generator: Generator) -> Iterator[None]:
    """Inside, what torch draws without a generator (initial weights, dropout) comes from this one.

    Example:
        >>> from torch import nn
        >>> def build():
        ...     with seeded(Generator().manual_seed(3)):
        ...         return nn.Linear(2, 2)
        >>> bool((build().weight == build().weight).all())
        True
    """
    before = torch.random.get_rng_state()
    torch.random.set_rng_state(generator.get_state())
    try:
        yield
    finally:
        generator.set_state(torch.random.get_rng_state())
        torch.random.set_rng_state(before)
