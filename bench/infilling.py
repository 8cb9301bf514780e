"""Texts with a hole: how well models tell what stood there, from both sides.

    python bench/infilling.py --seconds 60
    python bench/infilling.py --text shakespeare --seconds 120

Texts are names, or lines of tiny Shakespeare of at least 20 characters; 1,000 are held out. Told of those held out:

`one_*`: one character is taken out. Bits of the true one, among all single characters that may stand there, and how
often the most probable one is it: by a network taught to fill in (`both`), by the same network from the beginning alone
(`blind`), by its law of whole texts, which needs a pass for each character (`law`), by masked diffusion (`field`), and
by the law of counts (`counts`). The suffix has to help: `both` below `blind`.

`many_*`: a random run is taken out, of a line at most 8 characters; its length is not told. How often it is put back
exactly: by the most probable next character each time (`greedy`), by four beams (`beams`), by a draw (`draw`), by a
draw out of 16 tries (`tries`), all of the taught network; by masked diffusion (`field`), and, of names, by a draw out
of 64 tries of counts (`counts`), which weigh too many ends of lines. Beams and tries are weighed by whole texts.

Time is that of the processor, of one thread. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ensample as en
from ensample.budget import Budget
from ensample.events import Batch
from ensample.families import Family, Ngram, SequenceAutoregressive, SequenceField
from ensample.infer.likelihood import cell_log_prob
from ensample.kinds.codecs import codec_of
from ensample.model import Model
from ensample.run import Run
from ensample.train import learn
from processor import ProcessorClock

DATA = Path(os.environ.get("ENSAMPLE_DATA", Path(__file__).parents[2] / "shared" / "data"))
HELD_OUT = 1_000
AT_ONCE = 100
"""Holes that are told at once."""

Hole = tuple[str, str, str]


def texts(name: str) -> tuple[list[str], list[str]]:
    """Texts to learn from, and those held out."""
    if name == "names":
        lines = (DATA / "names.txt").read_text().split()
    else:
        whole = lzma.decompress((DATA / "tinyshakespeare.txt.xz").read_bytes()).decode()
        lines = sorted({line for line in whole.split("\n") if len(line) >= 20})
    order = np.random.default_rng(0).permutation(len(lines))
    held_out, train = ([lines[row] for row in rows] for rows in (order[:HELD_OUT], order[HELD_OUT:]))
    return train, held_out


def holes(lines: list[str], longest: int, seed: int) -> list[Hole]:
    """Beginning, middle and end of each text, the middle from one to so many characters, every place alike."""
    rng, found = np.random.default_rng(seed), []
    for line in lines:
        cuts = [(a, b) for a in range(len(line)) for b in range(a + 1, min(a + longest, len(line)) + 1)]
        a, b = cuts[rng.integers(len(cuts))]
        found.append((line[:a], line[a:b], line[b:]))
    return found


def fitted(train: list[str], family: Family, seconds: float) -> Model:
    """A model after so many seconds of the processor."""
    data = en.read({"text": train}, kinds={"text": "text:characters"})
    assert data.schema is not None
    codec = codec_of(data.schema, ("text",), ())
    clock = ProcessorClock(Budget.parse(f"{seconds}s"))
    own = learn(family, codec.encode(data), 0, Run(clock))
    return Model(codec, family, own, {"rows": len(train), "seconds": clock.seconds, "seed": 0})


def batch_of(tokens: list[torch.Tensor]) -> Batch:
    """Records of these classes."""
    lengths = torch.tensor([len(row) for row in tokens])
    cells = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True)[:, :, None]
    return Batch(cells, (torch.arange(cells.shape[1]) < lengths[:, None])[:, :, None], lengths=lengths)


class One:
    """Log-probabilities of each single character in holes of one, [holes, characters], by different ways."""

    def __init__(self, model: Model, parts: list[Hole]) -> None:
        self.own, self.kind = model.distribution, model.codec.kind  # type: ignore[union-attr]
        self.before, self.middle, self.after = (
            [torch.from_numpy(found) for found in self.kind.tokens_of(list(part))] for part in zip(*parts, strict=True)
        )
        self.characters = torch.arange(self.kind.tokens.classes)

    @torch.no_grad()
    def both(self) -> torch.Tensor:
        """As it was taught: the character, and that the hole is over behind it."""
        begun = self.own.between(batch_of(self.before), batch_of(self.after), 1)  # type: ignore[attr-defined]
        first, count = begun.logits().log_softmax(1)[:, :-1], len(self.characters)
        begun = begun.take(torch.arange(len(first)).repeat_interleave(count))
        begun.append(self.characters.repeat(len(first)))
        return torch.as_tensor(first + begun.logits().log_softmax(1)[:, -1].view(-1, count))

    @torch.no_grad()
    def blind(self) -> torch.Tensor:
        """From the beginning alone."""
        begun = self.own.between(batch_of(self.before), None, 1)  # type: ignore[attr-defined]
        return torch.as_tensor(begun.logits()[:, :-1])

    def law(self) -> torch.Tensor:
        """By the law of whole texts."""
        rows = [
            torch.cat([a, character[None], b])
            for a, b in zip(self.before, self.after, strict=True)
            for character in self.characters
        ]
        return cell_log_prob(self.own, batch_of(rows)).view(-1, len(self.characters))

    def true(self, told: torch.Tensor) -> np.ndarray:
        """Bits of the true character, and whether it is the most probable one, [holes, 2]."""
        right = torch.tensor([int(middle[0]) for middle in self.middle])
        bits = -told.double().log_softmax(1)[torch.arange(len(right)), right] / np.log(2)
        return torch.stack([bits, (told.argmax(1) == right).double()], 1).numpy()


def one(model: Model, way: str, parts: list[Hole]) -> dict[str, float]:
    """Bits with their standard error, and hits."""
    some = [One(model, parts[first : first + AT_ONCE]) for first in range(0, len(parts), AT_ONCE)]
    told = np.concatenate([each.true(getattr(each, way)()) for each in some])
    error = told[:, 0].std() / len(told) ** 0.5
    return {"bits": round(told[:, 0].mean(), 3), "error": round(error, 3), "exact": round(told[:, 1].mean(), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", choices=("names", "shakespeare"), default="names")
    parser.add_argument("--seconds", type=float, default=60.0, help="of learning, each")
    parser.add_argument("--holes", type=int, default=HELD_OUT)
    parser.add_argument("--save", type=Path, help="keep the taught model there, or take it from there")
    parser.add_argument("--field", action="store_true", help="masked diffusion, too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    train, held_out = texts(options.text)
    if options.save is not None and options.save.exists():
        taught = en.load(options.save)
    else:
        taught = fitted(train, SequenceAutoregressive(infill=0.5), options.seconds)
    if options.save is not None and not options.save.exists():
        taught.save(options.save)
    counts = fitted(train, Ngram(), 60)
    field = fitted(train, SequenceField(), options.seconds) if options.field else None
    result: dict[str, Any] = {"bench": "infilling", "text": options.text, "seconds": options.seconds}
    single = holes(held_out, 1, 1)[: options.holes]
    for way in ("both", "blind", "law"):
        result[f"one_{way}"] = one(taught, way, single)
    result["one_counts"] = one(counts, "law", single)
    parts = holes(held_out, 99 if options.text == "names" else 8, 2)[: options.holes]
    before, middle, after = (list(part) for part in zip(*parts, strict=True))
    result |= {"holes": len(parts), "characters": round(float(np.mean([len(text) for text in middle])), 2)}
    ways: dict[str, tuple[Model, dict[str, Any]]] = {
        "greedy": (taught, {"greedy": True}),
        "beams": (taught, {"beams": 4, "length_power": 0.0}),
        "draw": (taught, {"seed": 0}),
        "tries": (taught, {"seed": 0, "candidates": 16}),
    }
    if options.text == "names":
        ways["counts"] = (counts, {"seed": 0})
    if field is not None:
        result["one_field"] = one(field, "both", single)
        ways["field"] = (field, {"greedy": True})
    for way, (model, asked) in ways.items():
        asked = {"tokens": 16} | asked
        made = model.generate(before, suffix=after, **asked)
        result[f"many_{way}"] = round(float(np.mean([a == b for a, b in zip(made, middle, strict=True)])), 3)
        print(way, result[f"many_{way}"], flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
