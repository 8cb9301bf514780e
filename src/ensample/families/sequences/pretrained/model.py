"""A checkpoint of `transformers` as a distribution over sequences of classes."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from ensample.events import Batch, Ragged
from ensample.families.sequences.autoregressive.model import AutoregressiveSequences, check_whole, targets_of
from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.families.sequences.pretrained.network import PretrainedNet
from ensample.families.sequences.pretrained.rendered import RenderedNet
from ensample.families.sequences.pretrained.stored import Stored
from ensample.families.sequences.pretrained.writing import Writing
from ensample.nets.machine import operations


class PretrainedSequences(Stored, AutoregressiveSequences):
    """p(x) = product over t of p(x_t | x_<t), with the end of the record as its last factor; see `Pretrained`."""

    net: PretrainedNet  # type: ignore[assignment]  # it is called in the same way

    def __init__(self, event: Ragged, net: PretrainedNet, sliding: Sliding, config: dict[str, Any]) -> None:
        super().__init__(event, None, cast(Any, net), sliding, 0)
        self.config = config

    @property
    def operations_per_row(self) -> float:
        """Multiplications of a window's way through the network."""
        return operations(lambda: self.net(torch.zeros(1, self.sliding.context, dtype=torch.int64)))

    def log_p(self, windows: Batch) -> tuple[Tensor, Tensor]:
        """As of the class above; the records of a window are told apart, each as if it stood alone.

        Parts of similar length go through the network together, each size at most twice as long as its parts.
        """
        assert windows.lengths is not None
        cells = windows.cells[:, :, 0]
        inputs, targets = cells[:, :-1], targets_of(windows)
        within = torch.arange(inputs.shape[1]) < windows.lengths[:, None] - 1
        begins = inputs == self.net.mark
        begins[:, 0] = True
        begins &= within  # behind a window's last input there is padding
        part = begins.flatten().cumsum(0) - 1
        first = begins.flatten().nonzero()[:, 0]
        lengths = part[within.flatten()].bincount(minlength=len(first))
        sizes = 2 ** (lengths - 1).clamp(min=1).log2().floor().to(torch.int64).add(1)
        logits, places = [], []
        for size in sorted(set(sizes.tolist())):
            chosen = (sizes == size).nonzero()[:, 0]
            most = int(lengths[chosen].max())
            place = first[chosen][:, None] + torch.arange(most)
            there = torch.arange(most) < lengths[chosen][:, None]
            tokens = inputs.reshape(-1)[place.clamp(max=inputs.numel() - 1)].where(there, 0)
            logits.append(self.net(tokens)[there])
            places.append(place[there])
        found = torch.cat(logits)
        whole = found.new_zeros(inputs.numel(), found.shape[1])
        whole = whole.index_copy(0, torch.cat(places), found).view(*inputs.shape, -1)
        return whole.log_softmax(2), targets

    def replying(self, event: Ragged, end: int) -> PretrainedSequences:
        """The same network, weights and all, over dialogues that are written as tokens, with what ends a reply."""
        made = PretrainedSequences(event, RenderedNet(self.net.network, end), self.sliding, self.config)
        made.longest.copy_(self.longest)
        return made.eval()

    @torch.no_grad()
    def continuation(self, prompts: Batch) -> Writing:  # type: ignore[override]  # another `Continuation`
        """Records that begin with these, whose last half contexts alone are read where they are longer.

        Raises:
            InputError: a step inside a prompt is unset.
        """
        check_whole(prompts)
        return Writing.of(self.net, self.sliding, prompts)

    def facts(self) -> dict[str, Any]:
        """The configuration as `config.json` has it, the tokens of beginning and end, and the context."""
        tokens = {"begin": self.net.begin, "end": self.net.end}
        return {"config": self.config, **tokens, "context": self.sliding.context}
