"""Texts that are dates and times: the format is found, and every value is written back letter for letter."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.kinds.trace import TimeTrace

FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%b-%Y",
    "%b %Y",
    "%Y-%m",
    "%m/%Y",
    "%Y%m%d",
    "%H:%M:%S",
    "%H:%M",
)
"""Formats that are tried, in this order: where month and day cannot be told apart, the month is taken to come first."""

BARE = "~"
"""Before a format: numbers are written without leading zeros (1/5/2020)."""


def read(texts: pa.Array, form: str) -> pa.Array:
    """Seconds since 1970 (timestamp[s]); null where a text is not of this format."""
    form = form.removeprefix(BARE)
    if "%Y" not in form:  # a time of day: on the first day of 1970
        texts, form = pc.binary_join_element_wise(pa.scalar("1970-01-01"), texts, " "), f"%Y-%m-%d {form}"
    if "%d" not in form:
        texts, form = pc.binary_join_element_wise(texts, pa.scalar("01"), " "), f"{form} %d"
    return pc.strptime(texts, format=form, unit="s", error_is_null=True)


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
