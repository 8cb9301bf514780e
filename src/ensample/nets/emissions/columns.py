"""Which spans of an event are numbers and which are classes."""

from __future__ import annotations

from ensample.events import Continuous, Discrete, Lattice, Mixed


def numbers_of(event: Mixed) -> list[Lattice]:
    """Lattices of the spans that are numbers, in order."""
    return [span.event.lattice for span in event.spans if isinstance(span.event, Continuous)]


def number_spans(event: Mixed) -> list[int]:
    """Places of the spans that are numbers."""
    return [j for j, span in enumerate(event.spans) if isinstance(span.event, Continuous)]


def class_spans(event: Mixed) -> list[int]:
    """Places of the spans that are classes."""
    return [j for j, span in enumerate(event.spans) if isinstance(span.event, Discrete)]


def class_sizes(event: Mixed) -> list[int]:
    """Number of classes of each span that has classes."""
    return [span.event.classes for span in event.spans if isinstance(span.event, Discrete)]
