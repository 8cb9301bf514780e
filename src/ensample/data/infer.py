"""What a column of texts holds: integers, numbers, truths, dates, moments, or text after all.

The whole column is looked at before its type is settled, so a late surprise changes the type, never breaks a read.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.missing import Spellings, commonest, count_texts
from ensample.data.wording import PLAIN, wording_of

UNITS = ("s", "ms", "us", "ns")
NUMBERS: tuple[pa.DataType, ...] = (pa.int64(), pa.float64())
TRUTHS: tuple[pa.DataType, ...] = (pa.bool_(),)
DAYS: tuple[pa.DataType, ...] = (pa.date32(), *(pa.timestamp(unit) for unit in UNITS))
MOMENTS: tuple[pa.DataType, ...] = tuple(pa.timestamp(unit, "UTC") for unit in UNITS)

Ladder = tuple[tuple[pa.DataType, ...], ...]
"""Chains of types, each wider than the one before it in its chain; the first chain that fits wins."""
ANYTHING: Ladder = (NUMBERS, TRUTHS, DAYS, MOMENTS)
TIMES: Ladder = (DAYS, MOMENTS)
TEXT_ONLY: Ladder = ()

# A zero in front means a code (a post code, an account): as a number it would lose its shape.
_CODE = r"^[+-]?0[0-9xX]"
_LONG = r"^[+-]?[0-9]{17,}$"
_NUMBER = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"


@dataclass(frozen=True)
class Plan:
    """How the raw cells of one column become values: the texts to drop, the type to parse, how to write it again."""

    name: str
    type: pa.DataType
    gone: tuple[str, ...] = ()
    spelling: str | None = None
    wording: str | None = None


@dataclass
class ColumnScan:
    """What has been seen of one text column, batch by batch; `plan` settles it at the end."""

    name: str
    ladder: Ladder
    spellings: Spellings
    counts: Counter[str] = field(default_factory=Counter)
    chain: tuple[pa.DataType, ...] | None = None
    rung: int = 0
    is_text: bool = False
    codes: bool = True
    rows: int = 0
    seen: bool = False
    wording: str | None = None
    note: str | None = None

    def see(self, cells: pa.Array) -> None:
        """Look at the next batch of texts."""
        if not self._fits(cells):
            trimmed = pc.utf8_trim_whitespace(cells)
            suspect = pc.fill_null(pc.is_in(trimmed, value_set=self.spellings.suspects), False)
            if pc.any(suspect).as_py():
                self.counts.update(count_texts(cells.filter(suspect)))
            self._climb(cells.filter(pc.invert(pc.or_(suspect, cells.is_null()))), cells)
        self.rows += len(cells)

    def _fits(self, cells: pa.Array) -> bool:
        """Whether the whole batch parses at the rung that stands, nothing missing: the fast way through."""
        return self.chain is not None and parse(cells, self.chain[self.rung]) is not None

    def _climb(self, rest: pa.Array, cells: pa.Array) -> None:
        if not len(rest):
            return
        self.seen = True
        if self.is_text:
            self._check_codes(rest)
            return
        chains = self.ladder if self.chain is None else (self.chain,)
        for chain in chains:
            for rung in range(self.rung, len(chain)):
                parsed = parse(rest, chain[rung])
                if parsed is not None:
                    self._settle(chain, rung, parsed, rest)
                    return
        self._give_up(rest, cells)

    def _settle(self, chain: tuple[pa.DataType, ...], rung: int, values: pa.Array, texts: pa.Array) -> None:
        if self.chain is None:
            self.wording = wording_of(values, texts)
        elif rung > self.rung:  # integers so far, written without a point
            self.wording = PLAIN if chain is NUMBERS else None
        self.chain, self.rung = chain, rung

    def _give_up(self, rest: pa.Array, cells: pa.Array) -> None:
        numeric = pc.match_substring_regex(rest, _NUMBER)
        if self.ladder and self.ladder[0] is NUMBERS:
            share = pc.mean(numeric.cast(pa.float64())).as_py()
            was_number = self.chain is not None and self.chain[-1] == pa.float64()
            if share < 1 and (was_number or share >= 0.5):
                odd = rest.filter(pc.invert(numeric))[0].as_py()
                row = self.rows + pc.index(cells, odd).as_py()
                self.note = (
                    f"column {self.name!r} mixes numbers and text (record {row + 1:,} holds {odd!r}): read as text"
                )
        self.codes = self.codes and self.chain is None
        self.chain, self.rung, self.is_text, self.wording = None, 0, True, None
        self._check_codes(rest)

    def _check_codes(self, rest: pa.Array) -> None:
        self.codes = self.codes and pc.all(pc.match_substring_regex(rest, "^[A-Z]{2}$")).as_py()

    def plan(self) -> Plan:
        """What to do with the column, after the last batch."""
        typed = self.chain is not None
        gone = self.spellings.missing_of(self.counts, typed=typed, codes=self.codes and self.seen)
        if self.chain is not None:
            kind = self.chain[self.rung]
        else:
            empty = not self.seen and len(gone) == len(self.counts) and bool(self.ladder)
            kind = pa.null() if empty else pa.string()
        return Plan(self.name, kind, tuple(gone), commonest(gone), self.wording)


def parse(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """The texts as values of a type, blanks around them ignored; None if one of them is not such a value.

    Codes with zeros in front and integers too long for a float are no numbers; a NaN counts as not parsed.
    """
    values = read_as(cells, kind)
    if values is None:
        return None
    if kind in NUMBERS and _any_code(cells):
        return None
    if kind == pa.float64() and (pc.any(pc.is_nan(values)).as_py() or _any_long(cells)):
        return None
    return values


def read_as(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """The texts as values of a type, blanks around them ignored; None if Arrow cannot read one of them as such."""
    values = _cast(cells, kind)
    return _cast(pc.utf8_trim_whitespace(cells), kind) if values is None else values


def _cast(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    # Arrow goes on to the end after a failure, and each one costs: a short piece tells most columns apart.
    try:
        for piece in (16, 512):
            if len(cells) > 2 * piece:
                pc.cast(cells.slice(0, piece), kind)
        return pc.cast(cells, kind)
    except pa.ArrowInvalid:
        return None


def _any_code(cells: pa.Array) -> bool:
    # Plain prefixes first: an expression over every cell costs more than reading it.
    zero = pc.or_(pc.starts_with(cells, "0"), pc.or_(pc.starts_with(cells, "-0"), pc.starts_with(cells, "+0")))
    return _any_match(cells.filter(zero), _CODE)


def _any_long(cells: pa.Array) -> bool:
    longest = pc.max(pc.binary_length(cells)).as_py()
    return longest is not None and longest >= 17 and _any_match(cells, _LONG)


def _any_match(cells: pa.Array, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(cells, pattern)).as_py())
