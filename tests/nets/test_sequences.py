"""Networks over sequences: what each output sees, parts by parts against the whole, gradients by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from ensample.nets.attention import attend, found
from ensample.nets.dropout import Dropout
from ensample.nets.lstm import Gru, Lstm
from ensample.nets.random import seeded
from ensample.nets.sequences.blocks import placed, shifted_rms, squared_relu, turned, waves
from ensample.nets.sequences.mingru import MinGru
from ensample.nets.sequences.recurrent import Recurrent
from ensample.nets.sequences.tokens import TokenNet
from ensample.nets.sequences.transformer import TextTransformer
from ensample.nets.sequences.wavenet import WaveNet
from ensample.nets.transformer import rms

WIDTH, CONTEXT, CLASSES = 8, 12, 5
TRUNKS = {
    "transformer": lambda: TextTransformer(WIDTH, 2, heads=2, context=CONTEXT),
    "grouped": lambda: TextTransformer(WIDTH, 2, heads=4, groups=2, context=CONTEXT),
    "swiglu": lambda: TextTransformer(WIDTH, 1, heads=1, context=CONTEXT, gated=True),
    "mingru": lambda: MinGru(WIDTH, 2),
    "lstm": lambda: Recurrent(Lstm(WIDTH, 2), WIDTH),
    "gru": lambda: Recurrent(Gru(WIDTH, 1), WIDTH),
    "wavenet": lambda: WaveNet(WIDTH, 5, cycle=3),
}
every = pytest.mark.parametrize("name", TRUNKS)


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def net_of(name, given=0, tied=False):
    """A network away from its start, where many outputs are 0."""
    g = gen(3)
    with seeded(g):
        net = TokenNet(CLASSES, TRUNKS[name](), given, tied=tied).eval()
        for weight in net.parameters():
            weight.data += 0.3 * torch.randn(weight.shape, generator=g)
    return net


def tokens_of(rows, steps, seed=1):
    tokens = torch.randint(0, CLASSES, (rows, steps), generator=gen(seed))
    tokens[:, 0] = CLASSES
    return tokens


@every
@pytest.mark.parametrize("tied", [False, True])
def test_law_15_nothing_is_told_from_what_comes_later(name, tied):
    net, tokens, cond = net_of(name, tied=tied), tokens_of(3, CONTEXT), torch.zeros(3, 0)
    plain = net(tokens, cond)
    for t in range(1, CONTEXT):
        moved = tokens.clone()
        moved[:, t] = (moved[:, t] + 1) % CLASSES
        other = net(moved, cond)
        assert torch.equal(plain[:, :t], other[:, :t])
        assert not torch.equal(plain[:, t], other[:, t])


@pytest.mark.parametrize("name", ["transformer", "grouped", "swiglu", "mingru", "wavenet"])
def test_records_of_one_window_do_not_see_each_other(name):
    net, tokens, cond = net_of(name), tokens_of(2, CONTEXT), torch.zeros(2, 0)
    tokens[0, 4] = tokens[0, 7] = tokens[1, 5] = CLASSES
    plain, moved = net(tokens, cond), tokens.clone()
    moved[0, 1:4] = (moved[0, 1:4] + 1) % CLASSES
    other = net(moved, cond)
    assert torch.equal(plain[0, 4:], other[0, 4:]) and not torch.equal(plain[0, 1:4], other[0, 1:4])
    for row, first, stop in ((0, 0, 4), (0, 4, 7), (0, 7, CONTEXT), (1, 5, CONTEXT)):
        alone = net(tokens[row : row + 1, first:stop], cond[:1])
        assert torch.allclose(plain[row, first:stop], alone[0], atol=1e-5)


@every
@pytest.mark.parametrize("given", [0, 2])
def test_one_token_after_the_other_gives_what_the_whole_gives(name, given):
    net, tokens = net_of(name, given), tokens_of(4, CONTEXT)
    cond = torch.randn(4, given, generator=gen(2))
    whole, lengths = net(tokens, cond), torch.tensor([3, 1, 6, 5])
    out, memory = net.read(tokens[:, :6], lengths, cond)
    rows = torch.arange(4)
    assert torch.allclose(out, whole[rows, lengths - 1], atol=1e-5)
    for step in range(6):
        out = net.step(tokens[rows, lengths + step], memory, cond)
        assert torch.allclose(out, whole[rows, lengths + step], atol=1e-5)
        if step == 2:  # rows may be left out, doubled and changed in their order
            rows, lengths, cond = rows[[3, 0, 3]], lengths[[3, 0, 3]], cond[[3, 0, 3]]
            memory = memory.take(torch.tensor([3, 0, 3]))
        if step == 4:  # and begun anew
            lengths[[2, 1]] = torch.tensor([-3, -2])
            again = net.read(tokens[rows][[2, 1], :3], torch.tensor([2, 3]), cond[[2, 1]])[1]
            memory.put(torch.tensor([2, 1]), again)


@every
def test_a_memory_that_was_taken_goes_on_by_itself(name):
    net, tokens, cond = net_of(name), tokens_of(2, CONTEXT), torch.zeros(2, 0)
    _, first = net.read(tokens[:, :4], torch.tensor([4, 4]), cond)
    second = first.take(torch.tensor([0, 1]))
    for t in range(4, 8):
        net.step((tokens[:, t] + 1) % CLASSES, second, cond)
    for t in range(4, 8):
        out = net.step(tokens[:, t], first, cond)
    assert torch.allclose(out, net(tokens, cond)[:, 7], atol=1e-5)


@every
@pytest.mark.parametrize("tied", [False, True])
def test_law_10_gradients_reach_every_parameter(name, tied):
    net, tokens = net_of(name, 2, tied), tokens_of(3, CONTEXT)
    tokens[1, 6] = CLASSES
    loss = F.cross_entropy(
        net(tokens, torch.randn(3, 2, generator=gen()))[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()
    )
    loss.backward()
    for key, weight in net.named_parameters():
        assert weight.grad is not None and bool((weight.grad != 0).any()), key


def test_scores_start_equal_and_dropout_only_drops_in_training():
    with seeded(gen()):
        net = TokenNet(CLASSES, TextTransformer(WIDTH, 1, heads=1, context=CONTEXT, dropout=0.5), 0)
    assert not net(tokens_of(2, 6), torch.zeros(2, 0)).any()
    net = net_of("transformer")
    for block in net.trunk.blocks:
        block.drop.share = 0.5
    tokens, cond = tokens_of(2, 6), torch.zeros(2, 0)
    assert torch.equal(net(tokens, cond), net(tokens, cond))
    with seeded(gen()):
        assert not torch.equal(net.train()(tokens, cond), net(tokens, cond))


def double(*shape, seed=5):
    return torch.randn(*shape, generator=gen(seed), dtype=torch.float64, requires_grad=True)


def test_hand_written_gradients_are_those_of_differences():
    stays = (torch.rand(2, 5, 1, generator=gen(4)) < 0.6).double()
    mix = torch.rand(6, generator=gen(6), dtype=torch.float64, requires_grad=True)
    for each in (None, stays):
        assert torch.autograd.gradcheck(lambda x, m, each=each: shifted_rms(x, m, each), (double(2, 5, 6), mix))
    assert torch.autograd.gradcheck(squared_relu, (double(7),))
    seen = (torch.rand(2, 1, 4, 4, generator=gen(7)) < 0.5).double().tril() + torch.eye(4).double()
    for each in (None, seen.clamp(max=1)):
        for groups in (4, 2, 1):
            parts = double(2, 4, 4, 6), double(2, groups, 4, 6, seed=8), double(2, groups, 4, 6, seed=9)
            assert torch.autograd.gradcheck(lambda *parts, each=each: attend(*parts, each, causal=each is None), parts)


def plain_placed(x, gain, turn):
    """By complex numbers."""
    groups = (x.shape[2] - len(gain)) // 2
    q, k, v = x.transpose(1, 2).split([len(gain), groups, groups], 1)
    angle = torch.complex(*turn)

    def spun(v):
        one, two = v.chunk(2, -1)
        out = torch.complex(one, two) * angle
        return torch.cat([out.real, out.imag], -1)

    return spun(F.normalize(q, dim=3)) * gain, spun(F.normalize(k, dim=3)), v


@pytest.mark.parametrize("groups", [3, 1])
def test_queries_and_keys_are_turned_by_their_places_and_their_gradient_is_right(groups):
    x, gain, turn = (
        torch.randn(2, 5, 3 + 2 * groups, 4, generator=gen()),
        torch.rand(3, 1, 1, generator=gen()),
        waves(5, 4),
    )
    x.requires_grad_()
    gain.requires_grad_()
    toward = [torch.randn(2, n, 5, 4, generator=gen(s)) for s, n in enumerate((3, groups, groups), 1)]
    slopes = []
    for way in (placed, plain_placed):
        out = way(x, gain, turn)
        slopes.append(torch.autograd.grad(sum((o * t).sum() for o, t in zip(out, toward, strict=True)), (x, gain)))
        slopes[-1] = (*out, *slopes[-1])
    for one, two in zip(*slopes, strict=True):
        assert torch.allclose(one, two, atol=1e-5)


def test_products_of_turned_vectors_depend_on_the_distance_alone():
    turn, v = waves(9, 4), torch.randn(2, 1, 4, generator=gen())
    at = [turned(v, turn[:, t : t + 1])[:, 0] for t in range(9)]
    for t in range(6):
        assert torch.allclose(at[t][0] @ at[t + 3][1], at[0][0] @ at[3][1], atol=1e-5)
    assert abs(float(at[0][0] @ at[3][1] - at[0][0] @ at[4][1])) > 1e-3
    assert torch.allclose(turned(turned(v, turn[:, 3:4]), turn[:, 3:4], -1.0), v, atol=1e-6)


def test_attention_is_the_softmax_of_its_products():
    q, k, v = (torch.randn(2, 3, 5, 4, generator=gen(s)) for s in range(3))
    scores, seen = q @ k.transpose(2, 3), torch.ones(5, 5).tril()
    assert torch.allclose(attend(q, k, v), scores.softmax(3) @ v, atol=1e-6)
    for way in (attend(q, k, v, causal=True), attend(q, k, v, seen)):
        assert torch.allclose(way, scores.masked_fill(seen == 0, -torch.inf).softmax(3) @ v, atol=1e-6)
    for groups, of in ((1, [0, 0, 0, 0]), (2, [0, 0, 1, 1])):  # as if each head had its own
        many, few = torch.randn(2, 4, 5, 4, generator=gen(4)), (k[:, :groups], v[:, :groups])
        for way in (attend(many, *few, causal=True), found(many, *few, None)):
            assert torch.allclose(way, attend(many, k[:, of], v[:, of], causal=True), atol=1e-6)
    large = attend(q * 0 + 20.0, k * 0 + torch.tensor([0.5, -0.5])[:, None, None, None], v)  # scores of 40 and -40
    assert torch.allclose(large, v.mean(2, keepdim=True).expand_as(v), atol=1e-5)


def test_a_norm_and_its_shift_are_those_of_their_formula():
    x, mix = torch.randn(2, 4, 6, generator=gen()), torch.rand(6, generator=gen())
    n = rms(x)
    early = torch.cat([torch.zeros(2, 1, 6), n[:, :-1]], 1)
    assert torch.allclose(shifted_rms(x, mix, None), n + mix * (early - n), atol=1e-5)


def test_dropout_leaves_out_its_share_and_keeps_the_mean():
    drop, x = Dropout(0.3), torch.ones(401, 103, requires_grad=True)
    with seeded(gen()):
        out, other = drop(x), drop(x)
    (slope,) = torch.autograd.grad(out.sum(), x)
    gone = out == 0
    assert abs(float(gone.double().mean()) - 0.3) < 0.01 and not torch.equal(out, other)
    assert abs(float((gone[:, 1:] & gone[:, :-1]).double().mean()) - 0.09) < 0.01  # neighbours share a draw
    assert torch.allclose(out[~gone], torch.tensor(1 / 0.7), atol=1e-4) and torch.equal(slope, out)
    assert torch.equal(drop.eval()(x), x)
