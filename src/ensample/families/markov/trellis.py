"""Recursions of a hidden Markov chain over packed sequences, in scaled probability space (Rabiner 1989).

With start probabilities `pi` [s], transitions `A` [s, s] (from, to) and the probability `b_t(s)` of step t under each
state,

    predicted_1 = pi,   predicted_t = A' alpha_{t-1},   alpha_t = predicted_t b_t / c_t,  c_t such that it sums to one;

then `log p(x) = sum_t log c_t`, and backwards from `gamma_T = alpha_T`, with `m_t = gamma_t / predicted_t`,

    gamma_{t-1} = p(state_{t-1} | x) = alpha_{t-1} (A m_t),
    p(state_{t-1} = s, state_t = r | x) = alpha_{t-1}(s) A(s, r) m_t(r),

which is the usual backward pass (`m_t = b_t beta_t / c_t`) without a second look at b. States are rows and sequences
columns, one tensor [s, sequences] a step, so every step is a product of a small matrix with a wide one that stays in
the cache. `b` may be scaled by any positive number for each step of each sequence; callers add its logarithm back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

SMALLEST = 1e-30
"""Least transition probability in the recursions: no product of them and of scaled `b` can vanish or overflow."""


@dataclass(frozen=True)
class Chain:
    """Start [s] and transition [s, s] probabilities of the hidden states."""

    start: Tensor
    transitions: Tensor

    @classmethod
    def of(cls, start: Tensor, transitions: Tensor) -> Chain:
        """Kept off zero, float64."""
        return cls(start.to(torch.float64).clamp(min=SMALLEST), transitions.to(torch.float64).clamp(min=SMALLEST))


def forward(chain: Chain, b: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """(predicted [s, sequences], scale [sequences]) for every step; each `b_t` is overwritten with alpha_t.

    Sequences stand by falling length: those of a step are the first of the step before.
    """
    predicted: list[Tensor] = []
    scales: list[Tensor] = []
    incoming = chain.transitions.T.contiguous()
    for t, now in enumerate(b):
        if t == 0:
            predicted.append(chain.start[:, None].expand_as(now).contiguous())
        else:
            predicted.append(torch.mm(incoming, b[t - 1][:, : now.shape[1]]))
        now.mul_(predicted[t])
        scales.append(now.sum(0))
        now.div_(scales[t])
    return predicted, scales


def smooth(chain: Chain, alpha: Sequence[Tensor], predicted: Sequence[Tensor]) -> Tensor:
    """Turn alpha into gamma in place, and give the expected number [s, s] of transitions; `predicted` is used up."""
    counts = torch.zeros_like(chain.transitions)
    for t in range(len(alpha) - 1, 0, -1):
        message = torch.div(alpha[t], predicted[t], out=predicted[t])
        before = alpha[t - 1][:, : message.shape[1]]
        counts.addmm_(before, message.T)
        before.mul_(torch.mm(chain.transitions, message))
    return counts.mul_(chain.transitions)


def sampled_path(chain: Chain, alpha: Sequence[Tensor], generator: Generator) -> list[Tensor]:
    """States of every step, int64 [sequences], drawn from p(states | x): forward filtering, backward sampling.

    The last state is drawn from alpha, each one before from `alpha_t(s) A(s, state_{t+1})` (Chib 1996).
    """
    path: list[Tensor] = []
    later = torch.empty(0, dtype=torch.int64)
    for now in reversed(alpha):
        weights = now.clone()
        weights[:, : len(later)] *= chain.transitions[:, later]
        later = choice(weights, generator)
        path.append(later)
    return path[::-1]


def walk(chain: Chain, sizes: Sequence[int], generator: Generator) -> list[Tensor]:
    """States of every step, int64 [sequences], drawn from the chain itself."""
    path: list[Tensor] = []
    for t, size in enumerate(sizes):
        odds = chain.start[:, None].expand(-1, size) if t == 0 else chain.transitions.T[:, path[-1][:size]]
        path.append(choice(odds, generator))
    return path


def best_path(chain: Chain, log_b: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """The most probable states of every step, and the largest log p(states, x) [sequences] (Viterbi 1967)."""
    log_transitions = chain.transitions.log()
    back: list[Tensor] = []
    sizes = [now.shape[1] for now in log_b]
    best = torch.empty(sizes[0] if sizes else 0, dtype=torch.float64)
    last = torch.empty(len(best), dtype=torch.int64)
    for t, now in enumerate(log_b):
        if t == 0:
            score = chain.start.log()[:, None] + now
            back.append(torch.empty(0, dtype=torch.int64))
        else:
            moved = [(score[:, : sizes[t]] + column[:, None]).max(0) for column in log_transitions.T]
            back.append(torch.stack([move.indices for move in moved]))
            score = torch.stack([move.values for move in moved]) + now
        ends = slice(sizes[t + 1] if t + 1 < len(sizes) else 0, sizes[t])
        best[ends], last[ends] = score[:, ends].max(0)
    path = [last]
    for t in range(len(log_b) - 1, 0, -1):
        path.append(last[: sizes[t]].clone())
        last[: sizes[t]] = back[t].gather(0, last[None, : sizes[t]])[0]
    return ([last, *path[:0:-1]] if sizes else []), best


def choice(weights: Tensor, generator: Generator) -> Tensor:
    """One row number for each column of weights [s, n], with those odds; int64 [n]."""
    cumulative = weights.cumsum(0)
    u = torch.rand(weights.shape[1], generator=generator, dtype=torch.float64)
    return (cumulative < u * cumulative[-1]).sum(0).clamp(max=len(weights) - 1)
