"""Optimisers by name: how gradients become steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ensample.families.training import Training

State = dict[str, Tensor]


def optimiser_for(options: Training, weights: Sequence[Tensor]) -> Optimizer:
    """The optimiser that the options name, with its state at zero, so that every checkpoint has the same arrays."""
    make, state = OPTIMISERS[options.optimiser]
    optimiser = make(options, list(weights))
    for weight in weights:
        optimiser.state[weight] = state(weight)
    return optimiser


class Muon(Optimizer):
    """Momentum whose matrices are made orthogonal before each step (Jordan et al. 2024); AdamW for what is no matrix.

    A matrix [..., m, n] with both sides longer than one moves by `0.2 sqrt(max(m, n)) U V'` of its Nesterov momentum
    U S V': a step of the size that AdamW takes (Liu et al. 2025), so that one learning rate serves both. The kernels of
    a convolution [out, in, height, width] are one matrix [out, in * height * width].

    Arguments:
        weights: parameters; those of three dimensions, or of more than four, are batches of matrices.
        lr, momentum, weight_decay: as in AdamW, decay is a share of the learning rate.
        products: type in which matrices are made orthogonal; bfloat16 is as good, and faster where products of it are.
    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        lr: float,
        momentum: float,
        weight_decay: float,
        products: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.products = products
        matrices = [weight for weight in weights if is_matrix(as_matrix(weight))]
        alike: dict[tuple[int, ...], list[Tensor]] = {}
        for weight in matrices:
            alike.setdefault(tuple(_wide(as_matrix(weight)).shape), []).append(weight)
        self.alike = list(alike.values())
        rest = [weight for weight in weights if not is_matrix(as_matrix(weight))]
        self.rest = (
            torch.optim.AdamW(rest, lr, (momentum, 0.99), weight_decay=weight_decay, fused=True) if rest else None
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step of all weights that have a gradient."""
        (group,) = self.param_groups
        for alike in self.alike:
            some = [weight for weight in alike if weight.grad is not None]
            if not some:
                continue
            ahead = [_wide(as_matrix(self._ahead(weight, group["momentum"]))) for weight in some]
            turned = orthogonal(torch.stack(ahead).to(self.products))  # of one shape together: half the time
            for weight, wide in zip(some, turned, strict=True):
                size = 0.2 * wide.shape[-1] ** 0.5
                step = wide if as_matrix(weight).shape[-2] <= as_matrix(weight).shape[-1] else wide.mT
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(step.to(weight.dtype).reshape(weight.shape), alpha=group["lr"] * size)
        if self.rest is not None:
            self.rest.param_groups[0]["lr"], self.rest.state = group["lr"], self.state
            self.rest.step()

    def _ahead(self, weight: Tensor, momentum: float) -> Tensor:
        """Nesterov's momentum, of the shape of the weight."""
        gradient, state = weight.grad, self.state[weight]
        assert gradient is not None
        state["step"] += 1
        return gradient.lerp(state["exp_avg"].lerp_(gradient, 1 - momentum), momentum)


def as_matrix(weight: Tensor) -> Tensor:
    """The kernels of a convolution as one matrix, anything else as it is."""
    return weight.flatten(1) if weight.dim() == 4 else weight


def is_matrix(weight: Tensor) -> bool:
    """Whether the last two dimensions are those of a matrix proper."""
    return weight.dim() >= 2 and min(weight.shape[-2:]) > 1


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearly `U V'` of `matrix = U S V'` [..., m, n]: singular values go to between 0.7 and 1.2.

    Five steps of a quintic Newton-Schulz iteration with the coefficients of Jordan et al. (2024).
    """
    wide = _wide(matrix)
    x: Tensor = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x if matrix.shape[-2] <= matrix.shape[-1] else x.mT


def _wide(matrix: Tensor) -> Tensor:
    """The matrix with its shorter side first."""
    return matrix if matrix.shape[-2] <= matrix.shape[-1] else matrix.mT


def shrink(weights: Sequence[Tensor], by: float) -> None:
    """The proximal step of an L1 penalty (Parikh and Boyd 2014): nearer to 0 by so much, and 0 from there on."""
    with torch.no_grad():
        for weight in weights:
            torch.nn.functional.softshrink(weight, by, out=weight)  # type: ignore[call-arg]


def _adaptive(weight: Tensor) -> State:
    zeros = torch.zeros_like(weight)
    return {"step": torch.zeros(()), "exp_avg": zeros, "exp_avg_sq": zeros.clone()}


def _descending(weight: Tensor) -> State:
    return {"momentum_buffer": torch.zeros_like(weight)}


def _adamw(options: Training, weights: list[Any]) -> Optimizer:
    betas = (options.momentum, 0.99)
    return torch.optim.AdamW(
        weights, lr=options.learning_rate, betas=betas, weight_decay=options.weight_decay, fused=True
    )


def _adam(options: Training, weights: list[Any]) -> Optimizer:
    betas = (options.momentum, 0.99)
    return torch.optim.Adam(
        weights, lr=options.learning_rate, betas=betas, weight_decay=options.weight_decay, fused=True
    )


def _sgd(options: Training, weights: list[Any]) -> Optimizer:
    return torch.optim.SGD(
        weights,
        lr=options.learning_rate,
        momentum=options.momentum,
        nesterov=options.momentum > 0,
        weight_decay=options.weight_decay,
    )


def _muon(options: Training, weights: list[Any]) -> Optimizer:
    products = torch.bfloat16 if options.precision == "bfloat16" else torch.float32
    return Muon(weights, options.learning_rate, options.momentum, options.weight_decay, products)


OPTIMISERS: dict[str, tuple[Callable[[Training, list[Any]], Optimizer], Callable[[Tensor], State]]] = {
    "adamw": (_adamw, _adaptive),
    "adam": (_adam, _adaptive),
    "sgd": (_sgd, _descending),
    "muon": (_muon, _adaptive),
}
"""Name -> how to make it, and its state for one weight before the first step."""
