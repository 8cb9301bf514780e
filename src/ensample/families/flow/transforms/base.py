"""What a transform is: a bijection with its log-determinant, in features as rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Transform(nn.Module, ABC):
    """A bijection y = f(x) of the coordinates that exist, with parameters from the context.

    Shapes: x, y [dims, rows] with 0 where a coordinate does not exist; `exists` bool [dims, rows], None where all do;
    `context` [width, rows]. A coordinate that does not exist stays 0, adds nothing to the log-determinant, and the map
    of the others is a bijection for every pattern.
    """

    @abstractmethod
    def forward(self, x: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """(y, log |det dy/dx| [rows]): from data towards the base."""

    @abstractmethod
    def inverse(self, y: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """(x, log |det dx/dy| [rows]): from the base towards data."""

    def start(self, x: Tensor, exists: Tensor | None) -> None:
        """Set initial weights from data; most transforms have nothing to set."""
        return None


class Composed(Transform):
    """One transform after the other."""

    def __init__(self, parts: Sequence[Transform]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """All parts, first to last."""
        total = x.new_zeros(x.shape[1])
        for part in self.parts:
            x, log_det = part(x, exists, context)
            total = total + log_det
        return x, total

    def inverse(self, y: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """All parts backwards, last to first."""
        total = y.new_zeros(y.shape[1])
        for part in reversed(list(self.parts)):
            assert isinstance(part, Transform)
            y, log_det = part.inverse(y, exists, context)
            total = total + log_det
        return y, total

    @torch.no_grad()
    def begin(self, x: Tensor, exists: Tensor | None, context: Tensor) -> None:
        """Let each part set its initial weights from data as the parts before it pass it on."""
        for part in self.parts:
            assert isinstance(part, Transform)
            part.start(x, exists)
            x, _ = part(x, exists, context)


def reordered(x: Tensor, order: Tensor, back: Tensor) -> Tensor:
    """`x[order]`, with a gradient that is `g[back]`: torch's own adds into zeros, which is slow."""
    out: Tensor = _Reordered.apply(x, order, back)  # type: ignore[no-untyped-call]
    return out


class _Reordered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(order, back)
        return x.index_select(0, order)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        order, back = ctx.saved_tensors
        return reordered(g, back, order), None, None


def only(values: Tensor, exists: Tensor | None) -> Tensor:
    """0 where a coordinate does not exist."""
    return values if exists is None else torch.where(exists, values, 0.0)
