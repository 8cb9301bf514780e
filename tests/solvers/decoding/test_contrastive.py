"""Contrastive search against its definition, text by text."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ensample.solvers.continuation import Represents
from ensample.solvers.decoding import Among, Rules, Watch, collected, contrast
from tests.solvers.decoding.chains import Chain, begun, random_table

CLASSES = 6
STATES = torch.from_numpy(np.random.default_rng(0).normal(0.5, 1, (CLASSES, 3)).astype(np.float32))


class Stated(Chain):
    """The state behind each class is a row of a table."""

    def hidden(self) -> torch.Tensor:
        return STATES[self.last]

    def take(self, rows: torch.Tensor) -> Stated:
        return Stated(self.table, self.last[rows])


def plain(table: np.ndarray, text: list[int], tokens: int, candidates: int, weight: float) -> list[int]:
    text, start = list(text), len(text)
    unit = STATES.numpy() / np.linalg.norm(STATES.numpy(), axis=1, keepdims=True)
    for _ in range(tokens):
        p = table[text[-1] if text else CLASSES]
        scores = {}
        for number in np.argsort(-p)[:candidates].tolist():
            like = max((unit[number] @ unit[other] for other in text), default=0.0) if number < CLASSES else 0.0
            scores[number] = (1 - weight) * p[number] - weight * like
        best = max(scores, key=scores.get)
        if best == CLASSES:
            break
        text.append(best)
    return text[start:]


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("candidates", [1, 4, 50])
def test_texts_are_those_of_the_definition(weight, candidates):
    for seed in range(12):
        table, prompt = random_table(CLASSES, seed, 1.5), [2, 0, 3][: seed % 4]
        start = begun(table, 1, Stated)
        assert isinstance(start, Represents)
        steps = contrast(start, torch.tensor([prompt], dtype=torch.int64), 20, candidates, weight, Rules())
        assert collected(steps, 1)[0].classes == plain(table.numpy(), prompt, 20, candidates, weight)


def test_stop_strings_and_constraints_hold():
    pieces, nothing = [bytes([97 + number]) for number in range(CLASSES)], torch.zeros(1, 0, dtype=torch.int64)
    options, found = [b"abc", b"ca", b"bfa"], set()
    for seed in range(20):
        start = begun(random_table(CLASSES, seed), 1, Stated)
        steps = contrast(start, nothing, 9, 4, 0.5, Rules(), constraint=Among(pieces, options, 1))
        passage = collected(steps, 1)[0]
        assert passage.ended == "end"
        found.add(b"".join(pieces[number] for number in passage.classes))
        start = begun(random_table(CLASSES, seed), 1, Stated)
        steps = contrast(start, nothing, 9, 4, 0.5, Rules(at_least=9), watch=Watch(pieces, [b"ab", b"e"], 1))
        passage = collected(steps, 1)[0]
        text = b"".join(pieces[number] for number in passage.classes)
        assert (passage.ended == "stop") == text.endswith((b"ab", b"e"))
    assert found <= set(options) and len(found) > 1
