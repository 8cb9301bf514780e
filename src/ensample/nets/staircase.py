"""Networks whose outputs look at a growing part of their inputs, with features as rows: [features, rows].

A masked autoregressive network (MADE: Germain, Gregor, Murray and Larochelle 2015) with its hidden units sorted by how
much they see has weights in the shape of a staircase. Sorted so, blocks above the stairs are never multiplied, and
outputs can be computed one after the other from what is known, each hidden unit once.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

FINEST, LARGE = 4, 20_000
"""A matrix is multiplied in at most FINEST blocks of outputs, of at least LARGE weights each."""


class Staircase(nn.Module):
    """Weights of `y = W x + b` where output o sees the first `reach[o]` inputs alone.

    Build it inside `nets.random.seeded`.

    Arguments:
        inputs: columns of W.
        reach: [outputs] int64, ascending.
        scale: of the initial weights, in units of 1 / sqrt(reach).
    """

    mask: Tensor

    def __init__(self, inputs: int, reach: Tensor, scale: float = 1.0) -> None:
        super().__init__()
        mask = torch.arange(inputs) < reach[:, None]
        weight = torch.randn(mask.shape) * mask * (scale * reach.clamp(min=1).to(torch.float32).rsqrt())[:, None]
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(len(reach), 1))
        self.register_buffer("mask", mask.to(torch.float32), persistent=False)
        self.full = bool(mask.all())
        steps = 1 if self.full else min(FINEST, max(1, mask.numel() // LARGE))
        edges = sorted({round(len(reach) * i / steps) for i in range(steps + 1)})
        self.blocks = [(start, end, int(reach[end - 1])) for start, end in itertools.pairwise(edges)]
        """First output, end, and inputs seen of each block of outputs."""

    def masked(self) -> Tensor:
        """W, 0 above the stairs."""
        return self.weight if self.full else self.weight * self.mask


def _product(weight: Tensor, bias: Tensor, x: Tensor, blocks: Sequence[tuple[int, int, int]]) -> Tensor:
    """`W x + b`, leaving out what lies above the stairs."""
    if len(blocks) == 1:
        return torch.addmm(bias, weight, x)
    out = x.new_empty(len(weight), x.shape[1])
    for start, end, seen in blocks:
        torch.addmm(bias[start:end], weight[start:end, :seen], x[:seen], out=out[start:end])
    return out


def _back(weight: Tensor, x: Tensor, g: Tensor, blocks: Sequence[tuple[int, int, int]]) -> tuple[Tensor, Tensor]:
    """Gradients of W and of x from that of `W x + b`."""
    if len(blocks) == 1:
        return g @ x.t(), weight.t() @ g
    of_weight, of_x = torch.zeros_like(weight), torch.zeros_like(x)
    for start, end, seen in blocks:
        torch.mm(g[start:end], x[:seen].t(), out=of_weight[start:end, :seen])
        of_x[:seen].addmm_(weight[start:end, :seen].t(), g[start:end])
    return of_weight, of_x


class _Network(torch.autograd.Function):
    """All layers of a conditioner at once: backward by hand costs a fraction of a graph of small nodes."""

    @staticmethod
    def forward(ctx: Any, net: Conditioner, drops: list[Tensor], first: Tensor, *flat: Tensor) -> Tensor:
        layers = [*net.stairs()]
        weights = [layer.masked() for layer in layers]
        inputs, before = [first], []
        for i, (layer, weight) in enumerate(zip(layers[:-1], weights[:-1], strict=True)):
            before.append(_product(weight, layer.bias, inputs[-1], layer.blocks))
            new = F.silu(before[-1])
            if drops:
                new *= drops[i]
            inputs.append(new if i == 0 else new.add_(inputs[-1]))
        ctx.layers, ctx.sizes = layers, (len(drops), len(inputs), len(before))
        ctx.save_for_backward(*drops, *inputs, *before, *weights)
        return _product(weights[-1], layers[-1].bias, inputs[-1], layers[-1].blocks)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Any, ...]:
        saved, parts = list(ctx.saved_tensors), []
        for size in ctx.sizes:
            parts.append(saved[:size])
            saved = saved[size:]
        drops, inputs, before = parts
        gradients: list[Tensor] = []
        through: Tensor | None = None  # what the residual connection passes on
        for i in reversed(range(len(ctx.layers))):
            layer = ctx.layers[i]
            of_weight, of_input = _back(saved[i], inputs[i], g, layer.blocks)
            gradients[:0] = [of_weight if layer.full else of_weight.mul_(layer.mask), g.sum(1, keepdim=True)]
            if i == 0:
                return None, None, of_input, *gradients
            through = of_input if through is None else of_input.add_(through)
            g = torch.ops.aten.silu_backward(through * drops[i - 1] if drops else through, before[i - 1])
        raise AssertionError("a conditioner has layers")


class Conditioner(nn.Module):
    """Parameters of a distribution or a transform from what it may look at: layers of equal width, with residuals.

    Build it with `whole` (every output sees every input) or `causal` (outputs of position i see the context and the
    inputs of the positions before i), inside `nets.random.seeded`. Inputs are cut at `FAR`.

    Arguments:
        reaches: for every layer and the outputs, how many inputs there are and how many of them each unit sees.
        units: of a causal network: how many hidden units position i may use, for each i.
        outputs: of a causal network: outputs of each position.
        dropout: share of hidden units left out in learning.
        waves: sines and cosines of every number beside it, of wavelengths 2 pi, pi, pi / 2, ...: steep changes are then
            cheap to learn (Tancik et al. 2020).
    """

    FAR = 8.0

    def __init__(
        self,
        reaches: list[tuple[int, Tensor]],
        units: Sequence[int],
        outputs: Sequence[int],
        dropout: float,
        waves: int,
    ) -> None:
        super().__init__()
        self.units, self.outputs = units, outputs
        self.layers = nn.ModuleList(Staircase(inputs, reach) for inputs, reach in reaches[:-1])
        self.last = Staircase(*reaches[-1], scale=0.1)
        self.dropout, self.waves = dropout, waves

    @classmethod
    def whole(
        cls, inputs: int, outputs: int, context: int, *, width: int, depth: int, dropout: float = 0.0, waves: int = 0
    ) -> Conditioner:
        """[outputs, rows] from [inputs, rows]."""
        sizes = [context + inputs * (1 + 2 * waves)] + [width] * depth + [outputs]
        return cls([(a, torch.full((b,), a)) for a, b in itertools.pairwise(sizes)], (), (), dropout, waves)

    @classmethod
    def causal(
        cls,
        inputs: Sequence[int],
        outputs: Sequence[int],
        context: int,
        *,
        width: int,
        depth: int,
        dropout: float = 0.0,
        waves: int = 0,
    ) -> Conditioner:
        """[sum of outputs, rows] from [sum of inputs, rows]: `inputs` and `outputs` of each position, in order."""
        positions = len(inputs)
        lowest = 0 if context or positions == 1 else 1
        degree = torch.linspace(lowest, positions - 1, width).round().to(torch.int64)
        units = (degree <= torch.arange(positions)[:, None]).sum(1)
        before = torch.tensor([0, *inputs]).cumsum(0) * (1 + 2 * waves)
        reaches = [(context + int(before[-1]), context + before[degree])] + [(width, units[degree])] * (depth - 1)
        reaches.append((width, units.repeat_interleave(torch.tensor(outputs))))
        return cls(reaches, units.tolist(), tuple(outputs), dropout, waves)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """[inputs, rows] and [context, rows] -> [outputs, rows]."""
        x = self.features(x)
        drops = []
        if self.training and self.dropout:
            shape = (len(self.stairs()[0].bias), x.shape[1])
            drops = [F.dropout(torch.ones(shape), self.dropout) for _ in self.layers]
        weights = [p for layer in self.stairs() for p in (layer.weight, layer.bias)]
        first = torch.cat([context, x]) if len(context) else x
        out: Tensor = _Network.apply(self, drops, first, *weights)  # type: ignore[no-untyped-call]
        return out

    def features(self, x: Tensor) -> Tensor:
        """[inputs, rows] -> [inputs x (1 + 2 waves), rows]: each number, cut at `FAR`, and its waves behind it."""
        x = x.clamp(-self.FAR, self.FAR)
        if not self.waves:
            return x
        angle = x[:, None] * torch.exp2(torch.arange(self.waves))[:, None]
        return torch.cat([x[:, None], angle.sin(), angle.cos()], 1).flatten(0, 1)

    def stairs(self) -> list[Staircase]:
        """All layers, the last one included."""
        return [layer for layer in (*self.layers, self.last) if isinstance(layer, Staircase)]

    def stepper(self, context: Tensor) -> Stepper:
        """The same outputs of a causal network, position by position."""
        return Stepper(self, context)


class Stepper:
    """A causal conditioner whose inputs come one position after the other: `theta()`, then `push`."""

    def __init__(self, net: Conditioner, context: Tensor) -> None:
        self.net, rows = net, context.shape[1]
        self.layers = [(layer.masked(), layer.bias) for layer in net.stairs()]
        self.units, self.ends = net.units, [0, *itertools.accumulate(net.outputs)]
        sizes = [self.layers[0][0].shape[1]] + [len(weight) for weight, _ in self.layers[:-1]]
        self.known = [_Rows(size, rows) for size in sizes]
        self.known[0].add(context)
        self.position = 0

    def theta(self) -> Tensor:
        """Outputs [outputs, rows] of the next position."""
        i = self.position
        start, end = self.known[1].filled, self.units[i]
        for (weight, bias), source, target in zip(self.layers[:-1], self.known[:-1], self.known[1:], strict=True):
            if start < end:
                seen = source.all()
                new = F.silu(torch.addmm(bias[start:end], weight[start:end, : len(seen)], seen))
                target.add(new if source is self.known[0] else seen[start:end] + new)
        weight, bias = self.layers[-1]
        seen, place = self.known[-1].all(), slice(self.ends[i], self.ends[i + 1])
        return torch.addmm(bias[place], weight[place, : len(seen)], seen)

    def push(self, value: Tensor) -> None:
        """The inputs [inputs, rows] of this position; go on to the next."""
        self.known[0].add(self.net.features(value))
        self.position += 1


class _Rows:
    """Rows of a matrix that is filled from the top: in place, or by pieces where gradients are wanted."""

    def __init__(self, size: int, columns: int) -> None:
        self.filled = 0
        self.pieces: list[Tensor] | None = [] if torch.is_grad_enabled() else None
        self.held = torch.empty(0 if self.pieces is not None else size, columns)

    def add(self, rows: Tensor) -> None:
        if self.pieces is not None:
            self.pieces.append(rows)
        else:
            self.held[self.filled : self.filled + len(rows)] = rows
        self.filled += len(rows)

    def all(self) -> Tensor:
        if self.pieces is None:
            return self.held[: self.filled]
        return torch.cat([self.held, *self.pieces])
