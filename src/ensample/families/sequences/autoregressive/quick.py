"""Records in the making by compiled code, for a few rows; see `ensample.nets.sequences.compiled`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.nets.sequences.cache import Cache
from ensample.nets.sequences.tokens import TokenNet
from ensample.solvers.continuation import Plan

if TYPE_CHECKING:
    from ensample.nets.sequences.compiled.decoder import Decoder


class Quick:
    """A `RunsAhead`: what `Written` is, with every step compiled; windows slide as there.

    Arguments:
        net, sliding: of the model.
        cond: given fields [rows, width].
        inputs: mark and classes of the window of each row, int64 [rows, context]; as many as the decoder has used.
        decoder: what is kept of the rows.
    """

    def __init__(self, net: TokenNet, sliding: Sliding, cond: Tensor, inputs: np.ndarray, decoder: Decoder) -> None:
        self.net, self.sliding, self.cond, self.inputs, self.decoder = net, sliding, cond, inputs, decoder

    def logits(self) -> Tensor:
        """Logits of the next class of each row, float32 [rows, classes + 1]; the last is the end."""
        return self.decoder.logits

    def append(self, classes: Tensor) -> None:
        """Go on by one class in every row, int64 [rows]."""
        self._slide()
        new = classes.numpy()
        self.inputs[np.arange(len(new)), self.decoder.used] = new
        self.decoder.step(new)

    def ahead(self, plan: Plan, uniform: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Choose and go on; see `RunsAhead`."""
        self._slide()
        used = self.decoder.used
        count = min(uniform.shape[1], self.sliding.context - int(used.max(initial=0)))
        banned = np.zeros(self.net.mark + 1, dtype=bool)
        banned[list(plan.banned)] = True
        classes, told = self.decoder.ahead(uniform[:, :count], plan.temperature, banned, first, told=plan.told)
        np.put_along_axis(self.inputs, used[:, None] + np.arange(count), classes, 1)
        return classes, told

    def take(self, rows: Tensor) -> Self:
        """A continuation of these rows, which goes on by itself."""
        kept = rows.numpy()
        return type(self)(self.net, self.sliding, self.cond[rows], self.inputs[kept], self.decoder.take(kept))

    def _slide(self) -> None:
        """Read the last half of the windows that are full anew."""
        full = np.flatnonzero(self.decoder.used == self.sliding.context)
        if not len(full):
            return
        kept = self.sliding.context - self.sliding.stride
        self.inputs[full, :kept] = self.inputs[full, self.sliding.stride :]
        lengths = torch.full((len(full),), kept)
        memory = self.net.read(torch.from_numpy(self.inputs[full, :kept]), lengths, self.cond[full])[1]
        assert isinstance(memory, Cache)
        self.decoder.put(full, memory)
