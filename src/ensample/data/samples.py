"""Tables that come with the package: real ones, with their licence and credit, and toy densities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensample.data.toys import TOYS
from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset

PREFIX = "sample:"
"""`read("sample:adult")` reads a bundled table."""
TOY_ROWS = 10_000
"""Points of a toy density that is read as a table."""
_FOLDER = Path(__file__).parent / "samples"


@dataclass(frozen=True)
class Sample:
    """One bundled table: what it is, under which licence, and whom to credit."""

    name: str
    file: str
    about: str
    licence: str
    credit: str

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return _FOLDER / self.file


SAMPLES: dict[str, Sample] = {
    sample.name: sample
    for sample in (
        Sample(
            "adult",
            "adult.csv.xz",
            "48,842 people of the 1994 US census, 15 columns: does one earn more than 50,000 dollars a year? "
            "Column `split` marks the official train and test parts; `?` is a missing value.",
            "CC BY 4.0",
            "Barry Becker and Ronny Kohavi, Adult, UCI Machine Learning Repository, 1996, doi:10.24432/C5XW20",
        ),
        Sample(
            "california_housing",
            "california_housing.csv.xz",
            "20,640 districts of the 1990 California census, 10 columns: place, rooms, people, income, house value. "
            "207 districts lack the number of bedrooms.",
            "Public domain census data; this file from an Apache-2.0 repository",
            "R. Kelley Pace and Ronald Barry, Sparse Spatial Autoregressions, Statistics and Probability Letters "
            "33 (1997) 291-297, by way of StatLib and A. Geron's handson-ml",
        ),
    )
}
"""The catalogue, by name."""


def find(name: str) -> Sample:
    """The entry of the catalogue.

    Raises:
        InputError: there is no sample of this name.
    """
    if name not in SAMPLES:
        raise InputError(
            "The sample must be one of those bundled.",
            PREFIX + name,
            repr(name),
            "choose from " + ", ".join([*SAMPLES, *TOYS]),
        )
    return SAMPLES[name]


def toy(name: str, rows: int = TOY_ROWS, seed: int = 0) -> dict[str, Any]:
    """Points of a toy density as columns `x` and `y`."""
    points = TOYS[name].draw(rows, seed)
    return {"x": points[:, 0], "y": points[:, 1]}


def load(name: str) -> Dataset:
    """Read a bundled table or 10,000 points of a toy density; the same as `read("sample:" + name)`.

    Example:
        >>> len(load("california_housing"))
        20640
    """
    from ensample.data.readers import read

    return read(PREFIX + name)
