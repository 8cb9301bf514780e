"""Records in the making, one class after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from ensample.events import Batch
from ensample.families.sequences.autoregressive.quick import Quick
from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.nets.sequences.cache import KEPT, Cache
from ensample.nets.sequences.compiled import installed, pays
from ensample.nets.sequences.tokens import TokenNet
from ensample.nets.sequences.trunk import Memory


class Written:
    """A `Continuation`: what a network has computed of some records so far.

    The conditionals are those of `log_prob`. A row whose window is full goes on with the last half of it, which is read
    anew: that costs one more step a step, and keeps memory bounded. Rows may be of any lengths.

    Arguments:
        net, sliding: of the model.
        cond: given fields [rows, width].
        inputs: mark and classes of the window of each row, int64 [rows, context].
        used: how many of them there are [rows].
        memory, following: of the network behind the last input: logits [rows, classes + 1].
    """

    def __init__(
        self,
        net: TokenNet,
        sliding: Sliding,
        cond: Tensor,
        inputs: Tensor,
        used: Tensor,
        memory: Memory,
        following: Tensor,
    ) -> None:
        self.net, self.sliding, self.cond, self.inputs, self.used = net, sliding, cond, inputs, used
        self.memory, self.following = memory, following
        self.state = torch.empty(0)  # of the network, behind the last class that was appended
        self.recent: list[Tensor] = []  # classes appended and not yet among the inputs
        self.room = self._room()

    @classmethod
    def of(cls, net: TokenNet, sliding: Sliding, prompts: Batch, cond: Tensor) -> Self:
        """Read prompts of any lengths; those that are missing or unknown are empty."""
        assert prompts.lengths is not None
        lengths = prompts.lengths.clamp(min=0)
        first = sliding.start(lengths)
        used = lengths + 1 - first
        whole = F.pad(prompts.cells[:, :, 0], (1, 0), value=net.mark)
        place = (first[:, None] + torch.arange(sliding.context)).clamp(max=whole.shape[1] - 1)
        inputs = whole.gather(1, place)
        following, memory = net.read(inputs[:, : int(used.max()) if len(used) else 1], used, cond)
        sort = Rewinding if isinstance(memory, Cache) else cls
        return cast(Self, sort(net, sliding, cond, inputs, used, memory, following))

    def logits(self) -> Tensor:
        """Logits of the next class of each row, float32 [rows, classes + 1]; the last is the end."""
        return self.following

    @torch.no_grad()
    def append(self, classes: Tensor) -> None:
        """Go on by one class in every row, int64 [rows]."""
        if self.room == 0:
            self._slide()
        self.recent.append(classes)
        self.room -= 1
        self.state = self.memory.step(self.net.embedded(classes, self.cond))
        self.following = self.net.logits(self.state)

    def hidden(self) -> Tensor:
        """What the network makes of each row, [rows, width], behind the last class that was appended."""
        return self.state

    @torch.no_grad()
    def take(self, rows: Tensor) -> Self:
        """A continuation of these rows, which goes on by itself."""
        self._note()
        cond, inputs, used = (part[rows] for part in (self.cond, self.inputs, self.used))
        memory, following = self.memory.take(rows), self.following[rows]
        taken = type(self)(self.net, self.sliding, cond, inputs, used, memory, following)
        taken.state = self.state[rows] if len(self.state) else self.state
        return taken

    def _note(self) -> None:
        """Write down what was appended."""
        if self.recent:
            new = torch.stack(self.recent, 1)
            self.inputs.scatter_(1, self.used[:, None] + torch.arange(new.shape[1]), new)
            self.used += new.shape[1]
            self.recent = []

    def _slide(self) -> None:
        """Read the last half of the windows that are full anew."""
        self._note()
        full, kept = (self.used == self.sliding.context).nonzero()[:, 0], self.sliding.context - self.sliding.stride
        self.inputs[full, :kept] = self.inputs[full, self.sliding.stride :]
        self.used[full] = kept
        self.memory.put(full, self.net.read(self.inputs[full, :kept], self.used[full], self.cond[full])[1])
        self.room = self._room()

    def _room(self) -> int:
        """Steps until a window is full."""
        return self.sliding.context - int(self.used.max()) if len(self.used) else 2**62


class Rewinding(Written):
    """One whose network takes classes back, and reads several at once; see `Rewindable`.

    Classes that the memory holds no more, or that came before a window slid, are taken back by reading the window anew
    as it was.
    """

    memory: Cache

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.count, self.told = 0, [self.following]  # classes since it was made; what the last ones were followed by
        self.slides: list[tuple[int, Tensor, Tensor]] = []  # when windows slid; inputs and how many there were before

    @torch.no_grad()
    def quickened(self, steps: int) -> Rewinding | Quick:
        """By compiled code where that pays; see `Quickens`."""
        if type(self.memory) is not Cache or type(self.net) is not TokenNet or not installed():
            return self
        if not pays(len(self.used), steps, sum(w.numel() for w in self.net.parameters())):
            return self
        from ensample.nets.sequences.compiled.decoder import Decoder

        self._note()
        decoder = Decoder.of(self.net, self.memory, self.following, self.cond)
        return Quick(self.net, self.sliding, self.cond, self.inputs.numpy().copy(), decoder)

    def append(self, classes: Tensor) -> None:
        """Go on by one class in every row, int64 [rows]."""
        super().append(classes)
        self._count([self.following])

    @torch.no_grad()
    def extend(self, classes: Tensor) -> Tensor:
        """Go on by some classes in every row, int64 [rows, n]: the logits behind each [rows, n, classes + 1]."""
        if classes.shape[1] > self.room or not self.memory.even:
            found = []
            for step in classes.unbind(1):
                self.append(step)
                found.append(self.following)
            return torch.stack(found, 1)
        self.recent += classes.unbind(1)
        self.room -= classes.shape[1]
        logits = self.net.extend(classes, self.memory, self.cond)
        self.following = logits[:, -1]
        self._count(logits.unbind(1))
        return logits

    @torch.no_grad()
    def rewind(self, steps: int) -> None:
        """Take the last classes of every row back, at most `KEPT`."""
        self._note()
        self.count -= steps
        slid = next((slide for slide in self.slides if slide[0] >= self.count), None)
        if slid is None and steps < len(self.told):
            self.memory.rewind(steps)
            self.used -= steps
            del self.told[len(self.told) - steps :]
            self.following = self.told[-1]
        else:
            if slid is not None:
                count, self.inputs, self.used = slid
                steps = count - self.count
                self.slides = [slide for slide in self.slides if slide[0] < self.count]
            self.used = self.used - steps
            self.following, memory = self.net.read(self.inputs[:, : int(self.used.max())], self.used, self.cond)
            assert isinstance(memory, Cache)
            self.memory, self.told = memory, [self.following]
        self.room = self._room()

    def _count(self, told: Sequence[Tensor]) -> None:
        self.count += len(told)
        self.told += told
        if len(self.told) > 2 * KEPT:
            del self.told[:-KEPT]

    def _slide(self) -> None:
        self._note()
        self.slides = [slide for slide in self.slides if slide[0] > self.count - KEPT]
        self.slides.append((self.count, self.inputs.clone(), self.used.clone()))
        super()._slide()
