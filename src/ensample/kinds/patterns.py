"""Patterns of codes and texts: found in a column, and filled afresh."""

from __future__ import annotations

import re
import string
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"

MOST_SHAPES = 64

LONGEST = 200
"""Characters of a text that its shape keeps."""

_CLASSES = {"9": string.digits, "A": string.ascii_uppercase, "a": string.ascii_lowercase}


@dataclass(frozen=True)
class Numbered:
    """One prefix, a number of at least `width` digits from `low` to `high`, one suffix."""

    before: str
    width: int
    after: str
    low: int
    high: int

    def texts(self, first: int, rows: int) -> pa.Array:
        """The texts of `rows` numbers from `first` on."""
        numbers = pa.array(np.arange(first, first + rows)).cast(pa.string())
        padded = pc.utf8_lpad(numbers, width=self.width, padding="0")
        return pc.binary_join_element_wise(pa.scalar(self.before), padded, pa.scalar(self.after), "")


def numbered(texts: list[str], rows: int) -> Numbered | None:
    """The running number in texts that differ in nothing else; None if there is none.

    `texts` is a sample of as many `rows`, whose numbers fill at least half of their range. Where rows are left out, the
    highest number is put so far up that all of them lie below (but for one chance in 500 million).
    """
    parts = [re.fullmatch(r"(.*?)(\d{1,18})(\D*)", text, re.DOTALL) for text in texts]
    found = [part.groups() for part in parts if part is not None]
    if len(found) < len(texts):
        return None
    before, after = {f[0] for f in found}, {f[2] for f in found}
    numbers = [int(f[1]) for f in found]
    width = min(len(f[1]) for f in found)
    padded = all(len(f[1]) == max(width, len(str(n))) for f, n in zip(found, numbers, strict=True))
    low, high = min(numbers), max(numbers)
    share = len(texts) / rows
    if len(before) > 1 or len(after) > 1 or not padded or len(set(numbers)) < 0.5 * share * (high - low):
        return None
    high += 0 if share == 1 else 20 * -(-(high - low) // len(texts))
    return Numbered(before.pop(), width, after.pop(), low, high)


def templates(texts: list[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The commonest patterns of texts, and how often each occurs.

    In a pattern "9", "A", "a" stand for any digit, capital, small letter; a character after a backslash for itself.
    """
    by_shape: dict[str, list[str]] = {}
    for text in texts:
        by_shape.setdefault(_shape(text), []).append(text)
    frequent = Counter({shape: len(rows) for shape, rows in by_shape.items()}).most_common(MOST_SHAPES)
    return tuple(_template(by_shape[shape]) for shape, _ in frequent), tuple(count for _, count in frequent)


def _shape(text: str) -> str:
    """Classes of the characters; long texts by their beginning."""
    return "".join("9" if c.isdigit() else "A" if c.isupper() else "a" if c.islower() else c for c in text[:LONGEST])


def _template(texts: list[str]) -> str:
    """What texts of one shape share: a letter or digit that is the same in five or more of them stands for itself."""
    columns = [set(column) for column in zip(*(text[:LONGEST] for text in texts), strict=True)]
    fixed = len(texts) >= 5
    parts = []
    for letter, met in zip(_shape(texts[0]), columns, strict=True):
        if letter in "9Aa" and not (fixed and len(met) == 1):
            parts.append(letter)
        else:
            parts.append("\\" + (next(iter(met)) if len(met) == 1 else letter))
    return "".join(parts)


def filled(rows: int, rng: np.random.Generator, shapes: tuple[str, ...], weights: tuple[int, ...]) -> pa.Array:
    """Texts of these shapes with random letters and digits, all different if there are enough of them."""
    made = _texts_once(rows, rng, shapes, weights)
    for _ in range(8):
        _, first = np.unique(made, return_index=True)
        again = np.setdiff1d(np.arange(rows), first)
        if len(again) == 0:
            break
        made[again] = _texts_once(len(again), rng, shapes, weights)
    return pa.array(made, pa.string())


def _texts_once(rows: int, rng: np.random.Generator, shapes: tuple[str, ...], weights: tuple[int, ...]) -> np.ndarray:
    shares = np.array(weights) / sum(weights)
    chosen = rng.choice(len(shapes), rows, p=shares)
    made = np.empty(rows, dtype=object)
    for number in np.unique(chosen):
        place = np.flatnonzero(chosen == number)
        parts = re.findall(r"\\.|[9Aa]", shapes[number], re.DOTALL)
        letters = [
            np.full(len(place), part[1]) if part[0] == "\\" else rng.choice(list(_CLASSES[part]), len(place))
            for part in parts
        ]
        joined = np.zeros(len(place), "U1")
        for letter in letters:
            joined = np.char.add(joined, letter)
        made[place] = joined
    return made


def uuids(rows: int, rng: np.random.Generator, *, upper: bool) -> pa.Array:
    """Random UUIDs of version 4 (RFC 9562)."""
    octets = rng.integers(0, 256, (rows, 16), np.uint8)
    octets[:, 6] = octets[:, 6] & 0x0F | 0x40
    octets[:, 8] = octets[:, 8] & 0x3F | 0x80
    texts = pa.array([row.tobytes().hex() for row in octets], pa.string())
    dashed = pc.replace_substring_regex(texts, r"^(.{8})(.{4})(.{4})(.{4})(.{12})$", r"\1-\2-\3-\4-\5")
    return pc.utf8_upper(dashed) if upper else dashed
