"""Grids for floats that do not all lie on one: nearly decimal columns, equal fine steps, significant digits."""

from __future__ import annotations

import math

import numpy as np

from ensample.kinds.trace import MOST_DIGITS, from_grid

FINE_CELLS = {"float64": 2**44, "float32": 2**28, "float16": 2**16}
"""Cells across the range of a float column without a grid, by its precision."""

FINE_BITS = {"float64": 30, "float32": 23, "float16": 10}
"""Binary digits kept of a float column whose values span too many orders of magnitude for equal steps."""

COARSE_SHARE = 0.9
"""Share of rows, the most common value apart, that must lie on a coarse grid for the others to be rounded to it."""

AFFINE_VALUES, AFFINE_CELLS, AFFINE_ERROR = 8, 2**20, 1e-6
"""Fewest different values that can speak for equal steps from anywhere, most such steps across the range, and the
largest distance of a value from its place, in steps: of random values none would be so near."""

COARSE_LOSS = 1e-3
"""Largest share of its value by which rounding to the coarse grid may change any other row."""


def coarse_digits(values: np.ndarray, finest: int | None, storage: str) -> int | None:
    """Decimals of a grid that holds nearly all values, the rest lying close to it (cents, and a few sums of shares).

    Arguments:
        values: a sample of the column, float64 [rows].
        finest: decimals of the grid that holds all values, None if there is none.
        storage: precision of the column.

    Returns:
        None where rounding the other values would change them noticeably, or is not worth it (under three decimals).
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < 20:
        return None
    others = values[values != distinct[counts.argmax()]]
    room = np.finfo(storage).eps * 1000 * np.abs(others).max()  # on so fine a grid every float lies by itself
    for digits in range(MOST_DIGITS if finest is None else finest - 2):
        if 10.0**-digits < room:
            return None
        nearest = from_grid(np.rint(others * 10.0**digits), digits, storage)
        off = np.abs(nearest - others)
        if (off == 0).mean() >= COARSE_SHARE and bool((off <= COARSE_LOSS * np.abs(others)).all()):
            return digits
    return None


def affine_grid(values: np.ndarray, storage: str) -> tuple[float, float] | None:
    """(origin, unit) of equal steps that hold all values: integers or decimals that were standardised, say.

    The unit is the greatest common divisor of the differences by Euclid's algorithm, up to the rounding of floats, then
    refined by least squares.

    Arguments:
        values: a sample of the column, float64 [rows].
        storage: precision of the column.

    Returns:
        None where the values do not lie on such steps; 0 is then the place of the lowest value.

    Example:
        >>> origin, unit = affine_grid((np.arange(9.0) - 3.3) / 7.7, "float64")
        >>> round(origin * 7.7, 6), round(unit * 7.7, 6)
        (-3.3, 1.0)
    """
    distinct = np.unique(values)
    if len(distinct) < AFFINE_VALUES:
        return None
    far = distinct - distinct[0]
    noise = 8 * float(np.finfo(storage).eps) * float(np.abs(distinct).max())
    unit = _common_unit(np.diff(distinct), max(noise, 1e-4 * far[-1] / AFFINE_CELLS))
    if unit is None or far[-1] / unit > AFFINE_CELLS:
        return None
    places = np.rint(far / unit)
    slope = float(places @ far) / float(places @ places)
    origin = float((distinct - slope * places).mean())
    off = np.abs(origin + slope * places - distinct).max()
    return (origin, slope) if off <= max(AFFINE_ERROR * slope, noise) and noise <= 0.01 * slope else None


def _common_unit(differences: np.ndarray, noise: float) -> float | None:
    """The largest number of which all differences are multiples up to `noise`, or None."""
    unit = float(differences.min())
    while unit > noise:
        rest = np.abs(differences - unit * np.rint(differences / unit))
        if rest.max() <= noise * np.rint(differences / unit).max():
            return unit
        unit = float(rest[rest > noise].min(initial=unit / 2))
    return None


def fine_digits(values: np.ndarray, low: float, high: float, storage: str) -> int | None:
    """Decimals of the finest equal steps worth keeping, or None where small values would drown in them."""
    step = max((high - low) / FINE_CELLS[storage], max(abs(low), abs(high)) / 2**52)
    if not (1e-290 < step < 1e290):
        return None
    digits = -math.ceil(math.log10(step))
    sizes = np.abs(values[values != 0])
    small = float(np.quantile(sizes, 0.01)) if len(sizes) else 1.0
    return digits if 10.0**-digits <= small * (1e-6 if storage == "float64" else 1e-3) else None


def ordered(values: np.ndarray, bits: int) -> np.ndarray:
    """Integers in the order of the floats, equally many per power of two: int64 [rows]; 0 is 0."""
    code = np.abs(values).astype(np.float64).view(np.int64)
    drop = 52 - bits
    code = (code + (1 << (drop - 1)) >> drop) if drop else code
    return np.asarray(np.where(values < 0, -code, code))


def unordered(codes: np.ndarray, bits: int) -> np.ndarray:
    """Inverse of `ordered`, float64 [rows]."""
    values = (np.abs(codes) << (52 - bits)).view(np.float64)
    return np.asarray(np.where(codes < 0, -values, values))
