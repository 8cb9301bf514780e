"""How long the judge of pictures takes, what it says of pictures that are known to be good and bad, and how sure.

    python bench/picture_judge.py                       # the judge's own network, on half of MNIST's training part
    python bench/picture_judge.py --extractor pixels
    python bench/picture_judge.py --data cifar --extractor efficientnet-lite0

Made pictures: training pictures (the ceiling), the same with 2, 10 and 30 % of their pixels as noise, shifted by two
pixels, of one class only, each pixel drawn alone (the floor). A judge is of use if its distance grows with the damage.
The last line printed is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from ensample.data.dataset import Dataset
from ensample.data.pictures.column import tensor_column
from ensample.judge.images.evaluate import judge_pictures, loose_pixels, real_pictures
from ensample.judge.images.records import picture_reference
from ensample.kinds import guess

DATA = Path(os.environ.get("ENSAMPLE_DATA", Path(__file__).parents[2] / "shared" / "data"))
FILES = {"mnist": "mnist.npz", "cifar": "cifar10_8k.npz"}


def table(pixels: np.ndarray, labels: np.ndarray) -> pa.Table:
    pixels = pixels if pixels.ndim == 4 else pixels[..., None]
    return pa.table({"picture": tensor_column(np.ascontiguousarray(pixels)), "label": pa.array(labels.astype(str))})


def parts(name: str) -> tuple[pa.Table, pa.Table]:
    """Training and test pictures."""
    with np.load(DATA / FILES[name]) as store:
        return table(store["x_train"], store["y_train"]), table(store["x_test"], store["y_test"])


def noisy(pixels: np.ndarray, share: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.where(rng.random(pixels.shape) < share, rng.integers(0, 256, pixels.shape), pixels).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", choices=tuple(FILES), default="mnist")
    parser.add_argument("--extractor", default="own")
    parser.add_argument("--rows", type=int, default=2_000)
    options = parser.parse_args()
    train, test = (Dataset.from_arrow(part) for part in parts(options.data))
    start = time.process_time()
    reference = picture_reference(train, test, guess(train, None), "picture", ("label",), options.extractor, 0)
    judge = reference.extractor
    seconds = {"extractor": round(time.process_time() - start, 1)}
    real = real_pictures(reference, options.rows)
    side = reference.side(real)
    assert side.labels is not None
    one = np.flatnonzero(reference.train.labels == side.labels[0])[: options.rows]
    made = {
        "training pictures": real,
        **{f"{share:.0%} noise": table(noisy(side.pixels, share), side.labels) for share in (0.02, 0.1, 0.3)},
        "shifted by two": table(np.roll(side.pixels, 2, axis=2), side.labels),
        "one class": table(reference.train.pixels[one], side.labels[: len(one)]),
        "loose pixels": loose_pixels(reference, options.rows),
    }
    out: dict[str, dict[str, float]] = {}
    for name, each in made.items():
        start = time.process_time()
        judgement = judge_pictures(reference, each)
        seconds[name] = round(time.process_time() - start, 1)
        out[name] = {m.name: round(m.value, 5) for m in judgement.measures}
        low, high = judgement["Frechet distance"].low, judgement["Frechet distance"].high
        out[name] |= {"Frechet low": round(low, 5), "Frechet high": round(high, 5)}
        print(name, out[name], seconds[name], file=sys.stderr, flush=True)
    figures = {"bench": "picture_judge", "data": options.data, "rows": options.rows}
    print(json.dumps({**figures, "extractor": f"{judge.name} {judge.hash}", "cpu seconds": seconds, "measures": out}))


if __name__ == "__main__":
    main()
