"""Are pictures translated to their true counterparts, though no pair was ever seen? MNIST, two maps that are known.

    python bench/translate.py --budget "400 steps"

Half of the training digits stay as they are, the other half is changed by a map (inverted, or outlined), and
`image-cycle` learns from both heaps. Test digits are then translated there, and changed ones back, and compared with
what the map gives: the mean error of a pixel (of 255), beside that of the best constant picture, of the picture as it
was, and of the translation of another digit. A judge that reads digits (logistic regression on pixels of each sort)
says how many can still be read. `--sheet FOLDER` saves what is made below what went in. Ends with one JSON line.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import grey_dilation, grey_erosion
from sklearn.linear_model import LogisticRegression

from ensample.budget import Budget, Clock
from ensample.events import Batch, Discrete, Mixed, Span
from ensample.families import ImageCycle
from ensample.families.options import build
from ensample.kinds.images import Images
from ensample.run import Run
from ensample.train import learn
from pictures import mnist

LEARNED, TESTED, READ = 10_000, 1_000, 5_000
"""Pictures of each sort, test pictures, and pictures that the judge learns to read from."""


def inverted(x: np.ndarray) -> np.ndarray:
    return 255 - x


def outlined(x: np.ndarray) -> np.ndarray:
    window = (1, 3, 3)
    return grey_dilation(x, window) - grey_erosion(x, window)


MAPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"inverted": inverted, "outlined": outlined}


def translated(model: Any, pictures: np.ndarray, sort: int) -> np.ndarray:
    """Pictures [rows, height, width] as those of a sort."""
    cells = torch.from_numpy(pictures.astype(np.int64))[:, None]
    to = torch.full((len(cells), 1), sort)
    made = model.translate(Batch(cells, torch.ones_like(cells).bool()), Batch(to, torch.ones_like(to).bool()))
    out: np.ndarray = made.cells[:, 0].numpy()
    return out


def error(a: np.ndarray, b: np.ndarray) -> float:
    return round(float(np.abs(a.astype(float) - b).mean()), 2)


def measured(name: str, family: ImageCycle, options: argparse.Namespace) -> dict[str, Any]:
    change, train, test = MAPS[name], mnist(labels=True), mnist("test", labels=True)
    x, y = train.table[:, 0], train.given_table[:, 0]
    table = np.concatenate([x[:LEARNED], change(x[LEARNED : 2 * LEARNED])])[:, None]
    sorts = np.repeat([0, 1], LEARNED)[:, None]
    records = Images(train.event, table, Mixed((Span("sort", Discrete(2)),)), sorts)
    began, cpu = time.perf_counter(), time.process_time()
    model = learn(family, records, options.seed, Run(Clock(Budget.parse(options.budget))))
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    shown, known = test.table[:TESTED, 0], test.given_table[:TESTED, 0]
    line: dict[str, Any] = {"map": name, "seconds": round(seconds, 1), "cpu seconds": round(cpu_seconds, 1)}
    rows = [shown]
    for way, source, wanted, sort in (("there", shown, change(shown), 1), ("back", change(shown), shown, 0)):
        made = translated(model, source, sort)
        reference = x[-READ:] if sort == 0 else change(x[-READ:])
        judge = LogisticRegression(max_iter=60).fit(reference.reshape(READ, -1) / 255, y[-READ:])
        line[way] = {
            "error": error(made, wanted),
            "constant": error(np.median(reference, 0)[None], wanted),
            "as it was": error(source, wanted),
            "another": error(np.roll(made, 1, 0), wanted),
            "read": round(float(judge.score(made.reshape(TESTED, -1) / 255, known)), 3),
            "read of real": round(float(judge.score(wanted.reshape(TESTED, -1) / 255, known)), 3),
        }
        rows += [made] if way == "back" else [made, wanted]
    if options.sheet:
        sheet = np.concatenate([np.concatenate(list(row[:20]), 1) for row in rows]).astype(np.uint8)
        Image.fromarray(sheet).resize((2 * sheet.shape[1], 2 * sheet.shape[0])).save(
            Path(options.sheet) / f"{name}.png"
        )
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="400 steps")
    parser.add_argument("--maps", nargs="+", choices=list(MAPS), default=list(MAPS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], help="options of the family, NAME=VALUE")
    parser.add_argument("--sheet", default=None, help="folder of the sheets")
    options = parser.parse_args()
    family = build(ImageCycle, dict(text.split("=", 1) for text in options.set))
    lines = []
    for name in options.maps:
        lines.append(measured(name, family, options))
        print(json.dumps(lines[-1]), flush=True)
    print(json.dumps({"bench": "translate", "budget": options.budget, "set": options.set, "maps": lines}))


if __name__ == "__main__":
    main()
