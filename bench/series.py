"""Windows of 24 steps of daily stocks and of hourly loads: do made ones pass for real ones, by the measures of TimeGAN?

    python bench/series.py --family mixture --seconds 60 --cpu
    python bench/series.py --data etth1 --family autoregressive --set layers=2
    python bench/series.py --floor

All overlapping windows are learned, and as many are made; to be judged, every variable is brought to [0, 1]. The
discriminative score is that of a recurrent network which tells made from real windows (0 is best, 0.5 worst), the
predictive score the mean absolute error on real windows of one that learned from made windows to tell the last variable
a step ahead; both are means of several networks (`ensample.judge.series`). `--floor` measures real windows themselves:
a half against the other half, and networks that learn from the windows they tell. Published (Yoon, Jarrett and van der
Schaar 2019), on stocks: real windows 0.036 predictive; TimeGAN 0.102 and 0.038, RCGAN 0.196 and 0.040, WaveGAN 0.217
and 0.041, a recurrent network by teacher forcing 0.226 and 0.038. Of diffusion (Diffusion-TS, Yuan and Qiao 2024), on
stocks 0.067 and 0.036, on ETTh1 0.061 and 0.119 (where real windows have 0.121). These measures would praise a model
that hands out what it learned, so the share of near copies stands beside them (0 is best). The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

import ensample as en
from ensample.budget import Budget, Clock
from ensample.fitting import as_family, event_of
from ensample.judge.series.classifier import discriminative_score, scaled
from ensample.judge.series.copies import series_copies
from ensample.judge.series.foretelling import predictive_score
from ensample.judge.series.reference import SeriesReference
from ensample.kinds.codecs import codec_of
from ensample.kinds.sequence import Sequence
from ensample.model import Model
from ensample.run import Run
from ensample.train import learn
from processor import ProcessorClock

DATA = Path(os.environ.get("ENSAMPLE_DATA", Path(__file__).parents[2] / "shared" / "data"))
STEPS = 24


def stocks() -> pd.DataFrame:
    """Six columns, latest day first: so were they read for the published figures."""
    return pd.read_csv(DATA / "timegan_stock_data.csv.xz")[::-1]


def etth1() -> pd.DataFrame:
    """Seven columns of loads and the temperature of oil, hourly."""
    return pd.read_csv(DATA / "ETTh1.csv.xz").drop(columns="date")


SOURCES = {"stocks": stocks, "etth1": etth1}


def windows(frame: pd.DataFrame) -> np.ndarray:
    """All overlapping windows [rows, steps, variables]."""
    return np.lib.stride_tricks.sliding_window_view(frame.to_numpy(np.float64), STEPS, 0)[:-1].transpose(0, 2, 1)


def table(real: np.ndarray, names: list[str]) -> pa.Table:
    """A record a window: a list of steps."""
    parts = [pa.array(np.ascontiguousarray(real[:, :, j]).ravel()) for j in range(len(names))]
    steps = pa.StructArray.from_arrays(parts, names=names)
    offsets = pa.array(np.arange(len(real) + 1, dtype=np.int32) * STEPS)
    return pa.table({"series": pa.ListArray.from_arrays(offsets, steps)})


def numbers(made: pa.Table) -> np.ndarray:
    """Windows [rows, steps, variables] of a table of such records."""
    steps = made.column("series").combine_chunks().flatten().flatten()
    return np.stack([part.to_numpy(zero_copy_only=False).astype(np.float64) for part in steps], 1).reshape(
        len(made), STEPS, -1
    )


def scores(real: np.ndarray, made: np.ndarray, networks: int, seed: int) -> dict[str, Any]:
    """Both scores, means and all networks' own."""
    one, other = scaled(real, made)
    found = {
        "discriminative": discriminative_score(one, other, networks=networks, seed=seed),
        "predictive": predictive_score(other, one, networks=networks, seed=seed),
    }
    means = {name: round(float(each.mean()), 4) for name, each in found.items()}
    return {**means, **{f"{name} each": np.round(each, 4).tolist() for name, each in found.items()}}


def copied(real: pa.Table, made: pa.Table) -> float:
    """Share of made windows that are near copies: three times nearer to a real one than the next is to that."""
    schema = en.read(real).schema
    assert schema is not None
    kind = schema["series"].kind
    assert isinstance(kind, Sequence)
    some = real.take(pa.array(np.random.default_rng(0).permutation(len(real))[:500]))
    reference = SeriesReference(real, some, schema, series="series", steps=kind.steps.schema)
    return round(series_copies(reference, reference.side(made)).close.value, 4)


def floor(real: np.ndarray, networks: int, seed: int) -> dict[str, Any]:
    """Real windows told from other real windows, and foretold by networks that learned from them."""
    (one,) = scaled(real)
    order = np.random.default_rng(seed).permutation(len(one))
    apart = discriminative_score(one[order[::2]], one[order[1::2]], networks=networks, seed=seed)
    told = predictive_score(one, one, networks=networks, seed=seed)
    return {"discriminative": round(float(apart.mean()), 4), "predictive": round(float(told.mean()), 4)}


def learned(data: pa.Table, name: str, settings: dict[str, str], clock: Clock, seed: int) -> tuple[Model, str]:
    """A model fitted until the clock has run out, and what its family is called."""
    read = en.read(data)
    assert read.schema is not None
    family = as_family(name, event_of(read), settings)
    codec = codec_of(read.schema, read.names)
    distribution = learn(family, codec.encode(read), seed, Run(clock, report=lambda progress: None))
    return Model(codec, family, distribution, {}), repr(family)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=list(SOURCES), default="stocks")
    parser.add_argument("--family", default="mixture", help="any that learns sequences or rows")
    parser.add_argument("--set", nargs="*", default=[], help="options of the family, NAME=VALUE")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--cpu", action="store_true", help="count the processor's seconds, not those of the wall")
    parser.add_argument("--networks", type=int, default=5, help="that judge")
    parser.add_argument("--floor", action="store_true", help="judge real windows instead of made ones")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    frame = SOURCES[options.data]()
    real = windows(frame)
    result: dict[str, Any] = {"bench": "series", "data": options.data, "windows": len(real), "seed": options.seed}
    if options.floor:
        result |= {"real": floor(real, options.networks, options.seed)}
    else:
        data = table(real, [str(name) for name in frame.columns])
        budget = Budget.parse(options.seconds)
        clock = ProcessorClock(budget) if options.cpu else Clock(budget)
        settings = dict(part.split("=", 1) for part in options.set)
        model, family = learned(data, options.family, settings, clock, options.seed)
        fitted, start = clock.seconds, time.process_time()
        drawn = model.sample(len(real), seed=options.seed + 1).to_arrow()
        seconds = time.process_time() - start
        result |= {"family": family, "fit s": round(fitted, 1), "clock": "processor" if options.cpu else "wall"}
        result |= {"sample cpu s": round(seconds, 1), "near copies": copied(data, drawn)}
        result |= scores(real, numbers(drawn), options.networks, options.seed)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
