"""Names with a hole: how often, and how probably, a model puts back what stood there.

    python bench/infilling.py --seconds 60

A random run of each of some held-out names is taken out; what is told is the share of the holes that the most probable
text fills as they were, and the nats of the true text, its end included, by a network taught to fill in, by masked
diffusion, and by the same network that sees the beginning alone (which is told how long the hole is). A draw of counts,
weighed by what follows, is beside them. Time is that of the processor, of one thread. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ensample as en
from ensample.events import Batch
from ensample.families import SequenceAutoregressive, SequenceField

DATA = Path(os.environ.get("ENSAMPLE_DATA", Path(__file__).parents[2] / "shared" / "data"))
HELD_OUT = 1_000


def holes(names: list[str], seed: int) -> list[tuple[str, str, str]]:
    """Beginning, middle and end of each name, the middle at least one letter."""
    rng = np.random.default_rng(seed)
    cuts = [np.sort(rng.choice(len(name) + 1, 2, replace=False)) for name in names]
    return [(name[:a], name[a:b], name[b:]) for name, (a, b) in zip(names, cuts, strict=True)]


@torch.no_grad()
def nats(model: Any, before: str, middle: str, after: str | None) -> float:
    """Of the true middle; its end counts where something follows."""
    kind, own = model.codec.kind, model.distribution

    def batch(text: str) -> Batch:
        cells = torch.from_numpy(kind.tokens_of([text])[0])[None, :, None]
        return Batch(cells, torch.ones_like(cells, dtype=torch.bool), lengths=torch.tensor([cells.shape[1]]))

    written = own.between(batch(before), None if after is None else batch(after), own.longest_between)
    total = 0.0
    for number in kind.tokens_of([middle])[0].tolist():
        total -= float(written.logits().log_softmax(1)[0, number])
        written.append(torch.tensor([number]))
    return total - (float(written.logits().log_softmax(1)[0, -1]) if after is not None else 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of learning, each")
    parser.add_argument("--names", type=int, default=300, help="with a hole")
    parser.add_argument("--models", nargs=2, type=Path, help="fitted ones: taught to fill in, masked diffusion")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = (DATA / "names.txt").read_text().split()
    order = np.random.default_rng(0).permutation(len(names))
    test, train = ([names[i] for i in part] for part in (order[:HELD_OUT], order[HELD_OUT:]))
    budget = f"{options.seconds}s"
    if options.models:
        taught, field = (en.load(path) for path in options.models)
    else:
        taught = en.fit(train, SequenceAutoregressive(infill=0.5), budget=budget, seed=0)
        field = en.fit(train, SequenceField(), budget=budget, seed=0)
    counts = en.fit(train, "ngram", budget="10s", seed=0)
    parts = holes(test[: options.names], 1)
    before, middle, after = (list(part) for part in zip(*parts, strict=True))
    result: dict[str, Any] = {"bench": "infilling", "names": len(parts), "letters": sum(map(len, middle))}
    for label, model in (("infill", taught), ("field", field)):
        made = model.generate(before, suffix=after, greedy=True)
        result[label] = round(float(np.mean([a == b for a, b in zip(made, middle, strict=True)])), 3)
        result[f"{label}_nats"] = round(float(np.mean([nats(model, *part) for part in parts])), 3)
    blind = [taught.generate(a, tokens=len(m), at_least=len(m), greedy=True) for a, m, _ in parts]
    result["blind"] = round(float(np.mean([a == b for a, b in zip(blind, middle, strict=True)])), 3)
    result["blind_nats"] = round(float(np.mean([nats(taught, a, m, None) for a, m, _ in parts])), 3)
    drawn = counts.generate(before, suffix=after, tokens=20, seed=0)
    result["counts_drawn"] = round(float(np.mean([a == b for a, b in zip(drawn, middle, strict=True)])), 3)
    drawn = taught.generate(before, suffix=after, seed=0)
    result["infill_drawn"] = round(float(np.mean([a == b for a, b in zip(drawn, middle, strict=True)])), 3)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
