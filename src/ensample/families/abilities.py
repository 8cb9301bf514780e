"""What a fitted family may be able to do besides drawing records; a verb is offered only where it is honoured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Generator, Tensor

from ensample.events import Batch, Limit
from ensample.families.base import Distribution
from ensample.families.graph import Graph
from ensample.solvers.continuation import Continuation


@runtime_checkable
class Scores(Protocol):
    """Has a likelihood."""

    def log_prob(self, batch: Batch) -> Tensor:
        """Log-probability (or log-density, see `measure`), float64 [rows]; unset coordinates are integrated out."""
        ...


@runtime_checkable
class Draws(Protocol):
    """Can complete records of which something is known."""

    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Fill every unset coordinate that exists, within the limits, and weigh the result.

        Returns the filled batch (known coordinates unchanged; mask = exists) and log weights [rows], all at most 0.
        Accepting a row with probability exp(weight) makes the accepted rows exact draws from the conditional
        distribution; weights that are all 0 mean that the draw is exact already. A limit binds only coordinates that
        the batch leaves unset. A weight of minus infinity means that the row cannot be completed.
        """
        ...


@runtime_checkable
class DrawsInOrder(Protocol):
    """Fills holes in a fixed order, each given what comes before: `draw` is blind to what is known behind a hole."""

    def sees_all(self, batch: Batch) -> Tensor:
        """Whether `draw` sees all that is known of each record before its first hole, so that it is exact; [rows]."""
        ...


@runtime_checkable
class WeighsLimits(Protocol):
    """Knows the chance of the limits that its `draw` meets without a weight."""

    def log_within(self, batch: Batch, limits: Sequence[Limit]) -> Tensor:
        """Log-density of the known coordinates and those limits together, float64 [rows], up to a constant a row."""
        ...


@runtime_checkable
class AsRows(Protocol):
    """A distribution of arrays or windows that is one of rows: what can be asked of rows can be asked of it."""

    row: Distribution

    def rows(self, batch: Batch) -> Batch:
        """Arrays as rows of a table."""
        ...

    def arrays_of(self, batch: Batch) -> Batch:
        """Inverse of `rows`."""
        ...

    def row_limits(self, limits: Sequence[Limit]) -> list[Limit]:
        """Limits of arrays as limits of their rows."""
        ...


@runtime_checkable
class Expects(Protocol):
    """Knows conditional means and modes in closed form."""

    def expect(self, batch: Batch, limits: Sequence[Limit] = ()) -> tuple[Tensor, Tensor]:
        """Conditional mean (Continuous, as cell positions) or most probable class (Discrete) of unset coordinates.

        Returns values [rows, spans] float64 (known coordinates repeated) and the mask of what exists in that answer.
        """
        ...


@runtime_checkable
class Encodes(Protocol):
    """Has a latent space: every record has a place in it, and every place makes a record."""

    latent_width: int

    def encode(self, batch: Batch) -> Tensor:
        """Place of each record in the latent space, float32 [rows, latent_width]; the same each time."""
        ...

    def decode(self, latent: Tensor, generator: Generator, cond: Batch | None = None) -> Batch:
        """A record for each place [rows, latent_width]; standard normal places make samples."""
        ...


@runtime_checkable
class Translates(Protocol):
    """Turns a record that has some given fields into its counterpart with others."""

    def translate(self, batch: Batch, to: Batch) -> Batch:
        """Each record as one of which `to` [rows] is given; what is given for it now does not matter."""
        ...


@runtime_checkable
class Denoises(Protocol):
    """A distribution of pictures that takes noise away by itself."""

    def denoise(self, noisy: Tensor, deviation: float) -> Tensor:
        """Probable levels [rows, channels, height, width] behind noisy ones; both are real numbers."""
        ...


@runtime_checkable
class Intervals(Protocol):
    """Estimates log-probabilities, and knows how far to trust each."""

    def log_prob_interval(self, batch: Batch, level: float = 0.95) -> Tensor:
        """Lower and upper end of a confidence interval around `log_prob`, float64 [rows, 2]."""
        ...


@runtime_checkable
class Resolves(Protocol):
    """A density that knows how fine cells are against it."""

    def cell_width(self, batch: Batch) -> Tensor:
        """Width of the widest known cell of each row [rows], in standard deviations of the density there, at least."""
        ...


@runtime_checkable
class HasGraph(Protocol):
    """Learns which fields depend on which."""

    def graph(self) -> Graph:
        """The learned graph over the given and the modelled fields."""
        ...


@runtime_checkable
class Lengthens(Protocol):
    """Knows how long records of a ragged event are."""

    def lengthened(self, batch: Batch, generator: Generator, present: bool = True) -> Batch:
        """The batch with a length drawn for every record whose length is unknown; with `present` none is missing."""
        ...


@runtime_checkable
class DecodesStates(Protocol):
    """Explains every step of a sequence by a hidden state."""

    def states(self, batch: Batch) -> Tensor:
        """The most probable path of states, int64 [rows, steps]; -1 behind the end of a record."""
        ...

    def state_probabilities(self, batch: Batch) -> Tensor:
        """Posterior p(state of each step | record), float64 [rows, steps, states]; 0 behind the end of a record."""
        ...


@runtime_checkable
class Classifies(Protocol):
    """Knows the probability of each class of one span better than by comparing joint probabilities."""

    def log_classes(self, batch: Batch, column: int) -> Tensor | None:
        """Log p(class | the other coordinates) float64 [rows, classes]; None for a span that it cannot tell."""
        ...


@dataclass(frozen=True)
class Steps:
    """What a model says of the steps of records, one after the other.

    `log_p` is the log-probability of each step given those before it, float64 [rows, steps + 1]: at the place of a
    record's length that of its end, behind it 0. `clues` [rows, steps + 1, clues] tell, from the steps before alone,
    how well it may know the step.
    """

    log_p: Tensor
    clues: Tensor


@runtime_checkable
class ScoresSteps(Protocol):
    """Scores sequences of classes step by step, and says how far to trust that."""

    def steps_of(self, batch: Batch) -> Steps:
        """All steps and ends of these records, which are whole and none missing; what is `scored` is not looked at."""
        ...


@runtime_checkable
class Continues(Protocol):
    """Goes on from the beginning of a sequence of classes, one step after the other."""

    def continuation(self, prompts: Batch) -> Continuation:
        """Sequences that begin with the steps of these records, which may be of any length, also 0."""
        ...


@runtime_checkable
class FillsIn(Protocol):
    """Writes what stands between a beginning and an end, class by class, seeing both."""

    @property
    def fills_in(self) -> bool:
        """Whether this one does: some learn it only where they are asked to."""
        ...

    @property
    def longest_between(self) -> int:
        """Most classes that it writes between the two."""
        ...

    def between(self, before: Batch, after: Batch | None, room: int) -> Continuation:
        """A row for each hole, which goes on behind `before` and ends where `after` begins; None leaves the end open.

        Both are whole records of one class a step, in the same order; given fields are those of `before`. `room` is how
        many classes may come between, at most `longest_between`.
        """
        ...


@runtime_checkable
class Exports(Protocol):
    """Can be written as another program reads it."""

    def export(self, folder: Path) -> None:
        """Write the network, and what describes it, into a folder that is there."""
        ...
