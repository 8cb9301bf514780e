"""Texts that are dates and times: the forms they are written in."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

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
