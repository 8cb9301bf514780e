"""Whether recurrent networks can tell made series from real ones, judged on series that they did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ensample.judge.series.recurrent import Recipe, Recurrents, laid, told, train

HELD_OUT = 0.2
"""Share of the series that a network of the published protocol is judged on."""


@dataclass(frozen=True)
class Inputs:
    """Series as networks read them: values [rows, steps, inputs] float32, zero behind the end; lengths [rows] int64."""

    values: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def whole(cls, windows: np.ndarray) -> Inputs:
        """Windows [rows, steps, variables] of one length, nothing missing."""
        values = torch.from_numpy(np.ascontiguousarray(windows, np.float32))
        return cls(values, torch.full((len(values),), values.shape[1]))


def logits(
    real: Inputs, made: Inputs, learns: Sequence[tuple[np.ndarray, np.ndarray]], recipe: Recipe, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """What networks say of real and of made series, [networks, rows] each; above 0 is "made".

    Arguments:
        real: real series.
        made: made ones, of the same steps and inputs.
        learns: rows of the real and of the made series that each network learns from, equally many for all networks.
        recipe: how they are trained; a batch has as many real as made series.
        seed: of initial weights and batches.
    """
    generator = Generator().manual_seed(seed)
    networks = Recurrents(len(learns), real.values.shape[2], recipe.hidden, 1, generator)
    sides = [(real, _table([rows for rows, _ in learns])), (made, _table([rows for _, rows in learns]))]

    def loss() -> Tensor:
        drawn = [_drawn(side, rows, recipe.batch, generator) for side, rows in sides]
        values, lengths = (torch.cat(parts, 1) for parts in zip(*drawn, strict=True))
        answer = _ended(networks.told(networks(laid(values)))[:, :, 0].permute(1, 2, 0), lengths)
        half = answer.shape[1] // 2
        return F.softplus(answer[:, :half]).mean(1) + F.softplus(-answer[:, half:]).mean(1)

    train(networks, loss, recipe)
    out = []
    for side, _ in sides:
        answers = told(networks, side.values)[:, :, :, 0]
        out.append(_ended(answers, side.lengths.expand(len(learns), -1)).double().numpy())
    return out[0], out[1]


def _table(rows: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(rows))


def _drawn(side: Inputs, rows: Tensor, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Values [networks, count, steps, inputs] and lengths of series that each network learns from."""
    place = torch.randint(rows.shape[1], (len(rows), min(count, rows.shape[1])), generator=generator)
    chosen = rows.gather(1, place)
    return side.values[chosen], side.lengths[chosen]


def _ended(answers: Tensor, lengths: Tensor) -> Tensor:
    """The answer at the last step of each series [networks, rows], from those at all steps [..., steps]."""
    last = (lengths - 1).clamp(0, answers.shape[2] - 1)
    return answers.gather(2, last[:, :, None])[:, :, 0]


def discriminative_score(
    real: np.ndarray, made: np.ndarray, *, networks: int = 5, updates: int = 2_000, seed: int = 0
) -> np.ndarray:
    """Discriminative score of windows in the protocol of TimeGAN (Yoon, Jarrett and van der Schaar 2019), [networks].

    `|accuracy - 1/2|` of a gated recurrent unit with half as many units as variables, trained in steps of 128 real and
    128 made windows on four fifths of them, on the last fifth: 0 if it cannot tell them apart, 1/2 if it
    always can. Each network has its own initial weights, split and batches; their mean is what is published.

    Arguments:
        real: windows [rows, steps, variables], scaled as `scaled` does.
        made: as many made windows, scaled alike.
        networks: how many are trained.
        updates: steps of training; the published number if nothing is said.
        seed: of all of them.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> windows = rng.random((60, 4, 2))
        >>> bool((discriminative_score(windows, 5 + windows, networks=2, updates=300) > 0.4).all())
        True
    """
    rng = np.random.default_rng(seed)
    orders = [tuple(rng.permutation(len(side)) for side in (real, made)) for _ in range(networks)]
    cuts = [round((1.0 - HELD_OUT) * len(side)) for side in (real, made)]
    learns = [(one[: cuts[0]], other[: cuts[1]]) for one, other in orders]
    recipe = Recipe(hidden=max(real.shape[2] // 2, 1), updates=updates, batch=128, rate=1e-3, falls=False)
    said = logits(Inputs.whole(real), Inputs.whole(made), learns, recipe, seed)
    right = [
        np.concatenate([said[0][k][one[cuts[0] :]] <= 0, said[1][k][other[cuts[1] :]] > 0]).mean()
        for k, (one, other) in enumerate(orders)
    ]
    return np.abs(np.array(right) - 0.5)


def scaled(windows: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Windows [rows, steps, variables] with each variable brought to [0, 1] over the first ones; the others alike.

    Example:
        >>> one, other = scaled(np.array([[[1.0], [3.0]]]), np.array([[[2.0], [5.0]]]))
        >>> one.ravel().round(3).tolist(), other.ravel().round(3).tolist()
        ([0.0, 1.0], [0.5, 2.0])
    """
    low, high = (getattr(windows, end)((0, 1)) for end in ("min", "max"))
    return [(each - low) / (high - low + 1e-7) for each in (windows, *others)]
