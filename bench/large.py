"""Fit, sample and score a table larger than memory should hold: 10 million rows of 15 columns within 4 GiB.

    python bench/large.py --rows 10000000 --family mixture
    python bench/large.py --rows 1000000 --family boosted --budget 60s --scored 50000
    python bench/large.py --rows 1000 --columns 300 --family boosted --budget 60s

The table is made in pieces, so that this script holds none of it. `--columns` makes a wide one instead: numbers of
five common factors, every tenth cut into a category. The last line is JSON: seconds of each step, the fit's share of
its budget, bits a row of fresh rows beside those of independent columns, and the peak of resident memory of the whole
process in GiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import ensample as en
from ensample.budget import Budget

PIECE = 250_000
FRESH, LEARNED = 5_000, 200_000


def piece(rows: int, seed: int) -> pa.Table:
    """Fifteen columns: correlated numbers, a spike, holes, and categories of 2 to 500 levels."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(4, rows, p=[0.4, 0.3, 0.2, 0.1])
    base = rng.normal(kind * 1.5, 1.0)
    columns: dict[str, object] = {"kind": np.array(["north", "east", "south", "west"])[kind]}
    for j in range(6):
        columns[f"x{j}"] = np.round(base * (j + 1) / 3 + rng.normal(0, 1, rows), 2)
    columns["count"] = rng.poisson(np.exp(0.3 * base + 1))
    columns["gain"] = np.where(rng.random(rows) < 0.85, 0, rng.integers(1, 5_000, rows))
    columns["income"] = np.round(np.exp(base * 0.4 + rng.normal(9, 0.5, rows))).astype(np.int64)
    columns["shop"] = np.char.add("s", (rng.zipf(1.6, rows) % 500).astype(str))
    columns["member"] = rng.random(rows) < 1 / (1 + np.exp(-base))
    columns["grade"] = np.array(list("abcdef"))[np.clip((base + 2).astype(int), 0, 5)]
    columns["day"] = (np.datetime64("2020-01-01") + rng.integers(0, 1_500, rows)).astype("datetime64[D]")
    table = pa.table(columns)
    with_holes = pa.array(rng.normal(50, 10, rows).round(1), mask=rng.random(rows) < 0.1)
    return table.append_column("score", with_holes)


def wide(rows: int, seed: int, columns: int) -> pa.Table:
    """Numbers of five common factors, every tenth cut into a category of four levels."""
    loads = np.random.default_rng(0).normal(size=(5, columns))
    rng = np.random.default_rng([seed, 1])
    x = rng.normal(size=(rows, 5)) @ loads + rng.normal(size=(rows, columns))
    named = {f"x{j}": np.round(x[:, j], 2) for j in range(columns)}
    return pa.table({**named, **{f"x{j}": np.array(list("abcd"))[cut(x[:, j])] for j in range(0, columns, 10)}})


def cut(x: np.ndarray) -> np.ndarray:
    """Quarters of a number whose standard deviation is about 2.4."""
    return np.searchsorted([-1.6, 0.0, 1.6], x)


def made_of(rows: int, seed: int, columns: int | None) -> pa.Table:
    return piece(rows, seed) if columns is None else wide(rows, seed, columns)


def write(path: Path, rows: int, columns: int | None) -> None:
    """The table as Parquet, piece by piece."""
    writer = None
    for number, start in enumerate(range(0, rows, PIECE)):
        table = made_of(min(PIECE, rows - start), number, columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--family", default="mixture")
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--columns", type=int, default=None, help="a wide table of so many columns instead")
    parser.add_argument("--scored", type=int, default=None, help="rows that are scored and sampled (default: all)")
    options = parser.parse_args()
    seconds: dict[str, float] = {}

    def timed(name: str, action):
        began = time.perf_counter()
        result = action()
        seconds[name] = round(time.perf_counter() - began, 2)
        print(f"{name}: {seconds[name]} s, peak {peak():.2f} GiB", flush=True)
        return result

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.parquet"
        timed("write", lambda: write(path, options.rows, options.columns))
        data = timed("read", lambda: en.read(path))
        model = timed("fit", lambda: en.fit(data, options.family, budget=options.budget))
        fitted = peak()
        some = data if options.scored is None else data.head(options.scored)
        score = timed("score", lambda: model.log_prob(some))
        made = timed("sample", lambda: model.sample(len(some), seed=0))
        assert len(score) == len(made) == len(some) and np.isfinite(score).all()
        fresh = en.read(made_of(FRESH, 10_000, options.columns)).with_schema(data.schema)
        held = model.log_prob(fresh).mean()
        plain = timed("independent", lambda: en.fit(data.head(LEARNED), "independent")).log_prob(fresh).mean()
    result = {
        "rows": options.rows,
        "family": options.family,
        "seconds": seconds,
        "columns": len(data.names),
        "scored": len(some),
        "of_budget": round(seconds["fit"] / Budget.parse(options.budget).seconds, 3),
        "bits": round(float(-score.mean() / np.log(2)), 3),
        "bits_fresh": round(float(-held / np.log(2)), 3),
        "bits_fresh_independent": round(float(-plain / np.log(2)), 3),
        "peak_gib_fit": round(fitted, 2),
        "peak_gib": round(peak(), 2),
        "streams": data.streams,
    }
    print(json.dumps(result))


def peak() -> float:
    """Largest resident memory so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
