"""A fitted encoder and decoder: scores, makes and continues sequences that belong to others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ensample.errors import InputError
from ensample.events import Batch, Mixed, Ragged
from ensample.families.sequences.autoregressive.model import AutoregressiveSequences, targets_of
from ensample.families.sequences.autoregressive.sliding import SHORTEST, Sliding
from ensample.nets.machine import operations
from ensample.nets.sequences.translator import NOTHING, Translator


class TranslatedSequences(AutoregressiveSequences):
    """p(x | source) = product over t of p(x_t | x_<t, source), with the end of the record as its last factor.

    Each class is told from all of the source, and from what lies before it in its window; see
    `AutoregressiveSequences`.
    """

    net: Translator

    def __init__(
        self, event: Ragged, given: Ragged, net: Translator, sliding: Sliding, layers: int, encoder_layers: int
    ) -> None:
        super().__init__(event, None, net, sliding, layers)
        self.source, self.encoder_layers = given, encoder_layers
        self.given: Mixed | None = given  # type: ignore[assignment]  # a family of sequences that are given

    @property
    def operations_per_row(self) -> float:
        """Multiplications of the way of a record of the longest source through the network."""
        tokens, source = (torch.zeros(1, n, dtype=torch.int64) for n in (self.sliding.context, self.source.max_length))
        return operations(lambda: self.net(tokens, source))

    def told(self, batch: Batch) -> Tensor:
        """The sources [rows, places] int64, as `Translator` reads them.

        Raises:
            InputError: a source, or a step of one, is not known.
        """
        source, lengths = _source(batch)
        cells = F.pad(source.cells[:, :, 0], (0, 1))
        place = torch.arange(cells.shape[1])
        ended = torch.where(place == lengths[:, None], classes_of(self.source), cells)
        return torch.where(place > lengths[:, None], NOTHING, ended)

    def logits(self, windows: Batch) -> tuple[Tensor, Tensor]:
        """What `log_p` gives, before it is normalised."""
        return self.net(windows.cells[:, :-1, 0], self.told(windows)), targets_of(windows)

    def _scores(self, batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
        """Sources of similar length together; to how many places they are filled depends on each alone."""
        _, lengths = _source(batch)
        size = torch.full_like(lengths, SHORTEST)
        while bool((size <= lengths).any()):
            size = torch.where(size <= lengths, 2 * size, size)
        for places in sorted(set(size.tolist())):
            rows = (size == places).nonzero()[:, 0]
            part = batch.take(rows)
            assert part.cond is not None
            for record, score in super()._scores(replace(part, cond=sized(part.cond, places - 1))):
                yield rows[record], score

    def facts(self) -> dict[str, Any]:
        """Sizes that were chosen by the records."""
        return {**super().facts(), "encoder_layers": self.encoder_layers}


def classes_of(event: Ragged) -> int:
    """Of the one span of a step."""
    return int(event.element.spans[0].event.classes)  # type: ignore[union-attr]  # checked by `refuses_sequences`


def sized(batch: Batch, steps: int) -> Batch:
    """A ragged batch of so many steps, none of its records longer."""
    if steps >= batch.cells.shape[1]:
        return batch.padded(steps)
    scored = None if batch.scored is None else batch.scored[:, :steps]
    return replace(batch, cells=batch.cells[:, :steps], mask=batch.mask[:, :steps], scored=scored)


def _source(batch: Batch) -> tuple[Batch, Tensor]:
    """The sources of a batch, all of them known, and their lengths."""
    source = batch.cond
    seen = None
    if source is None or source.lengths is None:
        seen = "no source"
    elif bool((source.lengths < 0).any()) or bool((source.steps() & ~source.mask[:, :, 0]).any()):
        seen = "a source that is missing, or a step of one"
    if source is None or source.lengths is None or seen is not None:
        rule = "A translation needs the whole of what it translates."
        raise InputError(rule, "given", str(seen), "leave the record out")
    return source, source.lengths
