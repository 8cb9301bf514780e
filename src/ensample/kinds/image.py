"""Images: a value is a picture, all of one size, and each of its pixels a level."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from ensample.data.pictures.column import MODES, NAMES, is_pictures, pixels_of, shape_of, tensor_column
from ensample.errors import FormatError, InputError
from ensample.events import Continuous, Lattice, Span
from ensample.kinds.arrow import is_missing, type_from_text
from ensample.kinds.base import Ranges, Rule, cannot_be, impossible
from ensample.kinds.profile import PictureProfile, Profile

NO_LEVEL = 255
"""What stands in the table of levels for a value off the grid; only a grid of 256 levels has such a level itself."""


@dataclass(frozen=True)
class Image:
    """Pictures of one size whose pixel values lie on a grid: value = `step` * level.

    As an event a picture is an array [channels, height, width] of levels, and its real numbers are in [-1, 1]. As a
    kind its cells are the levels of the whole picture, one after the other in that order.

    Arguments:
        dtype: Arrow type of the column, as text.
        height, width: in pixels.
        channels: 1 for grey, 3 for RGB, 4 for RGBA.
        step: greatest common divisor of the pixel values met: 1 for photographs, 255 for binary pictures of 0 and 255.
        levels: 256 for photographs; otherwise as many as reach the highest value met, at least 2.
        unseen: probability of a value off the grid, which is 0: such a picture is refused.

    Example:
        >>> pixels = np.array([[[0], [255]], [[255], [255]]], np.uint8)[None]
        >>> kind = Image.fit(Profile.of(tensor_column(pixels)))
        >>> kind.describe(), kind.levels_of(tensor_column(pixels), "digit").tolist()
        ('pictures of 2 x 2, grey, 2 levels', [[[[0, 1], [1, 1]]]])
    """

    dtype: str
    height: int
    width: int
    channels: int
    step: int
    levels: int
    unseen: float

    name: ClassVar[str] = "image"

    def __post_init__(self) -> None:
        sound = self.step >= 1 and self.levels >= 2 and self.step * (self.levels - 1) <= 255
        if not sound or not is_pictures(self.type) or shape_of(self.type) != (self.height, self.width, self.channels):
            raise FormatError("A stored kind must be whole.", "an image", repr(self), "write the schema anew")

    @classmethod
    def recognise(cls, profile: Profile) -> float:
        """Tensors of pixels."""
        return 1.0 if isinstance(profile, PictureProfile) and profile.present else 0.0

    @classmethod
    def fit(cls, profile: Profile) -> Self:
        """Measure the grid of the pixel values."""
        if not isinstance(profile, PictureProfile):
            raise cannot_be(
                profile, cls.name, f"values of type {profile.dtype}", "give uint8 [height, width, channels]"
            )
        if profile.missing or not profile.rows:
            seen = f"{profile.missing:,} of {profile.rows:,} pictures are missing"
            raise cannot_be(profile, cls.name, seen, "leave these rows out")
        values = np.flatnonzero(profile.met)
        highest, step = int(values.max()), max(1, int(np.gcd.reduce(values)))
        levels = 256 if step == 1 and highest > 127 else max(2, highest // step + 1)
        return cls(str(profile.dtype), *shape_of(profile.dtype), step, levels, 0.0)

    @cached_property
    def type(self) -> pa.DataType:
        """Arrow type of the column."""
        return type_from_text(self.dtype)

    @property
    def event(self) -> Continuous:
        """What one picture looks like to a family: levels 0 to `levels` - 1, real numbers -1 to 1."""
        half = (self.levels - 1) / 2
        lattice = Lattice(low=0, high=self.levels - 1, shift=half, scale=half)
        return Continuous(lattice, (self.channels, self.height, self.width))

    def spans(self, field: str) -> tuple[Span, ...]:
        """None: a picture is an array, not a row of spans."""
        return ()

    def levels_of(self, column: pa.Array, field: str) -> np.ndarray:
        """Levels of pictures, uint8 [rows, channels, height, width].

        Raises:
            InputError: the pictures are of another size, one is missing, or one has a value off the grid.
        """
        if column.type != self.type:
            raise InputError(
                "Pictures must be of the size that was learned.",
                f"column {field!r}",
                f"{column.type}, not {self.height} x {self.width} {NAMES[self.channels]}",
                f"read them with size=({self.height}, {self.width}), mode={MODES[self.channels]!r}",
            )
        gone = is_missing(column)
        if gone.any():
            row = int(np.argmax(gone))
            raise InputError(
                "Every record must have its picture.", f"column {field!r}, row {row}", "missing", "leave this row out"
            )
        pixels = pixels_of(column)
        levels = np.ascontiguousarray(np.moveaxis(pixels, -1, 1))
        return levels if self.levels == 256 else self._on_grid(levels, field)

    def _on_grid(self, values: np.ndarray, field: str) -> np.ndarray:
        table = np.full(256, NO_LEVEL, np.uint8)
        table[np.arange(self.levels) * self.step] = np.arange(self.levels)
        levels: np.ndarray = table[values]
        if levels.size and levels.max() == NO_LEVEL:
            row, *_ = np.unravel_index(int(np.argmax(levels)), levels.shape)
            odd = int(values[row][levels[row] == NO_LEVEL][0])
            raise InputError(
                "Pixels must have one of the levels that were learned.",
                f"column {field!r}, row {row}",
                f"the value {odd}, not one of the {self.levels} from 0 to {self.step * (self.levels - 1)}",
                f"round the values to multiples of {self.step}, or learn again with such pictures among the others",
            )
        return levels

    def column_of(self, levels: np.ndarray) -> pa.Array:
        """Inverse of `levels_of`: pictures of the training column's type from levels [rows, channels, height, width].

        Levels beyond the grid are taken to its ends.
        """
        values = np.clip(levels, 0, self.levels - 1).astype(np.uint8) * np.uint8(self.step)
        return tensor_column(np.moveaxis(values, 1, -1))

    def encode(self, column: pa.Array, field: str) -> np.ndarray:
        """Levels of whole pictures, int64 [rows, channels * height * width]."""
        levels = self.levels_of(column, field)
        return levels.reshape(len(levels), -1).astype(np.int64)

    def decode(self, table: np.ndarray, rng: np.random.Generator, first: int = 0) -> pa.Array:
        """Inverse of `encode`."""
        return self.column_of(table.reshape(len(table), self.channels, self.height, self.width))

    def log_volume(self, column: pa.Array, field: str) -> np.ndarray:
        """Nothing is added: what is off the grid is refused, so the grid has all the probability."""
        return np.zeros(len(column))

    def limits(self, rule: Rule, field: str) -> tuple[Ranges, ...]:
        """None: a wish about a whole picture cannot be told."""
        raise impossible(field, "a wish about a field of pictures", "leave it out, or complete a picture with holes")

    def present(self) -> Ranges | None:
        """None: a picture is never missing."""
        return None

    def describe(self) -> str:
        """Size, colours, levels."""
        size = f"{self.height} x {self.width}" + ("" if self.height == self.width else " (height x width)")
        return f"pictures of {size}, {NAMES[self.channels]}, {self.levels} levels"
