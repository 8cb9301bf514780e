"""The networks that an autoregressive family may use, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import Generator, nn

from ensample.nets.columns import ColumnNet
from ensample.nets.lstm import Lstm
from ensample.nets.made import Made
from ensample.nets.random import seeded
from ensample.nets.sequence import SequenceNet
from ensample.nets.transformer import Transformer

if TYPE_CHECKING:
    from ensample.families.autoregressive.family import Autoregressive

Build = Callable[["Autoregressive", Sequence[int], int, Generator], nn.Module]
"""A network (`Trunk`) from options, the input that holds each target (-1 for none), the number of inputs, a seed."""


def _columns(options: Autoregressive, slots: Sequence[int], inputs: int, generator: Generator) -> nn.Module:
    return ColumnNet(len(slots), options.width, options.layers, options.dropout, generator)


def _made(options: Autoregressive, slots: Sequence[int], inputs: int, generator: Generator) -> nn.Module:
    return Made(len(slots), options.width, options.layers, options.dropout, generator)


def _transformer(options: Autoregressive, slots: Sequence[int], inputs: int, generator: Generator) -> nn.Module:
    with seeded(generator):
        body = Transformer(options.width, options.layers, heads=options.attention_heads, dropout=options.dropout)
    return SequenceNet(body, len(slots), slots, inputs, options.width, generator)


def _lstm(options: Autoregressive, slots: Sequence[int], inputs: int, generator: Generator) -> nn.Module:
    with seeded(generator):
        body = Lstm(options.width, options.layers, options.dropout)
    return SequenceNet(body, len(slots), slots, inputs, options.width, generator)


NETWORKS: dict[str, Build] = {"columns": _columns, "made": _made, "transformer": _transformer, "lstm": _lstm}
"""Networks by name."""

SCALES: dict[str, Callable[[int], float]] = {
    name: (lambda inputs: math.sqrt(1.0 / inputs)) if name in ("columns", "made") else (lambda inputs: 1.0)
    for name in NETWORKS
}
"""Size of the initial embedded values, given their number: networks that add them up want smaller ones."""
