"""Clocks for tests of budgets."""

from __future__ import annotations

from ensample.budget import Clock


class Ticking(Clock):
    """A clock on which every look takes a second."""

    ticks = 0

    @property
    def seconds(self) -> float:
        self.ticks += 1
        return float(self.ticks)
