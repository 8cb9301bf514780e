"""What composites share: weighted parts over one event, how they complete records, and how they are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Generator, Tensor

from ensample.events import Batch, Limit, Mixed, unknown
from ensample.families.abilities import Draws, Resolves, Scores, WeighsLimits
from ensample.families.base import Distribution, Family, Fitted, Guarantee
from ensample.families.chain import Chain
from ensample.families.independent import part


class Weighted(Distribution):
    """`p(x) = sum_k exp(log_weights_k) p_k(x)` over parts of one family.

    Densities and cells mix alike: all parts measure the same. Completions are for `infer.proposal`, or of the leaves
    below.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "estimate"}

    def __init__(self, event: Mixed, given: Mixed | None, parts: Sequence[Distribution], log_weights: Tensor) -> None:
        self.event, self.given, self.parts, self.log_weights = event, given, tuple(parts), log_weights

    @property
    def measure(self) -> Any:  # type: ignore[override]
        """That of the parts."""
        return self.parts[0].measure

    def log_prob(self, batch: Batch) -> Tensor:
        """Log of the weighted sum of what the parts say, float64 [rows]."""
        return self.log_joint(batch).logsumexp(1)

    def log_joint(self, batch: Batch) -> Tensor:
        """Log of weight times probability [rows, parts]."""
        terms = [cast(Scores, p).log_prob(batch).to(torch.float64) for p in self.parts]
        return torch.stack(terms, 1) + self.log_weights

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """Each record from a part chosen by weight."""
        chosen = torch.multinomial(self.log_weights.exp(), n, replacement=True, generator=generator)
        return gathered(
            n,
            self.event,
            [
                (rows, p.sample(len(rows), generator, None if cond is None else cond.take(rows)))
                for k, p in enumerate(self.parts)
                if len(rows := (chosen == k).nonzero()[:, 0])
            ],
            cond,
        )

    def arrays(self) -> dict[str, Tensor]:
        """Weights, and the arrays of every part."""
        return {"log_weights": self.log_weights, **kept(self.parts)}

    def facts(self) -> dict[str, Any]:
        """The facts of every part."""
        return {"parts": [p.facts() for p in self.parts]}


class WeightedExact(Weighted):
    """`Weighted` over parts that complete records exactly: so does it."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact", "draw": "exact"}

    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """A part by its posterior given what is known, then its own completion; see `Draws.draw`."""
        logits = self._evidence(batch, limits)
        return drawn(batch, logits, lambda k, rows: cast(Draws, self.parts[k]).draw(rows, generator, limits), generator)

    def log_within(self, batch: Batch, limits: Sequence[Limit]) -> Tensor:
        """See `WeighsLimits`."""
        return self._evidence(batch, limits).logsumexp(1)

    def cell_width(self, batch: Batch) -> Tensor:
        """See `Resolves`: that of the narrowest part."""
        return widest(self.parts, batch)

    def _evidence(self, batch: Batch, limits: Sequence[Limit]) -> Tensor:
        return torch.stack([evidence(p, batch, limits) for p in self.parts], 1) + self.log_weights


class WeightedAnyOrder(WeightedExact):
    """`Weighted` over chains that predict from any set of fields: what they say of the evidence weighs them."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "estimate", "draw": "estimate"}


class WeightedChains(Weighted):
    """`Weighted` over chains of a fixed order, which weigh their draws by all evidence: so does it."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "estimate", "draw": "estimate"}
    sees_evidence = False

    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """A part by its weight, then its draw, which says how probable it finds what is known; see `Draws.draw`."""
        logits = self.log_weights.expand(len(batch), -1)
        return drawn(batch, logits, lambda k, rows: cast(Draws, self.parts[k]).draw(rows, generator, limits), generator)


def weighted(event: Mixed, given: Mixed | None, parts: Sequence[Distribution], log_weights: Tensor) -> Weighted:
    """The weighted sum of these parts, with conditionals of its own where they have them."""
    leaf = Weighted
    if complete_exactly(parts):
        leaf = WeightedExact
    elif all(isinstance(p, Chain) for p in parts):
        leaf = WeightedAnyOrder if all(p.sees_evidence for p in parts) else WeightedChains
    return leaf(event, given, parts, log_weights)


def complete_exactly(parts: Sequence[Distribution]) -> bool:
    """Whether all parts integrate unknown coordinates out and draw them from their conditionals."""
    return all(isinstance(p, Draws) and p.guarantees.get("draw") == "exact" for p in parts)


def evidence(own: Distribution, batch: Batch, limits: Sequence[Limit]) -> Tensor:
    """Log-probability [rows] of what is known, and of the limits that the part's draws meet without a weight."""
    if not limits or not isinstance(own, WeighsLimits):
        return cast(Scores, own).log_prob(batch).to(torch.float64)
    total = own.log_within(batch, limits)
    if batch.cond is not None:  # parts differ in what they say of the given fields, on which all is conditioned
        total = total - own.log_within(unknown(len(batch), own.event, batch.cond), ())
    return total.to(torch.float64)


def widest(parts: Sequence[Distribution], batch: Batch) -> Tensor:
    """The largest `Resolves.cell_width` [rows] of the parts; infinite where one does not know."""
    blank = torch.full((len(batch),), torch.inf, dtype=torch.float64)
    return torch.stack([p.cell_width(batch) if isinstance(p, Resolves) else blank for p in parts]).amax(0)


def drawn(
    batch: Batch, logits: Tensor, complete: Callable[[int, Batch], tuple[Batch, Tensor]], generator: Generator
) -> tuple[Batch, Tensor]:
    """Each row completed by one of several options, drawn by `logits` [rows, options]; with the options' log weights.

    A row for which no option is possible weighs minus infinity.
    """
    possible = torch.isfinite(logits.amax(1))
    chance = torch.where(possible[:, None], logits, 0.0).softmax(1)
    chosen = torch.multinomial(chance, 1, generator=generator)[:, 0] if len(batch) else chance.argmax(1)
    cells, mask = batch.cells.clone(), batch.mask.clone()
    weight = torch.full((len(batch),), -torch.inf, dtype=torch.float64)
    for k in torch.unique(chosen[possible]).tolist():
        rows = (possible & (chosen == k)).nonzero()[:, 0]
        made, weight[rows] = complete(k, batch.take(rows))
        cells[rows], mask[rows] = made.cells, made.mask
    return Batch(cells, mask, batch.cond), weight


def gathered(n: int, event: Mixed, pieces: Sequence[tuple[Tensor, Batch]], cond: Batch | None) -> Batch:
    """One batch of n rows from pieces (their row numbers, their rows)."""
    cells = torch.zeros(n, len(event), dtype=torch.int64)
    mask = torch.zeros(n, len(event), dtype=torch.bool)
    for rows, made in pieces:
        cells[rows], mask[rows] = made.cells, made.mask
    return Batch(cells, mask, cond)


def kept(parts: Sequence[Distribution]) -> dict[str, Tensor]:
    """Arrays of parts, numbered."""
    return {f"part.{k}.{name}": array for k, p in enumerate(parts) for name, array in p.arrays().items()}


def restored(
    family: Family, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
) -> list[Distribution]:
    """Inverse of `kept` and `facts`."""
    return [family.restore(event, given, part(arrays, f"part.{k}"), own) for k, own in enumerate(facts["parts"])]


def refused(of: Family, event: Mixed, given: Mixed | None) -> str | None:
    """Why parts of this family cannot be composed over this event."""
    fitted: type[Fitted] = of.distribution
    if not issubclass(fitted, Scores):
        return f"its parts must have a likelihood, and {of.name} has none"
    if not of.distribution.storable:
        return f"its parts must be more than training rows, and {of.name} is made of them"
    return of.refuses(event, given)


def spelled(family: Family) -> str:
    """A family with its options in one line, for messages.

    Example:
        >>> from ensample.families.independent import Independent
        >>> spelled(Independent(bins=8))
        'independent {"bins": 8}'
    """
    return f"{family.name} {json.dumps(vars(family), default=str)}"
