"""Tiny Shakespeare, character by character: how well a model tells the last tenth after so much time.

    python bench/shakespeare.py --seconds 129
    python bench/shakespeare.py --seconds 600 --set context=256 width=192 dropout=0.1 batch_size=2560
    python bench/shakespeare.py --family sequence-blend

The family is a network, counts of n-grams, or a blend of both. The first nine tenths are learned, the whole last tenth
is told, in nats a character: in blocks of the training context that do not overlap and know nothing of each other but
for the last character, in such blocks of 64, and by `log_prob`, where windows of a network slide by half a context
(there the end of the text counts too). For comparison, of a nanoGPT of 4 layers of width 128, context 64, in blocks of
its own: 1.89 after 2,000 steps of 12 rows; and 1.47 for its 10.7 million weights on a graphics card. Time is that of
the processor, of one thread, which other work on the machine disturbs less. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
from pathlib import Path

import numpy as np
import torch

from ensample.budget import Budget
from ensample.events import Batch, Discrete, Mixed, Ragged, Span
from ensample.families import TABLE, Family, Ngram, SequenceBlend
from ensample.families.abilities import Steps
from ensample.families.compose.sequences.gate import mixed
from ensample.families.compose.sequences.model import BlendedSequences
from ensample.families.options import build
from ensample.families.sequences.autoregressive.model import AutoregressiveSequences
from ensample.families.sequences.ngram.model import NgramSequences
from ensample.families.sequences.ngram.steps import clues_of
from ensample.families.sequences.ngram.windows import Windows as Context
from ensample.families.sequences.sureness import sureness
from ensample.kinds.sequences import Sequences
from ensample.kinds.windows import Windows
from ensample.run import Progress, Run
from ensample.train import learn
from processor import ProcessorClock

CONTEXT = 128
"""Size of the blocks for a model that has no context of its own."""
DATA = Path(os.environ.get("ENSAMPLE_DATA", Path(__file__).parents[2] / "shared" / "data"))
BEST = {"holdout": "0", "dropout": "0.05", "batch_size": "1408"}
"""Options that differ from the defaults: with two minutes there is nothing to stop early for."""


def texts() -> tuple[Sequences, Sequences]:
    """The first nine tenths and the last tenth, each one record of characters."""
    text = lzma.decompress((DATA / "tinyshakespeare.txt.xz").read_bytes()).decode()
    letters, codes = np.unique(list(text), return_inverse=True)
    event = Ragged(Mixed((Span("character", Discrete(len(letters))),)), len(codes))
    parts = np.split(codes, [int(0.9 * len(codes))])
    train, test = (Sequences(event, part[:, None], lengths=np.array([len(part)])) for part in parts)
    return train, test


@torch.no_grad()
@torch.no_grad()
def in_blocks(model: object, records: Sequences, size: int) -> float:
    """Nats a character of the text in blocks of this size: the first character of the text is told by nothing."""
    windows = Windows.of(records, size)
    alone = windows.select(np.flatnonzero(windows.first % size == 0))
    total, count = 0.0, 0
    for rows in np.array_split(np.arange(len(alone)), max(1, len(alone) * size // 16_384)):
        batch = alone.batch(rows)
        there = batch.mask[:, 1:, 0] & (batch.cells[:, 1:, 0] < windows.mark)
        total -= float(steps_of(model, batch).log_p[there].sum())
        count += int(there.sum())
    return total / count


def steps_of(model: object, windows: Batch) -> Steps:
    """What a model says of the targets of windows, from what stands before them in their window alone."""
    if isinstance(model, BlendedSequences):
        told = [steps_of(part, windows) for part in model.parts]
        log_p, clues = torch.stack([own.log_p for own in told], 2), torch.cat([own.clues for own in told], 2)
        return Steps(mixed(model.gate, log_p, clues), clues)
    if isinstance(model, NgramSequences):
        cells, depth = windows.cells[:, :, 0].numpy(), model.order - 1
        before = np.full((*cells[:, 1:].shape, depth), model.classes + 1)
        for k in range(depth):
            before[:, k:, k] = cells[:, : cells.shape[1] - 1 - k]
        shape, found = cells[:, 1:].shape, Context(before.reshape(-1, depth), cells[:, 1:].reshape(-1))
        log_p, clues = np.log(model.probabilities(found)), clues_of(model, found.before)
        return Steps(torch.from_numpy(log_p).view(shape), torch.from_numpy(clues).view(*shape, -1))
    log_p, targets = model.log_p(windows)  # type: ignore[attr-defined]
    return Steps(log_p.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0].double(), sureness(log_p))


def family_of(name: str, settings: dict[str, str]) -> Family:
    """The family; options are those of its network."""
    network = build(TABLE["sequence-autoregressive"], settings)
    own = {"ngram": Ngram(), "sequence-autoregressive": network, "sequence-blend": SequenceBlend((Ngram(), network))}
    return own[name]


def network_of(model: object) -> AutoregressiveSequences | None:
    """The network of a model, if there is one."""
    return next((part for part in getattr(model, "parts", [model]) if isinstance(part, AutoregressiveSequences)), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=129.0, help="of the processor")
    parser.add_argument("--steps", type=int, help="instead of seconds")
    parser.add_argument("--family", default="sequence-autoregressive", help="or ngram, sequence-blend")
    parser.add_argument("--set", nargs="*", default=[], help="options of the network, NAME=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = BEST | dict(text.split("=", 1) for text in options.set)
    family = family_of(options.family, settings)
    train, test = texts()
    budget = Budget.parse(f"{options.steps} steps" if options.steps else f"{options.seconds}s")
    clock, seen, curve = ProcessorClock(budget), [0.0], []

    def report(progress: Progress) -> None:
        seen[0] = (progress.rate or 0.0) * clock.seconds
        if progress.loss is not None and clock.seconds >= (curve[-1][0] * 1.2 + 1 if curve else 0):
            curve.append((round(clock.seconds, 1), round(progress.loss, 3)))
            print(f"{clock.seconds:6.0f} s  loss {progress.loss:.3f}  {progress.rate or 0:.1f} windows/s", flush=True)

    model = learn(family, train, options.seed, Run(clock, report=report))
    seconds, network = clock.seconds, network_of(model)
    context = CONTEXT if network is None else network.sliding.context
    result = {
        "bench": "shakespeare",
        "family": options.family,
        "options": settings,
        "seconds": round(seconds, 1),
        "characters": round(seen[0] * context),
        "context": context,
        "numbers": sum(array.numel() for array in model.arrays().values()),
        "weights": 0 if network is None else sum(p.numel() for p in network.parameters()),
        "blocks": round(in_blocks(model, test, context), 4),
        "blocks_64": round(in_blocks(model, test, 64), 4),
        "sliding": round(float(-model.log_prob(test.batch())[0]) / (int(test.lengths[0]) + 1), 4),
        "characters_told": int(test.lengths[0]),
        "threads": 1,
        "seed": options.seed,
        "curve": curve,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
