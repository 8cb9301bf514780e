"""Task-oriented dialogues: what the replies of held-out dialogues cost after so many seconds of learning.

    python bench/dialogues.py --seconds 360
    python bench/dialogues.py --seconds 120 --family sequence-autoregressive --kind dialogue:bpe:1024 --set width=160

Of 12,174 dialogues between a user ("U") and a system ("S") a random 5 % is held out, whole dialogues. Told are the
replies of "S", each given all that was said before it, in bits per character of the replies: what ends a reply is paid
for and is no character. The model is a network, or, the default, its blend with counts. The floor is the `ngram` family
on the same dialogues and replies, over characters and over the tokens of the network: the better one counts. Time is
that of the processor, of one thread, tokenizer included. Then some replies to held-out dialogues, the most probable
token each time. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import torch

import ensample as en
from ensample.budget import Budget
from ensample.data.dataset import Dataset
from ensample.data.dialogues import turns_of
from ensample.families import TABLE, Ngram, SequenceBlend
from ensample.families.base import Distribution, Family
from ensample.families.compose.sequences.model import BlendedSequences
from ensample.families.options import build
from ensample.kinds import guess
from ensample.kinds.codecs import codec_of
from ensample.kinds.replies import parted
from ensample.model import Model
from ensample.run import Progress, Run
from ensample.train import learn
from processor import ProcessorClock

DATA = Path(os.environ.get("ENSAMPLE_DATA", Path(__file__).parents[2] / "shared" / "data"))
FIELD, REPLY = "turns", "S"
HELD_OUT, SEED = 0.05, 0
FLOOR = "dialogue:characters"
BEST = {"holdout": "0", "dropout": "0", "context": "256", "width": "128", "layers": "3"}
"""Options of the network that differ from the defaults: with one pass there is nothing to stop early for."""
ORDER = 8
"""Of the n-grams of a blend: finding the best one takes longer than counting."""


def family_of(name: str, settings: dict[str, str]) -> Family:
    """The family; options are those of its network."""
    network = build(TABLE["sequence-autoregressive"], settings)
    return network if name == network.name else SequenceBlend((Ngram(order=ORDER), network))


def learned(train: Dataset, family: Family, kind: str, budget: str, whole: bool, seed: int) -> tuple[Model, float]:
    """A model of the replies, or of whole dialogues, and the seconds that it took."""
    shown = [0.0]

    def report(progress: Progress) -> None:
        if clock.seconds >= shown[0] * 1.3 + 5 and progress.loss is not None:
            shown[0] = clock.seconds
            print(
                f"{clock.seconds:6.0f} s  {progress.loss:.3f} nats a token, {progress.rate or 0:.1f} rows a second",
                flush=True,
            )

    clock = ProcessorClock(Budget.parse(budget))
    schema, fields, _ = parted(guess(train, {FIELD: kind}), [FIELD] if whole else [f"{FIELD}.{REPLY}"], None)
    codec = codec_of(schema, fields or ())
    fitted = learn(family, codec.encode(train), seed, Run(clock, report=report))
    return Model(codec, family, fitted, {}), clock.seconds


def bits(model: Model, distribution: Distribution, test: Dataset) -> float:
    """Bits per character of the replies under a distribution over the tokens of a model."""
    schema, fields, _ = parted(model.schema, [f"{FIELD}.{REPLY}"], None)
    scored = Model(codec_of(schema, fields or ()), model.family, distribution, {})  # of whole dialogues as well
    turns = turns_of(test.column(FIELD), FIELD)
    own = pc.equal(turns.roles, REPLY).to_numpy(zero_copy_only=False)
    characters = int(pc.utf8_length(turns.texts).to_numpy()[own].sum())
    return float(-scored.log_prob(test).sum()) / math.log(2) / characters


def replies(model: Model, test: Dataset, count: int) -> list[dict[str, str]]:
    """Replies to what was said in some held-out dialogues, beside the real ones."""
    rng, out = np.random.default_rng(SEED), []
    for dialogue in test.take(np.arange(count)).column(FIELD).to_pylist():
        places = [j for j, turn in enumerate(dialogue) if turn["role"] == REPLY and j >= 1]
        place = int(rng.choice(places))
        made = model.chat(dialogue[:place], REPLY, greedy=True, tokens=80)
        out.append({"said": dialogue[place - 1]["content"], "reply": str(made), "real": dialogue[place]["content"]})
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=360.0, help="of the processor")
    parser.add_argument("--kind", default="dialogue:bpe:2048", help="of the dialogues")
    parser.add_argument("--family", default="sequence-blend", help="or sequence-autoregressive")
    parser.add_argument("--whole", action="store_true", help="learn what the user says, too")
    parser.add_argument("--no-floor", action="store_true", help="leave the n-grams out")
    parser.add_argument("--replies", type=int, default=5, help="that are shown")
    parser.add_argument("--set", nargs="*", default=[], help="options of the network, NAME=VALUE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = en.read(DATA / "sgd_dialogues_train.jsonl.xz").select([FIELD])
    train, test = data.split(test=HELD_OUT, seed=SEED)
    floors = {}
    for kind in () if options.no_floor else dict.fromkeys((FLOOR, options.kind)):
        floor, seconds = learned(train, build(TABLE["ngram"], {}), kind, "20m", False, SEED)
        floors[kind] = round(bits(floor, floor.distribution, test), 4)
        print(f"floor: n-grams of {kind}: {floors[kind]} bits a character after {seconds:.0f} s", flush=True)
    settings = BEST | dict(text.split("=", 1) for text in options.set)
    family = family_of(options.family, settings)
    model, seconds = learned(train, family, options.kind, f"{options.seconds}s", options.whole, SEED)
    found = round(bits(model, model.distribution, test), 4)
    parts = model.distribution.parts if isinstance(model.distribution, BlendedSequences) else ()
    alone = [round(bits(model, part, test), 4) for part in parts]
    for one in replies(model, test, options.replies):
        print("\n".join(f"{name:>6}: {text}" for name, text in one.items()) + "\n")
    result = {
        "bench": "dialogues",
        "kind": options.kind,
        "family": options.family,
        "learns": "whole dialogues" if options.whole else "replies",
        "options": settings,
        "seconds": round(seconds, 1),
        "held_out_dialogues": len(test),
        "bits_per_character": found,
        "parts": dict(zip(("ngram", "network"), alone, strict=False)),
        "floor": floors,
        "share_of_floor": round(found / min(floors.values()), 3) if floors else None,
        "aim": 0.5,
        "threads": 1,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
