"""n-gram models of sequences, learned by counting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ensample.events import MISSING_LENGTH, Discrete, Mixed, Ragged
from ensample.families.base import Distribution, at_least
from ensample.families.sequences.drawing import longest_of
from ensample.families.sequences.ngram.choice import best_order
from ensample.families.sequences.ngram.levels import levels_of
from ensample.families.sequences.ngram.model import NgramSequences, classes_of
from ensample.families.sequences.ngram.smoothing import Counts, kept
from ensample.families.sequences.ngram.storage import restored
from ensample.families.sequences.ngram.tally import MOST, Tally, tallied
from ensample.families.sequences.ngram.windows import Stream, Windows
from ensample.kinds.records import Records
from ensample.kinds.sequences import Sequences
from ensample.run import Progress, Run


@dataclass(frozen=True)
class Ngram:
    """p(symbol | history) = max(c - D(c), 0) / total + gamma(history) p(symbol | history but its first symbol).

    Interpolated modified Kneser-Ney smoothing (Chen and Goodman 1999): c is how often the n-gram was met, for lower
    orders in how many ways it was continued to the left; the discounts D_1, D_2, D_3+ of each order come from its
    counts of counts. The shares of single symbols are mixed with a uniform distribution, so that no class, whether met
    or not, and no record is impossible. The end of a record is a symbol like others, and what begins a record knows it.

    Use it as the honest floor of every comparison of texts, and where little is at hand: it learns in one pass of
    counting, in seconds (where the budget ends before the records do, from their beginning), scores exactly, and
    writes fast. It knows `order` - 1 symbols and nothing of what lies before; symbols that are alike are strangers to
    it.

    High orders hold rare n-grams as they are, and records shorter than `order` as a whole. Where the training records
    are private, `least` drops what was met seldom: of n-grams met fewer than so many times nothing is kept but their
    number.

    Arguments:
        order: symbols of the longest n-grams; None takes the order that scores held-out parts of the records best (the
            lowest one of those that are about as good), or a lower one where too many n-grams would have to be kept.
        highest: the highest order that is tried where none is given.
        least: n-grams met fewer than so many times are dropped; single symbols are not.
        longest: most symbols of a drawn record; what has no end by then is cut, and only the beginning of a draw. Four
            times the longest record, from 64 to 4,096, if left out; 1,024 where most records are longer than that.

    Raises:
        InputError: an argument is out of its range.

    Example:
        >>> from ensample.families.options import to_plain
        >>> to_plain(Ngram(order=5))
        {'order': 5, 'highest': 10, 'least': 1, 'longest': None}
    """

    order: int | None = None
    highest: int = 10
    least: int = 1
    longest: int | None = None

    name: ClassVar[str] = "ngram"
    scores_parts: ClassVar[bool] = True
    distribution: ClassVar[type[Distribution]] = NgramSequences

    def __post_init__(self) -> None:
        at_least(self, order=1, highest=1, least=1, longest=1)

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "ngram needs sequences: texts, or a field whose values are lists of categories"

    def refuses_sequences(self, event: Ragged, given: Mixed | None) -> str | None:
        """Accepts ordered sequences of one class a step, without given fields."""
        if not event.ordered:
            return "ngram needs sequences, and these elements have no order"
        if len(event.element) != 1 or not isinstance(event.element.spans[0].event, Discrete):
            return "ngram learns sequences of one category a step"
        return "ngram learns sequences without given fields" if given is not None else None

    def fit(self, records: Records, seed: int, run: Run) -> NgramSequences:
        """Count once, or where the order is open twice: what tells the order, then everything."""
        assert isinstance(records, Sequences)
        stream, order = Stream(records, classes_of(records.event)), self.order
        if order is None:
            run.report(Progress("choose the order", 0.0))
            order = best_order(stream, self.highest, self.least, seed)
        most = MOST if self.order is None else None
        tally = tallied(_in_time(stream, order, run), order, stream.classes, most)
        missing = float((records.lengths == MISSING_LENGTH).mean())
        longest = self.longest or longest_of(torch.from_numpy(records.lengths))
        return NgramSequences(records.event, smoothed(tally, self.least), missing, longest)

    def again(self, fitted: NgramSequences) -> Ngram:
        """With the order that was chosen."""
        return replace(self, order=fitted.order)

    def restore(
        self, event: Any, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> NgramSequences:
        """Inverse of `NgramSequences.arrays`."""
        return NgramSequences(event, restored(arrays), float(facts["missing"]), int(arrays["longest"]))


def _in_time(stream: Stream, order: int, run: Run) -> Iterator[Windows]:
    """All windows, block by block, as far as time allows: one block at least."""
    for start, windows in stream.windows(order):
        run.report(Progress("count", start / len(stream)))
        yield windows
        if run.clock.over():
            return


def smoothed(tally: Tally, least: int) -> list[Counts]:
    """The levels of a model of the tally's order, or a lower one where no n-gram of a level is kept."""
    levels, numbers = [], np.zeros(1, np.int64)
    for level in levels_of(tally):
        counts, numbers = kept(level, level.adjusted, least, numbers)
        if not len(counts.symbols):
            break
        levels.append(counts)
    return levels
