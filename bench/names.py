"""Names, letter by letter: how well a network tells 1,000 held-out ones after so much time.

    python bench/names.py --seconds 120

Of the 32,033 names 1,000 random ones are held out (another seed, others). Told in nats a letter, the end of a name
counted as one, as makemore counts: its transformer reaches about 1.92, counts of pairs of letters 2.45. Time is that of
the processor, of one thread. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import torch

from ensample.budget import Budget
from ensample.events import Discrete, Mixed, Ragged, Span
from ensample.kinds.sequences import Sequences
from ensample.run import Progress, Run
from ensample.train import learn
from processor import ProcessorClock
from shakespeare import DATA, family_of

HELD_OUT = 1_000
BEST = {"dropout": "0.2"}
"""Options of the network that differ from the defaults: 32,000 names are soon known by heart."""


def names(seed: int) -> tuple[Sequences, Sequences]:
    """Names to learn from, and those held out."""
    lines = (DATA / "names.txt").read_text().split()
    order = np.random.default_rng(seed).permutation(len(lines))
    letters = sorted(set("".join(lines)))
    event = Ragged(Mixed((Span("letter", Discrete(len(letters))),)), max(map(len, lines)))

    def records(rows: np.ndarray) -> Sequences:
        chosen = [lines[row] for row in rows]
        table = np.searchsorted(letters, list("".join(chosen)))[:, None]
        return Sequences(event, table, lengths=np.array([len(name) for name in chosen]))

    return records(order[HELD_OUT:]), records(order[:HELD_OUT])


def told(model: object, records: Sequences) -> float:
    """Nats a letter, ends counted as letters."""
    total = -model.log_prob(records.batch()).sum()  # type: ignore[attr-defined]
    return float(total) / int((records.lengths + 1).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="of the processor")
    parser.add_argument("--steps", type=int, help="instead of seconds")
    parser.add_argument("--family", default="sequence-autoregressive", help="or ngram, sequence-blend")
    parser.add_argument("--set", nargs="*", default=[], help="options of the network, NAME=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = BEST | dict(text.split("=", 1) for text in options.set)
    train, test = names(options.seed)
    clock = ProcessorClock(Budget.parse(f"{options.steps} steps" if options.steps else f"{options.seconds}s"))
    curve: list[tuple[float, float]] = []

    def report(progress: Progress) -> None:
        if progress.loss is not None and clock.seconds >= (curve[-1][0] * 1.2 + 1 if curve else 0):
            curve.append((round(clock.seconds, 1), round(progress.loss, 3)))
            print(f"{clock.seconds:6.0f} s  held out {progress.loss:.3f}", flush=True)

    model = learn(family_of(options.family, settings), train, options.seed, Run(clock, report=report))
    seconds = clock.seconds
    drawn = model.sample(12, torch.Generator().manual_seed(0))
    letters = "abcdefghijklmnopqrstuvwxyz"
    result = {
        "bench": "names",
        "family": options.family,
        "options": settings,
        "seconds": round(seconds, 1),
        "weights": sum(array.numel() for array in model.arrays().values()),
        "nats": round(told(model, test), 4),
        "nats_of_training": round(told(model, train.select(slice(0, HELD_OUT))), 4),
        "threads": 1,
        "seed": options.seed,
        "curve": curve,
        "drawn": ["".join(letters[c] for c in row[:n, 0]) for row, n in zip(drawn.cells, drawn.lengths, strict=True)],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
