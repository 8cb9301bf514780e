"""Stream a table larger than memory: rows a second and peak memory of one look, one pass, and one pass over a split.

    python bench/data_stream.py --rows 10000000 --format parquet

The table (15 columns: 5 integers, 5 numbers, 4 of levels, 1 of dates, with missing values) is made in a temporary
folder by another process, so that the peak memory is the reader's own. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

CHUNK = 500_000


def piece(start: int, rows: int) -> pa.Table:
    rng = np.random.default_rng(start)
    gap = rng.random(rows) < 0.03
    columns = {f"count_{j}": rng.poisson(10 ** (j + 1), rows) for j in range(5)}
    columns |= {f"amount_{j}": np.round(rng.lognormal(j, 1, rows), 2) for j in range(5)}
    columns |= {
        f"level_{j}": pa.array([f"level {k}" for k in range(3**j + 1)]).take(rng.integers(3**j + 1, size=rows))
        for j in range(1, 5)
    }
    columns["day"] = pa.array(rng.integers(0, 20_000, rows), pa.int32()).cast(pa.date32())
    table = pa.table(columns)
    gapped = pc.if_else(pa.array(gap), pa.scalar(None, pa.float64()), table.column("amount_4"))
    return table.set_column(table.column_names.index("amount_4"), "amount_4", gapped)


def make(path: str, rows: int) -> None:
    writer = None
    for start in range(0, rows, CHUNK):
        table = piece(start, min(CHUNK, rows - start))
        if writer is None:
            kind = pq.ParquetWriter if path.endswith(".parquet") else pyarrow.csv.CSVWriter
            writer = kind(path, table.schema)
        writer.write_table(table)
    writer.close()


def seconds(work) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return round(time.perf_counter() - wall, 2), round(time.process_time() - processor, 2)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--format", choices=["parquet", "csv"], default="parquet")
    options.add_argument("--limit", type=float, default=64.0, help="MiB that may be held; more streams")
    args = options.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / f"large.{args.format}")
        maker = multiprocessing.get_context("spawn").Process(target=make, args=(path, args.rows))
        maker.start()
        maker.join()

        from ensample.data.readers import read

        data = None

        def look() -> None:
            nonlocal data
            data = read(path, limit=int(args.limit * 2**20))

        first = seconds(look)
        whole = seconds(lambda: count(data))
        train, test = data.split(0.2, seed=0)
        part = seconds(lambda: count(test))
        narrow = seconds(lambda: count(data, ["amount_4", "level_1"]))
        assert data.streams and len(data) == args.rows == len(train) + len(test)
        facts = {
            "bench": "data_stream",
            "format": args.format,
            "rows": args.rows,
            "columns": len(data.names),
            "file_mib": round(Path(path).stat().st_size / 2**20),
            "limit_mib": args.limit,
            "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "rows_per_second": round(args.rows / whole[0]),
        }
        for name, (wall, processor) in {"look": first, "pass": whole, "split": part, "two_columns": narrow}.items():
            facts |= {f"{name}_s": wall, f"{name}_cpu_s": processor}
        print(json.dumps(facts))


def count(data, names=None) -> None:
    assert sum(batch.num_rows for batch in data.batches(names=names)) == len(data)


if __name__ == "__main__":
    main()
