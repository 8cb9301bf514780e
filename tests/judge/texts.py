"""Made texts for the judge: a small grammar, and ways to spoil it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ensample.data.dataset import Dataset
from ensample.judge.texts.reference import TextReference
from ensample.kinds import guess

NOUNS = ["cat", "dog", "bird", "king", "queen", "child", "man", "river", "house", "tree", "road", "letter", "ship"]
VERBS = ["sees", "finds", "follows", "loves", "forgets", "carries", "paints", "fears", "helps", "answers"]
PLACES = ["in the morning", "at night", "under the bridge", "by the sea", "after the war", "without a word", "again"]


def sentences(count: int, seed: int) -> list[str]:
    """One to three sentences a text."""
    rng = np.random.default_rng(seed)

    def one() -> str:
        noun, other = rng.choice(NOUNS, 2)
        start = f"The {noun} {rng.choice(VERBS)} the {other}"
        return start + (f" {rng.choice(PLACES)}." if rng.random() < 0.6 else ".")

    return [" ".join(one() for _ in range(rng.integers(1, 4))) for _ in range(count)]


def table(texts: list[str]) -> pa.Table:
    return pa.table({"text": texts})


def reference(train: list[str] | None = None, test: list[str] | None = None, **options: object) -> TextReference:
    """Of the grammar, unless other texts are given."""
    learn = table(sentences(600, 0) if train is None else train)
    held_out = table(sentences(300, 1) if test is None else test)
    schema = guess(Dataset.from_arrow(learn), {"text": "text"})
    return TextReference(learn, held_out, schema, text="text", **options)
