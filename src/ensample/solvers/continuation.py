"""Sequences in the making: what every way of writing on asks of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import numpy as np
from torch import Tensor


@runtime_checkable
class Continuation(Protocol):
    """Some sequences of classes so far, and what may come next in each.

    It remembers what the model has computed of them (keys and values, hidden states, counts), so that one more step
    costs one step. Ways of choosing the next class see nothing else of a model.
    """

    def logits(self) -> Tensor:
        """Unnormalised log-probabilities of the next class of each row, float32 [rows, classes + 1].

        The last column is the end of the sequence. The same row gives the same numbers alone or among others, but for
        the rounding of sums.
        """
        ...

    def append(self, classes: Tensor) -> None:
        """Go on by one class in every row, int64 [rows], none of them the end."""
        ...

    def take(self, rows: Tensor) -> Self:
        """A continuation of these rows, int64 [new rows]; a row may be taken more than once, or not at all.

        Neither changes when the other goes on.
        """
        ...


@runtime_checkable
class Clued(Continuation, Protocol):
    """A continuation that says how far to trust its logits."""

    def clues(self) -> Tensor:
        """Clues of the next step of each row, [rows, clues]; see `ensample.families.abilities.Steps`."""
        ...


@runtime_checkable
class Represents(Continuation, Protocol):
    """A continuation of a model that has a state: what contrastive search compares."""

    def hidden(self) -> Tensor:
        """The state behind the last class of each row, float32 [rows, width]; asked for only after `append`."""
        ...


@runtime_checkable
class Rewindable(Continuation, Protocol):
    """A continuation that goes on by several classes at once, and takes them back: what speculative decoding needs."""

    def extend(self, classes: Tensor) -> Tensor:
        """Go on by some classes in every row, int64 [rows, n], none of them the end.

        Returns:
            The logits behind each, float32 [rows, n, classes + 1], those that `append` and `logits` would give.
        """
        ...

    def rewind(self, steps: int) -> None:
        """Take the last classes of every row back: no more than came since it was made, and at most 64."""
        ...


@runtime_checkable
class Quickens(Continuation, Protocol):
    """A continuation of which there is another one, with the same distribution, that is faster for long texts."""

    def quickened(self, steps: int) -> Continuation:
        """What goes on for so many steps the fastest: this one or another; this one is then of no more use."""
        ...


@dataclass(frozen=True)
class Plan:
    """How classes are chosen where nothing but the model's own distribution decides.

    `temperature` divides logits, 0 takes the most probable class; classes that are `banned` are never chosen; `told` is
    whether log-probabilities are wanted.
    """

    temperature: float = 1.0
    banned: tuple[int, ...] = ()
    told: bool = False


@runtime_checkable
class RunsAhead(Continuation, Protocol):
    """A continuation that chooses by itself, several classes at once."""

    def ahead(self, plan: Plan, uniform: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Choose the next classes of every row and go on by them, as one after the other.

        Arguments:
            plan: how.
            uniform: a random number for each, in [0, 1), float64 [rows, steps].
            first: step at which a row may end for the first time.

        Returns:
            Classes, int64 [rows, steps], the end from a row's end on, where it cannot go on; and the log-probability of
            each, float64 of the same shape, or of no steps where they are not told. There may be fewer steps than were
            asked for, at least one.
        """
        ...
