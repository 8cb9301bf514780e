"""What the page shows of made texts: some beside real ones with copied spans marked, curves, words too many or few."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from ensample.judge.evaluate import Judgement
from ensample.judge.frame import Column
from ensample.judge.measure import Measure
from ensample.judge.plots import distances, histogram
from ensample.judge.svg import Scale, hint, path, percent, picture, tag, text, ticks
from ensample.judge.texts.copies import TextCopies
from ensample.judge.texts.evaluate import sides
from ensample.judge.texts.novelty import NOVELTY, ORDERS
from ensample.judge.texts.reference import Side, TextReference
from ensample.judge.texts.tokens import counted

SHOWN, MOST = 8, 700
"""Texts of a side that are shown, and characters of each."""

WORDS = 12
"""Words that are used too often, and too seldom."""


@dataclass(frozen=True)
class Copied:
    """A made text, marked, and the training text with which it shares its longest span, marked there."""

    size: int
    made: Markup
    train: Markup


def detail(reference: TextReference, judgement: Judgement) -> dict[str, Any]:
    """What the page shows of texts."""
    made, check = judgement.made.side, judgement.copy
    fake, real = sides(reference, made)
    novelty = judgement.get(NOVELTY)
    return {
        "made_texts": _made(made, check),
        "real_texts": [marked(each) for each in reference.held_out(SHOWN).texts],
        "told": check.told if isinstance(check, TextCopies) else None,
        "lengths": histogram(_column(real), _column(fake)),
        "curve": None if novelty is None else curve(novelty),
        "usage": usage(fake, real),
        "check": check,
        "copy_picture": None if check is None else distances(check.to_train, check.to_test, "text"),
        "closest": _closest(check),
    }


def marked(words: str, marks: np.ndarray | None = None, around: int = 0) -> Markup:
    """A text for the page, cut to `MOST` characters around a place; marked characters stand in `mark` elements.

    Example:
        >>> str(marked("a<b", np.array([False, True, True])))
        'a<mark>&lt;b</mark>'
    """
    first = max(0, min(around - MOST // 3, len(words) - MOST))
    shown = words[first : first + MOST]
    inside = np.zeros(len(shown), dtype=bool) if marks is None else marks[first : first + MOST]
    cuts = [0, *(np.flatnonzero(inside[1:] != inside[:-1]) + 1).tolist(), len(shown)]
    parts = [_piece(shown[a:b], bool(inside[a])) for a, b in pairwise(cuts) if b > a]
    return Markup("".join(["… " if first else "", *parts, " …" if first + MOST < len(words) else ""]))


def _piece(words: str, mark: bool) -> str:
    return f"<mark>{escape(words)}</mark>" if mark else str(escape(words))


def _made(made: Side, check: Any) -> list[Markup]:
    if isinstance(check, TextCopies):
        return [marked(check.judged.texts[k], check.marks[k]) for k in range(min(SHOWN, len(check.judged)))]
    return [marked(each) for each in made.texts[:SHOWN]]


def _closest(check: Any) -> list[Copied]:
    """The made texts with the longest spans of training texts, each beside the training text."""
    if not isinstance(check, TextCopies):
        return []
    out = []
    for pair in check.closest:
        size, start, place = (int(a[pair.made]) for a in (check.found.sizes, check.found.starts, check.found.places))
        if pair.train < 0:
            continue
        pieces = []
        for words, first in ((check.judged.texts[pair.made], start), (check.learned.texts[pair.train], place)):
            marks = np.zeros(len(words), dtype=bool)
            marks[first : first + size] = True
            pieces.append(marked(words, marks, first))
        out.append(Copied(size, *pieces))
    return out


def _column(side: Side) -> Column:
    return Column("characters", side.characters.lengths.astype(np.float64))


def curve(novelty: Measure) -> Markup:
    """Share of runs that stand in no training text by their length: made texts, and held-out ones."""
    wide, high = 640.0, 240.0
    orders = [n for n in ORDERS if str(n) in novelty.parts]
    across, up = Scale(orders[0], orders[-1], 44, wide - 14), Scale(0, 1, high - 38, 12)
    out = []
    for share in ticks(0, 1, 4):
        out.append(tag("line", x1=44, x2=wide - 14, y1=up(share), y2=up(share), class_="guide"))
        out.append(text(38, up(share) + 4, percent(share), text_anchor="end"))
    for before, style in (("held out ", "real-line"), ("", "made-line")):
        shares = [novelty.parts[f"{before}{n}"] for n in orders]
        out.append(path([(across(n), up(share)) for n, share in zip(orders, shares, strict=True)], class_=style))
        for n, share in zip(orders, shares, strict=True):
            words = hint(f"{before or 'made '}runs of {n} characters: {percent(share)} stand in no training text")
            side = "real" if before else "made"
            out.append(tag("circle", words, cx=across(n), cy=up(share), r=3.5, class_=side))
    out += [text(across(n), high - 20, str(n), text_anchor="middle") for n in orders]
    out.append(text(wide / 2, high - 3, "characters of a run", text_anchor="middle"))
    return picture(wide, high, "share of runs that stand in no training text", *out)


def usage(made: Side, real: Side) -> list[dict[str, Any]]:
    """Words used most too often and too seldom: word, share of made words, share of real ones."""
    fake, wanted = (each.sum(0) for each in counted([made.words, real.words], 1, (0, 0)))
    p, q = ((side + 0.5) / (side + 0.5).sum() for side in (fake, wanted))
    moved = (p - q) * np.log(p / q) * np.sign(p - q)
    order = np.argsort(moved, kind="stable")
    chosen = [
        *order[::-1][:WORDS][moved[order[::-1][:WORDS]] > 0],
        *order[:WORDS][::-1][moved[order[:WORDS]][::-1] < 0],
    ]
    names = _names([made, real], np.array(chosen, np.int64))
    totals = max(fake.sum(), 1.0), max(wanted.sum(), 1.0)
    return [
        {"word": name, "made": fake[k] / totals[0], "real": wanted[k] / totals[1]}
        for k, name in zip(chosen, names, strict=True)
    ]


def _names(both: list[Side], numbers: np.ndarray) -> list[str]:
    """The words of these numbers, as `counted` numbers them."""
    found = [side.words.ngrams(1)[0] for side in both]
    keys = np.concatenate(found)
    first = np.unique(keys, return_index=True)[1]
    names = []
    for place in first[numbers]:
        side = both[0] if place < len(found[0]) else both[1]
        start, stop = side.words.places[place - (0 if side is both[0] else len(found[0]))]
        owner = int(np.searchsorted(side.characters.starts, start, side="right")) - 1
        begin = int(side.characters.starts[owner])
        names.append(side.texts[owner][int(start) - begin : int(stop) - begin])
    return names
