"""Texts in the making by a network of `transformers`."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ensample.events import Batch
from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.families.sequences.pretrained.network import PretrainedNet


class Writing:
    """A `Continuation` whose conditionals are those of `log_prob`; it has states to compare (`Represents`).

    Where the window of a row is full, the last half of it is kept, and all rows are read anew.

    Arguments:
        net, sliding: of the model.
        inputs: mark and classes of the window of each row, int64 [rows, context].
        used: how many of them there are [rows].
        told: what the network is told of each row beside its classes, the sources [rows, places]; None for nothing.
    """

    def __init__(
        self, net: PretrainedNet, sliding: Sliding, inputs: Tensor, used: Tensor, told: Tensor | None = None
    ) -> None:
        self.net, self.sliding, self.inputs, self.used, self.told = net, sliding, inputs, used, told
        self.state = torch.empty(0)
        self.following, self.memory = self._read()

    @classmethod
    def of(cls, net: PretrainedNet, sliding: Sliding, prompts: Batch, told: Tensor | None = None) -> Self:
        """Read prompts of any lengths; those that are missing or unknown are empty."""
        assert prompts.lengths is not None
        lengths = prompts.lengths.clamp(min=0)
        first = sliding.start(lengths)
        whole = F.pad(prompts.cells[:, :, 0], (1, 0), value=net.mark)
        place = (first[:, None] + torch.arange(sliding.context)).clamp(max=whole.shape[1] - 1)
        return cls(net, sliding, whole.gather(1, place), lengths + 1 - first, told)

    def logits(self) -> Tensor:
        """Logits of the next class of each row, float32 [rows, classes + 1]; the last is the end."""
        return self.following

    @torch.no_grad()
    def append(self, classes: Tensor) -> None:
        """Go on by one class in every row, int64 [rows]."""
        full = self.used == self.sliding.context
        if bool(full.any()):
            kept = self.sliding.context - self.sliding.stride
            self.inputs[full, :kept] = self.inputs[full, self.sliding.stride :]
            self.used = torch.where(full, kept, self.used)
            self.memory = self._read()[1]
        self.inputs.scatter_(1, self.used[:, None], classes[:, None])
        self.used = self.used + 1
        self.state, self.following = self.memory.step(classes)

    def hidden(self) -> Tensor:
        """What the network makes of each row, [rows, width], behind the last class that was appended."""
        return self.state

    @torch.no_grad()
    def take(self, rows: Tensor) -> Self:
        """A continuation of these rows, which goes on by itself."""
        taken = object.__new__(type(self))
        taken.net, taken.sliding = self.net, self.sliding
        taken.inputs, taken.used, taken.following = self.inputs[rows], self.used[rows], self.following[rows]
        taken.memory, taken.told = self.memory.take(rows), None if self.told is None else self.told[rows]
        taken.state = self.state[rows] if len(self.state) else self.state
        return taken

    def _read(self) -> tuple[Tensor, Any]:
        most = int(self.used.max()) if len(self.used) else 1
        return self.net.read(self.inputs[:, :most], self.used, self.told)
