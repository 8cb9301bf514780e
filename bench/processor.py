"""A clock that counts what the processor did: other work on the machine disturbs it less than that of the wall."""

from __future__ import annotations

import time

import torch

from ensample.budget import Budget, Clock


class ProcessorClock(Clock):
    """Counts seconds of this process on all cores, divided by the threads that it may use."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self.start, self.threads = time.process_time(), torch.get_num_threads()

    @property
    def seconds(self) -> float:
        """Seconds used."""
        return (time.process_time() - self.start) / self.threads
