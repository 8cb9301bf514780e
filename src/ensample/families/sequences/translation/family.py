"""Encoder and decoder over sequences of classes: options, how they are built and taught."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, Batch, Mixed, Ragged
from ensample.families.base import Distribution, Player, at_least
from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.families.sequences.drawing import longest_of
from ensample.families.sequences.heads import check_heads
from ensample.families.sequences.training import SequenceTraining, not_of_classes
from ensample.families.sequences.translation.model import TranslatedSequences, classes_of, sized
from ensample.kinds.records import Records
from ensample.kinds.sequences import Sequences
from ensample.kinds.windows import Windows
from ensample.nets.random import seeded
from ensample.nets.sequences.cross import CrossTransformer
from ensample.nets.sequences.encoder import Encoder
from ensample.nets.sequences.sizes import Size, heads_for, size_for
from ensample.nets.sequences.translator import Translator

SHORTEST, LONGEST = 16, 256
"""Most classes that are looked back on by default: the longest record, between these."""

AT_ONCE = 512
"""Classes of a part of a step: records of similar length, so that little is padding."""

LOOKED_AT = 4_096
"""Held-out classes of one pass."""


@dataclass(frozen=True)
class SequenceToSequence(SequenceTraining):
    """p(sequence | source) = product over its classes, and its end, of p(class | those before, source).

    For translation, and whatever else turns one sequence into another: a question into its answer, letters into sounds,
    a text into its summary. An encoder reads the source, in which every token sees all others; a decoder writes, and
    looks at what was read by attention (Bahdanau et al. 2015; Vaswani et al. 2017). Likelihoods are exact, samples are
    draws from the model; the most probable texts come from `generate` with `beams`. It needs some ten thousand
    pairs to translate a language. It costs more than `sequence-autoregressive` with plain given fields, so that a
    source of a few values is better given as plain fields. Sources are read whole: memory grows with the square of
    the longest.

    Arguments:
        context: most classes of a record that are looked back on; by the longest record if left out (16 to 256). Longer
            records are scored, and written on, by windows that slide by half a context.
        width: of the tokens; by the amount of text if left out.
        layers: of the decoder; likewise.
        encoder_layers: as many as of the decoder if left out.
        attention_heads: as many as give each 64 channels if left out.
        mlp: the small network of a token: "relu2" (squared ReLU) or "swiglu".
        tied: classes are scored by the vectors that they are read as (Press and Wolf 2017).
        shared: sources are read by the vectors of the classes that are written: where both have one vocabulary.
        dropout: share of hidden units, and of the vectors of classes, left out in training.
        label_smoothing: share of the probability that a target gives to all classes alike, in training (Szegedy et al.
            2016). It makes translations better and likelihoods worse.
        longest: most classes of a drawn record, as of `SequenceAutoregressive`.
        batch_size: classes of a step: it takes as many records as hold them.

    How it is trained: the options of `Training`.

    Example:
        >>> from ensample.events import Discrete, Span
        >>> event = Ragged(Mixed((Span("letter", Discrete(3)),)), 4)
        >>> words = Sequences(event, np.array([[0], [1], [2], [2]] * 9), lengths=np.array([3, 1] * 9))
        >>> pairs = replace(words, given=event, sources=words)
        >>> start = SequenceToSequence(width=8, layers=1).build(pairs, seed=0)  # learning goes on from here
        >>> [round(p, 6) for p in start.log_prob(pairs.batch(slice(0, 2))).exp().tolist()]
        [0.003906, 0.0625]
    """

    context: int | None = None
    width: int | None = None
    layers: int | None = None
    encoder_layers: int | None = None
    attention_heads: int | None = None
    mlp: Literal["relu2", "swiglu"] = "relu2"
    tied: bool = False
    shared: bool = False
    dropout: float = 0.1
    label_smoothing: float = 0.0
    longest: int | None = None

    name: ClassVar[str] = "sequence-to-sequence"
    distribution: ClassVar[type[Distribution]] = TranslatedSequences
    given_sequences: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(self, context=2, width=2, layers=1, encoder_layers=1, attention_heads=1, longest=1)
        self.check_shares("dropout", "label_smoothing")
        check_heads(self.name, self.width, self.attention_heads)
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "this network turns sequences into others; `autoregressive` learns tables"

    def refuses_sequences(self, event: Ragged, given: Mixed | Ragged | None) -> str | None:
        """Accepts ordered sequences of one class a step, given such sequences."""
        if not isinstance(given, Ragged):
            return "there is no source: give a text or a sequence, or take `sequence-autoregressive`"
        for each in (event, given):
            if (why := not_of_classes(each)) is not None:
                return why
        if self.shared and classes_of(event) != classes_of(given):
            counts = f"{classes_of(given):,} and {classes_of(event):,}"
            return f"shared vectors need one vocabulary, and here there are {counts} classes"
        return None

    def build(self, records: Records, seed: int) -> TranslatedSequences:
        """A network that at first finds all classes equally likely.

        Raises:
            InputError: every record is missing.
        """
        assert isinstance(records, Sequences)
        if not bool((records.lengths >= 0).any()):
            raise InputError("Learning needs records.", "the training data", "all of them are missing", "add some")
        usual = size_for("transformer", classes_of(records.event), int(records.lengths.clip(min=0).sum()))
        size = Size(self.width or usual.width, self.layers or usual.layers)
        encoder_layers = self.encoder_layers or size.layers
        generator, context = Generator().manual_seed(seed), self._context(records.lengths)
        module = self._module(records.event, records.given, size, encoder_layers, context, generator)
        module.longest.fill_(self.longest or longest_of(torch.from_numpy(records.lengths)))
        if records.event.missing:
            module.missing.fill_((records.lengths == MISSING_LENGTH).mean())
        return module

    def prepared(self, records: Sequences) -> Windows:
        """Windows of each record, with its source."""
        return Windows.of(records, self._context(records.lengths))

    def rows_of_step(self, records: Windows) -> int:
        """Windows of a step, which hold about `batch_size` classes."""
        return max(1, round(self.batch_size / float((records.lengths - 1).mean())))

    def players(self, module: TranslatedSequences) -> tuple[Player, ...]:
        """Maximum likelihood, in nats a class."""

        def loss(batch: Batch, generator: Generator) -> Tensor:
            return loss_of(module, batch, self.label_smoothing)

        return (Player("network", loss, tuple(module.parameters())),)

    def validate(self, module: TranslatedSequences, batch: Batch, generator: Generator) -> Tensor:
        """Nats of each window a class of a mean window, [rows]."""
        return nats_of(module, batch)

    def restore(
        self, event: Any, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> TranslatedSequences:
        """Inverse of `TranslatedSequences.arrays` and `facts`."""
        size = Size(int(facts["width"]), int(facts["layers"]))
        module = self._module(event, given, size, int(facts["encoder_layers"]), int(facts["context"]), Generator())
        module.load_state_dict(arrays)
        return module.eval()

    def _context(self, lengths: np.ndarray) -> int:
        return self.context or int(2 ** np.ceil(np.log2(np.clip(lengths.max(initial=0) + 1, SHORTEST, LONGEST))))

    def _module(
        self, event: Ragged, given: Any, size: Size, encoder_layers: int, context: int, generator: Generator
    ) -> TranslatedSequences:
        heads, gated = self.attention_heads or heads_for(size.width), self.mlp == "swiglu"
        with seeded(generator):
            decoder = CrossTransformer(
                size.width, size.layers, heads=heads, context=context, gated=gated, dropout=self.dropout
            )
            encoder = Encoder(
                size.width, encoder_layers, heads=heads, context=context, gated=gated, dropout=self.dropout
            )
            net = Translator(
                classes_of(event), classes_of(given), decoder, encoder,
                tied=self.tied, shared=self.shared, dropout=self.dropout,
            )  # fmt: skip
        return TranslatedSequences(event, given, net, Sliding(context), size.layers, encoder_layers)


def loss_of(module: TranslatedSequences, batch: Batch, smoothing: float) -> Tensor:
    """Nats a class; `smoothing` of the probability of each target goes to all classes alike."""
    total, count = torch.zeros(()), 0
    for _, part in parts_of(batch, AT_ONCE):
        logits, targets = module.logits(part)
        nats = F.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="sum", label_smoothing=smoothing
        )
        total, count = total + nats, count + int((targets >= 0).sum())
    return total / max(count, 1)


def nats_of(module: TranslatedSequences, batch: Batch) -> Tensor:
    """Nats of each window a class of a mean window, [rows]."""
    total, count = torch.zeros(len(batch)), torch.zeros(len(batch))
    for rows, part in parts_of(batch, LOOKED_AT):
        log_p, targets = module.log_p(part)
        nats = -log_p.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0]
        total[rows], count[rows] = torch.where(targets >= 0, nats, 0.0).sum(1), (targets >= 0).sum(1).float()
    return total / count.mean().clamp(min=1e-6)


def parts_of(windows: Batch, classes: int) -> Iterator[tuple[Tensor, Batch]]:
    """Rows of windows of similar length together, about so many classes at once, padded to the longest of them."""
    assert windows.lengths is not None and windows.cond is not None and windows.cond.lengths is not None
    own, other = windows.lengths, windows.cond.lengths
    order = torch.argsort(own * (int(other.max()) + 1) + other)
    for rows in order.tensor_split(max(1, round(int(own.sum()) / classes))):
        part = windows.take(rows)
        assert part.cond is not None
        yield rows, replace(sized(part, int(own[rows].max())), cond=sized(part.cond, int(other[rows].max())))
