"""Hidden Markov models, learned by expectation maximisation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch, Mixed, Ragged
from ensample.families.base import Distribution, Statistics, at_least
from ensample.families.markov.expectation import Block, block_of, expected_statistics
from ensample.families.markov.lengths import LengthLaw
from ensample.families.markov.model import MarkovSequences
from ensample.families.markov.packing import similar
from ensample.families.markov.parameters import Parameters, log_prior, most_likely
from ensample.families.markov.start import starting_parameters
from ensample.families.markov.stretches import cut, stretches
from ensample.families.markov.trellis import Chain
from ensample.families.mixture.components import Components, Layout
from ensample.families.mixture.covariance import structure_named
from ensample.kinds.records import Records
from ensample.kinds.sequences import Sequences

LADDER = (1, 2, 4, 8, 16, 32)
"""Numbers of states that are tried when none is given."""

SAMPLE_STEPS = 30_000
"""About so many steps are looked at for a start."""

TRIAL_STEPS = 10
"""Passes of EM after which starts are compared."""

STARTING = 0.5
"""Share of the time in which starts are tried."""


@dataclass
class Prepared:
    """A batch in packed blocks; `log_lengths` is the log-probability of the lengths of its records."""

    blocks: tuple[Block, ...]
    rows: int
    log_lengths: float

    @property
    def nbytes(self) -> int:
        """Memory that the blocks take."""
        return sum(block.nbytes for block in self.blocks)


@dataclass(frozen=True)
class Markov:
    """p(x) = p(length) sum over paths of start(s_1) prod transition(s_t, s_t+1) prod p(x_t | s_t), for sequences.

    A hidden state moves from step to step, and each step is drawn from its state's own mixture of Gaussian (numbers)
    and categorical (classes) components. Learned by EM (Baum, Petrie, Soules and Weiss 1970; Rabiner 1989) on additive
    statistics, many sequences side by side. Missing steps, and single missing fields of a step, are integrated out
    exactly. Every number stands for its whole cell, as in `Mixture`.

    The length of a sequence has a distribution of its own, a smoothed histogram, independent of the steps: a constant
    length costs nothing, and given its length a sequence is an ordinary hidden Markov chain. (The usual alternative, an
    end probability in every state, forces lengths into geometric shapes.) Records of more than 4,096 steps are learned
    from in stretches of 512, as if each were a record: steps side by side are computed much sooner.

    Use it for short records of regimes and phases (sensors, sessions, diaries, simple texts), where samples,
    likelihoods, holes and the states themselves are wanted exactly. Its memory is one state: what depends on far
    earlier steps, or on exact counts of them, it cannot learn.

    Arguments:
        states: how many at most; None tries 1, 2, 4, ... 32 on a sample and takes the best on held-out sequences of it.
        components: mixture components of each state.
        covariance: "full", "tied", "diagonal" or "spherical".
        smoothing: probabilities are as if each state had seen this many more steps, of the overall shares for classes
            and spread evenly for starts, transitions and weights.
        starts: starting points that are tried on a sample; the best after a few passes goes on.
        ridge: variance added to every number, in units of the column's (standardised) variance.
        tolerance: learning stops when a pass gains less than this, in nats per record.
        steps: most passes over the records.

    Raises:
        InputError: an argument is out of its range.

    Example:
        >>> Markov(states=4, covariance="diagonal")
        Markov(states=4, components=1, covariance='diagonal', smoothing=1.0, starts=4, ridge=1e-06, tolerance=0.001, \
steps=200)
    """

    states: int | None = None
    components: int = 1
    covariance: str = "full"
    smoothing: float = 1.0
    starts: int = 4
    ridge: float = 1e-6
    tolerance: float = 1e-3
    steps: int = 200

    name: ClassVar[str] = "markov"
    distribution: ClassVar[type[Distribution]] = MarkovSequences

    def __post_init__(self) -> None:
        structure_named(self.covariance)
        at_least(self, states=1, components=1, starts=1, steps=1, tolerance=0.0, smoothing=1e-6, ridge=1e-12)

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "markov needs sequences: a field whose values are lists (Dataset.sequences makes them of a long table)"

    def refuses_sequences(self, event: Ragged, given: Mixed | None) -> str | None:
        """Accepts ordered sequences without given fields."""
        if not event.ordered:
            return "markov needs sequences, and these elements have no order"
        return "markov learns sequences without given fields" if given is not None else None

    def start(self, records: Records, seed: int) -> MarkovSequences:
        """`start_within` without a limit of time."""
        return self.start_within(records, seed, Clock(Budget()))

    def start_within(self, records: Records, seed: int, clock: Clock) -> MarkovSequences:
        """The best of several starting points on a sample; the best number of states if that is free.

        Starts are tried for half of the time; what is left is for EM on all records.

        Raises:
            InputError: there are no steps.
        """
        assert isinstance(records, Sequences)
        if int(records.lengths.max(initial=0)) <= 0:
            raise InputError(
                "A hidden Markov model needs steps.", "the training data", "no step in any record", "add some"
            )
        sample, lengths = (
            _with_steps(records, seed),
            LengthLaw.of(torch.from_numpy(records.lengths), records.event.fixed),
        )
        found = (
            self._chosen(sample, seed, clock) if self.states is None else self._begun(sample, self.states, seed, clock)
        )
        return MarkovSequences(found.event, found.structure, replace(found.parameters, lengths=lengths))

    def prepare(self, current: MarkovSequences, batch: Batch) -> Prepared:
        """A batch packed in blocks of sequences of similar length, encoded once for all steps."""
        assert batch.lengths is not None
        layout, form = current.emissions.mixture.layout, current.structure.form
        blocks = list[Block]()
        for part in cut(batch):
            assert part.lengths is not None
            there = (part.lengths > 0).nonzero()[:, 0]
            groups = [there[group] for group in similar(part.lengths[there])]
            blocks += [block_of(form, layout, part.take(rows), self.ridge) for rows in groups]
        return Prepared(tuple(blocks), len(batch), float(current.parameters.lengths.log_prob(batch.lengths).sum()))

    def summarize(self, current: MarkovSequences, batch: Batch) -> Statistics:
        """The E step on one batch."""
        return self.summarize_prepared(current, self.prepare(current, batch))

    def summarize_prepared(self, current: MarkovSequences, prepared: Prepared) -> Statistics:
        """The E step on one prepared batch."""
        own = current.parameters
        found = expected_statistics(current.structure, own.chain, own.components, prepared.blocks)
        found["rows"] += prepared.rows
        found["log_prob"] += prepared.log_lengths
        return found

    def update(self, current: MarkovSequences, statistics: Statistics) -> MarkovSequences:
        """The M step."""
        found = most_likely(current.structure, current.parameters, statistics, self.smoothing, self.ridge)
        return MarkovSequences(current.event, current.structure, found)

    def log_prior(self, current: MarkovSequences) -> float:
        """Log prior of all probabilities: EM raises the log-likelihood plus this."""
        return log_prior(current.parameters, self.smoothing)

    def restore(
        self, event: Any, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> MarkovSequences:
        """Inverse of `MarkovSequences.arrays`."""
        columns = Layout.of(event.element, None).classes
        components = Components(
            arrays["log_weights"],
            arrays["means"],
            arrays["covariances"],
            {j: arrays[f"table.{j}"] for j in columns},
            {j: arrays[f"share.{j}"] for j in columns},
        )
        lengths = LengthLaw(arrays["lengths"], float(facts["missing"]), event.fixed)
        parameters = Parameters(Chain(arrays["start"], arrays["transitions"]), components, lengths)
        return MarkovSequences(event, structure_named(self.covariance), parameters)

    def _chosen(self, sample: Sequences, seed: int, clock: Clock) -> MarkovSequences:
        learn, held = (part for part in sample.split(0.2, seed))
        assert isinstance(learn, Sequences) and isinstance(held, Sequences)
        if len(held) == 0:
            held = learn
        best = self._begun(learn, LADDER[0], seed, clock)
        most = float(best.log_prob(held.batch()).sum())
        for states in LADDER[1:]:
            if _late(clock):
                break
            current = self._begun(learn, states, seed, clock)
            score = float(current.log_prob(held.batch()).sum())
            if score <= most:
                break
            best, most = current, score
        return best

    def _begun(self, sample: Sequences, states: int, seed: int, clock: Clock) -> MarkovSequences:
        best, most = None, -float("inf")
        batch, structure = sample.batch(), structure_named(self.covariance)
        lengths = LengthLaw.of(torch.from_numpy(sample.lengths))
        for attempt in range(self.starts if states > 1 or self.components > 1 else 1):
            if best is not None and _late(clock):
                break
            generator = torch.Generator().manual_seed(1_000 * seed + attempt)
            options = (states, self.components, self.smoothing, self.ridge, generator, attempt)
            found = starting_parameters(structure, sample.event, batch, lengths, *options)
            current = MarkovSequences(sample.event, structure, found)
            prepared = self.prepare(current, batch)
            for _ in range(TRIAL_STEPS):
                current = self.update(current, self.summarize_prepared(current, prepared))
                if _late(clock):
                    break
            score = float(self.summarize_prepared(current, prepared)["log_prob"]) + self.log_prior(current)
            if best is None or score > most:
                best, most = current, score
        assert best is not None
        return best


def _late(clock: Clock) -> bool:
    """Whether the time for starts is over."""
    return clock.seconds > STARTING * clock.budget.seconds


def _with_steps(records: Sequences, seed: int) -> Sequences:
    """Some records that have steps, or stretches of long ones, about `SAMPLE_STEPS` steps in all."""
    there = records.select((records.lengths > 0).nonzero()[0])
    there = replace(there, lengths=stretches(there.lengths))  # steps stay where they are
    count = max(2, int(len(there) * min(1.0, SAMPLE_STEPS / max(1, int(there.lengths.sum())))))
    sample = there.sample(count, seed)
    assert isinstance(sample, Sequences)
    return sample
