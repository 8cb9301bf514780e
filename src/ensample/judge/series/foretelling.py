"""Whether what is learned from made series foretells real ones: networks that tell the next step, trained on made."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.judge.series.recurrent import Recipe, Recurrents, laid, told, train


def predictive_score(
    train_on: np.ndarray, test_on: np.ndarray, *, networks: int = 5, updates: int = 5_000, seed: int = 0
) -> np.ndarray:
    """Predictive score of windows in the protocol of TimeGAN (Yoon, Jarrett and van der Schaar 2019), [networks].

    A gated recurrent unit with half as many units as variables reads all variables but the last up to step t and tells
    the last one at t + 1; it is trained on made windows in steps of 128 by absolute error. The score is its mean
    absolute error on real windows. Where there is one variable only, its own past is read.

    Arguments:
        train_on: made windows [rows, steps, variables], scaled as `scaled` does (values between 0 and 1).
        test_on: real windows, scaled alike.
        networks: how many are trained, each with its own initial weights and batches.
        updates: steps of training; the published number if nothing is said.
        seed: of all of them.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> windows = np.repeat(rng.random((60, 1, 1)), 8, 1)
        >>> bool(predictive_score(windows, windows, networks=1, updates=500) < 0.2)
        True
    """
    recipe = Recipe(hidden=max(train_on.shape[2] // 2, 1), updates=updates, batch=128, rate=1e-3, falls=False)
    generator = Generator().manual_seed(seed)
    known = train_on.shape[2] - 1 if train_on.shape[2] > 1 else 1
    teller = Recurrents(networks, known, recipe.hidden, 1, generator)
    mine, real = (torch.from_numpy(np.ascontiguousarray(side, np.float32)) for side in (train_on, test_on))

    def loss() -> Tensor:
        rows = torch.randint(len(mine), (networks, min(recipe.batch, len(mine))), generator=generator)
        drawn = mine[rows]
        said = torch.sigmoid(teller.told(teller(laid(drawn[:, :, :-1, :known])))[:, :, 0])  # [steps, networks, rows]
        return (said - drawn[:, :, 1:, -1].permute(2, 0, 1)).abs().mean((0, 2))

    train(teller, loss, recipe)
    said = torch.sigmoid(told(teller, real[:, :-1, :known])[:, :, :, 0])
    error: Tensor = (said - real[:, 1:, -1]).abs().mean((1, 2))
    return np.asarray(error.double().numpy())
