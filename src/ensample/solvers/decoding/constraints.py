"""What may be written at all: constraints that follow each row class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor


class Constraint(Protocol):
    """A language that every row must stay in.

    At each step the distribution is restricted to what may come next, and renormalised there. Samples are therefore
    those of the model step by step, and not in general of the model given the whole language.
    """

    def allowed(self) -> Tensor:
        """Which classes may come next, bool [rows, classes + 1]; the last is the end. A row without any is stuck.

        A row that has ended may say anything but nothing.
        """
        ...

    def append(self, classes: Tensor) -> None:
        """Go on by one class in every row, int64 [rows]; of a row that has ended, the end again."""
        ...

    def take(self, rows: Tensor) -> Self:
        """The constraint in these rows, int64 [new rows]; a row may be taken more than once, or not at all."""
        ...


class Among:
    """Each row writes one of some byte strings, whole, and ends.

    Arguments:
        pieces: the bytes that each class stands for; one that stands for none is never written.
        options: the byte strings; none is empty.
        rows: how many.

    Example:
        >>> answer = Among([b"y", b"es", b"no", b"n"], [b"yes", b"no"], rows=1)
        >>> answer.allowed().tolist()
        [[True, False, True, True, False]]
        >>> answer.append(torch.tensor([0]))
        >>> answer.allowed().tolist()
        [[False, True, False, False, False]]
    """

    def __init__(self, pieces: Sequence[bytes], options: Sequence[bytes], rows: int) -> None:
        self._pieces, self._options = pieces, tuple(options)
        self._written: list[bytes | None] = [b""] * rows  # None: has ended
        self._known: dict[bytes | None, Tensor] = {None: torch.ones(len(pieces) + 1, dtype=torch.bool)}
        self._classes: dict[bytes, list[int]] = {}
        for number, piece in enumerate(pieces):
            if piece:
                self._classes.setdefault(piece, []).append(number)

    def allowed(self) -> Tensor:
        """See `Constraint`."""
        for written in self._written:
            if written is not None and written not in self._known:
                self._known[written] = self._after(written)
        return torch.stack([self._known[written] for written in self._written])

    def append(self, classes: Tensor) -> None:
        """See `Constraint`."""
        for row, number in enumerate(classes.tolist()):
            before = self._written[row]
            ended = before is None or number == len(self._pieces)
            self._written[row] = None if ended else (before or b"") + self._pieces[number]

    def take(self, rows: Tensor) -> Self:
        """See `Constraint`."""
        taken = object.__new__(type(self))
        taken.__dict__.update(self.__dict__)
        taken._written = [self._written[row] for row in rows.tolist()]
        return taken

    def _after(self, written: bytes) -> Tensor:
        mask = torch.zeros(len(self._pieces) + 1, dtype=torch.bool)
        mask[-1] = written in self._options
        for rest in {option[len(written) :] for option in self._options if option.startswith(written)}:
            for length in range(1, len(rest) + 1):
                mask[self._classes.get(rest[:length], [])] = True
        return mask


def unpacked(bits: bytes, classes: int) -> Tensor:
    """A mask that came as bits, lowest first: bool [classes].

    Example:
        >>> unpacked(bytes([0b110]), 4).tolist()
        [False, True, True, False]
    """
    return torch.from_numpy(np.unpackbits(np.frombuffer(bits, np.uint8), count=classes, bitorder="little")).bool()
