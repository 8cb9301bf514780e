"""LSTM and GRU over sequences, with the state that they go on from."""

from __future__ import annotations

from typing import Self

from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ensample.nets.lstm import Gru, Lstm
from ensample.nets.sequences.trunk import Memory, SequenceTrunk, behind


class Recurrent(SequenceTrunk):
    """A recurrent network; what it has read lies in a state of fixed size.

    In learning the state runs on over the border of two records of a window: to stop there would take a step for every
    token. The mark between them tells the network that a record begins, and it learns to forget; scores and drawn
    records begin from an empty state. Build it inside `ensample.nets.random.seeded`.

    Arguments:
        body: the network.
        width: of its tokens and outputs.

    Example:
        >>> import torch
        >>> Recurrent(Lstm(4, 1), 4)(torch.zeros(2, 3, 4), None).shape
        torch.Size([2, 3, 4])
    """

    def __init__(self, body: Lstm | Gru, width: int) -> None:
        super().__init__(width)
        self.body = body

    def forward(self, x: Tensor, begins: Tensor | None) -> Tensor:
        """Borders are not looked at."""
        out: Tensor = self.body(x)
        return out

    def read(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Memory]:
        """Rows of unequal length end each in its own state."""
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        out, state = self.body.net(packed)
        states = state if isinstance(state, tuple) else (state,)
        return behind(pad_packed_sequence(out, batch_first=True)[0], lengths), State(self, states)


class State(Memory):
    """Hidden state, and memory of an LSTM: [layers, rows, width] each."""

    def __init__(self, net: Recurrent, states: tuple[Tensor, ...]) -> None:
        self.net, self.states = net, states

    def step(self, x: Tensor) -> Tensor:
        """One step of every layer."""
        state = self.states if len(self.states) > 1 else self.states[0]
        out, state = self.net.body.net(x[:, None], state)
        self.states = state if isinstance(state, tuple) else (state,)
        last: Tensor = out[:, 0]
        return last

    def take(self, rows: Tensor) -> Self:
        """Copies of the states."""
        return type(self)(self.net, tuple(state[:, rows] for state in self.states))

    def put(self, rows: Tensor, other: Self) -> None:
        """Copies into the states."""
        self.states = tuple(state.clone() for state in self.states)
        for mine, new in zip(self.states, other.states, strict=True):
            mine[:, rows] = new
