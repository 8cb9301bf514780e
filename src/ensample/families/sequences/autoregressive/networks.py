"""The networks over sequences by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ensample.nets.lstm import Gru, Lstm
from ensample.nets.sequences.mingru import MinGru
from ensample.nets.sequences.recurrent import Recurrent
from ensample.nets.sequences.sizes import Size, heads_for
from ensample.nets.sequences.transformer import TextTransformer
from ensample.nets.sequences.trunk import SequenceTrunk
from ensample.nets.sequences.wavenet import WaveNet

if TYPE_CHECKING:
    from ensample.families.sequences.autoregressive.family import SequenceAutoregressive


def _transformer(options: SequenceAutoregressive, size: Size, context: int) -> SequenceTrunk:
    heads = options.attention_heads or heads_for(size.width)
    return TextTransformer(
        size.width,
        size.layers,
        heads=heads,
        groups=options.key_value_heads,
        context=context,
        gated=options.mlp == "swiglu",
        dropout=options.dropout,
    )


def _mingru(options: SequenceAutoregressive, size: Size, context: int) -> SequenceTrunk:
    return MinGru(size.width, size.layers, options.dropout)


def _lstm(options: SequenceAutoregressive, size: Size, context: int) -> SequenceTrunk:
    return Recurrent(Lstm(size.width, size.layers, options.dropout), size.width)


def _gru(options: SequenceAutoregressive, size: Size, context: int) -> SequenceTrunk:
    return Recurrent(Gru(size.width, size.layers, options.dropout), size.width)


def _wavenet(options: SequenceAutoregressive, size: Size, context: int) -> SequenceTrunk:
    cycle = max(1, (context - 1).bit_length())  # the last layer reaches back half a context
    return WaveNet(size.width, size.layers, cycle=cycle, dropout=options.dropout)


@dataclass(frozen=True)
class Network:
    """How a network is made, its row in the table of sizes, and what multiplies its learning rate."""

    make: Callable[[SequenceAutoregressive, Size, int], SequenceTrunk]
    sort: str
    rate: float = 1.0


NETWORKS: dict[str, Network] = {
    "transformer": Network(_transformer, "transformer"),
    "mingru": Network(_mingru, "transformer"),
    "lstm": Network(_lstm, "recurrent", 2.0),
    "gru": Network(_gru, "recurrent", 2.0),
    "wavenet": Network(_wavenet, "wavenet", 2.0),
}
"""Networks by name."""
