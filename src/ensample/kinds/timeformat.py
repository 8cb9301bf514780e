"""Texts that are dates and times: the format is found, and every value is written back letter for letter."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.dates import BARE, FORMATS, read
from ensample.kinds.trace import TimeTrace


def write(moments: pa.Array, form: str) -> pa.Array:
    """Inverse of `read`."""
    texts = pc.strftime(moments, format=form.removeprefix(BARE), locale="C")
    if form.startswith(BARE):
        texts = pc.replace_substring_regex(texts, r"(^|[^0-9:])0([0-9])", r"\1\2")
    return texts


def fits(texts: pa.Array, form: str) -> bool:
    """Whether every text is of this format and would be written back as it stands."""
    moments = read(texts, form)
    return bool(moments.null_count == 0 and write(moments, form).equals(texts))


class TextTrace:
    """The formats that all texts so far have, and the bounds of their moments in seconds."""

    def __init__(self) -> None:
        self.formats: list[str] | None = None
        self.traces: dict[str, TimeTrace] = {}

    def add(self, present: pa.Array, name: str) -> bool:
        """Non-missing texts; False as soon as no format is left."""
        if self.formats is None:
            few = present.slice(0, 50)
            tried = [*FORMATS, *(BARE + f for f in FORMATS if "%d" in f or "%m" in f)]
            self.formats = [f for f in tried if fits(few, f)] if _may_be_time(few) else []
        self.formats = [f for f in self.formats if fits(present, f)]
        for form in self.formats:
            trace = self.traces.setdefault(form, TimeTrace(pa.timestamp("s")))
            trace.add_integers(np.asarray(read(present, form).cast(pa.int64()).to_numpy()))
        return bool(self.formats)


def _may_be_time(texts: pa.Array) -> bool:
    lengths = pc.min_max(pc.utf8_length(texts)).as_py()
    digits = pc.all(pc.match_substring_regex(texts, "[0-9]")).as_py()
    return bool(digits and lengths["min"] >= 4 and lengths["max"] <= 26)
