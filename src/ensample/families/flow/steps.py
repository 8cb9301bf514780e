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
from ensample.families.flow.transforms.margins import Margins
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
    margins: int
    waves: int
    norm: str
    mixing: bool
    permute: str
    dropout: float

    @property
    def sizes(self) -> dict[str, Any]:
        """Of each network."""
        return {"width": self.width, "depth": self.depth, "dropout": self.dropout, "waves": self.waves}

    @property
    def spline(self) -> Spline:
        """The spline of these sizes."""
        return Spline(self.bins, self.bound)


def compose(plan: Plan, generator: Generator) -> Composed:
    """The whole flow, freshly initialised."""
    parts: list[Transform] = [Margins(plan.dims, plan.margins, plan.bound)] if plan.margins else []
    with seeded(generator):
        for i in range(plan.layers):
            parts += [*NORMS[plan.norm](plan), *TRANSFORMS[plan.transform](plan, ORDERS[plan.permute](plan.dims, i))]
    return Composed(parts)


@dataclass(frozen=True)
class Order:
    """Coordinates from first to last for autoregressive maps, and which of them a coupling keeps and moves."""

    order: Tensor
    kept: Tensor
    moved: Tensor


def in_turn(dims: int, layer: int) -> Order:
    """As they come and backwards in turn; couplings keep every other coordinate, the others next time."""
    forth = torch.arange(dims)
    halves = (forth[1::2], forth[::2])
    kept, moved = halves if layer % 2 == 0 or dims == 1 else halves[::-1]
    return Order(forth if layer % 2 == 0 else forth.flip(0), kept, moved)


def at_random(dims: int, layer: int) -> Order:
    """A random order; couplings keep the first half of it."""
    order = torch.rand(dims).argsort()
    return Order(order, order[: dims // 2], order[dims // 2 :])


def coupling(plan: Plan, order: Order, scalar: Scalar) -> Transform:
    """A coupling of a map of single numbers."""
    net = Conditioner.whole(len(order.kept), len(order.moved) * scalar.each, plan.context, **plan.sizes)
    return Coupling(scalar, torch.cat([order.kept, order.moved]), len(order.kept), net)


def autoregressive(plan: Plan, order: Order, scalar: Scalar) -> Transform:
    """An autoregressive transform of a map of single numbers."""
    net = Conditioner.causal([1] * plan.dims, [scalar.each] * plan.dims, plan.context, **plan.sizes)
    return Autoregressive(scalar, order.order, net)


def mixed(plan: Plan, order: Order, transform: Transform) -> list[Transform]:
    """A linear map before the transform, where it is asked for."""
    return [Mixing(order.order), transform] if plan.mixing else [transform]


Step = Callable[[Plan, Order], list[Transform]]
TRANSFORMS: dict[str, Step] = {
    "realnvp": lambda plan, order: mixed(plan, order, coupling(plan, order, Affine())),
    "glow": lambda plan, order: [ActNorm(plan.dims), Mixing(order.order), coupling(plan, order, Affine())],
    "maf": lambda plan, order: mixed(plan, order, autoregressive(plan, order, Affine())),
    "iaf": lambda plan, order: mixed(plan, order, Inverted(autoregressive(plan, order, Affine()))),
    "spline-coupling": lambda plan, order: mixed(plan, order, coupling(plan, order, plan.spline)),
    "spline-autoregressive": lambda plan, order: mixed(plan, order, autoregressive(plan, order, plan.spline)),
}
ORDERS: dict[str, Callable[[int, int], Order]] = {"reverse": in_turn, "random": at_random}
NORMS: dict[str, Callable[[Plan], list[Transform]]] = {
    "none": lambda plan: [],
    "act": lambda plan: [ActNorm(plan.dims)],
    "batch": lambda plan: [BatchNorm(plan.dims)],
}
