"""What a family is, and what a fitted one can be asked.

A **family** is a frozen dataclass of plain options; it learns over an event and gives a **distribution**. How it learns
is one of three protocols, each served by an engine of `ensample.train`:

- `SummaryFamily`: sufficient statistics that add up over batches (EM, counts);
- `GradientFamily`: a torch module whose players minimise losses;
- `DirectFamily`: a learner that brings its own fit (boosted trees).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, cast, runtime_checkable

from torch import Generator, Tensor, nn

from ensample.errors import InputError
from ensample.events import Array, Batch, Mixed, Ragged
from ensample.kinds.records import Records

if TYPE_CHECKING:
    from ensample.run import Run

Guarantee = Literal["exact", "bound", "estimate"]


class Fitted(ABC):
    """What every fitted family has: its events, and state that can be stored. Abstract.

    `guarantees` maps each verb that it honours (`sample`, `log_prob`, `draw`, ...) to how far it can be trusted; what
    it can do at all is what it has methods for (`ensample.families.abilities`).
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {}
    storable: ClassVar[bool] = True
    event: Mixed
    given: Mixed | None

    @abstractmethod
    def arrays(self) -> dict[str, Tensor]:
        """All learned state as tensors; `Family.restore` is the inverse."""

    def facts(self) -> dict[str, Any]:
        """Learned state that is not an array, as JSON values."""
        return {}


class Distribution(Fitted):
    """A fitted family: p(x) or p(x | cond) over a mixed event. Abstract; leaves are final.

    `measure` says what `log_prob` counts: "cells" (log-probability of the record's cell) or "density" (log-density of
    `event.values`; the model integrates it over the cell). What can be learned and has no distribution to draw from,
    like a map between two sorts of pictures, is `Fitted` alone.
    """

    measure: ClassVar[Literal["cells", "density"]] = "cells"
    sees_evidence: bool = True
    """Whether `draw` looks at all evidence before it draws, so that weights come from limits alone."""

    @abstractmethod
    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records; with `cond` (n rows) one for each of its rows."""


class ArrayDistribution(Distribution):
    """A fitted family over an array event, a picture: cells are [rows, *event.shape]. Abstract.

    Its `log_prob` counts cells: log-probability of the whole array, float64 [rows]. `draw`, where it has one, fills
    unset cells; there are no limits to meet.
    """

    event: Array  # type: ignore[assignment]  # what asks for the spans of a table is not asked of arrays


class RaggedDistribution(Distribution):
    """A fitted family over a ragged event, sequences: see `Batch` for their cells. Abstract."""

    event: Ragged  # type: ignore[assignment]  # what asks for the spans of a table is not asked of sequences


class Family(Protocol):
    """The constructor is the configuration: a frozen dataclass of plain values."""

    name: ClassVar[str]
    distribution: ClassVar[type[Any]]
    """The `Fitted` class, nearly always a `Distribution`."""

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Why this family cannot learn this event (one sentence), or None if it can."""
        ...

    def restore(self, event: Any, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]) -> Any:
        """Inverse of `Fitted.arrays` and `facts`, over an event that it does not refuse."""
        ...


@runtime_checkable
class LearnsSequences(Protocol):
    """A family for ragged events. `refuses` speaks of tables, this of records that are sequences or sets."""

    def refuses_sequences(self, event: Ragged, given: Mixed | None) -> str | None:
        """Why this family cannot learn this event (one sentence), or None if it can."""
        ...


@runtime_checkable
class LearnsArrays(Protocol):
    """A family for array events. `refuses` speaks of tables, this of records that are pictures."""

    def refuses_arrays(self, event: Array, given: Mixed | None) -> str | None:
        """Why this family cannot learn this event (one sentence), or None if it can."""
        ...


@runtime_checkable
class GivenSequences(Protocol):
    """A family whose given fields may be a sequence, like the text to translate: its `given` may be a `Ragged`."""

    given_sequences: ClassVar[bool]


@runtime_checkable
class TurnsWindows(Protocol):
    """A family of tables to which windows of series are shown by their principal components: see `Components`."""

    turns_windows: ClassVar[bool]


@runtime_checkable
class LearnsWindows(Protocol):
    """A family of arrays that gives another distribution where records are windows of series."""

    windows: ClassVar[type[Any]]


@runtime_checkable
class ScoresParts(Protocol):
    """A family that learns records of which some steps are given where they stand: see `Batch.scored`."""

    scores_parts: ClassVar[bool]


def refusal(family: Family, event: Mixed | Ragged | Array, given: Mixed | Ragged | None) -> str | None:
    """Why a family cannot learn this event (one sentence), or None if it can."""
    if isinstance(given, Ragged) and not isinstance(family, GivenSequences):
        return f"what is given is a sequence, and {family.name} takes plain given fields"
    if isinstance(event, Ragged) and event.partly and not isinstance(family, ScoresParts):
        return f"some steps are given where they stand, and {family.name} learns whole records"
    return _refusal(family, event, cast("Mixed | None", given))


def _refusal(family: Family, event: Mixed | Ragged | Array, given: Mixed | None) -> str | None:
    if isinstance(event, Mixed):
        return family.refuses(event, given)
    if isinstance(event, Ragged):
        if isinstance(family, LearnsSequences):
            return family.refuses_sequences(event, given)
        return f"{family.name} learns tables of plain fields, and here every record is a sequence of steps"
    if isinstance(family, LearnsArrays):
        return family.refuses_arrays(event, given)
    return f"{family.name} learns tables of plain fields, and here every record is a picture"


def at_least(family: Family, **smallest: float) -> None:
    """Check options of a family against their smallest values; None is left alone. Raises InputError."""
    for name, low in smallest.items():
        value = getattr(family, name)
        if value is not None and not value >= low:
            raise InputError(
                "An option must be in its range.", f"{family.name}, {name}", str(value), f"choose {low} or more"
            )


Statistics = dict[str, Tensor]


@runtime_checkable
class SummaryFamily(Family, Protocol):
    """Learns from additive statistics: `summarize` is called on every batch, the sums go to `update`."""

    tolerance: float
    steps: int

    def start(self, records: Records, seed: int) -> Distribution:
        """The starting point, from a sample of the records."""
        ...

    def summarize(self, current: Any, batch: Batch) -> Statistics:
        """Float64 statistics of one batch; statistics of parts add up to those of the whole.

        Holds "log_prob" (sum over rows) and "rows".
        """
        ...

    def update(self, current: Any, statistics: Statistics) -> Distribution:
        """The maximiser given the summed statistics."""
        ...


@dataclass(frozen=True)
class Player:
    """One loss, the parameters that lower it, and how many steps it takes a turn. One player is ordinary training.

    `rate` multiplies the learning rate; it is asked at each turn and may depend only on what the module's `state_dict`
    holds, so that a run that goes on stays the same. `steady`: whether the loss means the same at every step; one that
    changes (a weight that rises) may jump without harm.
    """

    name: str
    loss: Callable[[Batch, Generator], Tensor]
    parameters: tuple[nn.Parameter, ...]
    steps: int = 1
    rate: Callable[[], float] = lambda: 1.0
    steady: bool = True


@runtime_checkable
class GradientFamily(Family, Protocol):
    """Learns by gradients: `build` makes a module that is also a Distribution; its players are trained in one loop."""

    learning_rate: float
    batch_size: int

    def build(self, records: Records, seed: int) -> Any:
        """A freshly initialised torch module that is a Distribution."""
        ...

    def players(self, module: Any) -> tuple[Player, ...]:
        """Who minimises what."""
        ...

    def validate(self, module: Any, batch: Batch, generator: Generator) -> Tensor:
        """Held-out loss per row, nats [rows]: what early stopping watches."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A gradient family that learns from its records in another form, for example in windows of long texts."""

    def prepared(self, records: Any) -> Records:
        """The records as batches for learning and for the held-out look are taken from them."""
        ...


@runtime_checkable
class SizesSteps(Protocol):
    """A gradient family whose `batch_size` counts something else than rows, for example the classes of texts."""

    def rows_of_step(self, records: Any) -> int:
        """Rows of a step, of records as they are learned from."""
        ...


@runtime_checkable
class DirectFamily(Family, Protocol):
    """Brings its own fit."""

    def fit(self, records: Records, seed: int, run: Run) -> Distribution:
        """Learn within `run.clock`, reporting through `run.progress`, keeping finished parts in `run`."""
        ...


@runtime_checkable
class GoesOn(Protocol):
    """A family with a fit of its own that can go on from a fitted model."""

    def go_on(self, records: Any, seed: int, run: Run, start: Any) -> Distribution:
        """As `DirectFamily.fit`, from `start`."""
        ...


@runtime_checkable
class LearnsAgain(Protocol):
    """A family that chooses something by the records, and learns at once: more of the same can be learned quickly."""

    def again(self, fitted: Any) -> Family:
        """The same family with all that was chosen for a fitted model."""
        ...
