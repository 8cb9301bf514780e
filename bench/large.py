"""Fit, sample and score a table larger than memory should hold: 10 million rows of 15 columns within 4 GiB.

    python bench/large.py --rows 10000000 --family mixture

The table is made in pieces, so that this script holds none of it. The last line is JSON: seconds of each step, rows a
second, and the peak of resident memory of the whole process in GiB.
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

PIECE = 250_000


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


def write(path: Path, rows: int) -> None:
    """The table as Parquet, piece by piece."""
    writer = None
    for number, start in enumerate(range(0, rows, PIECE)):
        table = piece(min(PIECE, rows - start), number)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--family", default="mixture")
    parser.add_argument("--budget", default="10m")
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
        timed("write", lambda: write(path, options.rows))
        data = timed("read", lambda: en.read(path))
        model = timed("fit", lambda: en.fit(data, options.family, budget=options.budget))
        score = timed("score", lambda: model.log_prob(data))
        made = timed("sample", lambda: model.sample(options.rows, seed=0))
        assert len(score) == len(made) == options.rows and np.isfinite(score).all()
    result = {
        "rows": options.rows,
        "family": options.family,
        "seconds": seconds,
        "bits": round(float(-score.mean() / np.log(2)), 3),
        "peak_gib": round(peak(), 2),
        "streams": data.streams,
    }
    print(json.dumps(result))


def peak() -> float:
    """Largest resident memory so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
