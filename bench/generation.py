"""Tokens a second: a transformer of 4 layers of 128 writes 256 new tokens, alone and 64 texts at a time.

The rival is GPT-2 of the same size in `transformers`, with its cache, drawing likewise; both on one thread, in turn, by
the processor time of the process. Both are checked alike: what is written greedily with the cache is what the network
says without it. Also the time to the first token behind a prompt of 200. Where `numba` is installed (extra `fast`),
most of it is compiled code, which the first round compiles. Prints one JSON line at the end:

    python bench/generation.py
    PYTHONPATH=/path/to/transformers python bench/generation.py --rounds 5
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import ensample as en
from ensample.families import SequenceAutoregressive
from ensample.nets.sequences.compiled import installed

TOKENS, PROMPT, CONTEXT = 256, 200, 512
LETTERS = 65
DATA = Path(os.environ.get("ENSAMPLE_DATA", Path(__file__).parents[2] / "shared" / "data"))


class Ours:
    name = "ensample"

    def __init__(self) -> None:
        text = lzma.decompress((DATA / "tinyshakespeare.txt.xz").read_bytes()).decode()[:200_000]
        data = en.read({"text": [text]}, kinds={"text": "text"})
        family = SequenceAutoregressive(width=128, layers=4, attention_heads=4, context=CONTEXT, precision="float32")
        self.model = en.fit(data, family, budget="3 steps", seed=0)
        self.prompt = text[:PROMPT]

    def write(self, rows: int, prompt: str = "", tokens: int = TOKENS) -> None:
        self.model.generate(prompt, rows, tokens=tokens, at_least=tokens, seed=0)

    def first(self) -> None:
        next(self.model.stream(self.prompt, seed=0))

    def check(self) -> bool:
        text = self.model.generate(self.prompt, tokens=100, at_least=100, greedy=True)
        kind, net = self.model.codec.kind, self.model.distribution.net
        whole = [kind.classes, *kind.tokens_of(self.prompt).tolist()]
        for number in text.tokens:
            with torch.no_grad():
                logits = net(torch.tensor([whole]), torch.zeros(1, 0))[0, -1, : kind.classes].clone()
            logits[kind.tokens.unknown] = -torch.inf
            if logits.argmax() != number:
                return False
            whole.append(number)
        return True


class Transformers:
    name = "transformers"

    def __init__(self) -> None:
        from transformers import GPT2Config, GPT2LMHeadModel

        torch.manual_seed(0)
        config = GPT2Config(
            vocab_size=LETTERS + 1, n_positions=CONTEXT, n_embd=128, n_layer=4, n_head=4, bos_token_id=LETTERS,
            eos_token_id=LETTERS, pad_token_id=LETTERS,
        )  # fmt: skip
        self.model = GPT2LMHeadModel(config).eval()
        self.prompt = torch.from_numpy(np.random.default_rng(0).integers(0, LETTERS, (1, PROMPT)))

    def generate(self, ids: torch.Tensor, tokens: int, **more: object) -> torch.Tensor:
        mask = torch.ones_like(ids)
        with torch.inference_mode():
            return self.model.generate(
                ids, attention_mask=mask, max_new_tokens=tokens, min_new_tokens=tokens, top_k=0, **more
            )

    def write(self, rows: int) -> None:
        self.generate(torch.full((rows, 1), LETTERS), TOKENS, do_sample=True)

    def first(self) -> None:
        self.generate(self.prompt, 1, do_sample=True)

    def check(self) -> bool:
        cached = self.generate(self.prompt, 100, do_sample=False)
        return bool((cached == self.generate(self.prompt, 100, do_sample=False, use_cache=False)).all())


def seconds(work: Callable[[], None], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    makers = [Ours()]
    try:
        makers.append(Transformers())
    except ImportError as error:
        print(f"transformers cannot be had: {error}")
    measures: dict[str, tuple[Callable, int]] = {
        "alone": (lambda maker: maker.write(1), 1),
        "64": (lambda maker: maker.write(64), 1),
        "first": (lambda maker: maker.first(), 5),
    }
    best = {(maker.name, what): np.inf for maker in makers for what in measures}
    for maker in makers:
        maker.first()  # warm
    for _ in range(rounds):
        for what, (work, times) in measures.items():
            for maker in makers:
                taken = seconds(lambda work=work, maker=maker: work(maker), times)
                best[maker.name, what] = min(best[maker.name, what], taken)
    told: dict[str, object] = {}
    for maker in makers:
        name = maker.name
        told[name] = {
            "tokens/s alone": round(TOKENS / best[name, "alone"]),
            "tokens/s of 64": round(64 * TOKENS / best[name, "64"]),
            "first token, ms": round(1000 * best[name, "first"], 2),
            "cache equals none": maker.check(),
        }
        print(name, told[name])
    if len(makers) > 1:
        told["ratio"] = {what: round(best["transformers", what] / best["ensample", what], 2) for what in measures}
    print(json.dumps({"bench": "generation", "compiled": installed(), **told}))


if __name__ == "__main__":
    main()
