"""n-gram models of tiny Shakespeare: counting, scoring, and held-out nats a character.

The rival is `KneserNeyInterpolated` of NLTK (one discount for all counts, no end of text among its symbols), on the
same characters, in turn, by the processor time of the process; it learns and scores a part only (`--part`), and ours
the same part again. Its mean leaves out what it calls impossible, which is counted. Then ours learns the whole 90 % and
scores the whole last 10 %. Prints one JSON line at the end:

    python bench/ngram.py
    PYTHONPATH=/path/to/nltk python bench/ngram.py --part 100000
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import time
from pathlib import Path

import numpy as np

from ensample.budget import Budget, Clock
from ensample.events import Discrete, Mixed, Ragged, Span
from ensample.families import Ngram
from ensample.kinds.sequences import Sequences
from ensample.run import Run
from ensample.train import learn

DATA = Path(os.environ.get("ENSAMPLE_DATA", Path(__file__).parents[2] / "shared" / "data"))


def ours(train: np.ndarray, test: np.ndarray, classes: int, order: int | None) -> dict[str, float]:
    """Each text is one record; its end is a symbol too."""
    event = Ragged(Mixed((Span("token", Discrete(classes)),)), len(train))
    learned, scored = (Sequences(event, part[:, None], lengths=np.array([len(part)])) for part in (train, test))
    start = time.process_time()
    model = learn(Ngram(order=order), learned, 0, Run(Clock(Budget())))
    fitted = time.process_time()
    nats = -float(model.log_prob(scored.batch())[0]) / len(test)
    return {"order": model.order, "nats": nats, "fit": fitted - start, "score": time.process_time() - fitted}


def rival(train: np.ndarray, test: np.ndarray, order: int) -> dict[str, float] | None:
    """NLTK, with its discount at 0.75, which suits it better than its default."""
    try:
        from nltk.lm import KneserNeyInterpolated
        from nltk.util import everygrams, ngrams
    except ImportError:
        return None
    texts = [[str(symbol) for symbol in part] for part in (train, test)]
    start = time.process_time()
    model = KneserNeyInterpolated(order, discount=0.75)
    model.fit([everygrams(texts[0], max_len=order)], vocabulary_text=texts[0])
    fitted = time.process_time()
    grams = list(ngrams(texts[1], order))
    each = -np.log(2) * np.array([model.logscore(gram[-1], gram[:-1]) for gram in grams])
    told = {"nats": float(each[np.isfinite(each)].mean()), "impossible": int(np.isinf(each).sum())}
    return {"order": order, **told, "fit": fitted - start, "score": time.process_time() - fitted}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", type=int, default=100_000, help="characters that the rival learns (%(default)s)")
    parser.add_argument("--order", type=int, default=5, help="of both (%(default)s)")
    args = parser.parse_args()
    text = lzma.decompress((DATA / "tinyshakespeare.txt.xz").read_bytes()).decode()
    letters, symbols = np.unique(np.array(list(text)), return_inverse=True)
    cut = int(0.9 * len(symbols))
    part = symbols[: args.part], symbols[cut : cut + args.part // 20]
    found: dict[str, object] = {"whole": ours(symbols[:cut], symbols[cut:], len(letters), None)}
    found |= {"part": ours(*part, len(letters), args.order), "nltk": rival(*part, args.order)}
    if found["nltk"] is None:
        print("nltk is not there: no ratio")
    else:
        found["times as fast"] = {
            what: found["nltk"][what] / max(found["part"][what], 1e-9) for what in ("fit", "score")
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
