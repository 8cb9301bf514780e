"""A row as both players see it: one vector, from a real row or, differentiably, from the generator's outputs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from ensample.events import Batch, Mixed
from ensample.families.gan.modes import Modes, gumbel
from ensample.families.layout import Layout

Relaxation = Callable[[Tensor, Tensor, float], Tensor]


def straight_through(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """An exact draw forwards, the Gumbel-softmax backwards (Jang, Gu and Poole 2017); choices along the last axis."""
    soft = ((logits + noise) / temperature).softmax(-1)
    return drawn(logits, noise) + soft - soft.detach()


def softmax(logits: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Probabilities in place of a draw."""
    return (logits / temperature).softmax(-1)


def drawn(logits: Tensor, noise: Tensor) -> Tensor:
    """An exact draw as an indicator: the largest of logits and Gumbel noise."""
    return nn.functional.one_hot((logits + noise).argmax(-1), logits.shape[-1]).to(logits.dtype)


RELAXATIONS: dict[str, Relaxation] = {"gumbel": straight_through, "softmax": softmax}
"""How classes pass gradients to the generator, by name."""


class View(nn.Module):
    """Columns of a row's vector: places within modes, numbers, then an indicator block for each mode and each class.

    All that belongs to a coordinate that does not exist is 0, so that no player sees it.
    """

    def __init__(self, event: Mixed, modes: Modes) -> None:
        super().__init__()
        self.layout, self.modes = Layout(event), modes
        self.sizes = (*modes.sizes, *self.layout.sizes)
        self.count = len(self.layout.numbers)
        widest, start, at = max(self.sizes, default=1), 0, []
        for size in self.sizes:  # a block's columns, and one more column for what pads it
            at.append([start + k if k < size else -1 for k in range(widest)])
            start += size
        self.width, self.outputs = 2 * self.count + start, self.count + start
        padded = torch.tensor(at, dtype=torch.int64).reshape(len(self.sizes), widest)
        self.register_buffer("padded", torch.where(padded < 0, start, padded), persistent=False)
        self.register_buffer("real", (padded >= 0).flatten().nonzero()[:, 0], persistent=False)

    padded: Tensor
    real: Tensor

    def of(self, batch: Batch, generator: Generator) -> Tensor:
        """Real rows, each number at a random place inside its cell, [rows, width] float32."""
        values = self.layout.values(batch, generator)
        mode, place = self.modes.split(values, generator)
        codes = torch.cat([mode, self.layout.codes(batch)], 1)
        there = torch.cat([self.layout.exists(batch), self.layout.known(batch)], 1).to(torch.float32)
        chosen = nn.functional.one_hot(codes, self.padded.shape[1]).to(torch.float32)
        return self._row(place, values, chosen, there)

    def made(self, outputs: Tensor, generator: Generator, relax: Relaxation, temperature: float) -> Tensor:
        """Rows from a network's outputs [rows, outputs], differentiable, [rows, width]."""
        chosen = relax(*self._choices(outputs, generator), temperature)
        place = outputs[:, : self.count]
        within = chosen[:, : self.count, : self.modes.mean.shape[1]]
        mean, scale = self.modes.mean[:, : within.shape[2]], self.modes.scale[:, : within.shape[2]]
        values = (within * (mean + scale * place[:, :, None])).sum(2)
        return self._row(place, values, chosen, self._there(chosen))

    def batch(self, outputs: Tensor, generator: Generator, cond: Batch | None) -> Batch:
        """Records drawn from a network's outputs."""
        codes = (drawn(*self._choices(outputs, generator))).argmax(2)
        values = self.modes.join(codes[:, : self.count], outputs[:, : self.count])
        return self.layout.batch(values, codes[:, self.count :], cond)

    def _choices(self, outputs: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Logits and Gumbel noise of every block, [rows, blocks, widest]."""
        logits = torch.cat([outputs[:, self.count :], outputs.new_full((len(outputs), 1), -1e9)], 1)[:, self.padded]
        return logits, gumbel(logits.shape, generator)

    def _there(self, chosen: Tensor) -> Tensor:
        """How far each block exists under these choices, [rows, blocks]: parents before those that hang on them."""
        layout, blocks = self.layout, (*self.layout.numbers, *self.layout.classes)
        there: dict[int, Tensor] = {}
        for span in sorted(blocks):
            depends = layout.event.spans[span].exists
            if depends is None:
                there[span] = torch.ones(len(chosen))
            else:
                parent, classes = depends
                block = self.count + layout.classes.index(parent)
                there[span] = chosen[:, block, list(classes)].sum(1) * there[parent]
        return torch.stack([there[span] for span in blocks], 1)

    def _row(self, place: Tensor, values: Tensor, chosen: Tensor, there: Tensor) -> Tensor:
        numbers = there[:, : self.count]
        blocks = (chosen * there[:, :, None]).flatten(1)[:, self.real]
        return torch.cat([place * numbers, values * numbers, blocks], 1)
