"""Contact sheets and thumbnails: many small pictures as one, enlarged so that each pixel stays crisp."""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ensample.data.pictures.column import MODES
from ensample.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

GAP = 2
"""Pixels between two pictures of a sheet."""

SHEET, CELL, MOST = 1024, 96, 2**26
"""A sheet is enlarged up to so many pixels across, a picture of it up to so many; more pixels in all are refused."""

THUMBNAIL = 96
"""Pixels along the longer side of a thumbnail, about."""


def sheet(pixels: np.ndarray, columns: int | None = None, scale: int | None = None) -> np.ndarray:
    """Pictures side by side, row by row, as one picture.

    Arguments:
        pixels: uint8 [pictures, height, width, channels].
        columns: pictures in a row; None for about a square.
        scale: every pixel becomes so many across and down; None for what is well seen.

    Returns:
        uint8 [height, width, channels]. What is between pictures, and left over, is white (in RGBA transparent).

    Raises:
        InputError: there is no picture, or the sheet would be too large.

    Example:
        >>> sheet(np.zeros((6, 8, 8, 1), np.uint8), columns=3, scale=2).shape
        (34, 52, 1)
    """
    count, height, width, channels = pixels.shape
    if count == 0:
        raise InputError("A contact sheet has at least one picture.", "sheet", "none", "choose some records")
    columns = columns or min(count, max(1, round(math.sqrt(count * height / width))))
    rows = -(-count // columns)
    scale = scale or max(1, min(SHEET // (columns * width), CELL // max(height, width)))
    height, width = scale * height, scale * width
    size = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP)
    if size[0] * size[1] > MOST:
        fix = "choose fewer records, for example data.head(100), or save to a folder (a path without suffix)"
        raise InputError("A contact sheet has a size that can be seen.", "sheet", f"{count:,} pictures", fix)
    whole = np.full((*size, channels), 0 if channels == 4 else 255, np.uint8)
    for j, one in enumerate(pixels):
        top, left = j // columns * (height + GAP), j % columns * (width + GAP)
        whole[top : top + height, left : left + width] = enlarged(one, scale)
    return whole


def enlarged(pixels: np.ndarray, scale: int) -> np.ndarray:
    """A picture [height, width, channels] with every pixel as a square of `scale` by `scale`."""
    return np.asarray(pixels.repeat(scale, 0).repeat(scale, 1))


def encoded(pixels: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    """One picture [height, width, channels] as a file; transparent parts are laid on white where a format has none."""
    from PIL import Image

    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    if form == "JPEG":
        image = flat(image)
    packed = io.BytesIO()
    image.save(packed, form, **options)
    return packed.getvalue()


def flat(image: Image.Image) -> Image.Image:
    """An image without transparency, laid on white."""
    from PIL import Image

    if image.mode != MODES[4]:
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def thumbnail(pixels: np.ndarray) -> str:
    """An HTML image of one picture [height, width, channels], the picture itself inside.

    Example:
        >>> thumbnail(np.zeros((8, 8, 1), np.uint8)).startswith('<img width="96" height="96"')
        True
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    longest = max(height, width)
    if longest > 2 * THUMBNAIL:  # as sharp as a screen of high resolution shows it
        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        image.thumbnail((2 * THUMBNAIL, 2 * THUMBNAIL))
        small = np.asarray(image)
        pixels = small if small.ndim == 3 else small[..., None]
    factor = max(1, THUMBNAIL // longest) if longest <= THUMBNAIL else THUMBNAIL / longest
    across, down = max(1, round(width * factor)), max(1, round(height * factor))
    data = base64.b64encode(encoded(pixels)).decode()
    style = "image-rendering:pixelated" if longest <= THUMBNAIL else "image-rendering:auto"
    return f'<img width="{across}" height="{down}" style="{style}" src="data:image/png;base64,{data}">'
