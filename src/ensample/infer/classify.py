"""Which class a record belongs to, by Bayes' rule."""

from __future__ import annotations

import torch
from torch import Tensor

from ensample.events import Batch, Discrete, Mixed
from ensample.families.abilities import Classifies
from ensample.families.base import Distribution
from ensample.infer.likelihood import cell_log_prob


def class_log_prob(distribution: Distribution, batch: Batch, column: int) -> Tensor:
    """Log p(class of span `column` | all other coordinates), float64 [rows, classes].

    `p(y | x) = p(x, y) / sum over y' of p(x, y')`, from the likelihood of the record with each class in turn; a family
    that knows better (`Classifies`) is asked first.
    """
    if isinstance(distribution, Classifies) and (own := distribution.log_classes(batch, column)) is not None:
        return own
    event = distribution.event.spans[column].event
    assert isinstance(event, Discrete)
    joint = []
    for code in range(event.classes):
        cells, mask = batch.cells.clone(), batch.mask.clone()
        cells[:, column], mask[:, column] = code, True
        joint.append(cell_log_prob(distribution, Batch(cells, mask, batch.cond)))
    return torch.stack(joint, 1).log_softmax(1)


def is_class(event: Mixed, column: int) -> bool:
    """Whether a span is a class proper: not the state of a number, and always there."""
    span = event.spans[column]
    parents = {other.exists[0] for other in event.spans if other.exists is not None}
    return isinstance(span.event, Discrete) and span.exists is None and column not in parents
