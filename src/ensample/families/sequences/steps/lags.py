"""Linear autoregressions of the numbers of a series: what each is told from few values, and how far that is off."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ensample.events import Batch, Mixed
from ensample.families.layout import Layout
from ensample.nets.emissions.columns import class_spans, number_spans

FAR = 30.0
"""Largest standardised number that is looked at."""
LEAST = 1e-3
"""Least spread of what a number is off, in standardised units."""
RIDGES = (1e-8, 1e-6, 1e-4, 1e-2, 1.0)
"""Ridges that are tried, each a share of a variance of 1."""
ROWS = 20_000
"""Steps that are regressed on, at most."""
HELD = 0.2
"""Share of them, the last ones, on which a ridge is chosen."""


class Lags(nn.Module):
    """`x_tj = b_j + sum_i W_0ji f_ti + W_1ji f_(t-1)i + ... + s_j e_tj`: ridge regressions (Hoerl and Kennard 1970).

    `f_t` are the features of step t (numbers, whether they exist, indicators of classes), of the step itself only those
    of spans before j. There is one regression for each number of steps that can be seen, 0 to `lags`, and they are
    fitted in closed form. They are no parameters: a network says how `e_tj` is distributed.

    Arguments:
        event: of a step.
        lags: most steps looked back on.
    """

    weight: Tensor
    log_spread: Tensor

    def __init__(self, event: Mixed, lags: int) -> None:
        super().__init__()
        self.layout, self.lags = Layout(event), lags
        numbers = number_spans(event)
        width = self.layout.width
        of_class = [j for j, size in zip(class_spans(event), self.layout.sizes, strict=True) for _ in range(size)]
        self.span_of = torch.tensor([*numbers, *numbers, *of_class], dtype=torch.int64)  # of each feature
        self.numbers = numbers
        self.register_buffer("weight", torch.zeros(lags + 1, (lags + 1) * width + 1, len(numbers)))
        self.register_buffer("log_spread", torch.zeros(lags + 1, len(numbers)))

    def features(self, cells: Tensor, mask: Tensor) -> Tensor:
        """Features [.., width] float32 of steps, cells and mask [.., spans]."""
        shape = cells.shape[:-1]
        flat = self.layout.flat(Batch(cells.flatten(0, -2), mask.flatten(0, -2)))
        return flat.clamp(-FAR, FAR).reshape(*shape, self.layout.width)

    def values(self, cells: Tensor, mask: Tensor) -> Tensor:
        """Standardised numbers [.., numbers] float32, 0 where they are not there."""
        return self.features(cells, mask)[..., : len(self.numbers)]

    def told(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Where the numbers of steps lie by the regressions, and the log spread around that.

        `features` are those of the steps [rows, steps, width], of which no step before the first can be seen; of each
        step those of later spans are not looked at. Two tensors [rows, steps, numbers] float32.
        """
        rows, steps, _ = features.shape
        seen = _lagged(features, self.lags)
        group = torch.arange(steps).clamp(max=self.lags)
        with torch.autocast("cpu", enabled=False):
            place = torch.einsum("rtf,tfn->rtn", seen[:, : self.lags], self.weight[group[: self.lags]])
            rest = seen[:, self.lags :] @ self.weight[self.lags]
        return torch.cat([place, rest], 1), self.log_spread[group].expand(rows, -1, -1)

    @torch.no_grad()
    def begin(self, cells: Tensor, mask: Tensor, lengths: Tensor) -> None:
        """Fit all regressions to padded records, cells and mask [rows, steps, spans], lengths [rows]."""
        features = self.features(cells, mask)
        seen, there = _lagged(features, self.lags), torch.arange(cells.shape[1]) < lengths[:, None]
        for group in range(self.lags + 1):
            old_enough = there & (torch.arange(cells.shape[1]) >= group)
            x = seen[old_enough].double()
            known, values = mask[old_enough], features[old_enough][:, : len(self.numbers)].double()
            for i, j in enumerate(self.numbers):
                use = self._use(group, j)
                fitted = _ridge(x[known[:, j]][:, use][-ROWS:], values[known[:, j], i][-ROWS:])
                self.weight[group, use, i] = fitted.weight.to(torch.float32)
                self.log_spread[group, i] = torch.log(torch.tensor(max(fitted.spread, LEAST)))

    def _use(self, group: int, span: int) -> Tensor:
        """Places in `_lagged` of what a span may be told from where so many steps can be seen."""
        width = self.layout.width
        own = (self.span_of < span).nonzero()[:, 0]
        return torch.cat([own, torch.arange(width, (group + 1) * width), torch.tensor([(self.lags + 1) * width])])


@dataclass(frozen=True)
class _Fitted:
    """Weights [inputs] float64 and the standard deviation of what is off."""

    weight: Tensor
    spread: float


def _ridge(x: Tensor, y: Tensor) -> _Fitted:
    """A regression of y [rows] on x [rows, inputs], the last of which is constant; the last rows choose its ridge."""
    if len(y) < 2:
        weight = torch.zeros(x.shape[1], dtype=torch.float64)
        weight[-1] = y.mean() if len(y) else 0.0
        return _Fitted(weight, 1.0)
    held = max(1, int(HELD * len(y)))
    best = (float("inf"), RIDGES[-1])
    for ridge in RIDGES:
        weight = _solved(x[:-held], y[:-held], ridge)
        best = min(best, (float((y[-held:] - x[-held:] @ weight).square().mean()), ridge))
    weight = _solved(x, y, best[1])
    return _Fitted(weight, max(best[0], float((y - x @ weight).square().mean())) ** 0.5)


def _solved(x: Tensor, y: Tensor, ridge: float) -> Tensor:
    """The minimiser of `|y - x w|^2 + ridge n |w|^2`, the constant free."""
    penalty = torch.full((x.shape[1],), ridge * max(1, len(x)), dtype=torch.float64)
    penalty[-1] = 1e-9
    found: Tensor = torch.linalg.lstsq(x.T @ x + torch.diag(penalty), x.T @ y, driver="gelsd").solution
    return found


def _lagged(features: Tensor, lags: int) -> Tensor:
    """Features of each step, of the steps before it, nearest first, and a 1: [rows, steps, (lags + 1) width + 1]."""
    parts = [features]
    for lag in range(1, lags + 1):
        parts.append(torch.nn.functional.pad(features, (0, 0, lag, 0))[:, : features.shape[1]])
    return torch.cat([*parts, torch.ones_like(features[..., :1])], 2)
