"""Autoregressive networks over sequences of classes: options, how they are built and taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, Batch, Discrete, Mixed, Ragged
from ensample.families.base import Distribution, Player, at_least
from ensample.families.layout import given_width
from ensample.families.sequences.autoregressive.model import AutoregressiveSequences
from ensample.families.sequences.autoregressive.networks import NETWORKS
from ensample.families.sequences.autoregressive.rearranging import NEW, rearranged
from ensample.families.sequences.autoregressive.scheduled import own_inputs
from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.families.sequences.drawing import longest_of
from ensample.families.sequences.heads import check_heads
from ensample.families.sequences.training import SequenceTraining, not_of_classes
from ensample.kinds.records import Records
from ensample.kinds.sequences import Sequences
from ensample.kinds.windows import Windows
from ensample.nets.random import seeded
from ensample.nets.sequences.sizes import Size, context_for, size_for
from ensample.nets.sequences.tokens import TokenNet

LOOKED_AT = 4_096
"""Held-out classes of one pass."""


@dataclass(frozen=True)
class SequenceAutoregressive(SequenceTraining):
    """p(sequence | given) = product over its classes, and its end, of p(class | those before, given).

    The default for texts: likelihoods are exact, samples are as good as the likelihood says, and what is begun can be
    written on. It needs some ten thousand classes to do better than counting (`ngram`), learns no more of a record than
    its context shows, and draws one class after the other.

    | network | a class is told from | good for |
    |---|---|---|
    | transformer | all classes of the window by attention (Vaswani et al. 2017) | texts |
    | mingru | a state that gates carry along, which do not see it (Feng et al. 2024) | texts, many to write at once |
    | lstm | a state whose gates see it (Hochreiter and Schmidhuber 1997) | long cheap writing, tiny data |
    | gru | likewise, with one gate less (Cho et al. 2014) | likewise |
    | wavenet | dilated causal convolutions (van den Oord et al. 2016) | signals of few levels |

    Learning looks at windows of one packed stream of records. The transformer, the minGRU and the WaveNet never see
    another record there; the state of an LSTM or a GRU runs on over the mark between two (see `Recurrent`). Scoring and
    drawing begin each record anew. Records longer than the context are scored, and written on, by windows that slide by
    half a context.

    Arguments:
        network: one of the table above.
        context: most classes that are looked back on; by the lengths of the records if left out (16 to 128).
        width: of the tokens, channels, or hidden units; by the amount of text if left out. Say more for more time.
        layers: of the network; likewise.
        attention_heads: of a transformer; as many as give each 64 channels if left out.
        key_value_heads: of a transformer, a divisor of its heads: groups of heads share keys and values, and what is
            kept of a text is smaller by as much (grouped queries: Ainslie et al. 2023). Each has its own if left out.
        mlp: the small network of a transformer: "relu2" (squared ReLU) or "swiglu".
        tied: classes are scored by the vectors that they are read as: fewer weights where there are many classes.
        dropout: share of hidden units left out in training.
        label_smoothing: share of the probability that a target gives to all classes alike, in training.
        longest: most classes of a drawn record; what has no end by then is cut, and only the beginning of a draw. Four
            times the longest record, from 64 to 4,096, if left out; 1,024 where most records are longer than that.
        infill: share of the records (of long ones, of the parts in a window) that are shown, in training, with their
            end before their beginning, so that `generate(..., suffix=...)` tells what stands between; see `rearranged`.
        own_inputs: share of the inputs, in training, that are the network's own draws, so that it learns to go on from
            its mistakes (scheduled sampling: Bengio et al. 2015, in two parallel passes: Mihaylova and Martins 2019).
            Leave it out for texts: no benefit was found. The targets stay the true ones, so the network learns to doubt
            what it reads, and the law that it tends to is not that of the data (Huszar 2015); a step costs a third
            more. It is there for sequences that drift away as they grow: measure (docs/texts.md has figures).
        batch_size: classes of a step: it takes as many windows as hold them.

    How it is trained: the options of `Training`; LSTM, GRU and WaveNet learn at twice the learning rate.

    Example:
        >>> import numpy as np
        >>> from ensample.events import Span
        >>> event = Ragged(Mixed((Span("letter", Discrete(3)),)), 4)
        >>> words = Sequences(event, np.array([[0], [1], [2], [2]] * 9), lengths=np.array([3, 1] * 9))
        >>> start = SequenceAutoregressive(width=8, layers=1).build(words, seed=0)  # learning goes on from here
        >>> [round(p, 6) for p in start.log_prob(words.batch(slice(0, 2))).exp().tolist()]
        [0.003906, 0.0625]
    """

    network: Literal["transformer", "mingru", "lstm", "gru", "wavenet"] = "transformer"
    context: int | None = None
    width: int | None = None
    layers: int | None = None
    attention_heads: int | None = None
    key_value_heads: int | None = None
    mlp: Literal["relu2", "swiglu"] = "relu2"
    tied: bool = False
    dropout: float = 0.1
    label_smoothing: float = 0.0
    longest: int | None = None
    infill: float = 0.0
    own_inputs: float = 0.0

    name: ClassVar[str] = "sequence-autoregressive"
    scores_parts: ClassVar[bool] = True
    distribution: ClassVar[type[Distribution]] = AutoregressiveSequences

    def __post_init__(self) -> None:
        at_least(self, context=2, width=2, layers=1, attention_heads=1, key_value_heads=1, longest=1)
        self.check_shares("dropout", "label_smoothing", "infill", "own_inputs")
        if self.network == "transformer":
            check_heads(self.name, self.width, self.attention_heads, self.key_value_heads)
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "this network predicts the next class of texts and sequences; `autoregressive` learns tables"

    def refuses_sequences(self, event: Ragged, given: Mixed | None) -> str | None:
        """Accepts ordered sequences of one class a step, with or without given fields."""
        if (why := not_of_classes(event)) is not None:
            return why
        if event.partly and self.infill:
            return "records of which some steps are given are learned forwards: leave out `infill`"
        return None

    def build(self, records: Records, seed: int) -> AutoregressiveSequences:
        """A network that at first finds all classes equally likely.

        Raises:
            InputError: every record is missing.
        """
        assert isinstance(records, Sequences)
        if not bool((records.lengths >= 0).any()):
            raise InputError("Learning needs records.", "the training data", "all of them are missing", "add some")
        sort, classes = NETWORKS[self.network].sort, _classes(records.event)
        usual = size_for(sort, classes, int(records.lengths.clip(min=0).sum()))
        size = Size(self.width or usual.width, self.layers or usual.layers)
        context = self.context or context_for(records.lengths)
        module = self._module(records.event, records.given, size, context, Generator().manual_seed(seed))
        module.longest.fill_(self.longest or longest_of(torch.from_numpy(records.lengths)))
        if records.event.missing:
            module.missing.fill_((records.lengths == MISSING_LENGTH).mean())
        return module

    def prepared(self, records: Sequences) -> Windows:
        """Windows of one stream of all records."""
        return Windows.of(records, self.context or context_for(records.lengths))

    def rows_of_step(self, records: Windows) -> int:
        """Windows of a step, which hold about `batch_size` classes."""
        return max(1, round(self.batch_size / float((records.lengths - 1).mean())))

    def players(self, module: AutoregressiveSequences) -> tuple[Player, ...]:
        """Maximum likelihood, in nats a class."""

        def loss(batch: Batch, generator: Generator) -> Tensor:
            if self.infill:
                batch = rearranged(batch, module.net.mark, self.infill, generator)
            log_p, targets = self._told(module, batch, generator)
            nats, there = _nats(log_p, targets)
            if self.label_smoothing:
                nats = torch.lerp(nats, -log_p.mean(2), self.label_smoothing)
            return torch.where(there, nats, 0.0).sum() / there.sum().clamp(min=1)  # none may count

        rate = NETWORKS[self.network].rate
        return (Player("network", loss, tuple(module.parameters()), rate=lambda: rate),)

    def _told(self, module: AutoregressiveSequences, batch: Batch, generator: Generator) -> tuple[Tensor, Tensor]:
        """As `AutoregressiveSequences.log_p`, from inputs of which a share are the network's own."""
        if not self.own_inputs:
            return module.log_p(batch)
        with torch.no_grad():
            log_p, targets = module.log_p(batch)
        inputs = own_inputs(log_p, batch, module.net.mark, self.own_inputs, generator)
        return module.net(inputs, module.told(batch)).log_softmax(2), targets

    def validate(self, module: AutoregressiveSequences, batch: Batch, generator: Generator) -> Tensor:
        """Nats of each window a class of a mean window, [rows]; of the classes that count."""
        nats_of, counts = [], []
        for start in range(0, len(batch), at_once := max(1, LOOKED_AT // module.sliding.context)):
            nats, there = _nats(*module.log_p(batch.take(slice(start, start + at_once))))
            nats_of.append(torch.where(there, nats, 0.0).sum(1))
            counts.append(there.sum(1))
        return torch.cat(nats_of) / torch.cat(counts).float().mean().clamp(min=1e-6)

    def restore(
        self, event: Any, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> AutoregressiveSequences:
        """Inverse of `AutoregressiveSequences.arrays` and `facts`."""
        size = Size(int(facts["width"]), int(facts["layers"]))
        module = self._module(event, given, size, int(facts["context"]), Generator())
        module.load_state_dict(arrays)
        return module.eval()

    def _module(
        self, event: Ragged, given: Mixed | None, size: Size, context: int, generator: Generator
    ) -> AutoregressiveSequences:
        with seeded(generator):
            trunk = NETWORKS[self.network].make(self, size, context)
            more = NEW if self.infill else 0
            net = TokenNet(_classes(event), trunk, given_width(given), tied=self.tied, more=more)
        return AutoregressiveSequences(event, given, net, Sliding(context), size.layers)


def _nats(log_p: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Minus the log-probability of each target, and which there are, [rows, steps] both."""
    return -log_p.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0], targets >= 0


def _classes(event: Ragged) -> int:
    step = event.element.spans[0].event
    assert isinstance(step, Discrete)
    return step.classes
