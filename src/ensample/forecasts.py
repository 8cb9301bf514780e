"""What comes next, as a distribution: drawn paths, and what can be told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ensample.data.dataset import Dataset
from ensample.data.series.plan import Plan
from ensample.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

STEP = "step"
"""Column that counts the steps of a forecast from 1."""


@dataclass(frozen=True, repr=False)
class Forecast:
    """The next steps of some series, as drawn paths; made by `Model.forecast`.

    Attributes:
        paths: variable -> drawn values [series, draws, steps]: float64 with NaN for a missing one, or objects (texts,
            truths, dates; None for a missing one).
        times: time of each step, Arrow [series x steps]; None where the model knows of none. Of irregular series the
            median over the paths.
        units: what each series is: the columns of its unit.
        history: variable -> the last values of each series, as `paths` without draws; NaN in front of shorter ones.
        level: masses of the central bands that are told.
        plan: how records are cut from a table; None if that is not known.
        before: time of each step of `history`, Arrow [series x steps], null in front of shorter ones; as `times`.

    Example:
        >>> walk = {"x": np.array([[[1.0, 2.0], [3.0, 4.0], [2.0, 9.0]]])}
        >>> forecast = Forecast(walk, None, pa.table({}), {}, (0.5,))
        >>> forecast.median["x"].tolist(), forecast.band(0.5)[1]["x"].tolist()
        ([[2.0, 4.0]], [[2.5, 6.5]])
    """

    paths: Mapping[str, np.ndarray]
    times: pa.Array | None
    units: pa.Table
    history: Mapping[str, np.ndarray]
    level: tuple[float, ...]
    plan: Plan | None = field(default=None)
    before: pa.Array | None = field(default=None)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(series, draws, steps)."""
        series, draws, steps = next(iter(self.paths.values())).shape
        return series, draws, steps

    @property
    def numbers(self) -> list[str]:
        """Variables that are numbers."""
        return [name for name, drawn in self.paths.items() if drawn.dtype.kind == "f"]

    @property
    def mean(self) -> dict[str, np.ndarray]:
        """Of each number, [series, steps]: the forecast of least squared error."""
        return {name: _over_draws(np.mean, self.paths[name]) for name in self.numbers}

    @property
    def median(self) -> dict[str, np.ndarray]:
        """Of each number, [series, steps]: the forecast of least absolute error."""
        return self.quantile(0.5)

    def quantile(self, q: float) -> dict[str, np.ndarray]:
        """The value below which a share q of the paths lies, of each number [series, steps].

        Raises:
            InputError: q is not between 0 and 1.
        """
        if not 0 <= q <= 1:
            raise InputError("A quantile is a share.", "quantile", repr(q), "say 0.9")
        return {name: _over_draws(np.quantile, self.paths[name], q) for name in self.numbers}

    def band(self, level: float) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Lower and upper end of the central band that holds a share `level` of the paths."""
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)

    @property
    def probabilities(self) -> dict[str, dict[Any, np.ndarray]]:
        """Variable that is no number -> value -> its probability [series, steps]; the most frequent value first."""
        out = {}
        for name in self.paths:
            if name not in self.numbers:
                drawn = self.paths[name]
                values, counts = np.unique(drawn.astype(str), return_counts=True)
                kept = {str(value): value for value in drawn.ravel()[::-1]}
                shares = {kept[v]: (drawn.astype(str) == v).mean(1) for v in values[np.argsort(-counts)]}
                out[name] = shares
        return out

    @property
    def mode(self) -> dict[str, np.ndarray]:
        """The most probable value of each variable that is no number, objects [series, steps]."""
        found = {}
        for name, shares in self.probabilities.items():
            values = np.array([*shares, None], dtype=object)[:-1]
            found[name] = values[np.argmax(np.stack(list(shares.values())), 0)]
        return found

    def to_dataset(self) -> Dataset:
        """A row for each step of each series: unit, time and step, median, mean and bands, probabilities of classes."""
        series, _, steps = self.shape
        each = np.repeat(np.arange(series), steps)
        columns: dict[str, Any] = {
            name: self.units.column(name).take(pa.array(each)) for name in self.units.schema.names
        }
        if series > 1 and not columns:
            columns["series"] = pa.array(each)
        if self.times is not None and self.plan is not None:
            columns[self.plan.columns.start] = self.times
        columns[STEP] = pa.array(np.tile(np.arange(1, steps + 1), series))
        median, mean, bands = self.median, self.mean, {level: self.band(level) for level in self.level}
        mode, shares = self.mode, self.probabilities
        for name in self.paths:
            if name in median:
                columns[name], columns[f"{name} mean"] = _flat(median[name]), _flat(mean[name])
                for q, values in sorted(_ends(bands, name).items()):
                    columns[f"{name} {100 * q:g}%"] = _flat(values)
            else:
                columns[name] = pa.array(mode[name].ravel().tolist())
                columns |= {f"p({name}={value})": _flat(share) for value, share in shares[name].items()}
        return Dataset.from_arrow(pa.table(columns), None, "forecast")

    def to_pandas(self) -> pd.DataFrame:
        """The same as a frame."""
        return self.to_dataset().to_pandas()

    def save(self, path: str | Path) -> Path:
        """Write the steps to a table (.csv, .parquet and others), or a picture of the bands (.svg).

        Raises:
            InputError: the suffix is none of those that can be written.
            FormatError: the file cannot be written.
        """
        path = Path(path)
        if path.suffix != ".svg":
            return self.to_dataset().save(path)
        from ensample.judge.fan import fan
        from ensample.storage import write_atomically

        write_atomically(path, lambda temporary: temporary.write_text(fan(self), encoding="utf-8"))
        return path

    def __repr__(self) -> str:
        series, draws, steps = self.shape
        names = ", ".join(self.paths)
        return f"Forecast: {steps:,} steps of {names}, {series:,} series, {draws:,} paths"


def _over_draws(what: Any, drawn: np.ndarray, *more: float) -> np.ndarray:
    """A summary over draws [series, steps] that leaves missing values out."""
    gone = np.isnan(drawn)
    if not gone.any():
        return np.asarray(what(drawn, *more, axis=1))
    out = np.full((len(drawn), drawn.shape[2]), np.nan)
    for row, step in zip(*np.nonzero(~gone.all(1)), strict=True):
        values = drawn[row, :, step]
        out[row, step] = what(values[~np.isnan(values)], *more)
    return out


def _ends(bands: Mapping[float, Sequence[dict[str, np.ndarray]]], name: str) -> dict[float, np.ndarray]:
    """Quantile -> values, of all bands of a variable."""
    out: dict[float, np.ndarray] = {}
    for level, (low, high) in bands.items():
        out[round((1 - level) / 2, 6)], out[round((1 + level) / 2, 6)] = low[name], high[name]
    return out


def _flat(values: np.ndarray) -> pa.Array:
    return pa.array(values.ravel(), from_pandas=True)
