"""Conditional means and modes of a mixture in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ensample.events import Batch, Continuous, Limit
from ensample.families.mixture.evidence import Evidence
from ensample.families.mixture.truncated import expected_position

if TYPE_CHECKING:
    from ensample.families.mixture.model import MixtureDistribution


def expect_pattern(model: MixtureDistribution, joint: Batch, bounds: dict[int, Limit]) -> tuple[Tensor, Tensor]:
    """Values [n, spans] float64 and the mask of what exists, for rows of one pattern; see `Expects.expect`.

    The mean of a number is that over the cases in which it exists.
    """
    return expected(Evidence(model, joint, bounds))


def expected(evidence: Evidence) -> tuple[Tensor, Tensor]:
    """The same from evidence, whose `logits` may have been weighed by what else is known of the components."""
    model, joint = evidence.model, evidence.joint
    cells, mask = joint.cells.clone(), joint.mask.clone()
    log_share = torch.log_softmax(evidence.logits, 1)
    for j in sorted(evidence.classes):
        mask[:, j] = model.layout.event.existing(cells, j)
        cells[:, j] = torch.where(mask[:, j], _most_probable(log_share, evidence.classes[j]), 0)
    values = cells.to(torch.float64)
    for i, j in enumerate(evidence.columns):
        mask[:, j] = model.layout.event.existing(cells, j)
        event = model.layout.event.spans[j].event
        assert isinstance(event, Continuous)
        means = evidence.means_of(i)
        positions = expected_position(event.lattice, means, evidence.deviations_of(i).expand_as(means), evidence.cut(i))
        share = torch.softmax(evidence.logits + _log_existing(evidence, j), 1)
        values[:, j] = torch.where(mask[:, j], (share * positions).sum(1), 0.0)
    return values, mask


def _most_probable(log_share: Tensor, logits: Tensor) -> Tensor:
    """Class [n] with the largest posterior probability; logits [1 or n, k, classes]."""
    table = torch.exp(logits - logits.logsumexp(2, keepdim=True)).nan_to_num(0.0)
    if len(table) > 1:
        return torch.einsum("nk,nkc->nc", log_share.exp(), table).argmax(1)
    size = max(1, 2**24 // table.shape[2])
    return torch.cat([(part.exp() @ table[0]).argmax(1) for part in torch.split(log_share, size)])


def _log_existing(evidence: Evidence, j: int) -> Tensor | float:
    """Log-probability [1 or n, k] that column j exists in each component, within all limits."""
    exists = evidence.spans[j].exists
    if exists is None or exists[0] not in evidence.classes:
        return 0.0
    logits = evidence.classes[exists[0]]
    inside = logits[:, :, list(exists[1])].logsumexp(2) - logits.logsumexp(2)
    return inside.nan_to_num(-torch.inf)
