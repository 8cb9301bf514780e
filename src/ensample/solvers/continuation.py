"""Sequences in the making: what every way of writing on asks of a model."""

from __future__ import annotations

from typing import Protocol, Self, runtime_checkable

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
