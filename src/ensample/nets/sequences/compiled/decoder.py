"""A transformer that writes on by compiled code: its weights and what is kept of some rows, as arrays."""

from __future__ import annotations

from typing import Self
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from ensample.nets.sequences.cache import Cache, Layer
from ensample.nets.sequences.compiled import kernels
from ensample.nets.sequences.compiled.kernels import State, Weights
from ensample.nets.sequences.tokens import TokenNet
from ensample.nets.sequences.versions import versions


class Decoder:
    """The same as a `Cache` and the ends of its network, token by token; logits are equal but for rounding.

    Arguments:
        weights: of the network.
        state: of the rows.
        used: tokens of each row, int64 [rows].
    """

    def __init__(self, weights: Weights, state: State, used: np.ndarray) -> None:
        self.weights, self.state, self.used = weights, state, used

    @classmethod
    def of(cls, net: TokenNet, cache: Cache, following: Tensor, cond: Tensor) -> Self:
        """Go on from a memory, the logits behind it, and what is given of its rows."""
        rows, groups, half = len(cache.used), cache.layers[0].groups, cache.waves.shape[2]
        layers, context, width = len(cache.layers), cache.waves.shape[1], net.trunk.width
        given = np.zeros((rows, width), np.float32)
        if net.given is not None:
            given = _array(cond @ net.given)
        state = State(
            np.zeros((rows, layers, groups, 2 * half, context), np.float32),
            np.zeros((rows, layers, groups, context, 2 * half), np.float32),
            np.zeros((rows, layers, 2, width), np.float32),
            given,
            _array(following).copy(),
        )
        made = cls(weights_of(net, cache), state, np.zeros(rows, np.int64))
        made.put(np.arange(rows), cache)
        return made

    @property
    def logits(self) -> Tensor:
        """Behind the last token of each row, float32 [rows, classes + 1]; a copy."""
        return torch.from_numpy(self.state.logits.copy())

    def step(self, classes: np.ndarray) -> None:
        """One more class in every row, int64 [rows]."""
        kernels.steps(classes, self.used, self.weights, self.state)
        self.used = self.used + 1

    def ahead(
        self, uniform: np.ndarray, temperature: float, banned: np.ndarray, first: int, *, told: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose as many classes in every row as there are random numbers; see `kernels.ahead`.

        Returns:
            Classes int64 [rows, steps], and their log-probabilities, which have no steps if they are not to be told.
        """
        classes = np.empty(uniform.shape, np.int64)
        log_p = np.empty(uniform.shape if told else (len(uniform), 0))
        kernels.ahead(uniform, temperature, banned, first, self.used, self.weights, self.state, classes, log_p)
        self.used = self.used + uniform.shape[1]
        return classes, log_p

    def take(self, rows: np.ndarray) -> Self:
        """These rows, copied."""
        return type(self)(self.weights, State(*(part[rows] for part in self.state)), self.used[rows])

    def put(self, rows: np.ndarray, cache: Cache) -> None:
        """Begin these rows anew: they are the sequences of a memory that has just been read. Logits stay."""
        longest = cache.level
        for layer, kept in enumerate(cache.parts):
            keys, values = (part[:longest].detach().numpy() for part in (kept.keys, kept.values))
            self.state.keys[rows, layer, :, :, :longest] = keys.transpose(1, 2, 3, 0)
            self.state.values[rows, layer, :, :longest] = values.transpose(1, 2, 0, 3)
            self.state.before[rows, layer, 0] = kept.before[-1].numpy()
            self.state.before[rows, layer, 1] = kept.middle[-1].numpy()
        self.used[rows] = cache.used.numpy()


_KNOWN: WeakKeyDictionary[TokenNet, tuple[tuple[int, ...], Weights]] = WeakKeyDictionary()


def weights_of(net: TokenNet, cache: Cache) -> Weights:
    """The weights of a network, in the order in which they are read; put in order once, while they stay the same."""
    now = versions(net)
    known, weights = _KNOWN.get(net, ((), None))
    if weights is None or known != now:
        weights = _ordered(net, cache)
        _KNOWN[net] = (now, weights)
    return weights


def _ordered(net: TokenNet, cache: Cache) -> Weights:
    layers, width = cache.layers, net.trunk.width
    table = net.table.view(-1, width)
    head = table[: net.mark + 1] * width**-0.5 if net.head is None else net.head.view(-1, width)
    return Weights(
        _array(table),
        _array(head),
        _array(torch.stack([torch.stack([one.mix_attention, one.mix_mlp]) for one in layers])),
        _array(torch.stack([one.told for one in layers])),
        _array(torch.stack([one.gain[:, 0] for one in layers])),
        _array(torch.stack([one.mix.t() * one.scale for one in layers])),
        _array(torch.stack([one.up * (one.scale if one.gated else 1.0) for one in layers])),
        _array(torch.stack([_down(one) for one in layers])),
        _array(cache.waves),
    )


def _down(layer: Layer) -> Tensor:
    return layer.down.t() * (1.0 if layer.gated else layer.scale**2)  # what is squared has its scale squared, too


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float32)
