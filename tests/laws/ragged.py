"""The law table of families over sequences: toy events small enough to enumerate, and hidden Markov models of them."""

from __future__ import annotations

import functools
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy import stats

from ensample.budget import Budget, Clock
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Ragged, Span
from ensample.families import TABLE, Ngram
from ensample.kinds.records import ABSENT
from ensample.kinds.sequences import Sequences
from ensample.run import Run
from ensample.train import learn

ELEMENT = Mixed(
    (
        Span("mood", Discrete(3)),
        Span("amount?", Discrete(2)),
        Span("amount", Continuous(Lattice(0, 5, shift=2.5, scale=1.7)), (1, (1,))),
    )
)
MIXED, LETTERS = Ragged(ELEMENT, 4), Ragged(Mixed((Span("letter", Discrete(3)),)), 3)
LENGTH_ODDS = (0.1, 0.3, 0.3, 0.2, 0.1)


@dataclass(frozen=True)
class Truth:
    """A hidden Markov chain of two states, its step records and their odds in each state, and its lengths."""

    event: Ragged
    steps: np.ndarray
    odds: np.ndarray
    lengths: tuple[float, ...]
    start: np.ndarray = field(default_factory=lambda: np.array([0.8, 0.2]))
    moves: np.ndarray = field(default_factory=lambda: np.array([[0.85, 0.15], [0.3, 0.7]]))

    def records(self, count: int, seed: int = 0) -> Sequences:
        rng = np.random.default_rng(seed)
        lengths = rng.choice(len(self.lengths), count, p=self.lengths)
        rows = []
        for length in lengths:
            state = rng.choice(2, p=self.start)
            for _ in range(length):
                rows.append(rng.choice(len(self.steps), p=self.odds[state]))
                state = rng.choice(2, p=self.moves[state])
        return Sequences(self.event, self.steps[np.array(rows, dtype=np.int64)], lengths=lengths)

    def log_prob(self, records: Sequences) -> np.ndarray:
        """By the forward recursion, one record at a time."""
        place = {tuple(row): i for i, row in enumerate(self.steps.tolist())}
        out = np.log(np.array(self.lengths))[records.lengths]
        for i, (first, length) in enumerate(zip(records.starts, records.lengths, strict=False)):
            alpha = self.start
            for t, row in enumerate(records.table[first : first + length].tolist()):
                alpha = (alpha if t == 0 else alpha @ self.moves) * self.odds[:, place[tuple(row)]]
            out[i] += np.log(alpha.sum()) if length else 0.0
        return out


def letters() -> Truth:
    """One class of three a step."""
    odds = np.array([[0.7, 0.25, 0.05], [0.1, 0.2, 0.7]])
    return Truth(LETTERS, np.arange(3)[:, None], odds, LENGTH_ODDS[:4] / np.sum(LENGTH_ODDS[:4]))


def mixed() -> Truth:
    """A class, and an amount that exists in one of two states of its column."""
    moods, there = np.array([[0.8, 0.15, 0.05], [0.1, 0.3, 0.6]]), (0.9, 0.4)
    edges = np.array([-np.inf, 0.5, 1.5, 2.5, 3.5, 4.5, np.inf])
    amounts = np.diff(stats.norm.cdf(edges, [[3.2], [1.1]], [[0.8], [0.6]]), axis=1)
    steps, odds = [], [[], []]
    for mood in range(3):
        for amount in (ABSENT, *range(6)):
            steps.append((mood, 0 if amount == ABSENT else 1, amount))
            for s in range(2):
                size = 1 - there[s] if amount == ABSENT else there[s] * amounts[s, amount]
                odds[s].append(moods[s, mood] * size)
    return Truth(MIXED, np.array(steps, dtype=np.int64), np.array(odds), LENGTH_ODDS)


TRUTHS = {"letters": letters(), "mixed": mixed()}


def every_step(event: Ragged, reach: int) -> np.ndarray:
    """Every step record, amounts up to `reach` beyond both ends included."""
    if event is LETTERS:
        return np.arange(3)[:, None]
    amounts = (ABSENT, *range(-reach, 6 + reach))
    return np.array([(m, 0 if a == ABSENT else 1, a) for m in range(3) for a in amounts], dtype=np.int64)


def every_sequence(event: Ragged, length: int, reach: int = 0) -> Batch:
    """Every record of this length."""
    steps = every_step(event, reach)
    chosen = np.array(list(itertools.product(range(len(steps)), repeat=length)), dtype=np.int64)
    table = steps[chosen.reshape(-1)]
    return Sequences(event, table, lengths=np.full(len(chosen), length)).batch()


@dataclass(frozen=True)
class RaggedCase:
    """One row: a family, its options, the toy it learns.

    `close`: most nats a record that the learned model may lie from the true one (mean of log truth - log model over
    fresh records). `knobs`: another value of each constructor argument, with the options under which it must matter.
    `holes`: whether steps that are unset inside a record are integrated out, or refused.
    """

    name: str
    toy: str
    options: dict[str, Any] = field(default_factory=dict)
    close: float = 0.03
    budget: str = "60s"
    knob_budget: str = "60s"
    holes: bool = True
    knobs: dict[str, Any] = field(default_factory=dict)
    knob_options: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return "-".join([self.name, self.toy, *(f"{k}={v}" for k, v in self.options.items())])

    @property
    def truth(self) -> Truth:
        return TRUTHS[self.toy]

    def family(self, **changed: Any) -> Any:
        return TABLE[self.name](**{**self.options, **changed})

    def fit(self, records: Sequences, seed: int = 0, budget: str = "", **changed: Any) -> Any:
        return learn(self.family(**changed), records, seed, Run(Clock(Budget.parse(budget or self.budget))))

    def restored(self, first: Any) -> Any:
        return self.family().restore(first.event, None, first.arrays(), first.facts())


SMALL = {"width": 16, "layers": 1, "learning_rate": 2e-2, "batch_size": 512, "dropout": 0.0}

STEPS = {"width": 16, "layers": 1, "hidden": 8, "pieces": 3, "learning_rate": 1e-2, "batch_size": 512, "dropout": 0.0}

TINY = json.dumps(
    {"model_type": "gpt2", "n_embd": 16, "n_layer": 1, "n_head": 1, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    | {"resid_pdrop": 0.0}
)
"""A small network of `transformers`."""

CASES = [
    RaggedCase("markov", "letters", {"states": 2}),
    RaggedCase(
        "markov",
        "mixed",
        {"states": 3, "components": 2},
        knobs={
            "states": 2,
            "components": 1,
            "covariance": "spherical",
            "smoothing": 30.0,
            "starts": 1,
            "ridge": 0.3,
            "tolerance": 0.3,
            "steps": 2,
        },
    ),
    RaggedCase("markov", "mixed", {"states": 3, "covariance": "diagonal", "components": 2}),
    RaggedCase(
        "ngram",
        "letters",
        {"order": 4},
        knobs={"order": 2, "highest": 1, "least": 30, "longest": 5},
        knob_options={"highest": {"order": None}},
    ),
    RaggedCase("ngram", "letters", {"least": 3}),
    RaggedCase(
        "sequence-autoregressive",
        "letters",
        SMALL,
        close=0.04,
        budget="150 steps",
        knob_budget="6 steps",
        holes=False,
        knobs={
            "network": "gru",
            "context": 4,
            "width": 8,
            "layers": 2,
            "attention_heads": 2,
            "key_value_heads": 1,
            "mlp": "swiglu",
            "tied": True,
            "dropout": 0.3,
            "label_smoothing": 0.2,
            "longest": 5,
            "infill": 0.5,
            "own_inputs": 0.3,
            "batch_size": 64,
        },
        knob_options={"key_value_heads": {"attention_heads": 2}},
    ),
    RaggedCase(
        "sequence-blend",
        "letters",
        {"of": (Ngram(order=2), Ngram(order=4))},
        holes=False,
        knobs={"of": (Ngram(order=3),), "held": 10, "longest": 5},
    ),
    RaggedCase(
        "sequence-field",
        "letters",
        SMALL | {"batch_size": 256, "holdout": 0.0},
        close=0.08,
        budget="50 steps",
        knob_budget="6 steps",
        holes=False,
        knobs={
            "context": 8,
            "width": 8,
            "layers": 2,
            "attention_heads": 2,
            "mlp": "swiglu",
            "dropout": 0.3,
            "rounds": 2,
            "orders": 2,
            "runs": 0.9,
            "longest": 5,
            "batch_size": 64,
        },
    ),
    RaggedCase(
        "sequence-vae",
        "letters",
        SMALL | {"batch_size": 256, "holdout": 0.0, "dims": 2, "dropped": 0.0, "free": 0.0},
        close=0.2,
        budget="130 steps",
        knob_budget="6 steps",
        holes=False,
        knobs={
            "dims": 3,
            "width": 8,
            "layers": 2,
            "attention_heads": 2,
            "dropout": 0.3,
            "free": 9.0,
            "dropped": 0.5,
            "points": 2,
            "longest": 5,
            "batch_size": 64,
        },
    ),
    RaggedCase(
        "pretrained",
        "letters",
        {"config": TINY, "context": 16, "learning_rate": 1e-2, "batch_size": 512},
        close=0.04,
        budget="150 steps",
        knob_budget="6 steps",
        holes=False,
        knobs={"context": 8, "longest": 5, "config": TINY.replace("16", "8"), "batch_size": 64},
    ),
    RaggedCase(
        "series-autoregressive",
        "mixed",
        STEPS,
        close=0.1,
        budget="60 steps",
        knob_budget="3 steps",
        holes=False,
        knobs={
            "network": "wavenet",
            "context": 3,
            "width": 8,
            "layers": 2,
            "attention_heads": 2,
            "key_value_heads": 1,
            "mlp": "swiglu",
            "lags": 1,
            "head": "gaussian",
            "pieces": 2,
            "hidden": 4,
            "dropout": 0.3,
            "longest": 5,
            "batch_size": 64,
        },
        knob_options={
            "attention_heads": {"network": "transformer"},
            "key_value_heads": {"network": "transformer", "attention_heads": 2},
            "mlp": {"network": "transformer"},
        },
    ),
    *(
        RaggedCase("sequence-autoregressive", "letters", SMALL | options, close=0.06, budget="150 steps", holes=False)
        for options in (
            {"network": "mingru"},
            {"network": "lstm", "learning_rate": 1e-2},
            {"network": "wavenet", "layers": 3, "learning_rate": 1e-2},
        )
    ),
]


def law_of_lengths(distribution: Any) -> Any:
    """The law of lengths of a distribution that has one."""
    return distribution.lengths if hasattr(distribution, "lengths") else distribution.parameters.lengths


REACH = (0, 400, 12)
"""How far beyond both ends amounts are enumerated in records of 0, 1, 2 steps."""


def has_law_of_lengths(distribution: Any) -> bool:
    """Whether lengths have a law of their own, whatever is in the steps."""
    return hasattr(distribution, "lengths") or hasattr(getattr(distribution, "parameters", None), "lengths")


def most_steps(distribution: Any, event: Ragged) -> int:
    """Up to which length the chance of lengths can be told."""
    return 7 if event is LETTERS or has_law_of_lengths(distribution) else len(REACH) - 1


def chance_of_length(distribution: Any, event: Ragged, most: int) -> np.ndarray:
    """P(length) of lengths 0 to `most`: from a law of lengths where there is one, else by adding up all records."""
    if has_law_of_lengths(distribution):
        return law_of_lengths(distribution).log_prob(torch.arange(most + 1)).exp().numpy()
    records = (every_sequence(event, n, _reach(event, n)) for n in range(most + 1))
    return np.array([float(distribution.log_prob(batch).exp().sum()) for batch in records])


def chance_of_more(distribution: Any, event: Ragged, steps: int) -> float:
    """P(a record of more steps), where records are written on step by step: the chance of not ending there."""
    batch = every_sequence(event, steps, _reach(event, steps))
    if hasattr(distribution, "log_ends"):
        ends = distribution.log_ends(batch)
    else:
        ends = distribution.continuation(batch).logits().double().log_softmax(1)[:, -1]
    return float((distribution.log_prob(batch) - ends).exp() @ -ends.expm1())


def _reach(event: Ragged, steps: int) -> int:
    return 0 if event is LETTERS else REACH[steps]


def gather() -> list[RaggedCase]:
    """All rows, with those whose records are given a source."""
    from tests.laws import told

    return [*CASES, *told.CASES]


@functools.cache
def fitted(case_id: str) -> Any:
    """Each case fitted once to the toy records; shared by the laws."""
    case = next(case for case in gather() if case.id == case_id)
    return case.fit(case.truth.records(3_000))


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
