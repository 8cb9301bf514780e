"""The summaries engine: when it stops, how it goes on, what it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from ensample.budget import Budget, Clock
from ensample.errors import Interrupted, TrainingError
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Span
from ensample.families.base import SummaryFamily
from ensample.families.mixture.family import Mixture
from ensample.kinds.records import ABSENT, Records
from ensample.run import Progress, Run
from ensample.train.summaries import PART, Penalised, Prepares, fit_by_summaries


def records(n: int = 800) -> Records:
    event = Mixed(
        (
            Span("x", Continuous(Lattice(0, 2_000, shift=1_000.0, scale=200.0))),
            Span("y", Continuous(Lattice(0, 2_000, shift=1_000.0, scale=200.0))),
            Span("c", Discrete(3)),
        )
    )
    rng = np.random.default_rng(0)
    z = rng.integers(3, size=n)
    x = 1_000 + 150 * (z - 1)[:, None] + rng.normal(size=(n, 2)) * 120
    table = np.concatenate([x.round(), ((z + (rng.random(n) < 0.3)) % 3)[:, None]], 1).astype(np.int64)
    table[rng.random(table.shape) < 0.1] = ABSENT
    return Records(event, table)


class Point:
    """A fitted mean, for the toy below."""

    def __init__(self, mean: torch.Tensor) -> None:
        self.mean = mean

    def arrays(self) -> dict[str, torch.Tensor]:
        return {"mean": self.mean}

    def facts(self) -> dict[str, Any]:
        return {"unit": "cells"}


@dataclass(frozen=True)
class Halfway:
    """Moves half of the way to the mean in each step; the likelihood is minus half the squared distance."""

    tolerance: float = 0.0
    steps: int = 1_000
    name: ClassVar[str] = "halfway"
    distribution: ClassVar[type] = Point

    def refuses(self, event: Any, given: Any) -> None:
        return None

    def start(self, records: Records, seed: int) -> Point:
        return Point(torch.tensor([float(seed)], dtype=torch.float64))

    def summarize(self, current: Point, batch: Batch) -> dict[str, torch.Tensor]:
        x = batch.cells[:, 0].double()
        log_prob = -0.5 * (x - current.mean).square().sum()
        return {"log_prob": log_prob, "rows": torch.tensor(float(len(x))), "total": x.sum()}

    def update(self, current: Point, statistics: dict[str, torch.Tensor]) -> Point:
        return Point(0.5 * (current.mean + statistics["total"] / statistics["rows"]))

    def restore(self, event: Any, given: Any, arrays: dict[str, torch.Tensor], facts: dict[str, Any]) -> Point:
        assert facts == {"unit": "cells"}
        return Point(arrays["mean"])


def column(values: list[int]) -> Records:
    event = Mixed((Span("x", Continuous(Lattice(0, 100))),))
    return Records(event, np.array(values, dtype=np.int64)[:, None])


def test_protocols_are_recognised():
    assert isinstance(Halfway(), SummaryFamily)
    assert not isinstance(Halfway(), Prepares)
    assert isinstance(Mixture(), SummaryFamily)
    assert isinstance(Mixture(), Prepares)
    assert isinstance(Mixture(), Penalised)


def test_converges_and_stops_on_tolerance():
    seen: list[Progress] = []
    found = fit_by_summaries(Halfway(tolerance=1e-6), column([10, 20, 30]), 0, Run(report=seen.append), batch=2)
    assert float(found.mean) == pytest.approx(20.0, abs=0.01)
    assert 5 < len(seen) < 30
    losses = [progress.loss for progress in seen]
    assert losses[0] == pytest.approx((100 + 400 + 900) / 6)
    assert losses[-2] - losses[-1] < 1e-6 <= losses[-3] - losses[-2]
    assert all(progress.rate > 0 and 0 < progress.done <= 1 for progress in seen)


@pytest.mark.parametrize(
    ("family", "budget", "steps"),
    [
        (Halfway(steps=4), "1000 steps", 4),
        (Halfway(), "3 steps", 3),
        (Halfway(), "5 epochs", 5),
        (Halfway(), "0.000000001s", 0),
    ],
)
def test_limits(family, budget, steps):
    seen: list[Progress] = []
    fit_by_summaries(family, column([10]), 0, Run(Clock(Budget.parse(budget)), report=seen.append))
    assert len(seen) == steps


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs."""


def stop_at(step: int, error: type[BaseException]) -> Any:
    seen: list[Progress] = []

    def report(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == step:
            raise error

    return report


@pytest.mark.parametrize("step", [1, 2, 7])
@pytest.mark.parametrize("covariance", ["full", "tied"])
def test_killed_run_ends_with_the_same_bits(tmp_path: Path, step, covariance):
    family, data = Mixture(3, covariance, tolerance=0.0, steps=12), records()
    whole = fit_by_summaries(family, data, 0, Run())
    with pytest.raises(Killed):
        fit_by_summaries(family, data, 0, Run(folder=tmp_path, report=stop_at(step, Killed)))
    seen: list[Progress] = []
    again = fit_by_summaries(family, data, 0, Run(folder=tmp_path, report=seen.append))
    assert len(seen) == 12 - step
    for name, value in whole.arrays().items():
        assert torch.equal(value, again.arrays()[name]), name


def test_finished_run_does_nothing_more(tmp_path: Path):
    family, data = Halfway(tolerance=1e-3), column([10, 20])
    first = fit_by_summaries(family, data, 0, Run(folder=tmp_path))
    seen: list[Progress] = []
    second = fit_by_summaries(family, data, 0, Run(folder=tmp_path, report=seen.append))
    assert not seen
    assert torch.equal(first.mean, second.mean)


def test_time_used_before_a_stop_counts(tmp_path: Path):
    with pytest.raises(Killed):
        used = Clock(Budget(), spent=50.0)
        fit_by_summaries(Halfway(), column([10]), 0, Run(used, tmp_path, stop_at(2, Killed)))
    run = Run(Clock(Budget.parse("40s")), tmp_path)
    fit_by_summaries(Halfway(), column([10]), 0, run)
    assert run.clock.seconds >= 50.0
    assert Run(folder=tmp_path).kept(PART)[1]["step"] == 2


def test_control_c_keeps_the_last_whole_step(tmp_path: Path):
    with pytest.raises(Interrupted, match="Stopped at step 3"):
        fit_by_summaries(Halfway(), column([16]), 0, Run(folder=tmp_path, report=stop_at(3, KeyboardInterrupt)))
    with pytest.warns(UserWarning, match="Stopped at step 3"):
        found = fit_by_summaries(Halfway(), column([16]), 0, Run(report=stop_at(3, KeyboardInterrupt)))
    assert float(found.mean) == 14.0
    assert Run(folder=tmp_path).kept(PART)[0]["mean"].tolist() == [14.0]


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_records_in_a_file_give_the_same_model(tmp_path: Path, covariance):
    family, data = Mixture(3, covariance, steps=5), records()
    mapped = np.memmap(tmp_path / "cells", np.int64, "w+", shape=data.table.shape)
    mapped[:] = data.table
    whole = fit_by_summaries(family, data, 0, Run())
    for table, batch in ((mapped, 65_536), (mapped, 100), (data.table, 100)):
        parts = fit_by_summaries(family, Records(data.event, table), 0, Run(), batch=batch)
        for name, value in whole.arrays().items():
            assert torch.allclose(value, parts.arrays()[name], rtol=1e-8, atol=1e-10), name


def test_batches_beyond_the_memory_limit_are_prepared_anew(monkeypatch: pytest.MonkeyPatch):
    family, data = Mixture(3, steps=4), records()
    whole = fit_by_summaries(family, data, 0, Run(), batch=100)
    monkeypatch.setattr("ensample.train.summaries.KEEP_BYTES", 30_000)
    parts = fit_by_summaries(family, data, 0, Run(), batch=100)
    for name, value in whole.arrays().items():
        assert torch.equal(value, parts.arrays()[name]), name


@dataclass(frozen=True)
class Broken(Halfway):
    """Its likelihood is not a number."""

    def summarize(self, current: Point, batch: Batch) -> dict[str, torch.Tensor]:
        return {**super().summarize(current, batch), "log_prob": torch.tensor(float("nan"))}


def test_likelihood_that_is_not_finite_is_told():
    with pytest.raises(TrainingError, match="must be finite"):
        fit_by_summaries(Broken(), column([1, 2]), 0, Run())


@dataclass(frozen=True)
class Stumbling(Halfway):
    """Its third step goes the wrong way, as when a component is given up."""

    tolerance: float = 1e-9

    def update(self, current: Point, statistics: dict[str, torch.Tensor]) -> Point:
        found = super().update(current, statistics)
        return Point(found.mean - 150.0) if 120.0 < float(found.mean - current.mean) < 130.0 else found


def test_learning_goes_on_after_a_step_down():
    table = np.full((5, 3), 1_000, dtype=np.int64)
    table[:, 2] = 0
    reports: list[float] = []
    run = Run(Clock(Budget(steps=60)), report=lambda progress: reports.append(-progress.loss))
    found = fit_by_summaries(Stumbling(), Records(records().event, table), 0, run)
    assert np.diff(reports).min() < 0
    assert isinstance(found, Point) and float(found.mean) == pytest.approx(1_000.0, abs=0.1)
