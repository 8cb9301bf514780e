"""Arrow tables as pandas and polars frames."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ensample.data.pictures.column import is_pictures, pixels_of
from ensample.errors import MissingPackage

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Types kept: integers and truths with missing values use pandas' nullable types, as float would lose them.

    Pictures are arrays [height, width, channels] that share the memory of the table.
    """
    pandas = optional("pandas", "pandas")
    holed = {f.name for f, column in zip(table.schema, table.columns, strict=True) if column.null_count}
    nullable = {kind: pandas.array([], dtype=name).dtype for kind, name in _NULLABLE.items()}
    shown = [f.name for f in table.schema if is_pictures(f.type)]
    frame: pd.DataFrame = table.drop_columns(shown).to_pandas()
    for name in shown:
        column, cells = table.column(name), np.empty(len(table), dtype=object)
        cells[:] = list(pixels_of(column))
        cells[np.asarray(column.is_null())] = None
        frame.insert(table.column_names.index(name), name, pandas.Series(cells, dtype=object))
    for f in table.schema:
        if f.name in holed and f.type in nullable:
            frame[f.name] = nullable[f.type].__from_arrow__(table.column(f.name))
    return frame


def to_polars(table: pa.Table) -> pl.DataFrame:
    """Types as polars maps them from Arrow."""
    polars = optional("polars", "polars")
    frame: pl.DataFrame = polars.from_arrow(table)
    return frame


def optional(module: str, extra: str) -> Any:
    """Import a module of an optional extra.

    Raises:
        MissingPackage: it is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackage(
            f"This needs the package {module.partition('.')[0].replace('_', '-')}.",
            module,
            str(error),
            f"run: pip install 'ensample[{extra}]'",
        ) from error


_NULLABLE = {
    pa.int8(): "Int8",
    pa.int16(): "Int16",
    pa.int32(): "Int32",
    pa.int64(): "Int64",
    pa.uint8(): "UInt8",
    pa.uint16(): "UInt16",
    pa.uint32(): "UInt32",
    pa.uint64(): "UInt64",
    pa.bool_(): "boolean",
}
