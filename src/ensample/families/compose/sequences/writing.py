"""Writing on with a blend: every part goes on, and their distributions are mixed at each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from ensample.families.compose.sequences.gate import Gate, mixed
from ensample.families.sequences.sureness import sureness
from ensample.solvers.continuation import Clued, Continuation, Quickens, Represents


class Blended:
    """A `Continuation` of a mixture: `log sum_k w_k p_k` over all classes and the end.

    Arguments:
        parts: continuations of the same records, by each part.
        gate: gives the weights.
    """

    def __init__(self, parts: Sequence[Continuation], gate: Gate) -> None:
        self.parts, self.gate = tuple(parts), gate
        self._following: Tensor | None = None

    def logits(self) -> Tensor:
        """Log-probabilities of the next class of each row, float32 [rows, classes + 1]; the last is the end."""
        if self._following is None:
            log_p = torch.stack([part.logits().log_softmax(1) for part in self.parts], 2)  # [rows, classes + 1, parts]
            clues = [_clues(part, log_p[:, :, k]) for k, part in enumerate(self.parts)]
            self._following = mixed(self.gate, log_p, torch.cat(clues, 1)[:, None]).float()
        return self._following

    def append(self, classes: Tensor) -> None:
        """Go on by one class in every row, int64 [rows]."""
        for part in self.parts:
            part.append(classes)
        self._following = None

    def quickened(self, steps: int) -> Self:
        """With parts that go on the fastest; see `Quickens`."""
        parts = [part.quickened(steps) if isinstance(part, Quickens) else part for part in self.parts]
        return type(self)(parts, self.gate)

    def take(self, rows: Tensor) -> Self:
        """A continuation of these rows."""
        return type(self)([part.take(rows) for part in self.parts], self.gate)


class BlendedStates(Blended):
    """One of which a part has a state: it is the state of the whole, see `Represents`."""

    def hidden(self) -> Tensor:
        """The state behind the last class of each row, [rows, width]."""
        return next(part.hidden() for part in self.parts if isinstance(part, Represents))


def blended(parts: Sequence[Continuation], gate: Gate) -> Blended:
    """The continuation of a blend, with a state where a part has one."""
    return (BlendedStates if any(isinstance(part, Represents) for part in parts) else Blended)(parts, gate)


def _clues(part: Continuation, log_p: Tensor) -> Tensor:
    """Clues of a part, as its `steps_of` gives them; log-probabilities [rows, classes + 1] tell those of most."""
    return part.clues() if isinstance(part, Clued) else sureness(log_p)
