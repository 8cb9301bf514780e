"""Variational autoencoders of sequences of classes: options, how they are built and taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, Batch, Discrete, Mixed, Ragged
from ensample.families.base import Distribution, Player, at_least
from ensample.families.layout import given_flat, given_width
from ensample.families.sequences.drawing import longest_of
from ensample.families.sequences.heads import check_heads
from ensample.families.sequences.training import SequenceTraining, not_of_classes
from ensample.families.sequences.vae.model import Reader, VaeSequences, divergence
from ensample.families.vae.latents import inform
from ensample.kinds.records import Records
from ensample.kinds.sequences import Sequences
from ensample.nets.mlp import Affine
from ensample.nets.random import seeded
from ensample.nets.sequences.encoder import Encoder
from ensample.nets.sequences.sizes import Size, heads_for, size_for
from ensample.nets.sequences.tokens import TokenNet
from ensample.nets.sequences.transformer import TextTransformer

LONGEST = 1_024
"""Longest records that are learned: each is read as a whole."""

DROPPED = 1
"""The class of an input that is left out: so many above the mark."""


@dataclass(frozen=True)
class SequenceVae(SequenceTraining):
    """p(x) = integral of p(z) p(x | z) dz over short texts, p(x | z) written class by class (Bowman et al. 2016).

    A transformer reads a record and tells a Gaussian of z; another writes it, with z at every step. Use it for the
    space of z: `encode`, `decode`, `interpolate`, `direction`. A decoder that tells each class from those before needs
    z for little, and may come to ignore it (collapse): then all places write the same. Two things are against it:
    `free` nats of z cost nothing (Kingma et al. 2016), and a share `dropped` of the decoder's inputs is hidden in
    learning. `model.distribution.divergence(...)` tells how many nats z says of a record. For likelihood
    `sequence-autoregressive` is better, and is no bound.

    Arguments:
        dims: numbers of z.
        width: of the tokens of both networks; by the amount of text if left out.
        layers: of each; likewise.
        attention_heads: as many as give each 64 channels if left out.
        dropout: share of hidden units left out in training.
        free: nats of z that are not paid for, in learning, of each record.
        dropped: share of the decoder's inputs that are hidden, in learning.
        points: draws of z behind a bound.
        longest: most classes of a drawn record; by the longest of the records if left out.
        batch_size: classes of a step: it takes as many records as hold them.

    How it is trained: the options of `Training`.

    Example:
        >>> import numpy as np
        >>> from ensample.events import Span
        >>> event = Ragged(Mixed((Span("letter", Discrete(3)),)), 4)
        >>> words = Sequences(event, np.array([[0], [1], [2], [2]] * 9), lengths=np.array([3, 1] * 9))
        >>> start = SequenceVae(width=8, layers=1, dims=2).build(words, seed=0)  # learning goes on from here
        >>> start.encode(words.batch(slice(0, 5))).shape
        torch.Size([5, 2])
    """

    dims: int = 16
    width: int | None = None
    layers: int | None = None
    attention_heads: int | None = None
    dropout: float = 0.1
    free: float = 4.0
    dropped: float = 0.2
    points: int = 4
    longest: int | None = None

    name: ClassVar[str] = "sequence-vae"
    distribution: ClassVar[type[Distribution]] = VaeSequences

    def __post_init__(self) -> None:
        at_least(self, dims=1, width=2, layers=1, attention_heads=1, free=0.0, points=1, longest=1)
        self.check_shares("dropout", "dropped")
        check_heads(self.name, self.width, self.attention_heads)
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "this autoencoder reads and writes texts and sequences; `vae` learns tables"

    def refuses_sequences(self, event: Ragged, given: Mixed | None) -> str | None:
        """Accepts ordered sequences of one class a step, not too long, with or without given fields."""
        if (why := not_of_classes(event)) is not None:
            return why
        if event.max_length > LONGEST:
            return f"each record has one place, up to {LONGEST:,} steps: read texts by lines or paragraphs"
        return None

    def build(self, records: Records, seed: int) -> VaeSequences:
        """A decoder that at first finds all classes equally likely, and an encoder that tells records apart.

        Raises:
            InputError: every record is missing.
        """
        assert isinstance(records, Sequences)
        there = records.lengths[records.lengths >= 0]
        if not len(there):
            raise InputError("Learning needs records.", "the training data", "all of them are missing", "add some")
        usual = size_for("transformer", _classes(records.event), int(there.sum()))
        size, generator = Size(self.width or usual.width, self.layers or usual.layers), Generator().manual_seed(seed)
        context = int(2 ** (2 * int(there.max()) + 2).bit_length())
        module = self._module(records.event, records.given, size, context, generator)
        inform(module.shape, self.dims)
        most = min(context - 1, longest_of(torch.from_numpy(records.lengths)))
        module.longest.fill_(self.longest or most)
        module.points.fill_(self.points)
        module.context.fill_(context)
        module.missing.fill_((records.lengths == MISSING_LENGTH).mean())
        return module

    def rows_of_step(self, records: Sequences) -> int:
        """Records of a step, which hold about `batch_size` classes."""
        return max(1, round(self.batch_size / float((records.lengths.clip(min=0) + 1).mean())))

    def players(self, module: VaeSequences) -> tuple[Player, ...]:
        """Both networks lower the bound, in nats a class."""

        def loss(batch: Batch, generator: Generator) -> Tensor:
            nats, kl, count = self._parts(module, batch, self.dropped, generator)
            paid = kl.sum(0).clamp(min=self.free / self.dims * len(batch))
            return (nats.sum() + paid.sum()) / count

        return (Player("autoencoder", loss, tuple(module.parameters())),)

    def validate(self, module: VaeSequences, batch: Batch, generator: Generator) -> Tensor:
        """The bound, nats of each record a class of a mean record, [rows]."""
        nats, kl, count = self._parts(module, batch, 0.0, generator)
        return (nats + kl.sum(1)) * (len(batch) / count)

    def restore(
        self, event: Any, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> VaeSequences:
        """Inverse of `VaeSequences.arrays` and `facts`."""
        size = Size(int(facts["width"]), int(facts["layers"]))
        module = self._module(event, given, size, int(facts["context"]), Generator())
        module.load_state_dict(arrays)
        return module.eval()

    def _parts(
        self, module: VaeSequences, batch: Batch, dropped: float, generator: Generator
    ) -> tuple[Tensor, Tensor, int]:
        """Nats of each record [rows], its divergences [rows, dims], and how many classes all records have."""
        assert batch.lengths is not None
        batch = batch.take((batch.lengths >= 0).nonzero()[:, 0])
        tokens, lengths = module.tokens(batch)
        cond = given_flat(module.given, batch)
        mean, log_scale = module.posterior(tokens, lengths, cond)
        z = mean + log_scale.exp() * torch.randn(mean.shape, generator=generator)
        hidden = torch.rand(tokens.shape, generator=generator) < dropped
        inputs = torch.where(hidden, module.net.mark + DROPPED, tokens)
        nats = module.nats(inputs, tokens, lengths, z, cond)
        return nats.sum(1), divergence(mean, log_scale), int(lengths.sum())

    def _module(
        self, event: Ragged, given: Mixed | None, size: Size, context: int, generator: Generator
    ) -> VaeSequences:
        heads, classes, told = self.attention_heads or heads_for(size.width), _classes(event), given_width(given)
        options: dict[str, Any] = {"heads": heads, "context": context, "dropout": self.dropout}
        with seeded(generator):
            reader = Reader(classes, Encoder(size.width, size.layers, **options), size.width, told)
            shape = Affine(size.width, 2 * self.dims)
            trunk = TextTransformer(size.width, size.layers, **options)
            net = TokenNet(classes, trunk, told + self.dims, more=DROPPED)
        with torch.no_grad():
            shape.weight.mul_(0.1)
        return VaeSequences(event, given, reader, shape, net)


def _classes(event: Ragged) -> int:
    step = event.element.spans[0].event
    assert isinstance(step, Discrete)
    return step.classes
