"""From encoded pictures to pixels, in parallel; what cannot be read is told by name and left out."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ensample.data.pictures.buffer import room
from ensample.data.pictures.column import MODES
from ensample.data.pictures.form import FITS, Facts, Form
from ensample.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **{".png": "PNG", ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP"},
}
"""Suffix of a file of a picture -> its format as Pillow calls it."""

MAGIC = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0", re.DOTALL)
"""How the bytes of a picture begin."""

MOST_NAMED = 100
"""Pictures that could not be read are named up to this many."""

_TRANSPARENT = ("RGBA", "LA", "PA")
_GREY = ("1", "L", "I;16", "I;16L", "I;16B")
_TASK = 32

Source = Path | bytes | np.ndarray | Any
"""One picture: a file, its bytes, pixels uint8 [height, width] or [height, width, channels], or a Pillow image."""


@dataclass(frozen=True)
class Decoded:
    """Pixels uint8 [pictures, height, width, channels], the numbers of the pictures they are of, and the others."""

    pixels: np.ndarray
    kept: np.ndarray
    bad: tuple[tuple[str, str], ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell the user about pictures that are left out."""
        if not self.bad:
            return ()
        told = "; ".join(f"{name} ({reason})" for name, reason in self.bad[:MOST_NAMED])
        more = f"; and {len(self.bad) - MOST_NAMED:,} more" if len(self.bad) > MOST_NAMED else ""
        total = len(self.bad) + len(self.kept)
        return (f"{len(self.bad):,} of {total:,} pictures cannot be read and are left out: {told}{more}",)


def decode(sources: Sequence[Source], form: Form, name: Callable[[int], str], place: str) -> Decoded:
    """All pictures in one form, decoded by threads. Pictures past `buffer.IN_MEMORY` bytes lie in a temporary file.

    Arguments:
        sources: of the pictures; an entry may be None, which is a picture that is missing.
        form: what they are to look like.
        name: what to call a picture, by its number, in messages.
        place: what to call them all.

    Raises:
        InputError: none of them can be read, or they differ in what the form leaves open.
    """
    heads, bad = _heads(sources)
    if heads:
        shape = form.shape(list(heads.values()), place)
        numbers = np.array(list(heads))
        pixels = room((len(numbers), *shape))
        broken = _fill(pixels, [(sources[j], heads[j]) for j in numbers], form)
        bad |= {int(numbers[j]): reason for j, reason in broken.items()}
        good = np.setdiff1d(np.arange(len(numbers)), np.array(list(broken), np.int64))
        pixels, numbers = _compacted(pixels, good), numbers[good]
    told = tuple((name(j), bad[j]) for j in sorted(bad))
    if len(bad) == len(sources):
        seen = "; ".join(f"{who} ({reason})" for who, reason in told[:3]) or "no picture"
        raise InputError("At least one picture must be readable.", place, seen, "check how the files were made")
    return Decoded(pixels, numbers, told)


def looks_like(data: bytes) -> bool:
    """Whether bytes begin like a picture of a known format."""
    return MAGIC.match(data) is not None


def _heads(sources: Sequence[Source]) -> tuple[dict[int, Facts], dict[int, str]]:
    """Facts of the pictures that have some, and what is wrong with the others."""
    from PIL import Image

    heads: dict[int, Facts] = {}
    bad: dict[int, str] = {}
    with warnings.catch_warnings():  # Pillow only warns of pictures up to twice its limit; here the limit holds
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for j, source in enumerate(sources):
            try:
                heads[j] = _head(source)
            except Exception as error:  # a damaged file makes Pillow raise errors of all sorts; the others go on
                bad[j] = _reason(error, source)
    return heads, bad


def _head(source: Source) -> Facts:
    if source is None:
        raise ValueError("missing")
    with _opened(source) as image:
        mode = image.mode
        if mode not in _MODES_READ:
            raise ValueError(f"pixels of mode {mode}")
        form = image.format or ""
        if isinstance(source, Path) and FORMATS[source.suffix.lower()] != _SAME.get(form, form):
            raise ValueError(f"a {form} picture behind the suffix {source.suffix}")
        turn = _turn(image)
        width, height = image.size
        return Facts((width, height) if turn >= 5 else (height, width), _natural_mode(image), turn)


def _opened(source: Source) -> Image.Image:
    from PIL import Image

    if isinstance(source, Image.Image):
        return source.copy()
    if isinstance(source, np.ndarray):
        return Image.fromarray(source[..., 0] if source.ndim == 3 and source.shape[-1] == 1 else source)
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=tuple(_READ))


def _turn(image: Image.Image) -> int:
    """Orientation by EXIF, 1 to 8; 1 is upright."""
    from PIL import ExifTags, Image

    stored = image.info.get("exif")
    if not isinstance(stored, bytes):
        return 1
    exif = Image.Exif()
    try:
        exif.load(stored)
        turn = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # facts about a picture may be damaged where the picture itself is whole
        return 1
    return turn if turn in _TURNS else 1


def _natural_mode(image: Image.Image) -> str:
    """The mode of `Form` that loses nothing (but 16 bits)."""
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        return "RGBA"
    grey = image.mode in _GREY or (image.mode == "P" and _grey_palette(image))
    return "L" if grey else "RGB"


def _grey_palette(image: Image.Image) -> bool:
    palette = image.palette
    stride = 4 if palette is not None and palette.rawmode == "BGRX" else 3
    if palette is None or len(palette.palette) % stride:
        return False
    colours = np.frombuffer(bytes(palette.palette), np.uint8).reshape(-1, stride)[:, :3]
    return bool((colours == colours[:, :1]).all())


def _fill(pixels: np.ndarray, work: Sequence[tuple[Source, Facts]], form: Form) -> dict[int, str]:
    """Decode every picture into its place; returns what is wrong with those that failed."""
    mode, size = MODES[pixels.shape[-1]], (pixels.shape[2], pixels.shape[1])

    def some(start: int) -> dict[int, str]:
        broken = {}
        for j in range(start, min(start + _TASK, len(work))):
            source, facts = work[j]
            try:
                pixels[j] = _decoded(source, facts, mode, size, form)
            except Exception as error:  # as above
                broken[j] = _reason(error, source)
        return broken

    starts = range(0, len(work), _TASK)
    with warnings.catch_warnings(), ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")  # of oddities that Pillow reads all the same
        return {j: reason for broken in pool.map(some, starts) for j, reason in broken.items()}


def _decoded(source: Source, facts: Facts, mode: str, size: tuple[int, int], form: Form) -> np.ndarray:
    with _opened(source) as opened:
        image = opened
        if (
            form.size is not None and image.format == "JPEG"
        ):  # large photographs are decoded at a fraction of their size
            image.draft(None, (2 * max(size), 2 * max(size)))
        image = _converted(image, mode)
        if (method := _TURNS[facts.turn]) is not None:
            image = image.transpose(method)
        if image.size != size:
            image = FITS[form.fit](image, size)
        found = np.asarray(image)
    return found if found.ndim == 3 else found[..., None]


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """The picture in a mode of `Form`."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        image = Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))
    image.load()
    natural = _natural_mode(image)
    if natural == "RGBA" and mode != "RGBA":
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _compacted(pixels: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Only these pictures, moved together in place."""
    if len(good) < len(pixels):
        for to, place in enumerate(good):
            pixels[to] = pixels[place]
    return pixels[: len(good)]


def _reason(error: Exception, source: Source) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    if isinstance(error, UnidentifiedImageError):
        empty = (source.stat().st_size if isinstance(source, Path) else len(source)) == 0
        return "an empty file" if empty else f"no picture of {', '.join(_READ)}"
    return " ".join(str(error).split()) or type(error).__name__


_READ = dict.fromkeys(FORMATS.values())
_SAME = {"MPO": "JPEG"}
"""Formats that a camera writes behind the suffix of another."""
_MODES_READ = (*_TRANSPARENT, *_GREY, "P", "RGB", "CMYK", "YCbCr", "HSV")
_TURNS: dict[int, Any] = dict(zip(range(1, 9), (None, 0, 3, 1, 5, 4, 6, 2), strict=True))
"""Orientation by EXIF -> `PIL.Image.Transpose` that makes a picture upright."""
