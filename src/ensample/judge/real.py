"""The real side of judging, whatever the records are: training and held-out ones, and what is worked out about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.schema import Schema

T = TypeVar("T")
LEAST = 20
"""Records on each side below which nothing can be said."""


class Real:
    """Training and held-out records. What a subclass adds is how they are seen, and their `Subject`.

    Arguments:
        train: records that the models learned from (or a sample of them). None if they are not at hand: then half of
            the held-out ones stand in for them, and nothing is said about copies.
        test: records held out from learning.
        schema: the fields.
        given: fields that the models were given; made records are asked for with those of the held-out ones.
        seed: of every random choice.
    """

    def __init__(
        self, train: pa.Table | None, test: pa.Table, schema: Schema, given: tuple[str, ...], seed: int
    ) -> None:
        self.knows_train = train is not None
        if train is None:
            order = np.random.default_rng(seed).permutation(test.num_rows)
            train, test = (test.take(pa.array(np.sort(order[k::2]))) for k in (0, 1))
        self.train_table: pa.Table = train
        self.test_table, self.schema, self.given, self.seed = test, schema, given, seed
        self._known: dict[Any, Any] = {}

    def once(self, build: Callable[..., T], *arguments: int) -> T:
        """The result of `build(self, *arguments)`, computed at the first call and kept."""
        key = (build, arguments)
        if key not in self._known:
            self._known[key] = build(self, *arguments)
        return self._known[key]  # type: ignore[no-any-return]

    def held_out_rows(self, count: int) -> np.ndarray:
        """Rows of so many held-out records, at random and always the same."""
        return np.random.default_rng(self.seed).permutation(self.test_table.num_rows)[:count]

    def held_out_records(self, count: int) -> pa.Table:
        """These records, in their order."""
        return self.test_table.take(pa.array(np.sort(self.held_out_rows(count))))


def enough(sort: str, noun: str, count: int, fix: str) -> None:
    """Raises InputError if there are fewer than 20 records of a sort: "training", "held-out", "made"."""
    if count < LEAST:
        rule = f"Judging needs at least {LEAST} training {noun}, held-out {noun} and made {noun}."
        raise InputError(rule, f"{sort} {noun}", f"{count} {noun}", fix)
