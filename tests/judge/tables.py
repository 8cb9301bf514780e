"""Tables whose distribution is known, and their schemas."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ensample.data.dataset import Dataset
from ensample.data.schema import Schema
from ensample.judge.reference import Made, Reference, Sizes
from ensample.kinds import guess

SMALL = Sizes(two_sample=1_000, pairs=1_000, utility=1_000, neighbours=600, copies=1_000, relations=2_000)


def schema_of(table: pa.Table, kinds: dict[str, str] | None = None) -> Schema:
    return guess(Dataset.from_arrow(table), kinds)


def reference(train: pa.Table | None, test: pa.Table, seed: int = 0, **options) -> Reference:
    schema = options.pop("schema", None) or schema_of(test if train is None else train)
    return Reference(train, test, schema, sizes=options.pop("sizes", SMALL), seed=seed, **options)


def made(real: Reference, table: pa.Table) -> Made:
    return Made.of(real, table)


def gaussian(rows: int, seed: int, shift: float = 0.0, columns: int = 3) -> pa.Table:
    """Correlated normal columns; the first is shifted."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, columns))
    x[:, 1:] = 0.6 * x[:, :-1] + 0.8 * x[:, 1:]
    x[:, 0] += shift
    return pa.table({f"c{j}": x[:, j] for j in range(columns)})


def people(rows: int, seed: int) -> pa.Table:
    """Numbers with a spike, categories, a rule `total = net + tax`, missing values that come together."""
    rng = np.random.default_rng(seed)
    net = np.round(rng.lognormal(5, 0.7, rows), 2)
    tax = np.round(rng.lognormal(3, 1.0, rows), 2)
    gain = np.where(rng.random(rows) < 0.9, 0, rng.integers(1, 5_000, rows))
    city = rng.choice(["Brno", "Praha", "Ostrava", "Zlín"], rows, p=[0.4, 0.3, 0.2, 0.1])
    land = np.where(np.isin(city, ["Brno", "Zlín"]), "Morava", np.where(city == "Praha", "Čechy", "Slezsko"))
    rich = net + rng.normal(0, 60, rows) > 180
    lost = rng.random(rows) < 0.1
    return pa.table(
        {
            "net": net,
            "tax": tax,
            "total": np.round(net + tax, 2),
            "gain": gain,
            "city": city,
            "land": land,
            "rich": np.where(rich, "yes", "no"),
            "job": pa.array(np.where(lost, None, rng.choice(["cook", "smith", "clerk"], rows)), pa.string()),
            "firm": pa.array(np.where(lost, None, rng.choice(["A", "B"], rows)), pa.string()),
        }
    )


def shuffled(table: pa.Table, name: str, seed: int = 0) -> pa.Table:
    """The table with one column in another order."""
    order = np.random.default_rng(seed).permutation(table.num_rows)
    return table.set_column(table.column_names.index(name), name, table.column(name).take(pa.array(order)))
