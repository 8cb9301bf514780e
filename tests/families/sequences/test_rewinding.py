"""Classes that are written several at once and taken back, against reading the same record anew."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ensample.events import Batch, Discrete, Mixed, Ragged, Span
from ensample.families import SequenceAutoregressive
from ensample.kinds.sequences import Sequences
from ensample.solvers.continuation import Rewindable
from ensample.solvers.decoding import Greedy, Noise, Rules, collected, speculate, write

CLASSES, CONTEXT = 5, 8


def model(seed: int, network: str = "transformer", **options):
    event = Ragged(Mixed((Span("letter", Discrete(CLASSES)),)), 30)
    records = Sequences(event, np.arange(60)[:, None] % CLASSES, lengths=np.array([30, 30]))
    family = SequenceAutoregressive(network=network, width=8, layers=2, context=CONTEXT, **options)
    made = family.build(records, seed=seed).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.4)
    return made


def prompts(classes: torch.Tensor, lengths: list[int] | None = None) -> Batch:
    told = torch.tensor([classes.shape[1]] * len(classes) if lengths is None else lengths)
    there = torch.arange(classes.shape[1]) < told[:, None]
    return Batch(torch.where(there, classes, 0)[:, :, None], there[:, :, None], lengths=told)


@pytest.mark.parametrize("rows", [1, 5])
@torch.no_grad()
def test_whatever_was_written_and_taken_back_the_next_is_that_of_the_record(rows):
    net, rng = model(0), np.random.default_rng(rows)
    text = torch.from_numpy(rng.integers(0, CLASSES, (rows, 60)))
    written, at = net.continuation(prompts(text[:, :3])), 3
    assert isinstance(written, Rewindable)
    for _ in range(60):
        count = int(rng.integers(1, 5))
        more = torch.from_numpy(rng.integers(0, CLASSES, (rows, count)))
        text[:, at : at + count] = more
        if rng.random() < 0.5:
            told = written.extend(more)
            for step in range(count):
                wanted = net.continuation(prompts(text[:, : at + step + 1])).logits()
                torch.testing.assert_close(told[:, step], wanted, atol=1e-4, rtol=1e-4)
        else:
            for step in more.unbind(1):
                written.append(step)
        at += count
        back = int(rng.integers(0, min(5, at - 2))) if at < 50 else 40
        written.rewind(back)
        at -= back
        torch.testing.assert_close(
            written.logits(), net.continuation(prompts(text[:, :at])).logits(), atol=1e-4, rtol=1e-4
        )


@torch.no_grad()
def test_rows_of_unequal_length_are_taken_back_across_windows_that_slid():
    net, rng = model(1), np.random.default_rng(0)
    lengths = torch.tensor([1, 6, 4])
    text = torch.from_numpy(rng.integers(0, CLASSES, (3, 40)))
    written, added = net.continuation(prompts(text[:, :6], lengths.tolist())), 0
    for step, back in ((2, 0), (4, 3), (5, 5), (7, 2), (4, 6), (9, 1)):
        for _ in range(step):
            written.append(text[torch.arange(3), lengths + added])
            added += 1
        written.rewind(back)
        added -= back
        wanted = net.continuation(prompts(text, (lengths + added).tolist())).logits()
        torch.testing.assert_close(written.logits(), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("network", ["transformer", "lstm"])
@pytest.mark.parametrize("tied", [False, True])
def test_speculation_writes_what_the_network_writes(network, tied):
    target, draft = model(2, network, tied=tied), model(3)
    past = torch.tensor([[1, 2, 3]])
    rules = Rules(at_least=40)
    plain = write(target.continuation(prompts(past)), past, 40, Greedy(), Noise([0]), rules)
    both = target.continuation(prompts(past)), draft.continuation(prompts(past))
    quick = speculate(*both, past, 40, Greedy(), Noise([0]), rules, ahead=4)
    assert collected(quick, 1)[0].classes == collected(plain, 1)[0].classes
