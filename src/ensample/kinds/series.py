"""Time series: sequences that know what table they were cut from, and how."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from ensample.data.series import SERIES, Plan
from ensample.kinds.arrow import is_number
from ensample.kinds.identifier import Identifier
from ensample.kinds.number import Number
from ensample.kinds.profile import Profile
from ensample.kinds.sequence import Sequence


@dataclass(frozen=True)
class Series(Sequence):
    """A list of steps in the order of time; see `Sequence`.

    `Dataset.series` makes them. A model of them reads tables of the same form as it was learned from, and can tell the
    times of the steps that it forecasts.

    Arguments:
        dtype, element, longest, missing, unseen, shortest: see `Sequence`.
        plan: how records are cut from a table, as JSON; "" for lists that were not.

    Example:
        >>> import pyarrow as pa
        >>> Series.fit(Profile.of(pa.array([[1.5, 2.0], [2.5, 1.0]]))).describe()
        '2 steps of value (number, 1 to 2.5, in steps of 0.1)'
    """

    plan: str = ""

    name: ClassVar[str] = SERIES

    @classmethod
    def _means(cls, profile: Profile) -> str | None:
        """Whole numbers that never repeat are numbers here: that a counter rises is what its series tells."""
        if not is_number(profile.dtype):
            return None
        return Number.name if Identifier.recognise(profile) > 0 else None

    @cached_property
    def planned(self) -> Plan | None:
        """How records are cut from a table, None if that is not known."""
        return Plan.of_text(self.plan) if self.plan else None

    def describe(self) -> str:
        """Also what a step is."""
        told = super().describe()
        return told if self.planned is None else f"{self.planned.describe()}: {told}"
