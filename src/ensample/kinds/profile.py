"""What one pass over a column tells: counts of its values, exact bounds and resolution, a bounded random sample."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data import marks
from ensample.data.dialogues import is_dialogue
from ensample.data.nested import is_sequence, lengths_of, step_fields, steps_of
from ensample.data.pictures.column import is_pictures, pixels_of
from ensample.data.series import plan_in
from ensample.data.series.shared import Shared
from ensample.errors import InputError
from ensample.kinds.arrow import is_number, is_text, plain, value_type
from ensample.kinds.timeformat import TextTrace
from ensample.kinds.trace import FloatTrace, IntegerTrace, TimeTrace

MOST_LEVELS = 100_000
"""Distinct values that are counted exactly; a column with more has `distinct` None."""

SAMPLE_ROWS = 50_000
"""Rows of the random sample from which shapes (skew, spikes, hard bounds) are read."""

COUNTED_PIXELS = 2**20
"""Pixels that are counted at a time."""

PROFILE_STREAM = 0x50
"""Sets the draw of that sample apart from other draws with the same seed."""


class Profile:
    """Facts of one column, gathered batch by batch.

    Attributes:
        rows, missing: how many rows, and how many of them are null.
        values, counts: distinct values (plain Arrow) and how often each occurs, or None past `MOST_LEVELS`.
        sample: plain non-missing values of randomly chosen rows.
        order: levels of an ordered dictionary in its order.
        trace: exact bounds and resolution of numbers, times, and texts that are dates; None for other columns.
    """

    def __init__(self, name: str, dtype: pa.DataType) -> None:
        self.name, self.dtype = name, dtype
        self.rows = self.missing = 0
        self.sample = pa.nulls(0)
        self.values: pa.Array | None = None
        self.counts = np.zeros(0, np.int64)
        self.order: tuple[str, ...] | None = None
        self.trace = _trace(dtype)
        self._pending: list[pa.StructArray] | None = []
        self._size = 0

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.Array, name: str = "column") -> Profile:
        """The profile of a column in memory."""
        table = pa.table({name: column})
        return profiles(table.schema, table.to_batches(max_chunksize=65_536))[name]

    @property
    def distinct(self) -> int | None:
        """Number of distinct non-missing values, None if more than `MOST_LEVELS`."""
        return None if self.values is None else len(self.values)

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing

    @property
    def singletons(self) -> int:
        """Number of values that occur once, as far as they are counted."""
        return int((self.counts == 1).sum())

    def note_order(self, column: pa.Array) -> None:
        """Remember the levels of an ordered dictionary, from its first batch."""
        if pa.types.is_dictionary(column.type) and column.type.ordered and self.order is None:
            self.order = tuple(column.dictionary.cast(pa.string()).to_pylist())

    def add(self, column: pa.Array) -> None:
        """One more batch, in plain form."""
        self.rows += len(column)
        self.missing += column.null_count
        present = column.drop_null()
        if len(present) == 0:
            return
        if self._pending is not None:
            counted = _count(present, self.name)
            self._pending.append(counted)
            self._size += len(counted)
            if self._size > 4 * MOST_LEVELS:
                self._compact()
        if self.trace is not None and not self.trace.add(present, self.name):
            self.trace = None

    def finish(self, sample: pa.Array) -> None:
        """Close with the sampled rows of this column."""
        self.sample = plain(sample).drop_null()
        if self._pending is not None:
            self._compact()
        if self._pending:
            self.values, self.counts = self._pending[0].field(0), self._pending[0].field(1).to_numpy()
        elif self._pending is not None:
            self.values = plain(pa.nulls(0, self.dtype)) if not pa.types.is_null(self.dtype) else pa.nulls(0)

    def _compact(self) -> None:
        """Add up the counts of all batches so far; give up past `MOST_LEVELS`."""
        if not self._pending:
            return
        if len(self._pending) > 1:
            parts = pa.concat_arrays(self._pending)
            table = pa.table({"v": parts.field(0), "c": parts.field(1)})
            summed = table.group_by("v").aggregate([("c", "sum")]).combine_chunks()
            columns = [summed.column(name).combine_chunks() for name in ("v", "c_sum")]
            columns = [c.chunk(0) if isinstance(c, pa.ChunkedArray) else c for c in columns]
            self._pending = [pa.StructArray.from_arrays(columns, ["values", "counts"])]
        self._size = len(self._pending[0])
        if self._size > MOST_LEVELS:
            self._pending = None


def profiles(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    seed: int = 0,
    texts: Collection[str] = (),
    lists: Collection[str] = (),
) -> dict[str, Profile]:
    """Profiles of all columns in one pass. The sampled rows are a pure function of the seed.

    Columns named in `texts` are read as texts, not as names of classes, if they hold texts at all; dialogues named in
    `lists` are read as lists of steps.
    """
    gathering = _Gathering(schema, seed, texts, lists)
    for batch in batches:
        gathering.add(batch)
    return gathering.finish()


class _Gathering:
    """Profiles in the making, and the sampler of the columns that are neither lists nor pictures nor free texts."""

    def __init__(
        self, schema: pa.Schema, seed: int = 0, texts: Collection[str] = (), lists: Collection[str] = ()
    ) -> None:
        self.found = {f.name: _profile_of(f.type, f.name in texts, f.name in lists)(f.name, f.type) for f in schema}
        for column in schema:
            if isinstance(found := self.found[column.name], SequenceProfile):
                found.shared = _shared(column)
        self.plain = pa.schema([f for f in schema if type(self.found[f.name]) is Profile])
        self.sampler = _Sampler(np.random.default_rng((seed, PROFILE_STREAM)))

    def add(self, batch: pa.RecordBatch) -> None:
        """One more batch."""
        columns = {}
        for name, profile in self.found.items():
            raw = batch.column(name)
            profile.note_order(raw)
            profile.add(column := plain(raw))
            columns[name] = column
        if len(self.plain):
            self.sampler.add(pa.RecordBatch.from_arrays([columns[f.name] for f in self.plain], self.plain.names))

    def finish(self) -> dict[str, Profile]:
        """Close them all."""
        table = self.sampler.table(self.plain)
        for name, profile in self.found.items():
            profile.finish(table.column(name) if name in self.plain.names else pa.nulls(0))
        return self.found


class SequenceProfile(Profile):
    """Facts of a column of lists.

    Attributes:
        steps: number of all steps; those that overlapping windows share count once.
        longest, shortest: steps of the longest and of the shortest record that is not missing.
        fields: profiles of the fields of all steps together.
    """

    def __init__(self, name: str, dtype: pa.DataType) -> None:
        super().__init__(name, dtype)
        self.steps = self.longest = 0
        self.least: int | None = None
        self.fields: dict[str, Profile] = {}
        self.shared: Shared | None = None
        self._gathering = _Gathering(pa.schema(step_fields(dtype)))

    def add(self, column: pa.Array) -> None:
        """One more batch."""
        lengths = lengths_of(column, -1)
        self.rows += len(column)
        self.missing += int((lengths < 0).sum())
        there = lengths[lengths >= 0]
        if len(there):
            self.longest = max(self.longest, int(there.max()))
            self.least = int(there.min()) if self.least is None else min(self.least, int(there.min()))
        steps = steps_of(column)
        steps = steps if self.shared is None else self.shared.own(steps, lengths)
        self.steps += len(steps)
        self._gathering.add(steps)

    @property
    def shortest(self) -> int:
        """Steps of the shortest record."""
        return self.least or 0

    def finish(self, sample: pa.Array) -> None:
        """Close the profiles of the steps; lists as a whole are not sampled."""
        self._pending = None
        self.fields = self._gathering.finish()


def _shared(column: pa.Field) -> Shared | None:
    """What tells the steps of overlapping windows apart, None for other lists."""
    plan = plan_in(column) if marks.series(column) else None
    return None if plan is None or plan.window is None or not plan.overlaps else Shared(plan.window, plan.stride)


class PictureProfile(Profile):
    """Facts of a column of pictures.

    Attributes:
        met: which of the 256 values some pixel has, bool [256].
    """

    def __init__(self, name: str, dtype: pa.DataType) -> None:
        super().__init__(name, dtype)
        self.met = np.zeros(256, dtype=bool)

    def add(self, column: pa.Array) -> None:
        """One more batch."""
        self.rows += len(column)
        self.missing += column.null_count
        pixels = pixels_of(column.drop_null()).reshape(-1)
        for start in range(0, len(pixels), COUNTED_PIXELS):
            self.met |= np.bincount(pixels[start : start + COUNTED_PIXELS], minlength=256) > 0

    def finish(self, sample: pa.Array) -> None:
        """Nothing is left to do: pictures as a whole are neither counted nor sampled."""
        self._pending = None


def _profile_of(dtype: pa.DataType, free: bool, of_steps: bool) -> type[Profile]:
    if is_pictures(dtype):
        return PictureProfile
    if is_dialogue(dtype) and not of_steps:
        from ensample.kinds.dialogueprofile import DialogueProfile

        return DialogueProfile
    if free and is_text(value_type(dtype)):
        from ensample.kinds.textprofile import TextProfile

        return TextProfile
    return SequenceProfile if is_sequence(dtype) else Profile


class _Sampler:
    """Keeps the rows with the smallest of as many random ranks as there are rows, in their order."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.ranks, self.limit = rng, np.zeros(0), 1.0
        self.kept: list[pa.RecordBatch] = []

    def add(self, batch: pa.RecordBatch) -> None:
        ranks = self.rng.random(len(batch))
        rows = np.flatnonzero(ranks < self.limit)
        self.kept.append(batch.take(pa.array(rows)))
        self.ranks = np.concatenate([self.ranks, ranks[rows]])
        if len(self.ranks) > 2 * SAMPLE_ROWS:
            self._thin()

    def _thin(self) -> None:
        if len(self.ranks) > SAMPLE_ROWS:
            self.limit = float(np.partition(self.ranks, SAMPLE_ROWS)[SAMPLE_ROWS])
            rows = np.flatnonzero(self.ranks < self.limit)
            self.kept = pa.Table.from_batches(self.kept).take(pa.array(rows)).combine_chunks().to_batches()
            self.ranks = self.ranks[rows]

    def table(self, schema: pa.Schema) -> pa.Table:
        self._thin()
        return pa.Table.from_batches(self.kept) if self.kept else schema.empty_table()


def _trace(dtype: pa.DataType) -> IntegerTrace | FloatTrace | TextTrace | None:
    kind = dtype.value_type if pa.types.is_dictionary(dtype) else dtype
    if pa.types.is_floating(kind):
        return FloatTrace(kind)
    if pa.types.is_temporal(kind):
        return TimeTrace(kind)
    if is_number(kind):
        return IntegerTrace()
    return TextTrace() if is_text(kind) else None


def _count(present: pa.Array, name: str) -> pa.StructArray:
    try:
        return pc.value_counts(present)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise InputError(
            "A column must hold numbers, texts, truths or times.",
            f"column {name!r}",
            str(present.type),
            "leave the column out, or turn it into several plain columns",
        ) from error
