"""How long learning may take: seconds, steps, epochs, or several of which the first to end counts."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass

from ensample.errors import InputError

_UNITS = {"s": 1.0, "sec": 1.0, "second": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}


@dataclass(frozen=True)
class Budget:
    """Limits of one fit.

    Example:
        >>> Budget.parse("90s, 10 epochs")
        Budget(seconds=90.0, steps=inf, epochs=10.0)
    """

    seconds: float = math.inf
    steps: float = math.inf
    epochs: float = math.inf

    @classmethod
    def parse(cls, text: str | float | Budget) -> Budget:
        """From "90s", "5m", "1h30m", "50 steps", "10 epochs", or several with commas; a bare number is seconds.

        Raises:
            InputError: the text is none of these, or a limit is not positive.
        """
        if isinstance(text, Budget):
            return text
        limits: dict[str, float] = {}
        for amount, unit in _tokens(str(text)):
            singular = unit[:-1] if len(unit) > 2 and unit.endswith("s") else unit
            if singular in ("step", "epoch"):
                limits[singular + "s"] = amount
            elif singular in _UNITS:
                limits["seconds"] = limits.get("seconds", 0.0) + amount * _UNITS[singular]
            else:
                raise _unreadable(text)
        if not limits or not all(value > 0 for value in limits.values()):
            raise _unreadable(text)
        return cls(**limits)


def _tokens(text: str) -> list[tuple[float, str]]:
    pattern = r"\s*(\d+(?:\.\d*)?(?:e\d+)?)\s*([a-z]*)\s*,?"
    if not re.fullmatch(f"({pattern})+", text.lower()):
        raise _unreadable(text)
    return [(float(amount), unit or "s") for amount, unit in re.findall(pattern, text.lower())]


def _unreadable(text: object) -> InputError:
    return InputError(
        "A budget is a positive time or number of steps or epochs.",
        "budget",
        repr(text),
        'say "90s", "5m", "50 steps" or "10 epochs"',
    )


class Clock:
    """Time, steps and epochs used so far, across interruptions: `spent` seconds were used before this process."""

    def __init__(self, budget: Budget, spent: float = 0.0) -> None:
        self.budget = budget
        self._began = time.monotonic() - spent

    @property
    def seconds(self) -> float:
        """Seconds used, those before a resume included."""
        return time.monotonic() - self._began

    def share(self, steps: float = 0.0, epochs: float = 0.0) -> float:
        """Part of the budget used, 0 to 1: the largest over the limits that are set."""
        used = (self.seconds / self.budget.seconds, steps / self.budget.steps, epochs / self.budget.epochs)
        return min(1.0, max(used))

    def over(self, steps: float = 0.0, epochs: float = 0.0) -> bool:
        """Whether any limit has been reached."""
        return self.share(steps, epochs) >= 1.0
