"""Multi30k (task 1): captions from German to English, BLEU on the test set of 2016 after so much time.

    python bench/multi30k.py --seconds 600 --cpu
    python bench/multi30k.py --seconds 1200 --set width=256 dropout=0.3

29,000 pairs are learned, the 1,014 of the validation set are told (nats a sentence), and the 1,000 of the test set are
translated by a beam. BLEU is that of sacrebleu (13a) on text as it stands in the file, and of both sides in lower case;
chrF likewise. There is no rival in this script. The literature, on tokens in lower case mostly: recurrent networks with
attention 20 to 28, transformers of a graphics card 36.5. `--cpu` counts seconds of the processor on all threads,
divided by the threads; other work on the machine disturbs them less. The last line is JSON.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tarfile
import time
from pathlib import Path

import numpy as np
import torch
from sacrebleu.metrics import BLEU, CHRF

import ensample as en
from ensample.budget import Budget, Clock
from ensample.data.dataset import Dataset
from ensample.families import TABLE
from ensample.families.options import build
from ensample.kinds.codecs import codec_of
from ensample.model import Model
from ensample.run import Progress, Run
from ensample.train import learn
from processor import ProcessorClock

DATA = Path(os.environ.get("ENSAMPLE_DATA", Path(__file__).parents[2] / "shared" / "data"))
BEST = {"holdout": "0", "shared": "true", "tied": "true", "width": "192", "layers": "2", "batch_size": "1024"}
"""Options that differ from the defaults."""


def pairs(part: str, kinds: dict[tuple[str, ...], str] | None = None) -> Dataset:
    """German and English captions of a part: train, val, test_2016_flickr."""
    with tarfile.open(DATA / "multi30k_task1_raw.tar") as archive:
        columns = {}
        for language in ("de", "en"):
            file = archive.extractfile(f"{part}.{language}.gz")
            assert file is not None
            columns[language] = gzip.decompress(file.read()).decode().splitlines()
    return en.read(columns, kinds=kinds or {"de": "text:bytes", "en": "text:bytes"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--cpu", action="store_true", help="count seconds of the processor, not of the wall")
    parser.add_argument("--pieces", type=int, default=4000, help="size of the vocabulary of both languages")
    parser.add_argument("--beams", type=int, default=5)
    parser.add_argument("--power", type=float, default=1.0, help="of the length that sums of beams are divided by")
    parser.add_argument("--set", nargs="*", default=[], help="options of the family, NAME=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    settings = BEST | dict(text.split("=", 1) for text in options.set)
    family = build(TABLE["sequence-to-sequence"], settings)
    train, val, test = (pairs(part) for part in ("train", "val", "test_2016_flickr"))
    train = pairs("train", {("de", "en"): f"text:bpe:{options.pieces}"})
    assert train.schema is not None
    codec = codec_of(train.schema, ("en",), ("de",))
    records = codec.encode(train)
    clock = (ProcessorClock if options.cpu else Clock)(Budget.parse(f"{options.seconds}s"))
    curve: list[tuple[float, float, float]] = []

    def report(progress: Progress) -> None:
        if clock.seconds >= (curve[-1][0] * 1.2 + 1 if curve else 0):
            shown = progress.rate or 0.0
            curve.append((round(clock.seconds, 1), round(progress.loss or 0.0, 3), round(shown, 1)))
            print(f"{clock.seconds:6.0f} s  loss {progress.loss:.3f}  {shown:.1f} pairs/s", flush=True)

    fitted = learn(family, records, options.seed, Run(clock, report=report))
    seconds, model = clock.seconds, Model(codec, family, fitted, {})
    before = time.process_time()
    made = model.generate(where=test.select(["de"]), beams=options.beams, length_power=options.power, tokens=100)
    right = test.column("en").to_pylist()
    result = {
        "bench": "multi30k",
        "options": settings | {"pieces": options.pieces, "beams": options.beams, "power": options.power},
        "seconds": round(seconds, 1),
        "clock": "processor" if options.cpu else "wall",
        "threads": torch.get_num_threads(),
        "weights": sum(p.numel() for p in fitted.parameters()),  # type: ignore[attr-defined]
        "epochs": round(curve[-1][2] * seconds / len(train), 1),
        "bleu": round(BLEU().corpus_score(made, [right]).score, 2),
        "bleu_lower": round(BLEU(lowercase=True).corpus_score(made, [right]).score, 2),
        "chrf": round(CHRF().corpus_score(made, [right]).score, 2),
        "nats_per_sentence": round(float(-np.mean(model.log_prob(val))), 3),
        "seconds_translating": round(time.process_time() - before, 1),
        "seed": options.seed,
        "curve": curve,
    }
    for source, text, wanted in list(zip(test.column("de").to_pylist(), made, right, strict=True))[:5]:
        print(f"  {source}\n  > {text}\n  = {wanted}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
