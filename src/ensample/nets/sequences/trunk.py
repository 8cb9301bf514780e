"""What a network over the tokens of a sequence is to a family: outputs for all of it, or one token after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor, nn


class Memory(ABC):
    """What a network has computed of some sequences so far, so that one more token costs one token. Abstract."""

    @abstractmethod
    def step(self, x: Tensor) -> Tensor:
        """Outputs [rows, width] of one more token in every row, [rows, width]."""

    @abstractmethod
    def take(self, rows: Tensor) -> Self:
        """A memory of these rows, int64 [new rows], any of them more than once."""

    @abstractmethod
    def put(self, rows: Tensor, other: Self) -> None:
        """Begin these rows anew: they are the sequences of another memory that has just been read."""


class SequenceTrunk(nn.Module):
    """A network over vectors of tokens in which each output sees its own token and those before it. Abstract.

    Arguments:
        width: of the tokens and of the outputs.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    @abstractmethod
    def forward(self, x: Tensor, begins: Tensor | None) -> Tensor:
        """Outputs of the shape of the tokens [rows, tokens, width].

        `begins` [rows, tokens] bool marks tokens that begin a record: what comes before them in their row is another
        record's, and is not seen, or seen to no use (the trunk says which). None: only the first ones of rows do.
        """

    @abstractmethod
    def read(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Memory]:
        """Outputs [rows, width] behind the last token of each row, and a memory; `lengths` [rows] are from 1 on.

        Tokens [rows, tokens, width] behind a row's length are not looked at.
        """


def behind(out: Tensor, lengths: Tensor) -> Tensor:
    """Outputs [rows, width] at the last token of each row of outputs [rows, tokens, width]."""
    return out[torch.arange(len(out)), lengths - 1]


def linear(inputs: int, outputs: int, scale: float = 1.0) -> nn.Linear:
    """A matrix of normal numbers of deviation `scale / sqrt(inputs)`; outputs are as large as inputs for 1."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=scale * inputs**-0.5)
    return layer


def before(x: Tensor, distance: int, same: Tensor | None) -> Tensor:
    """Tokens [rows, tokens, width] of so many places before, 0 where there is none or it is of another record.

    `same` [rows, tokens, 1] is 1 where the token so many places before is of the same record, else 0.
    """
    moved = torch.nn.functional.pad(x, (0, 0, distance, 0))[:, : x.shape[1]]
    return moved if same is None else moved * same
