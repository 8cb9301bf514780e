"""Made series for the judge: noise that forgets at a known rate, a class that stays, gaps, and several lengths."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ensample.data.dataset import Dataset
from ensample.judge.series.reference import SeriesReference, Sizes
from ensample.judge.series.side import Side
from ensample.kinds import guess

SMALL, QUICK = Sizes(updates=50), Sizes(updates=1, steps=32)


def autoregressive(records: int, steps: int, phi: float, seed: int) -> np.ndarray:
    """Stationary `x_t = phi x_{t-1} + sqrt(1 - phi^2) e_t`, [records, steps]; its autocorrelation is phi^k."""
    rng = np.random.default_rng(seed)
    out = rng.standard_normal((records, steps))
    for t in range(1, steps):
        out[:, t] = phi * out[:, t - 1] + np.sqrt(1 - phi**2) * out[:, t]
    return out


def flips(records: int, steps: int, p: float, seed: int) -> np.ndarray:
    """Two classes that change with probability p, [records, steps]; how alike they are falls as (1 - 2p)^k."""
    moved = np.random.default_rng(seed).random((records, steps)) < np.r_[0.5, np.full(steps - 1, p)]
    return moved.cumsum(1) % 2


def table(columns: dict[str, np.ndarray], lengths: np.ndarray | None = None) -> pa.Table:
    """Records with a field of series from values [records, steps] of each variable; NaN is missing."""
    records, steps = next(iter(columns.values())).shape
    lengths = np.full(records, steps) if lengths is None else lengths
    there = np.arange(steps) < lengths[:, None]
    parts = [pa.array(values[there].tolist(), from_pandas=True) for values in columns.values()]
    offsets = pa.array(np.r_[0, lengths.cumsum()].astype(np.int32))
    whole = pa.StructArray.from_arrays(parts, names=list(columns))
    return pa.table({"series": pa.ListArray.from_arrays(offsets, whole)})


def windows(values: np.ndarray) -> pa.Table:
    """Records of one number called "x" from windows [records, steps]."""
    return table({"x": values})


def weather(records: int, seed: int, phi: float = 0.9, steps: int = 14, p: float = 0.1) -> pa.Table:
    """Warmth and damp, the second after the first, and a sky of two classes; gaps, and lengths from 8 to 14 steps."""
    rng = np.random.default_rng(seed + 1_000)
    warm = autoregressive(records, steps, phi, seed)
    damp = -0.8 * warm + 0.6 * autoregressive(records, steps, phi, seed + 500)
    damp[rng.random(damp.shape) < 0.1] = np.nan
    sky = np.array(["clear", "cloud"])[flips(records, steps, p, seed)]
    return table(
        {"warm": warm.round(3), "damp": damp.round(3), "sky": sky}, rng.integers(min(8, steps), steps + 1, records)
    )


def reference(train: pa.Table, test: pa.Table, sizes: Sizes = SMALL, **options: object) -> SeriesReference:
    """Of these records."""
    schema = guess(Dataset.from_arrow(train))
    steps = schema["series"].kind.steps.schema  # type: ignore[union-attr]
    return SeriesReference(train, test, schema, series="series", steps=steps, sizes=sizes, **options)  # type: ignore[arg-type]


def side(of: SeriesReference, records: pa.Table) -> Side:
    return of.side(records)
