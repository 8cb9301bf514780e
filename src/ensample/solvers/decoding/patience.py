"""When a search by beams is over: what texts to come may still be worth, against those that are done."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

EarlyStopping = Literal["never", "unlikely", "enough"]
"""Names of the bounds, see `BOUNDS`."""

Bound = Callable[[float, int, int, float], float]
"""The best score to come of a text that goes on.

Of its sum of log-probabilities, the steps it has, the most it may have, and the power of the length by which sums are
divided.
"""


def attainable(total: float, steps: int, most: int, power: float) -> float:
    """What no text that begins so exceeds, whatever follows: sums only fall, and any length up to the most may come.

    With a power above 0 it is what the longest text would have that goes on with certainty, so that little is ruled out
    before texts are as long.

    Example:
        >>> attainable(-6.0, 2, 12, 1.0), attainable(-6.0, 2, 12, 0.0)
        (-0.5, -6.0)
    """
    return float(max(total / (steps + 1) ** power, total / most**power))


def at_once(total: float, steps: int, most: int, power: float) -> float:
    """What the text has if it ends, with certainty, by the next step: no bound of longer ones with a power above 0.

    Example:
        >>> at_once(-6.0, 2, 12, 1.0)
        -2.0
    """
    return float(total / (steps + 1) ** power)


def nothing(total: float, steps: int, most: int, power: float) -> float:
    """Nothing to come counts."""
    return -math.inf


BOUNDS: dict[EarlyStopping, Bound] = {"never": attainable, "unlikely": at_once, "enough": nothing}
"""What a search takes the best text to come for, before it stops: exactly, by a guess, or not at all."""
