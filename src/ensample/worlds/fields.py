"""Names of the fields of a transition, and which of them a learned world needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ensample.errors import InputError

STATE, ACTION, NEXT, CHANGE = "state", "action", "next", "change"
"""How fields begin that hold a part of the state, of the action, of the next state, or next state minus state."""

REWARD, TERMINATED, TRUNCATED, EPISODE, STEP = "reward", "terminated", "truncated", "episode", "step"
"""Names of the other fields."""

Columns = Mapping[str, np.ndarray]
"""Name -> values [rows]."""


def having(names: Iterable[str], role: str) -> tuple[str, ...]:
    """The names of one role, in order.

    Example:
        >>> having(["state_0", "state_1", "statement", "action"], STATE)
        ('state_0', 'state_1')
    """
    return tuple(name for name in names if name == role or name.startswith(f"{role}_"))


def renamed(name: str, old: str, new: str) -> str:
    """The same part of a record in another role.

    Example:
        >>> renamed("state_angle", STATE, NEXT)
        'next_angle'
    """
    return new + name.removeprefix(old)


def needed(names: Iterable[str], wanted: Iterable[str], place: str) -> None:
    """Raise InputError unless all that is wanted is among the names."""
    there = tuple(names)
    if lacking := [name for name in wanted if name not in there]:
        raise InputError(
            "Transitions have a state, an action, the next state, a reward, and whether it was the end.",
            place,
            f"no {', '.join(lacking)} among {', '.join(there)}",
            "make them by `worlds.transitions`, or name the columns so",
        )
