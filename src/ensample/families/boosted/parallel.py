"""Columns learned side by side: threads, time shares, progress, finished parts kept for a later process."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import torch
from threadpoolctl import threadpool_limits

from ensample.families.boosted.column import Column
from ensample.run import Progress, Run

REPORT_SECONDS = 0.5
HURRIED = 0.7
"""Columns hurry where what comes before their first digit would take more than this share of their time."""
RESERVE = 0.1
"""Share of the remaining time that is not planned with."""


def in_parallel(learn: Callable[[int, Pace], Column], costs: Sequence[float], run: Run) -> tuple[Column, ...]:
    """Learn every column, on as many threads as torch may use; the result does not depend on their number.

    A column that the run has kept is read back. When time runs short, digits stop growing where they are, and none is
    left out. An exception of `run.report` (a KeyboardInterrupt) stops the columns in work, drops them, and goes on up.
    """
    shares = _Shares(costs, run)
    stop = threading.Event()

    def work(j: int) -> Column | None:
        kept = run.kept(f"boosted-{j}")
        if kept is not None:
            shares.done(j)
            return Column.restore(kept[0])
        column = learn(j, shares.pace(j, stop))
        if stop.is_set():
            return None
        run.keep(f"boosted-{j}", column.arrays(), {})
        shares.done(j)
        return column

    # LightGBM and BLAS run on one thread in each of ours: more would wait for each other.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(torch.get_num_threads()) as pool:
        pending = [pool.submit(work, j) for j in range(len(costs))]
        try:
            _watch(pending, shares, run)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    columns = [future.result() for future in pending]
    return tuple(column for column in columns if column is not None)


def _watch(pending: Sequence[Future[Column | None]], shares: _Shares, run: Run) -> None:
    """Report until all are done or one has failed."""
    left = set(pending)
    while left:
        finished, left = wait(left, timeout=REPORT_SECONDS)
        for future in finished:
            future.result()
        part = shares.finished()
        seconds = run.clock.seconds
        run.report(Progress("boosting", part, left=seconds * (1 - part) / part if part > 0 else None))


class _Shares:
    """Who may take how long: the time that is left, split over the columns that are left by their expected cost."""

    def __init__(self, costs: Sequence[float], run: Run) -> None:
        self.costs, self.left, self.clock = costs, set(range(len(costs))), run.clock
        self.within = dict.fromkeys(range(len(costs)), 0.0)
        self.before: list[float] = []
        self.threads = torch.get_num_threads()
        self.lock = threading.Lock()

    def pace(self, j: int, stop: threading.Event) -> Pace:
        """The pace of column j, which begins now."""
        with self.lock:
            seconds = (1 - RESERVE) * (self.clock.budget.seconds - self.clock.seconds)
            part = min(1.0, self.costs[j] * min(self.threads, len(self.left)) / sum(self.costs[i] for i in self.left))
            usual = sum(self.before) / len(self.before) if self.before else 0.0
        return Pace(self, j, seconds * part, usual > HURRIED * seconds * part, stop)

    def begun(self, j: int, part: float, before: float | None) -> None:
        """Part of column j is done; `before` is the time that it took up to its first digit, in no hurry."""
        with self.lock:
            self.within[j] = part
            if before is not None:
                self.before.append(before)

    def done(self, j: int) -> None:
        """Column j is finished."""
        with self.lock:
            self.left.discard(j)
            self.within[j] = 1.0

    def finished(self) -> float:
        """Share of all the work that is done, 0 to 1."""
        return sum(cost * self.within[i] for i, cost in enumerate(self.costs)) / sum(self.costs)


class Pace:
    """How long one column may take, and whether it must hurry."""

    def __init__(self, shares: _Shares, column: int, seconds: float, hurried: bool, stop: threading.Event) -> None:
        self.shares, self.column, self.hurried, self.stop = shares, column, hurried, stop
        self.began = time.monotonic()
        self.end = self.began + seconds
        self.total: int | None = None

    def digit(self, left: int) -> Callable[[], bool]:
        """For the number of digits left, the present one included: the question whether it has had its time."""
        now = time.monotonic()
        before = now - self.began if self.total is None and not self.hurried else None
        self.total = self.total or left
        self.shares.begun(self.column, 1 - left / self.total, before)
        until = now + max(0.0, self.end - now) / left if math.isfinite(self.end) else math.inf
        return lambda: self.stop.is_set() or time.monotonic() >= until
