"""What autoregressive networks over series learn from: long records in windows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ensample.kinds.sequences import Sequences

PHASES = 2
"""Windows of a long record begin at every so-manieth part of their length."""


def cut(records: Sequences, context: int) -> Sequences:
    """Records no longer than a context as they are, longer ones in windows that overlap by half.

    In a window that begins inside its record the first step is only looked at, and the end of one that ends there is no
    end: `scored` says so. Which windows share steps is told by `near`, as of all records: windows of one record that
    lie beside each other do, and so may those of records that do.

    Example:
        >>> from ensample.events import Discrete, Mixed, Ragged, Span
        >>> event = Ragged(Mixed((Span("a", Discrete(9)),)), 5)
        >>> windows = cut(Sequences(event, np.arange(5)[:, None], lengths=np.array([5])), 4)
        >>> windows.batch().cells[:, :, 0].tolist()
        [[0, 1, 2, 3], [2, 3, 4, 0]]
        >>> windows.batch().scored.int().tolist()
        [[1, 1, 1, 1, 0], [0, 1, 1, 1, 0]]
    """
    lengths = records.lengths
    if int(lengths.max(initial=0)) <= context:
        return records
    stride = max(1, context // PHASES)
    count = np.maximum(1, -(-(lengths - context) // stride) + 1)
    record = np.repeat(np.arange(len(lengths)), count)
    first = (np.arange(len(record)) - np.repeat(count.cumsum() - count, count)) * stride
    own = np.where(lengths[record] < 0, lengths[record], np.minimum(context, lengths[record] - first))
    there = own.clip(min=0)
    step = np.arange(int(there.sum())) - np.repeat(there.cumsum() - there, there)
    table = records.table[np.repeat(records.starts[:-1][record] + first, there) + step]
    borders = np.repeat((there + 1).cumsum() - there - 1, there + 1)
    place, window = np.arange(len(borders)) - borders, np.repeat(np.arange(len(record)), there + 1)
    whole = (first + own >= lengths[record])[window]
    scored = ((place > 0) | (first == 0)[window]) & ((place < there[window]) | whole)
    event = replace(records.event, max_length=context, partly=True)
    beside = -(-context // stride) - 1
    given, near = records.given_of(record), records.near * int(count.max()) + beside
    return Sequences(event, table, records.given, **given, lengths=own, scored=scored, near=near)
