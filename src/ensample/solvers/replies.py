"""Turns of a dialogue in the making: whatever ends a turn is the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from ensample.solvers.continuation import Continuation, Represents, Rewindable


class Turn:
    """A `Continuation` of dialogues, as one of texts: the marks of roles and the end of a dialogue are one end.

    p(the turn ends here) is the sum of the probabilities of all of them.

    Arguments:
        of: the dialogues so far, each behind the mark of the role that speaks.
        classes: of the texts; marks of roles are the classes from there on.
        ends: classes of texts that end a turn, too.
    """

    def __init__(self, of: Any, classes: int, ends: tuple[int, ...] = ()) -> None:
        self.of, self.classes, self.ends = of, classes, list(ends)

    def logits(self) -> Tensor:
        """Logits of the next class of each row, float32 [rows, classes + 1]; the last is the end of the turn."""
        return ended(self.of.logits(), self.classes, self.ends)

    def append(self, classes: Tensor) -> None:
        """Go on by one class in every row, int64 [rows]."""
        self.of.append(classes)

    def take(self, rows: Tensor) -> Self:
        """A continuation of these rows."""
        return type(self)(self.of.take(rows), self.classes, tuple(self.ends))


class TurnWithState(Turn):
    """One of a network, which has a state."""

    def hidden(self) -> Tensor:
        """The state behind the last class of each row."""
        return self.of.hidden()  # type: ignore[no-any-return]


class RewindingTurn(TurnWithState):
    """One that takes classes back, and reads several at once; see `Rewindable`."""

    def extend(self, classes: Tensor) -> Tensor:
        """Go on by some classes in every row, int64 [rows, n]: the logits behind each."""
        return ended(self.of.extend(classes), self.classes, self.ends)

    def rewind(self, steps: int) -> None:
        """Take the last classes of every row back."""
        self.of.rewind(steps)


def ended(logits: Tensor, classes: int, ends: Sequence[int] = ()) -> Tensor:
    """Logits [.., all classes and the end] with all from `classes` on, and these `ends`, as one, [.., classes + 1].

    Example:
        >>> ended(torch.log(torch.tensor([0.5, 0.2, 0.1, 0.2])), 2).exp()
        tensor([0.5000, 0.2000, 0.3000])
        >>> ended(torch.log(torch.tensor([0.5, 0.2, 0.1, 0.2])), 2, [0]).exp()
        tensor([0.0000, 0.2000, 0.8000])
    """
    texts, final = logits[..., :classes], [logits[..., classes:]]
    if ends:
        final.append(texts[..., ends])
        texts = texts.clone()
        texts[..., ends] = -torch.inf
    return torch.cat([texts, torch.cat(final, -1).logsumexp(-1, keepdim=True)], -1)


def turn_of(begun: Continuation, classes: int, ends: tuple[int, ...] = ()) -> Turn:
    """The turn that comes next in these dialogues, with all that their model can do."""
    if isinstance(begun, Represents) and isinstance(begun, Rewindable):
        return RewindingTurn(begun, classes, ends)
    return (TurnWithState if isinstance(begun, Represents) else Turn)(begun, classes, ends)
