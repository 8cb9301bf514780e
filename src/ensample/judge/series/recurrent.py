"""Several small recurrent networks at once, which read series to tell made from real ones or to foretell steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ensample.nets.machine import machine

REMEMBER = 1.0
"""Bias of the gates at the start: states are kept rather than replaced."""


class Recurrents(nn.Module):
    """`count` gated recurrent units (Cho et al. 2014) side by side that share nothing, each with a linear outlet.

    One loop over the steps serves all of them, and its gradient is written out (`_Loop`).

    Arguments:
        count: networks.
        inputs: values of a step.
        hidden: units of each network.
        outputs: values that each step gives.
        generator: of the initial weights.
    """

    def __init__(self, count: int, inputs: int, hidden: int, outputs: int, generator: Generator) -> None:
        super().__init__()

        def weight(rows: int, columns: int, parts: int = 1) -> nn.Parameter:
            """Uniform by Glorot and Bengio (2010), each part as a matrix of its own."""
            reach = math.sqrt(6.0 / (rows + columns))
            drawn = torch.rand(count, rows * parts, columns, generator=generator)
            return nn.Parameter(reach * (2.0 * drawn - 1.0))

        self.hidden = hidden
        self.inlet, self.inner = weight(hidden, inputs, 3), weight(hidden, hidden, 3)
        bias = torch.zeros(count, 3 * hidden, 1)
        bias[:, : 2 * hidden] = REMEMBER
        self.bias, self.inner_bias = nn.Parameter(bias), nn.Parameter(torch.zeros(count, hidden, 1))
        self.outlet, self.outlet_bias = weight(outputs, hidden), nn.Parameter(torch.zeros(count, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """States after each step [steps, networks, hidden, rows] from values [steps, networks, inputs, rows].

        `reset, update = sigmoid(W x + U h)`, `new = tanh(W x + reset (U h + b))`, `h' = update h + (1 - update) new`.
        """
        fed = torch.matmul(self.inlet, x) + self.bias
        states: Tensor = _Loop.apply(fed, self.inner, self.inner_bias)  # type: ignore[no-untyped-call]
        return states

    def told(self, states: Tensor) -> Tensor:
        """Outputs [..., networks, outputs, rows] of states [..., networks, hidden, rows]."""
        return torch.matmul(self.outlet, states) + self.outlet_bias


class _Loop(torch.autograd.Function):
    """The loop over the steps, rows innermost, so that every operation runs along memory."""

    @staticmethod
    def forward(ctx: Any, fed: Tensor, inner: Tensor, bias: Tensor) -> Tensor:
        """States of what each step is fed with [steps, networks, 3 hidden, rows]."""
        steps, networks, triple, rows = fed.shape
        hidden = triple // 3
        states = fed.new_zeros(steps + 1, networks, hidden, rows)
        gates, news = torch.empty_like(fed[:, :, : 2 * hidden]), fed.new_empty(steps, networks, hidden, rows)
        kept = torch.empty_like(news)  # what the state tells the new one, before it is reset
        for t in range(steps):
            of_state = torch.bmm(inner, states[t])
            torch.add(fed[t, :, : 2 * hidden], of_state[:, : 2 * hidden], out=gates[t]).sigmoid_()
            torch.add(of_state[:, 2 * hidden :], bias, out=kept[t])
            torch.addcmul(fed[t, :, 2 * hidden :], gates[t, :, :hidden], kept[t], out=news[t]).tanh_()
            torch.lerp(news[t], states[t], gates[t, :, hidden:], out=states[t + 1])
        ctx.save_for_backward(inner, states, gates, news, kept)
        return states[1:]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of what was fed, the inner weights and their bias."""
        inner, states, gates, news, kept = ctx.saved_tensors
        hidden = news.shape[2]
        reset, update = gates[:, :, :hidden], gates[:, :, hidden:]
        # what does not depend on the gradient, for all steps at once
        of_new = (1.0 - update) * (1.0 - news.square())
        of_update = (states[:-1] - news) * update * (1.0 - update)
        of_reset = kept * reset * (1.0 - reset)
        fed = gates.new_empty(*gates.shape[:2], 3 * hidden, gates.shape[3])
        of_state, back = torch.empty_like(fed), inner.transpose(1, 2).contiguous()
        along = torch.zeros_like(news[0])
        for t in range(len(news) - 1, -1, -1):
            along = along + gradient[t]
            torch.mul(along, of_new[t], out=fed[t, :, 2 * hidden :])
            torch.mul(along, of_update[t], out=of_state[t, :, hidden : 2 * hidden])
            torch.mul(fed[t, :, 2 * hidden :], of_reset[t], out=of_state[t, :, :hidden])
            torch.mul(fed[t, :, 2 * hidden :], reset[t], out=of_state[t, :, 2 * hidden :])
            along = torch.baddbmm(along * update[t], back, of_state[t])
        fed[:, :, : 2 * hidden] = of_state[:, :, : 2 * hidden]
        weights = torch.matmul(of_state, states[:-1].transpose(2, 3)).sum(0)
        return fed, weights, of_state[:, :, 2 * hidden :].sum((0, 3))[:, :, None]


@dataclass(frozen=True)
class Recipe:
    """How small networks are trained.

    Arguments:
        hidden: units of each.
        updates: steps of the optimiser (Adam).
        batch: rows of a step, of each side.
        rate: learning rate.
        falls: whether the rate falls to nothing along half a cosine.
    """

    hidden: int
    updates: int
    batch: int
    rate: float
    falls: bool


def train(networks: Recurrents, loss: Callable[[], Tensor], recipe: Recipe) -> None:
    """Lower the sum of the losses [networks] of batches that `loss()` draws."""
    optimiser = torch.optim.Adam(networks.parameters(), recipe.rate, fused=True)
    with machine(1):
        for update in range(recipe.updates):
            if recipe.falls:
                rate = recipe.rate * (0.5 + 0.5 * math.cos(math.pi * update / recipe.updates))
                optimiser.param_groups[0]["lr"] = rate
            optimiser.zero_grad()
            loss().sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()


def laid(x: Tensor) -> Tensor:
    """Values [networks, rows, steps, inputs] as the networks take them, rows innermost."""
    return x.permute(2, 0, 3, 1).contiguous()


def told(networks: Recurrents, x: Tensor, rows: int = 4_096) -> Tensor:
    """Outputs [networks, rows, steps, outputs] of values [rows, steps, inputs], the same for all networks."""
    count = len(networks.inlet)
    with torch.inference_mode(), machine(1):
        parts = [networks.told(networks(laid(part.expand(count, *part.shape)))) for part in torch.split(x, rows)]
    return torch.cat(parts, 3).permute(1, 3, 0, 2)
