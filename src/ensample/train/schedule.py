"""How the learning rate changes over the budget: a factor between 0 and 1 of the share that is used up."""

from __future__ import annotations

import math
from collections.abc import Callable

SCHEDULES: dict[str, Callable[[float], float]] = {
    "linear": lambda share: 1.0 - share,
    "cosine": lambda share: 0.5 * (1.0 + math.cos(math.pi * share)),
    "constant": lambda share: 1.0,
    "late": lambda share: min(1.0, 3.0 * (1.0 - share)),
}
"""By name. `late` stays at the top for two thirds of the budget and falls linearly to 0 in the last."""


def factor(schedule: str, share: float, step: int, warm_up: int) -> float:
    """Part of the largest learning rate at this step, counted from 0, when this share of the budget is used.

    It rises over `warm_up` steps, or over a twentieth of the budget where that is shorter.

    Example:
        >>> factor("linear", share=0.5, step=1000, warm_up=100)
        0.5
    """
    warm = max((step + 1) / warm_up, share / 0.05)
    return min(1.0, warm) * SCHEDULES[schedule](share)
