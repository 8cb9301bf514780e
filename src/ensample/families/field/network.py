"""The one network of a table's field, and what it sees of a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.families.field.parameterisation import Parameterisation
from ensample.nets.random import seeded
from ensample.nets.timed import FASTEST, TimedMlp
from ensample.solvers.paths import Path

REACH = 8.0
"""A network sees numbers beyond this many standard deviations as if they were there."""
FINER = 4.0
"""Waves of fine numbers are faster by so many powers of two over their number: few are known in more detail."""


@dataclass(frozen=True)
class Seen:
    """What is known of rows. A number is known, `alive` (a field moves it from noise to a value) or hidden.

    Arguments:
        values: known numbers [rows, numbers] float32, 0 elsewhere.
        known, alive: bool [rows, numbers], never both.
        codes: classes [rows, classes] int64, 0 where masked.
        shown: which classes are not masked, bool.
        given: given fields as a matrix [rows, given] float32, the last column 1 unless they are left out.
    """

    values: Tensor
    known: Tensor
    alive: Tensor
    codes: Tensor
    shown: Tensor
    given: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Tensor | slice) -> Seen:
        """These rows."""
        return Seen(*(getattr(self, f.name)[rows] for f in fields(self)))

    def labels(self) -> Tensor:
        """A number for each row [rows] int64, the same for rows of which the same is seen."""
        all_seen = [self.values * self.known, self.known, self.alive, self.codes, self.shown, self.given]
        table = torch.cat([part.to(torch.float32) for part in all_seen], 1).numpy()
        return torch.from_numpy(np.unique(table, axis=0, return_inverse=True)[1].ravel())

    def without_given(self) -> Seen:
        """The same with the given fields left out."""
        return replace(self, given=torch.zeros_like(self.given))

    def with_classes(self, codes: Tensor, shown: Tensor) -> Seen:
        """The same with other classes."""
        return replace(self, codes=torch.where(shown, codes, 0), shown=shown)


class FieldNet(nn.Module):
    """Outputs [rows, numbers] of the parameterisation and logits of every class, from a row and a time.

    Build it with a generator of the initial weights. `times` is 2 where mean velocities between two times are learned,
    `fine` where cells are so narrow that waves may be short.
    """

    def __init__(
        self,
        numbers: int,
        sizes: Sequence[int],
        given: int,
        *,
        width: int,
        layers: int,
        rates: int,
        times: int,
        fine: bool,
        generator: Generator,
    ) -> None:
        super().__init__()
        self.sizes, self.numbers = tuple(sizes), numbers
        with seeded(generator):
            self.trunk = TimedMlp(
                numbers,
                3 * numbers + sum(sizes) + given,
                numbers + sum(sizes),
                width=width,
                layers=layers,
                rates=rates,
                times=times,
                fastest=FASTEST + (FINER / max(2, numbers) if fine else 0.0),
            )

    def forward(self, x: Tensor, seen: Seen, *clock: Tensor) -> tuple[Tensor, Tensor]:
        """(numbers [rows, numbers], logits [rows, sum of sizes]); x is of unit spread, clocks are [rows] or [1]."""
        numbers = torch.where(seen.known, seen.values, torch.where(seen.alive, x, 0.0)).clamp(-REACH, REACH)
        known = seen.known.to(x.dtype)
        parts = [
            numbers,
            numbers * known,
            known,
            seen.alive.to(x.dtype),
        ]  # clean numbers tell otherwise than noisy ones
        for i, size in enumerate(self.sizes):
            parts.append(F.one_hot(seen.codes[:, i], size).to(x.dtype) * seen.shown[:, i, None])
        out = self.trunk(torch.cat([*parts, seen.given], 1), *clock)
        return out[:, : self.numbers], out[:, self.numbers :]

    def logits(self, flat: Tensor) -> tuple[Tensor, ...]:
        """The logits of each class [rows, classes]."""
        return torch.split(flat, list(self.sizes), 1) if self.sizes else ()


@dataclass(frozen=True)
class Conditional:
    """The field of the alive numbers of some rows, given what is seen: what a solver is handed.

    `guidance` w moves from what the network says without the given fields (w = 0) to what it says with them (1) and
    beyond (classifier-free guidance, Ho and Salimans 2021).
    """

    net: FieldNet
    path: Path
    parameterisation: Parameterisation
    seen: Seen
    guidance: float = 1.0

    def output(self, x: Tensor, t: Tensor, s: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs and logits of the network, guided; times [1] or [rows, 1]."""
        x = x / self.path.spread(t)
        clock = [self.path.clock(each).flatten() for each in (t, s) if each is not None]
        said: tuple[Tensor, Tensor] = self.net(x, self.seen, *clock)
        if self.guidance == 1.0:
            return said
        free = self.net(x, self.seen.without_given(), *clock)
        return torch.lerp(free[0], said[0], self.guidance), torch.lerp(free[1], said[1], self.guidance)

    def predict(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Data and noise of the alive numbers; see `solvers.field.Field`."""
        output = self.output(x, t, t if self.parameterisation.jumps else None)[0]
        return self.parameterisation.predict(output, x, self.path, t)

    def mean_velocity(self, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """The mean velocity between two times; see `solvers.field.Jumping`."""
        return self.output(x, t, s)[0]

    def logits(self, x: Tensor, t: Tensor) -> tuple[Tensor, ...]:
        """Logits of each class, at a time."""
        return self.net.logits(self.output(x, t, t if self.parameterisation.jumps else None)[1])
