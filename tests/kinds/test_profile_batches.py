"""Counting distinct values over many batches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ensample.kinds import profile as module


def test_counts_add_up_over_batches_that_are_compacted_on_the_way(monkeypatch):
    monkeypatch.setattr(module, "MOST_LEVELS", 600)
    rng = np.random.default_rng(0)
    values = rng.integers(0, 500, 20_000)
    schema = pa.schema([("x", pa.int64())])
    batches = [pa.record_batch([pa.array(part)], schema=schema) for part in np.split(values, 20)]
    found = module.profiles(schema, batches)["x"]
    counted = dict(zip(found.values.to_pylist(), found.counts.tolist(), strict=True))
    assert counted == {int(v): int(c) for v, c in zip(*np.unique(values, return_counts=True), strict=True)}
