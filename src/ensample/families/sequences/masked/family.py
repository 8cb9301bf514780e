"""Masked diffusion over sequences of classes: options, how it is built and taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, Batch, Discrete, Mixed, Ragged
from ensample.families.base import Distribution, Player, at_least
from ensample.families.layout import given_flat, given_width
from ensample.families.sequences.autoregressive.family import LOOKED_AT
from ensample.families.sequences.drawing import longest_of
from ensample.families.sequences.heads import check_heads
from ensample.families.sequences.masked.hiding import hide
from ensample.families.sequences.masked.model import MaskedSequences
from ensample.families.sequences.masked.network import MaskedNet
from ensample.families.sequences.masked.rounds import Layout
from ensample.families.sequences.training import SequenceTraining, not_of_classes
from ensample.kinds.records import Records
from ensample.kinds.sequences import Sequences
from ensample.kinds.windows import Windows
from ensample.nets.random import seeded
from ensample.nets.sequences.encoder import Encoder
from ensample.nets.sequences.sizes import Size, context_for, heads_for, size_for

FEW, LOOKS = 256, 4
"""Fewer held-out windows are looked at so many times, with other classes hidden each time."""


@dataclass(frozen=True)
class SequenceField(SequenceTraining):
    """Masked diffusion: classes are hidden one after the other, and a network that sees all others tells them back.

    The vector field over discrete events (Austin et al. 2021) as Sahoo et al. (2024, MDLM) and Shi et al. (2024) write
    it: what is shown stays, and with t the share that is hidden the bound is
    `-log p(x) <= E_t (1 / t) sum over hidden i of -log p(x_i | what is shown)`. Lengths have a law of their own
    (`LengthLaw`).

    Records are drawn in `rounds`, in each of which a random part of the classes is shown at once; those of one round
    are independent given the earlier ones, so few rounds are fast and many are right. Take it where texts have holes:
    it fills them seeing both sides (`impute`, `generate(..., suffix=...)`), whatever stands where. For likelihood, and
    for long texts, `sequence-autoregressive` is better for the same time.

    Arguments:
        context: most classes, marks included, that are seen at once; by the lengths of the records if left out. What is
            longer is scored and drawn half a context after the other.
        width: of the tokens; by the amount of text if left out.
        layers: of the network; likewise.
        attention_heads: as many as give each 64 channels if left out.
        mlp: the small network of a token: "relu2" (squared ReLU) or "swiglu".
        dropout: share of hidden units left out in training.
        rounds: in which a record, or half a context of a long one, is drawn; no more than it has classes.
        orders: in how many different orders records are drawn; `log_prob` takes as many times as long.
        runs: share of the records in which, in training, one run of classes alone may be hidden.
        longest: most classes of a drawn record; four times the longest, at least 64 and at most 4,096, if left out.
        batch_size: classes of a step: it takes as many windows as hold them.

    How it is trained: the options of `Training`.

    Example:
        >>> import numpy as np
        >>> from ensample.events import Span
        >>> event = Ragged(Mixed((Span("letter", Discrete(3)),)), 4)
        >>> words = Sequences(event, np.array([[0], [1], [2], [2]] * 9), lengths=np.array([3, 1] * 9))
        >>> start = SequenceField(width=8, layers=1).build(words, seed=0)  # learning goes on from here
        >>> made = start.sample(5, Generator().manual_seed(0))
        >>> bool((start.log_prob(made) < 0).all())
        True
    """

    context: int | None = None
    width: int | None = None
    layers: int | None = None
    attention_heads: int | None = None
    mlp: Literal["relu2", "swiglu"] = "relu2"
    dropout: float = 0.1
    rounds: int = 32
    orders: int = 1
    runs: float = 0.25
    longest: int | None = None

    name: ClassVar[str] = "sequence-field"
    distribution: ClassVar[type[Distribution]] = MaskedSequences

    def __post_init__(self) -> None:
        at_least(self, context=8, width=2, layers=1, attention_heads=1, longest=1, rounds=1, orders=1)
        self.check_shares("dropout")
        if not 0.0 <= self.runs <= 1.0:
            rule = "A share must be from 0 to 1."
            raise InputError(rule, f"{self.name}, runs", str(self.runs), "choose 0.25, or 0 for none")
        check_heads(self.name, self.width, self.attention_heads)
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "this network tells hidden classes of texts and sequences; `field` learns tables"

    def refuses_sequences(self, event: Ragged, given: Mixed | None) -> str | None:
        """Accepts ordered sequences of one class a step, with or without given fields."""
        if (why := not_of_classes(event)) is not None:
            return why
        return None

    def build(self, records: Records, seed: int) -> MaskedSequences:
        """A network that at first finds all classes equally likely, and the law of lengths.

        Raises:
            InputError: every record is missing.
        """
        assert isinstance(records, Sequences)
        there = records.lengths[records.lengths >= 0]
        if not len(there):
            raise InputError("Learning needs records.", "the training data", "all of them are missing", "add some")
        usual = size_for("transformer", _classes(records.event), int(there.sum()))
        size, generator = Size(self.width or usual.width, self.layers or usual.layers), Generator().manual_seed(seed)
        values, counts = (torch.from_numpy(part) for part in np.unique(there, return_counts=True))
        context = self.context or context_for(records.lengths)
        module = self._module(records.event, records.given, size, context, len(values), generator)
        module.values.copy_(values)
        module.counts.copy_(counts)
        module.missing.fill_(int((records.lengths == MISSING_LENGTH).sum()))
        module.longest.fill_(self.longest or longest_of(torch.from_numpy(records.lengths)))
        module.rounds.fill_(self.rounds)
        module.orders.fill_(self.orders)
        return module

    def prepared(self, records: Sequences) -> Windows:
        """Windows of one stream of all records."""
        return Windows.of(records, (self.context or context_for(records.lengths)) - 1)

    def rows_of_step(self, records: Windows) -> int:
        """Windows of a step, which hold about `batch_size` classes."""
        return max(1, round(self.batch_size / float((records.lengths - 1).mean())))

    def players(self, module: MaskedSequences) -> tuple[Player, ...]:
        """The bound, in nats a class."""

        def loss(batch: Batch, generator: Generator) -> Tensor:
            nats, count = self._nats(module, batch, self.runs, generator)
            return nats.sum() / max(1, count)

        return (Player("network", loss, tuple(module.parameters())),)

    def validate(self, module: MaskedSequences, batch: Batch, generator: Generator) -> Tensor:
        """The bound of whole records, nats of each window a class of a mean window, [rows]; few are looked at often."""
        if len(batch) < FEW:
            looks = [self._bounds(module, batch, generator) for _ in range(LOOKS)]
            return torch.stack(looks).mean(0)
        return self._bounds(module, batch, generator)

    def _bounds(self, module: MaskedSequences, batch: Batch, generator: Generator) -> Tensor:
        parts, total = [], 0
        for start in range(0, len(batch), at_once := max(1, LOOKED_AT // module.layout.context)):
            nats, count = self._nats(module, batch.take(slice(start, start + at_once)), 0.0, generator)
            parts.append(nats.sum(1))
            total += count
        return torch.cat(parts) * (len(batch) / max(1, total))

    def restore(
        self, event: Any, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> MaskedSequences:
        """Inverse of `MaskedSequences.arrays` and `facts`."""
        size = Size(int(facts["width"]), int(facts["layers"]))
        module = self._module(event, given, size, int(facts["context"]), int(facts["known"]), Generator())
        module.load_state_dict(arrays)
        return module.eval()

    def _nats(self, module: MaskedSequences, batch: Batch, runs: float, generator: Generator) -> tuple[Tensor, int]:
        """Weighted nats of what is hidden [rows, steps], and how many classes they stand for."""
        assert batch.lengths is not None
        hidden = hide(batch, module.net.mark, runs, generator)
        logits = module.net(hidden.tokens, batch.lengths, given_flat(module.given, batch))
        targets = torch.where(hidden.asked, batch.cells[:, :, 0], 0)
        nats = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        return torch.where(hidden.asked, nats.view(targets.shape) * hidden.weight, 0.0), hidden.count

    def _module(
        self, event: Ragged, given: Mixed | None, size: Size, context: int, known: int, generator: Generator
    ) -> MaskedSequences:
        heads = self.attention_heads or heads_for(size.width)
        with seeded(generator):
            encoder = Encoder(
                size.width, size.layers, heads=heads, context=context, gated=self.mlp == "swiglu", dropout=self.dropout
            )
            net = MaskedNet(_classes(event), encoder, size.width, given_width(given))
        return MaskedSequences(event, given, net, Layout(context), known)


def _classes(event: Ragged) -> int:
    step = event.element.spans[0].event
    assert isinstance(step, Discrete)
    return step.classes
