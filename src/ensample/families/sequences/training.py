"""What families share that learn sequences of classes by a network: how they are trained, and what they refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ensample.events import Discrete, Ragged
from ensample.families.training import Training


@dataclass(frozen=True, kw_only=True)
class SequenceTraining(Training):
    """The options of `Training`, with defaults for networks over texts that learn for minutes.

    Muon at a high rate takes them furthest in a given time; `batch_size` counts classes; little is held out.
    """

    learning_rate: float = 1.2e-2
    optimiser: Literal["adamw", "adam", "sgd", "muon"] = "muon"
    momentum: float = 0.9
    warm_up: int = 20
    weight_decay: float = 0.1
    batch_size: int = 2048
    average: float = 0.0
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    holdout: float = 0.02


def not_of_classes(event: Ragged) -> str | None:
    """Why records are no chains of one class a step (one sentence), or None if they are.

    Example:
        >>> from ensample.events import Mixed, Span
        >>> not_of_classes(Ragged(Mixed((Span("letter", Discrete(3)),)), 9, ordered=False))
        'a chain needs sequences, and these elements have no order'
    """
    if not event.ordered:
        return "a chain needs sequences, and these elements have no order"
    if len(event.element) != 1 or not isinstance(event.element.spans[0].event, Discrete):
        return "every step must be one class, and here it is something else: take `markov`"
    return None
