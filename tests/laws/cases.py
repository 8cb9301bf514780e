"""The law table: one row per family and event. Joining it is the only test step when a family is added."""

from __future__ import annotations

import functools
import importlib
import itertools
import pkgutil
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ensample.budget import Budget, Clock
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Span
from ensample.families import TABLE
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run
from ensample.train import learn

ROWS = 3_000


def toy_event() -> Mixed:
    """A class of three, an amount that exists in one of two states, and a flag: small enough to enumerate."""
    return Mixed(
        (
            Span("kind", Discrete(3)),
            Span("amount?", Discrete(2)),
            Span("amount", Continuous(Lattice(0, 5, shift=2.5, scale=1.7)), (1, (1,))),
            Span("flag", Discrete(2)),
        )
    )


def toy_joint() -> dict[tuple[int, int, int, int], float]:
    """The known p of every record of the toy event; -1 stands for no amount."""
    amounts = np.array([[6, 5, 3, 2, 1, 1], [1, 2, 4, 4, 2, 1], [1, 1, 1, 2, 5, 8]], dtype=float)
    amounts /= amounts.sum(1, keepdims=True)
    kinds, states, flags = (0.5, 0.3, 0.2), (0.25, 0.4, 0.1), (0.15, 0.5, 0.85)
    joint = {}
    for kind, flag in itertools.product(range(3), range(2)):
        f = flags[kind] if flag else 1 - flags[kind]
        joint[kind, 0, -1, flag] = kinds[kind] * states[kind] * f
        for amount in range(6):
            tilt = (0.3 if flag == (amount % 2) else 1.7) * f
            both = sum((0.3 if g == (amount % 2) else 1.7) * (flags[kind] if g else 1 - flags[kind]) for g in range(2))
            joint[kind, 1, amount, flag] = kinds[kind] * (1 - states[kind]) * amounts[kind, amount] * tilt / both
    return joint


def toy_records(rows: int = ROWS, seed: int = 0) -> Records:
    """Rows of the toy joint."""
    joint = toy_joint()
    chosen = np.random.default_rng(seed).choice(len(joint), rows, p=list(joint.values()))
    table = np.array(list(joint), dtype=np.int64)[chosen]
    table[table == -1] = ABSENT
    return Records(toy_event(), table)


def given_records(rows: int = ROWS, seed: int = 0) -> Records:
    """The same with the flag given, not learned."""
    records = toy_records(rows, seed)
    spans = records.event.spans
    return Records(Mixed(spans[:3]), records.table[:, :3], Mixed(spans[3:]), records.table[:, 3:])


def everything(reach: int = 0) -> Batch:
    """Every record of the toy event, amounts up to `reach` beyond both ends included."""
    rows = []
    for kind, flag in itertools.product(range(3), range(2)):
        rows.append((kind, 0, ABSENT, flag))
        rows += [(kind, 1, amount, flag) for amount in range(-reach, 6 + reach)]
    return Records(toy_event(), np.array(rows, dtype=np.int64)).batch()


@dataclass(frozen=True)
class Case:
    """One row of the law table.

    `consistent`: most total variation between a draw's conditional and that of `log_prob`, for nets that learn each
    conditional for itself; 0 where draws are exact or made so.

    `total`: most that the sum of all probabilities may differ from one: numerical rules and estimates have an error.

    `reach`: how many amounts beyond both ends are summed for that; fewer where scores are slow.

    `close`: most nats that the learned toy joint may lie from the true one (KL of truth from model). `knobs`: another
    value of each constructor argument, with the options under which it must matter; `knob_budget`, if not `budget`,
    is how long a fit takes where nothing hangs on how good it is. `knobs_of_given` are those that matter only where
    fields are given.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    budget: str = "60s"
    close: float = 0.02
    consistent: float = 0.0
    total: float = 2e-4
    reach: int = 400
    knobs: dict[str, Any] = field(default_factory=dict)
    knob_options: dict[str, Any] = field(default_factory=dict)
    knob_budget: str | None = None
    knobs_of_given: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        return "-".join([self.name, *(f"{k}={getattr(v, 'name', v)}" for k, v in self.options.items())])

    def family(self, **changed: Any) -> Any:
        return TABLE[self.name](**{**self.options, **changed})

    def fit(self, records: Records, seed: int = 0, budget: str | None = None, **changed: Any) -> Any:
        return learn(self.family(**changed), records, seed, Run(Clock(Budget.parse(budget or self.budget))))


def gather() -> list[Case]:
    """The rows of all modules of `tests.laws.rows`."""
    from tests.laws import rows

    names = sorted(module.name for module in pkgutil.iter_modules(rows.__path__))
    return [case for name in names for case in importlib.import_module(f"{rows.__name__}.{name}").CASES]


@functools.cache
def fitted(case_id: str) -> Any:
    """Each case fitted once to the toy records; shared by the laws."""
    return next(case for case in gather() if case.id == case_id).fit(toy_records())


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
