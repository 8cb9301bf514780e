"""How far each part of a blend is trusted at each step: a small network of what is known before the step."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

FEWEST = 400
"""Steps from which clues are looked at; with fewer, weights are the same at all steps."""

SIZES = (0, 16)
"""Hidden units that are tried: none is a linear gate."""

TURNS, RATE, DECAY = 120, 0.03, 1e-3
"""Steps of learning a gate, its largest learning rate, and the pull of its weights to 0 (AdamW)."""

FAR = 4.0
"""Clues count as at most so many deviations from their mean."""

ROUNDS, PRIOR = 50, 2.0
"""Rounds of EM for weights that are the same at all steps, and how often each part counts as chosen beforehand."""


@dataclass(frozen=True)
class Gate:
    """Weights `softmax(V tanh(U z) + b)` of parts, where z are standardised clues: they sum to 1 at every step.

    Arguments:
        shift, scale: of the clues, float64 [clues].
        layers: matrices from the clues on, float64 [outputs, inputs] each; none for weights that are always the same.
        bias: float64 [parts].

    Example:
        >>> nothing = torch.zeros(0, dtype=torch.float64)
        >>> gate = Gate(nothing, nothing, (), torch.tensor([0.75, 0.25], dtype=torch.float64).log())
        >>> gate.log_weights(torch.zeros(1, 0)).exp().round(decimals=6).tolist()
        [[0.75, 0.25]]
    """

    shift: Tensor
    scale: Tensor
    layers: tuple[Tensor, ...]
    bias: Tensor

    def log_weights(self, clues: Tensor) -> Tensor:
        """Logarithms of the weights, float64 [.., parts], of clues [.., clues]."""
        if not self.layers:
            return self.bias.log_softmax(0).expand(*clues.shape[:-1], -1)
        z = ((clues.double() - self.shift) / self.scale).clamp(-FAR, FAR)
        for matrix in self.layers[:-1]:
            z = F.linear(z, matrix).tanh_()
        return F.linear(z, self.layers[-1], self.bias).log_softmax(-1)

    def arrays(self) -> dict[str, Tensor]:
        """All numbers; `Gate.of` is the inverse."""
        layers = {f"gate.{k}": matrix for k, matrix in enumerate(self.layers)}
        return {"gate.shift": self.shift, "gate.scale": self.scale, "gate.bias": self.bias, **layers}

    @classmethod
    def of(cls, arrays: dict[str, Tensor]) -> Gate:
        """Inverse of `arrays`."""
        layers = sum(name.removeprefix("gate.").isdigit() for name in arrays)
        found = tuple(arrays[f"gate.{k}"] for k in range(layers))
        return cls(arrays["gate.shift"], arrays["gate.scale"], found, arrays["gate.bias"])


def constant(log_p: Tensor) -> Gate:
    """Weights that are the same at all steps, by EM: the most probable mixture of what the parts say.

    Arguments:
        log_p: of each step by each part, [steps, parts]; without steps all parts count alike.

    Example:
        >>> steps = torch.tensor([[0.5, 0.001]] * 90 + [[0.001, 0.5]] * 10).log()
        >>> constant(steps).bias.exp().round(decimals=1).tolist()
        [0.9, 0.1]
    """
    p = log_p.double().softmax(1).T.contiguous()  # up to a factor of each step
    weight = torch.full((len(p),), 1 / len(p), dtype=torch.float64)
    for _ in range(ROUNDS):
        chosen = weight * (p @ (weight @ p).reciprocal()) + PRIOR
        weight = chosen / chosen.sum()
    nothing = torch.zeros(0, dtype=torch.float64)
    return Gate(nothing, nothing, (), weight.log())


def learned(log_p: Tensor, clues: Tensor, fold: Tensor, seed: int) -> Gate:
    """The gate for held-out steps: of no clues, linear or with hidden units, whichever tells other steps better.

    Arguments:
        log_p: of each step by each part, float64 [steps, parts].
        clues: of each step, [steps, clues].
        fold: bool [steps]: gates learned on these are compared on the others.
        seed: of the first weights of hidden units.
    """
    if min(int(fold.sum()), int((~fold).sum())) < FEWEST // 2:
        return constant(log_p)

    def loss(gate: Gate) -> float:
        return -float(mixed(gate, log_p[~fold], clues[~fold]).sum())

    losses = [loss(_taught(log_p[fold], clues[fold], hidden, seed)) for hidden in SIZES]
    if loss(constant(log_p[fold])) <= min(losses):
        return constant(log_p)
    return _taught(log_p, clues, SIZES[losses.index(min(losses))], seed)


def mixed(gate: Gate, log_p: Tensor, clues: Tensor) -> Tensor:
    """Log of the mixture, float64 [..], of what the parts say [.., parts] behind these clues [.., clues]."""
    return (log_p + gate.log_weights(clues)).logsumexp(-1)


def _taught(log_p: Tensor, clues: Tensor, hidden: int, seed: int) -> Gate:
    """Maximum likelihood from the constant weights on, all steps at once."""
    shift, scale = clues.double().mean(0), clues.double().std(0).clamp(min=1e-3)
    z, told = ((clues.double() - shift) / scale).clamp(-FAR, FAR).float(), log_p.float()
    generator, sizes = Generator().manual_seed(seed), [z.shape[1], *([hidden] if hidden else []), log_p.shape[1]]
    layers = [torch.randn(m, n, generator=generator) * n**-0.5 for n, m in pairwise(sizes)]
    layers[-1].zero_()
    bias = constant(log_p).bias.float()
    weights = [*layers, bias]
    optimiser = torch.optim.AdamW([w.requires_grad_() for w in layers], lr=RATE, weight_decay=DECAY)
    optimiser.add_param_group({"params": [bias.requires_grad_()], "weight_decay": 0.0})
    with torch.enable_grad():
        for turn in range(TURNS):
            for group in optimiser.param_groups:
                group["lr"] = RATE * (1 - turn / TURNS)
            inner = z
            for matrix in layers[:-1]:
                inner = F.linear(inner, matrix).tanh()
            loss = -(told + F.linear(inner, layers[-1], bias).log_softmax(1)).logsumexp(1).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    *matrices, last = (w.detach().double() for w in weights)
    return Gate(shift, scale, tuple(matrices), last)
