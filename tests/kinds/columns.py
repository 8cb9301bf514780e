"""Awkward columns: what each is taken for, and whether it comes back to the bit."""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

ROWS = 400


@dataclass(frozen=True)
class Case:
    """`loss` is the largest relative error allowed; None for columns that are made afresh."""

    name: str
    column: pa.Array
    kind: str
    loss: float | None = 0.0


def holes(values, share=0.1, dtype=None):
    """The same values, some of them missing."""
    gone = np.random.default_rng(5).random(len(values)) < share
    return pa.array(values, dtype, mask=gone)


def cases() -> list[Case]:
    rng = np.random.default_rng(0)
    n = ROWS
    days = rng.integers(-40_000, 20_000, n)
    dates = days.astype("datetime64[D]")
    listed = dates.tolist()
    whole = rng.integers(0, 1000, n)
    normal = rng.normal(size=n)
    months = (whole % 240 - 100).astype("datetime64[M]").astype("datetime64[D]")
    codes = [f"{a}{b}" for a, b in rng.integers(10**6, 9 * 10**6, (n, 2))]
    words = [f"row {k} tells of {k * 7 % 100} Things" for k in rng.permutation(n)]
    narrow = pa.dictionary(pa.int8(), pa.string())
    texts = pa.array(rng.choice(["9", "10", "10-19", "<1", "ß", " padded ", ""], n))
    found = [
        *(Case(f"{t}", pa.array(rng.integers(0, 100, n), t), "number") for t in ("int8", "int16", "int32", "int64")),
        *(Case(f"{t}", pa.array(rng.integers(0, 100, n), t), "number") for t in ("uint8", "uint16", "uint32")),
        Case("uint64 above 2^63", pa.array(2**63 + 5 + whole.astype(np.uint64) * 3, pa.uint64()), "number"),
        Case("int64 near both ends of 2^62", pa.array(rng.integers(-(2**61), 2**61, n).repeat(2)[:n] // 2), "number"),
        Case("negative only", pa.array(-whole - 5), "number"),
        Case("thousands", pa.array(whole * 1000), "number"),
        Case("steps of 25 from 10", pa.array(10 + 25 * whole), "number"),
        Case("extremes of int8", pa.array(np.r_[-128, 127, rng.integers(-128, 128, n - 2)], "int8"), "number"),
        Case("integers with holes", holes(whole), "number"),
        Case("cents", pa.array(np.round(rng.lognormal(3, 1, n), 2)), "number"),
        Case("cents with holes", holes(np.round(rng.lognormal(3, 1, n), 2)), "number"),
        Case("halves", pa.array(whole / 2), "number"),
        Case("tiny grid", pa.array(np.array([float(f"{k}e-12") for k in whole])), "number"),
        Case("large floats", pa.array(whole * 1e12), "number"),
        Case("float32 tenths", pa.array((whole / 10).astype(np.float32)), "number"),
        Case("float32 tenths in doubles", pa.array((whole / 10).astype(np.float32).astype(float)), "number"),
        Case("float32 over many orders", pa.array(np.exp(normal * 20).astype(np.float32)), "number"),
        Case("float16", pa.array((whole / 4).astype(np.float16)), "number"),
        Case("rounding noise", pa.array(whole / 10 + 0.1 + 0.2), "number", 1e-14),
        Case("normal doubles", pa.array(normal), "number", 1e-7),
        Case("doubles over many orders", pa.array(np.exp(normal * 100)), "number", 1e-8),
        Case("decimal128", pa.array([Decimal(int(k)).scaleb(-2) for k in whole], pa.decimal128(9, 2)), "number"),
        Case("decimal with holes", holes([Decimal(int(k) * 5).scaleb(-3) for k in whole], 0.2), "number"),
        Case("spike at zero", pa.array(np.where(rng.random(n) < 0.8, 0, whole * 7 + 1)), "number"),
        Case("spike and holes", holes(np.where(rng.random(n) < 0.8, 0, whole * 7 + 1)), "number"),
        Case("two integers", pa.array(np.where(whole > 500, 36, 60)), "category"),
        Case("texts", texts, "category"),
        Case("texts with holes", holes(texts.to_pylist(), 0.2), "category"),
        Case("large_string", texts.cast(pa.large_string()), "category"),
        Case("string_view", texts.cast(pa.string_view()), "category"),
        Case("dictionary", texts.dictionary_encode(), "category"),
        Case(
            "dictionary of int8 codes",
            texts.dictionary_encode().cast(narrow),
            "category",
        ),
        Case("dictionary of integers", pa.array(whole % 7).dictionary_encode(), "category"),
        Case("bool", pa.array(whole > 700), "boolean"),
        Case("bool with holes", holes(whole > 700), "boolean"),
        Case("zero or one", pa.array(whole % 2), "boolean"),
        Case("zero or one, float", holes((whole % 2).astype(float)), "boolean"),
        Case("yes or no", pa.array(np.where(whole > 300, "Yes", "No")), "boolean"),
        Case("one value", pa.array([7] * n, "int16"), "constant"),
        Case("one value with holes", holes(["EUR"] * n), "constant"),
        Case("one moment", pa.array([datetime.datetime(1969, 5, 4, 3)] * n), "constant"),
        Case("all missing", pa.nulls(n), "constant"),
        Case("all missing, typed", pa.nulls(n, pa.float64()), "constant"),
        Case("days before 1970", pa.array(dates), "datetime"),
        Case("date64", pa.array(dates).cast(pa.date64()), "datetime"),
        Case("days with holes", holes(listed), "datetime"),
        *(Case(f"timestamp[{u}]", pa.array(days * 977, pa.timestamp(u)), "datetime") for u in ("s", "ms", "us", "ns")),
        Case("moments with a zone", pa.array(days * 3600, pa.timestamp("s", "Europe/Paris")), "datetime"),
        Case(
            "firsts of months",
            pa.array(months),
            "datetime",
        ),
        Case("time32", pa.array((whole * 60).astype(np.int32), pa.int32()).cast(pa.time32("s")), "datetime"),
        Case("time64", holes([datetime.time(0, int(k) % 60, 1, int(k)) for k in whole]), "datetime"),
        Case("duration", pa.array(days * 10, pa.duration("ms")), "datetime"),
        Case("texts of days", pa.array(dates.astype(str)), "datetime"),
        Case("texts of days with holes", holes(dates.astype(str)), "datetime"),
        Case("12/31/1999", pa.array([d.strftime("%m/%d/%Y") for d in listed]), "datetime"),
        Case(
            "1/5/1999",
            pa.array([f"{d.month}/{d.day}/{d.year}" for d in listed]),
            "datetime",
        ),
        Case("Jan-2018", pa.array(np.resize(["Jan-2018", "Feb-2018", "Dec-1969"], n)), "datetime"),
        Case("7:05", pa.array([f"{k // 60:02}:{k % 60:02}" for k in whole]), "datetime"),
        Case("running numbers", pa.array(np.arange(1, n + 1)), "identifier", None),
        Case("prefix and running numbers", pa.array([f"AB-{k:05}/x" for k in range(n)]), "identifier", None),
        Case("uuid", pa.array([str(uuid.UUID(bytes=rng.bytes(16), version=4)) for _ in range(n)]), "identifier", None),
        Case(
            "random codes",
            pa.array(codes),
            "identifier",
            None,
        ),
        Case("64-bit hashes", pa.array(rng.integers(-(2**63), 2**63, n)), "identifier", None),
        Case(
            "sentences",
            pa.array(words),
            "identifier",
            None,
        ),
    ]
    return found


CASES = {case.name: case for case in cases()}
