"""The form that pictures are brought into: size, how they are fitted to it, and colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ensample.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}
"""Name of a mode -> its channels."""

LARGEST = 8192
"""Pixels along a side that may be asked for."""


def _crop(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    from PIL import Image, ImageOps

    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def _pad(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    from PIL import Image, ImageOps

    return ImageOps.pad(image, size, Image.Resampling.LANCZOS, color=(0,) * len(image.getbands()))


def _stretch(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    from PIL import Image

    return image.resize(size, Image.Resampling.LANCZOS)


FITS: dict[str, Callable[[Image.Image, tuple[int, int]], Image.Image]] = {
    "crop": _crop,
    "pad": _pad,
    "stretch": _stretch,
}
"""Ways to bring a picture to another size; sizes are (width, height) here, as Pillow has them."""


@dataclass(frozen=True)
class Facts:
    """What the head of a picture says: (height, width) as it is to be seen, mode, and turn by the camera (EXIF)."""

    size: tuple[int, int]
    mode: str
    turn: int = 1


@dataclass(frozen=True)
class Form:
    """What pictures are to look like.

    Arguments:
        size: (height, width), or None to leave them as they are.
        fit: how a picture comes to that size: "crop" scales the short side and cuts the middle out, "pad" scales the
            long side and fills up with black (in RGBA with nothing), "stretch" scales each side.
        mode: "L" for grey, "RGB", "RGBA", or None to leave them as they are. Transparent parts are laid on white where
            the mode has no transparency.
    """

    size: tuple[int, int] | None = None
    fit: str = "crop"
    mode: str | None = None

    @classmethod
    def parse(cls, size: Any = None, fit: str | None = None, mode: str | None = None) -> Form:
        """The form from the options of `read`.

        Raises:
            InputError: a size that is none, an unknown way to fit or mode, or a way to fit without a size.

        Example:
            >>> Form.parse(32, mode="L")
            Form(size=(32, 32), fit='crop', mode='L')
        """
        if fit is not None and fit not in FITS:
            raise InputError("A way to fit pictures must be known.", "fit", repr(fit), f"say one of {', '.join(FITS)}")
        if fit is not None and size is None:
            raise InputError("Pictures are fitted to a size.", "fit", f"{fit!r} without a size", "say size= as well")
        if mode is not None and mode not in CHANNELS:
            fix = "say L (grey), RGB or RGBA"
            raise InputError("The mode of pictures must be known.", "mode", repr(mode), fix)
        return cls(None if size is None else _sides(size), fit or "crop", mode)

    @property
    def asked(self) -> bool:
        """Whether anything is to change."""
        return self.size is not None or self.mode is not None

    def shape(self, facts: Sequence[Facts], place: str) -> tuple[int, int, int]:
        """(height, width, channels) that all these pictures will have.

        Raises:
            InputError: they differ in size or transparency, and the form does not say what to do about it.
        """
        size, mode = self.size, self.mode
        if size is None:
            size = self._one_size(Counter(fact.size for fact in facts), place)
        if mode is None:
            mode = self._one_mode(Counter(fact.mode for fact in facts), place)
        return (*size, CHANNELS[mode])

    def _one_size(self, sizes: Counter[tuple[int, int]], place: str) -> tuple[int, int]:
        if len(sizes) > 1:
            raise InputError(
                "All pictures of a column have one size.",
                place,
                f"(height, width) {_told(sizes)}",
                "say size=32 or size=(height, width), and fit='crop', 'pad' or 'stretch'",
            )
        return next(iter(sizes))

    def _one_mode(self, modes: Counter[str], place: str) -> str:
        if "RGBA" in modes and len(modes) > 1:
            fix = "say mode='RGB' or 'L' to lay transparent parts on white, or mode='RGBA' to make the others opaque"
            raise InputError("All pictures have transparency, or none.", place, _told(modes), fix)
        return "RGB" if "RGB" in modes else next(iter(modes))


def _sides(size: Any) -> tuple[int, int]:
    sides = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, tuple | list) else ()
    whole = all(isinstance(side, int) and not isinstance(side, bool) for side in sides)
    if len(sides) != 2 or not whole or not all(1 <= side <= LARGEST for side in sides):
        fix = f"say size=32 or size=(height, width), each 1 to {LARGEST}"
        raise InputError("A size is one whole number or a pair of them.", "size", repr(size), fix)
    return int(sides[0]), int(sides[1])


def _told(counts: Counter[Any]) -> str:
    shown = ", ".join(f"{value}: {count:,}" for value, count in counts.most_common(5))
    return shown + (f", and {len(counts) - 5:,} more" if len(counts) > 5 else "")
