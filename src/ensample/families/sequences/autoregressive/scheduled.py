"""Scheduled sampling: some inputs of learning are what the network itself would have written there."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ensample.events import Batch


@torch.no_grad()
def own_inputs(log_p: Tensor, windows: Batch, mark: int, share: float, generator: Generator) -> Tensor:
    """Inputs of windows, int64 [rows, steps], of which this share are draws of the network in their place.

    A pass over the true classes tells what would be drawn at every place at once (Mihaylova and Martins 2019), where
    Bengio et al. (2015) write step by step. Marks, and what is above them, stay: they are no part of a record. So does
    what is unset, which is read and never told.

    The targets stay the true classes, so that what is learned is no proper law of the data (Huszar 2015): use it where
    a measure of long draws says so, and not for texts, where it cost likelihood and made draws worse.

    Arguments:
        log_p: of the next class at each place, [rows, steps, classes + 1], told by the true classes.
        windows: as of `ensample.kinds.windows`, cells [rows, steps + 1, 1].
        mark: the class that ends a record.
        share: of the inputs.
        generator: draws places and classes.

    Example:
        >>> sure = torch.tensor([[0.0, -99.0, -99.0]]).repeat(1, 3, 1)  # class 0 every time
        >>> windows = Batch(torch.tensor([[[2], [1], [1], [2]]]), torch.ones(1, 4, 1, dtype=torch.bool))
        >>> own_inputs(sure, windows, 2, 1.0, Generator().manual_seed(0)).tolist()
        [[2, 0, 0]]
    """
    inputs = windows.cells[:, :-1, 0]
    chance = log_p[:, :-1, :mark].exp()  # what is told at one place is the input at the next
    drawn = (chance / torch.empty_like(chance).exponential_(generator=generator)).argmax(2)
    own = (torch.rand(drawn.shape, generator=generator) < share) & (inputs[:, 1:] < mark) & windows.mask[:, 1:-1, 0]
    return torch.cat([inputs[:, :1], torch.where(own, drawn, inputs[:, 1:])], 1)
