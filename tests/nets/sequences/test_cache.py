"""The transformer token by token against its forward pass over all tokens."""

from __future__ import annotations

import pytest
import torch

from ensample.nets.random import seeded
from ensample.nets.sequences.transformer import TextTransformer

WIDTH, CONTEXT = 16, 16


def network(gated: bool = False, groups: int = 4) -> TextTransformer:
    """With all weights at random: at first the outputs of both halves of a block are 0."""
    with seeded(torch.Generator().manual_seed(3)):
        net = TextTransformer(WIDTH, 3, heads=4, groups=groups, context=CONTEXT, gated=gated)
        for weight in net.parameters():
            torch.nn.init.normal_(weight, 0.1, 0.3)
    return net.eval()


def tokens(rows: int) -> torch.Tensor:
    return torch.randn(rows, CONTEXT, WIDTH, generator=torch.Generator().manual_seed(rows))


@pytest.mark.parametrize(("gated", "groups"), [(False, 4), (True, 4), (False, 2), (False, 1)])
@pytest.mark.parametrize("rows", [1, 3, 9])
@pytest.mark.parametrize("even", [True, False])
@torch.no_grad()
def test_steps_say_what_the_forward_pass_says(rows, gated, groups, even):
    net, x = network(gated, groups), tokens(rows)
    whole = net(x, None)
    lengths = torch.full((rows,), 5) if even else torch.arange(rows) % 6 + 1
    out, memory = net.read(x[:, :6], lengths)
    steps = torch.arange(rows)
    torch.testing.assert_close(out, whole[steps, lengths - 1], atol=1e-4, rtol=1e-4)
    for _ in range(9):
        torch.testing.assert_close(memory.step(x[steps, lengths]), whole[steps, lengths], atol=1e-4, rtol=1e-4)
        lengths = lengths + 1


@pytest.mark.parametrize(("rows", "groups"), [(1, 4), (6, 4), (6, 2), (6, 1)])
@torch.no_grad()
def test_several_tokens_at_once_and_back_again(rows, groups):
    net, x = network(groups=groups), tokens(rows)
    whole = net(x, None)
    _, memory = net.read(x[:, :3], torch.full((rows,), 3))
    for extend, back in ((4, 0), (5, 3), (1, 1), (3, 2), (2, 1)):
        start = memory.level
        out = memory.extend(x[:, start : start + extend])
        torch.testing.assert_close(out, whole[:, start : start + extend], atol=1e-4, rtol=1e-4)
        memory.rewind(back)
    for _ in range(2):
        start = memory.level
        torch.testing.assert_close(memory.step(x[:, start]), whole[:, start], atol=1e-4, rtol=1e-4)
    memory.rewind(2)
    torch.testing.assert_close(memory.step(x[:, start - 1]), whole[:, start - 1], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_rows_that_are_taken_go_on_by_themselves():
    net, x = network(), tokens(7)
    whole = net(x, None)
    lengths = torch.tensor([1, 4, 2, 4, 4, 3, 4])
    _, memory = net.read(x[:, :4], lengths)
    for chosen in (torch.tensor([1, 1, 3, 6, 4, 3]), torch.tensor([5, 0]), torch.tensor([0, 1, 2, 5, 5, 5])):
        part, at = memory.take(chosen), lengths[chosen]
        for _ in range(5):
            torch.testing.assert_close(part.step(x[chosen, at]), whole[chosen, at], atol=1e-4, rtol=1e-4)
            at = at + 1
    rows = torch.arange(7)
    torch.testing.assert_close(memory.step(x[rows, lengths]), whole[rows, lengths], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_rows_can_begin_anew():
    net, x = network(), tokens(6)
    whole = net(x, None)
    _, memory = net.read(x[:, :8], torch.full((6,), 8))
    rows, lengths = torch.tensor([1, 4]), torch.tensor([8, 2, 8, 8, 3, 8])
    memory.put(rows, net.read(x[rows, :3], torch.tensor([2, 3]))[1])
    for _ in range(5):
        every = torch.arange(6)
        torch.testing.assert_close(memory.step(x[every, lengths]), whole[every, lengths], atol=1e-4, rtol=1e-4)
        lengths = lengths + 1
