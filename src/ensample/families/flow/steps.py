"""The named transforms of a flow, as one step each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from ensample.families.flow.transforms.autoregressive import Autoregressive, Inverted
from ensample.families.flow.transforms.base import Composed, Transform
from ensample.families.flow.transforms.coupling import Coupling
from ensample.families.flow.transforms.mixing import Mixing
from ensample.families.flow.transforms.norms import ActNorm, BatchNorm
from ensample.families.flow.transforms.scalar import Affine, Scalar, Spline
from ensample.nets.random import seeded
from ensample.nets.staircase import Conditioner


@dataclass(frozen=True)
class Plan:
    """Sizes of a flow: `dims` numbers, `context` columns of context, and the options of `Flow`."""

    dims: int
    context: int
    transform: str
    layers: int
    width: int
    depth: int
    bins: int
    bound: float
    norm: str
    mixing: bool
    permute: str
    dropout: float

    @property
    def sizes(self) -> dict[str, Any]:
        """Of each network."""
        return {"width": self.width, "depth": self.depth, "dropout": self.dropout}

    @property
    def spline(self) -> Spline:
        """The spline of these sizes."""
        return Spline(self.bins, self.bound)


def compose(plan: Plan, generator: Generator) -> Composed:
    """The whole flow, freshly initialised."""
    parts: list[Transform] = []
    with seeded(generator):
        for order in orders(plan):
            parts += [*NORMS[plan.norm](plan), *TRANSFORMS[plan.transform](plan, order)]
    return Composed(parts)


def orders(plan: Plan) -> list[Tensor]:
    """An order of the coordinates for each layer: as they come and reversed in turn, or at random."""
    forth = torch.arange(plan.dims)
    if plan.permute == "random":
        return [torch.rand(plan.dims).argsort() for _ in range(plan.layers)]
    return [forth if i % 2 == 0 else forth.flip(0) for i in range(plan.layers)]


def coupling(plan: Plan, order: Tensor, scalar: Scalar) -> Transform:
    """A coupling of a map of single numbers."""
    kept = plan.dims // 2
    outputs = (plan.dims - kept) * scalar.each
    net = Conditioner.whole(kept, outputs, plan.context, **plan.sizes)
    return Coupling(scalar, order, net)


def autoregressive(plan: Plan, order: Tensor, scalar: Scalar) -> Transform:
    """An autoregressive transform of a map of single numbers."""
    net = Conditioner.causal([1] * plan.dims, [scalar.each] * plan.dims, plan.context, **plan.sizes)
    return Autoregressive(scalar, order, net)


def mixed(plan: Plan, order: Tensor, transform: Transform) -> list[Transform]:
    """A linear map before the transform, where it is asked for."""
    return [Mixing(order), transform] if plan.mixing else [transform]


Step = Callable[[Plan, Tensor], list[Transform]]
TRANSFORMS: dict[str, Step] = {
    "realnvp": lambda plan, order: mixed(plan, order, coupling(plan, order, Affine())),
    "glow": lambda plan, order: [ActNorm(plan.dims), Mixing(order), coupling(plan, order, Affine())],
    "maf": lambda plan, order: mixed(plan, order, autoregressive(plan, order, Affine())),
    "iaf": lambda plan, order: mixed(plan, order, Inverted(autoregressive(plan, order, Affine()))),
    "spline-coupling": lambda plan, order: mixed(plan, order, coupling(plan, order, plan.spline)),
    "spline-autoregressive": lambda plan, order: mixed(plan, order, autoregressive(plan, order, plan.spline)),
}
NORMS: dict[str, Callable[[Plan], list[Transform]]] = {
    "none": lambda plan: [],
    "act": lambda plan: [ActNorm(plan.dims)],
    "batch": lambda plan: [BatchNorm(plan.dims)],
}
