"""The law table over pictures: one row per family, on pictures small enough to enumerate."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ensample.budget import Budget, Clock
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Span
from ensample.families import TABLE
from ensample.families.abilities import Translates
from ensample.kinds.images import Images
from ensample.run import Run
from ensample.train import learn

ROWS = 4_000
SIZE = 4
SHAPE = (1, SIZE, SIZE)
KEPT = 0.92
"""Chance that a pixel is as its half says."""


def toy_event() -> Continuous:
    """A picture of 4 x 4 pixels, each dark or bright."""
    return Continuous(Lattice(0, 1, 0.5, 0.5), SHAPE)


def every() -> torch.Tensor:
    """All pictures [65536, 1, 4, 4]; the first pixel changes slowest."""
    codes = torch.arange(2 ** (SIZE * SIZE))
    return (codes[:, None] >> torch.arange(SIZE * SIZE - 1, -1, -1) & 1).reshape(-1, *SHAPE)


def toy_log_prob(cells: torch.Tensor, label: int | None = None) -> torch.Tensor:
    """The known nats of pictures [rows, 1, 4, 4].

    The left half is bright or dark, the right half bright or dark, together in three of four pictures; the label says
    whether the left one is bright. Then each pixel is as its half says with probability `KEPT`.
    """
    halves = torch.stack([cells[..., : SIZE // 2].sum((1, 2, 3)), cells[..., SIZE // 2 :].sum((1, 2, 3))], 1)
    n = SIZE * SIZE // 2
    same, other = np.log(KEPT), np.log1p(-KEPT)
    bright = halves.double() * same + (n - halves).double() * other
    dark = halves.double() * other + (n - halves).double() * same
    terms = []
    for left in (0, 1) if label is None else (label,):
        share = 0.5 if label is None else 1.0
        for right in (0, 1):
            p = share * (0.75 if left == right else 0.25)
            terms.append(np.log(p) + (bright if left else dark)[:, 0] + (bright if right else dark)[:, 1])
    return torch.stack(terms).logsumexp(0)


def toy_pictures(rows: int = ROWS, seed: int = 0, given: bool = False) -> Images:
    """Pictures drawn from that law, with the label given or left out."""
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 2, rows)
    right = np.where(rng.random(rows) < 0.75, left, 1 - left)
    clean = np.repeat(np.stack([left, right], 1), SIZE // 2, axis=1)[:, None, None, :].repeat(SIZE, axis=2)
    table = np.where(rng.random(clean.shape) < KEPT, clean, 1 - clean).astype(np.uint8)
    if not given:
        return Images(toy_event(), table)
    return Images(toy_event(), table, Mixed((Span("left", Discrete(2)),)), left[:, None].astype(np.int64))


def labels(label: int, rows: int) -> Batch:
    """The given field of `toy_pictures` with one value."""
    cells = torch.full((rows, 1), label)
    return Batch(cells, torch.ones_like(cells, dtype=torch.bool))


def drawn(own: Any, n: int, seed: int, cond: Batch | None = None) -> Batch:
    """Samples; of what has none, but a map from sort to sort, translations of pictures that it has not seen."""
    if not isinstance(own, Translates):
        return own.sample(n, torch.Generator().manual_seed(seed), cond)
    source = toy_pictures(n, seed=100 + seed, given=True).batch()
    turned = Batch(1 - source.cond.cells, source.cond.mask)
    return own.translate(source, turned if cond is None else cond)


def batch_of(cells: torch.Tensor, cond: Batch | None = None) -> Batch:
    return Batch(cells, torch.ones_like(cells, dtype=torch.bool), cond)


@dataclass(frozen=True)
class Case:
    """One row of the table.

    `close`: most nats that the learned law may lie from the true one (KL of truth from model), given the label or not;
    None for families without a likelihood. `like`: most total variation between the joint counts of bright pixels of
    the two halves in samples and in the truth. `total`: most that all probabilities together may exceed one, and, of an
    exact likelihood, fall short of it; None where scoring 65,536 pictures takes too long. `knobs`: another value of
    each constructor argument that is the family's own, with the options under which it must matter; `knob_budget` is
    how long these fits take. `knobs_of_given` matter only with the label. `told`: there is always the label, since the
    family cannot do without.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    budget: str = "200 steps"
    close: float | None = 0.1
    like: float = 0.1
    total: float | None = 1e-3
    knobs: dict[str, Any] = field(default_factory=dict)
    knob_options: dict[str, Any] = field(default_factory=dict)
    knob_budget: str = "3 steps"
    knobs_of_given: frozenset[str] = frozenset()
    told: bool = False

    @property
    def id(self) -> str:
        return "-".join([self.name, *(f"{k}={getattr(v, 'name', v)}" for k, v in self.options.items())])

    def family(self, **changed: Any) -> Any:
        return TABLE[self.name](**{**self.options, **changed})

    def fit(self, records: Images, seed: int = 0, budget: str | None = None, **changed: Any) -> Any:
        return learn(self.family(**changed), records, seed, Run(Clock(Budget.parse(budget or self.budget))))


def gather() -> list[Case]:
    """The rows of all modules of `tests.laws.rows_images`."""
    from tests.laws import rows_images as rows

    names = sorted(module.name for module in pkgutil.iter_modules(rows.__path__))
    return [case for name in names for case in importlib.import_module(f"{rows.__name__}.{name}").CASES]


@functools.cache
def fitted(case_id: str, given: bool = False) -> Any:
    """Each case fitted once, without and with the label; shared by the laws."""
    return next(case for case in gather() if case.id == case_id).fit(toy_pictures(given=given))
