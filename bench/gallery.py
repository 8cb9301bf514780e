"""Every family of pictures on MNIST for the same time: a contact sheet each, and its figures.

    python bench/gallery.py --budget 120s                     # all of them, one after the other
    python bench/gallery.py --only gan,vae --out docs/gallery

Writes `<out>/<name>.png` (a row for each digit, where labels are given) and a line of figures to `<out>/figures.jsonl`:
bits per dimension of some test digits where there is a likelihood, the Frechet distance of samples to the test digits
over the features of `digits_judge.py`, the share of samples in which that judge finds the wanted digit, and
seconds. Ends with one JSON line.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

import ensample as en
from digits_judge import load_judge
from ensample.data.pictures.column import pixels_of
from ensample.data.pictures.save import save_sheet
from ensample.families import TABLE, Flat

COLUMNS = 12


def variants() -> dict[str, tuple[Any, bool]]:
    """Name of a sheet -> (family, whether pictures are halved to light and dark first)."""
    image = {name.removeprefix("image-"): TABLE[name] for name in TABLE if name.startswith("image-")}
    found: dict[str, tuple[Any, bool]] = {name: (kind(), False) for name, kind in image.items()}
    found["independent"] = (Flat(of=TABLE["independent"]()), False)
    found["rbm"] = (Flat(of=TABLE["rbm"]()), True)
    if "autoregressive" in image:
        found["pixelcnn-binary"] = (image["autoregressive"](), True)
        found["made-binary"] = (image["autoregressive"](network="made"), True)
    if "vae" in image:
        found["vae-codes"] = (image["vae"](latents="codes"), False)
    return found


def measured(name: str, family: Any, halved: bool, args: argparse.Namespace, judge: Any) -> dict[str, Any]:
    """Fit, draw, judge; the sheet lies in the folder afterwards."""
    digits = {k: (v > 127).astype(np.uint8) * 255 if halved and k[0] == "x" else v for k, v in judge.digits.items()}
    labelled = family.refuses_arrays(event_of(digits), None) is None and name != "rbm"
    train = en.read({"digit": digits["x_train"], "label": digits["y_train"].astype(str)})
    test = en.read({"digit": digits["x_test"][: args.scored], "label": digits["y_test"][: args.scored].astype(str)})
    start = time.perf_counter()
    how = {"given": "label"} if labelled else {"model": ["digit"]}
    model = en.fit(train, family, budget=args.budget, seed=0, **how)
    fitted = time.perf_counter()
    wanted = np.arange(args.samples) % 10
    where = en.read({"label": wanted.astype(str)}, kinds={"label": "category"}) if labelled else None
    made = pixels_of(
        (model.sample(where=where, seed=1) if labelled else model.sample(args.samples, seed=1)).column("digit")
    )
    drawn = time.perf_counter()
    save_sheet(sheet(made, wanted if labelled else np.arange(args.samples)), args.out / f"{name}.png", COLUMNS)
    nats = -float(np.mean(model.log_prob(test))) if "log_prob" in model.can else math.nan
    return {
        "name": name,
        "family": model.family.name,
        "given": "label" if labelled else "",
        "levels": 2 if halved else 256,
        "bits": None if math.isnan(nats) else round(nats / math.log(2) / made[0].size, 4),
        "nats": None if math.isnan(nats) else round(nats, 2),
        "sort": model.can.get("log_prob"),
        "frechet": round(judge.frechet(made, digits["x_test"]), 2),
        "floor": round(judge.frechet(digits["x_train"][-args.samples :], digits["x_test"]), 2),
        "accuracy": round(judge.accuracy(made, wanted), 4) if labelled else None,
        "fit_seconds": round(fitted - start, 1),
        "drawn_a_second": round(args.samples / (drawn - fitted), 1),
    }


def event_of(digits: dict[str, np.ndarray]) -> Any:
    from ensample.fitting import event_of as event

    return event(en.read({"digit": digits["x_test"][:100]}))


def sheet(made: np.ndarray, order: np.ndarray) -> Any:
    """The first pictures of each digit, a row a digit, or simply the first ones."""
    rows = np.argsort(order, kind="stable").reshape(10, -1)[:, :COLUMNS].ravel()
    return en.read({"digit": made[rows]})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", default="120s")
    parser.add_argument("--only", default="")
    parser.add_argument("--samples", type=int, default=2_000)
    parser.add_argument("--scored", type=int, default=1_000, help="test digits whose likelihood is taken")
    parser.add_argument("--cache", default=None, help="folder of the judge's weights")
    parser.add_argument("--out", type=Path, default=Path("docs/gallery"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    judge, every, lines = load_judge(args.cache), variants(), []
    for name in args.only.split(",") if args.only else every:
        line = measured(name, *every[name], args, judge)
        lines.append(line)
        print(json.dumps(line), flush=True)
        keep(args.out / "figures.jsonl", line)
    print(json.dumps({"families": len(lines), "budget": args.budget, "judge": judge.hash}))


def keep(path: Path, line: dict[str, Any]) -> None:
    """Put the line in the place of an older one of its name."""
    old = [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []
    lines = [*(other for other in old if other["name"] != line["name"]), line]
    path.write_text("".join(json.dumps(one) + "\n" for one in sorted(lines, key=lambda one: one["name"])))


if __name__ == "__main__":
    main()
