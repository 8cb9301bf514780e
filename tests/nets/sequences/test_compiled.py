"""Compiled writing against the network without it; where there is no compiler, the same loops run as Python."""

import sys

import numpy as np
import pytest
import torch

import ensample as en
from ensample.families import SequenceAutoregressive
from ensample.families.sequences.autoregressive import writing
from ensample.families.sequences.autoregressive.quick import Quick
from ensample.families.sequences.drawing import nothing
from ensample.nets import random
from ensample.nets.sequences import compiled
from ensample.nets.sequences.compiled.decoder import Decoder, weights_of
from ensample.nets.sequences.tokens import TokenNet
from ensample.nets.sequences.transformer import TextTransformer

CLASSES, CONTEXT = 5, 12
ALWAYS = {"installed": lambda: True, "pays": lambda rows, steps, weights: True}


def network(*, gated: bool = False, tied: bool = False, given: int = 0, groups: int = 2) -> TokenNet:
    with random.seeded(torch.Generator().manual_seed(0)):
        net = TokenNet(
            CLASSES, TextTransformer(8, 2, heads=2, groups=groups, context=CONTEXT, gated=gated), given, tied=tied
        )
        with torch.no_grad():
            for weight in net.parameters():
                weight.add_(torch.randn_like(weight) * 0.3)
    return net.eval()


def decoder_of(net: TokenNet, tokens: torch.Tensor, lengths: torch.Tensor, cond: torch.Tensor) -> Decoder:
    with torch.no_grad():
        following, memory = net.read(tokens, lengths, cond)
        return Decoder.of(net, memory, following, cond)


@pytest.mark.parametrize("options", [{}, {"gated": True}, {"groups": 1}, {"tied": True, "given": 3}], ids=str)
def test_a_step_is_that_of_the_network(options):
    net, rng = network(**options), torch.Generator().manual_seed(1)
    tokens = torch.randint(0, CLASSES, (2, CONTEXT), generator=rng)
    tokens[:, 0] = net.mark
    cond = torch.randn(2, options.get("given", 0), generator=rng)
    made = decoder_of(net, tokens[:, :4], torch.tensor([4, 4]), cond)
    for place in range(4, CONTEXT):
        made.step(tokens[:, place].numpy())
        with torch.no_grad():
            expected = net(tokens[:, : place + 1], cond)[:, -1]
        assert torch.allclose(made.logits, expected, atol=2e-5)


def test_rows_of_unequal_length_are_steps_of_their_own():
    net, lengths = network(), torch.tensor([2, 6])
    tokens = torch.tensor([[CLASSES, 1, 0, 0, 0, 0], [CLASSES, 3, 2, 4, 0, 1]])
    both = decoder_of(net, tokens, lengths, torch.zeros(2, 0)).take(np.array([1, 0]))
    both.step(np.array([2, 2]))
    for row, length in ((0, 6), (1, 2)):
        alone = decoder_of(net, tokens[1 - row : 2 - row, :length], lengths[1 - row : 2 - row], torch.zeros(1, 0))
        alone.step(np.array([2]))
        assert torch.allclose(both.logits[row], alone.logits[0], atol=1e-6)


def test_weights_are_put_in_order_anew_where_they_have_changed():
    net = network()
    _, memory = net.read(torch.tensor([[CLASSES]]), torch.tensor([1]), torch.zeros(1, 0))
    before = weights_of(net, memory)
    assert weights_of(net, memory) is before
    with torch.no_grad():
        next(net.parameters()).add_(1.0)
    assert weights_of(net, memory) is not before


@pytest.fixture(scope="module")
def rhymes():
    lines = "the mouse ran up the clock\nthe clock struck one\nthe mouse ran down\n" * 30
    family = SequenceAutoregressive(width=8, layers=2, attention_heads=2, context=16, learning_rate=3e-2)
    return en.fit(en.read({"text": lines.split("\n")}, kinds={"text": "text"}), family, budget="8 steps", seed=0)


WAYS = [
    {"greedy": True, "at_least": 40},
    {"temperature": 0.7},
    {"n": 5, "stop": "ck", "log_probs": True},
    {"prompts": ["the", "the mouse ran u"], "n": 2, "at_least": 30},
    {"top_k": 3},
    {"no_repeat": 3, "n": 2},
]


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_texts_are_those_that_are_written_without_it(rhymes, monkeypatch, options):
    asked = {"prompts": "the mouse", "tokens": 40, "seed": 5, **options}
    monkeypatch.setattr(writing, "installed", lambda: False)
    plain = rhymes.generate(**asked)
    for name, value in ALWAYS.items():
        monkeypatch.setattr(writing, name, value)
    quick = rhymes.generate(**asked)
    assert quick == plain
    pairs = zip(plain, quick, strict=True) if isinstance(plain, list) else [(plain, quick)]
    for one, other in pairs:
        assert (one.tokens, one.ended) == (other.tokens, other.ended)
        if options.get("log_probs"):
            assert np.allclose(one.log_probs, other.log_probs, atol=1e-5)
    if not isinstance(plain, list):
        assert "".join(rhymes.stream(**{"prompt" if k == "prompts" else k: v for k, v in asked.items()})) == plain


def test_it_is_taken_for_long_texts_of_few_rows_once_a_process_writes_much(rhymes, monkeypatch):
    begun = rhymes.distribution.continuation(nothing(3, None))
    monkeypatch.setattr(writing, "installed", lambda: True)
    monkeypatch.setattr(compiled, "_asked", [0])
    monkeypatch.setattr(compiled, "START", 10_000)
    monkeypatch.delitem(sys.modules, f"{compiled.__name__}.kernels", raising=False)
    assert not compiled.pays(3, 31, 100) and not compiled.pays(65, 99, 100) and not compiled.pays(3, 99, 10**7)
    assert not compiled.pays(3, 3_000, 100) and compiled.pays(3, 3_000, 100)
    assert isinstance(begun.quickened(4_000), Quick) and begun.quickened(5) is begun
