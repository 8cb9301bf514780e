"""What the page shows of made pictures: sheets of them beside real ones, their nearest training pictures, classes."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from ensample.data.pictures.sheets import encoded, sheet
from ensample.judge.evaluate import Judgement
from ensample.judge.images.copies import PictureCopies
from ensample.judge.images.reference import PictureReference, Side
from ensample.judge.plots import distances

ACROSS, ROWS = 10, 12
"""Pictures in a row of a sheet, and most rows (classes)."""

PAIRS = 12
"""Made pictures in a row above their nearest training pictures."""


@dataclass(frozen=True)
class Sheet:
    """A sheet with what it shows in words, and what its rows are, if they are different things."""

    words: str
    image: Markup
    rows: tuple[str, ...] = ()


def detail(reference: PictureReference, judgement: Judgement) -> dict[str, Any]:
    """What the page shows of pictures."""
    made: Side = judgement.made.side
    check = judgement.copy
    return {
        "sheets": [_sheet(reference, made, "made"), _sheet(reference, _real(reference), "real, held out")],
        "classes": class_rows(judgement),
        "check": check,
        "copy_picture": None if check is None else distances(check.to_train, check.to_test, "picture"),
        "beside": _beside(reference, made, check),
        "closest": _closest(reference, made, check),
    }


def picture_tag(pixels: np.ndarray, words: str) -> Markup:
    """One picture [height, width, channels] inside the page."""
    data = base64.b64encode(encoded(pixels)).decode()
    return Markup(f'<img alt="{escape(words)}" src="data:image/png;base64,{data}">')


def _real(reference: PictureReference) -> Side:
    return reference.test.take(reference.held_out_rows(len(reference.test)))


def _sheet(reference: PictureReference, side: Side, name: str) -> Sheet:
    """As they come, ten in a row; or a row for each class where pictures have labels."""
    names = reference.names[:ROWS] if side.labels is not None else ()
    if not names:
        shown = side.pixels[: ACROSS * 8]
        return Sheet(f"{name}: the first {len(shown)}", picture_tag(sheet(shown, ACROSS), f"{name} pictures"))
    blank = np.full(reference.shape, 255, np.uint8)
    cells, rows = [], []
    for label in names:
        found = side.pixels[np.flatnonzero(side.labels == label)[:ACROSS]]
        if len(found):
            cells += [*found, *[blank] * (ACROSS - len(found))]
            rows.append(label)
    more = f", {len(rows)} of {len(reference.names)} classes" if len(reference.names) > len(rows) else ""
    image = picture_tag(sheet(np.stack(cells), ACROSS), f"{name} pictures, a row for each class")
    return Sheet(f"{name}: a row for each class{more}", image, tuple(rows))


def _beside(reference: PictureReference, made: Side, check: Any) -> list[Sheet]:
    """Made pictures as they come, above their nearest training pictures by pixels and by features."""
    if not isinstance(check, PictureCopies):
        return []
    out = []
    for start in range(0, len(check.beside), PAIRS):
        part = check.beside[start : start + PAIRS]
        rows = [
            made.pixels[[p.made for p in part]],
            reference.train.pixels[[p.by_pixels for p in part]],
            reference.train.pixels[[p.by_features for p in part]],
        ]
        image = picture_tag(
            sheet(np.concatenate(rows), len(part)), "made pictures above their nearest training pictures"
        )
        out.append(Sheet("", image, ("made", "nearest by pixels", "nearest by features")))
    return out


def _closest(reference: PictureReference, made: Side, check: Any) -> Sheet | None:
    """The made pictures that lie most suspiciously near to a training picture, above it."""
    if not isinstance(check, PictureCopies) or not check.closest:
        return None
    rows = [made.pixels[[p.made for p in check.closest]], reference.train.pixels[[p.train for p in check.closest]]]
    image = picture_tag(sheet(np.concatenate(rows), len(check.closest)), "made pictures above the training pictures")
    return Sheet("", image, ("made", "training"))


def class_rows(judgement: Judgement) -> list[dict[str, Any]]:
    """(class, share made, share found right where it was asked for) of every class."""
    shares, right = judgement.get("class shares"), judgement.get("class accuracy")
    if shares is None:
        return []
    known = {} if right is None else right.parts
    return [{"name": n, "made": share, "right": known.get(n)} for n, share in shares.parts.items()]
