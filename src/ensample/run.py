"""A run: its clock, its progress line, and the folder that it goes on from after a stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ensample.budget import Budget, Clock
from ensample.storage import read_arrays, write_arrays


@dataclass(frozen=True)
class Progress:
    """One report of a run: `loss` in nats per record, `rate` in records per second, `left` in seconds or None."""

    stage: str
    done: float
    loss: float | None = None
    rate: float | None = None
    left: float | None = None


@dataclass
class Run:
    """What an engine needs besides the family and the records.

    `folder` None means that nothing is kept. `keep` stores a part (atomically), `kept` gives it back in a later
    process: a part is whole or absent. `report` receives `Progress`; it may raise KeyboardInterrupt, which ends the
    run early.
    """

    clock: Clock = field(default_factory=lambda: Clock(Budget()))
    folder: Path | None = None
    report: Callable[[Progress], None] = lambda progress: None
    learner: Callable[..., Any] | None = None
    """How parts of a composite are learned: `train.learn`, put here by itself."""

    def part(self, name: str, share: float) -> Run:
        """A run of its own for a part of a composite: this share of the seconds that are left, a folder inside."""
        budget = self.clock.budget
        seconds = max(budget.seconds - self.clock.seconds, 1e-3) * share
        clock = type(self.clock)(Budget(seconds, budget.steps, budget.epochs))  # of the same sort
        return Run(clock, None if self.folder is None else self.folder / name, self.report, self.learner)

    def learn(self, family: Any, records: Any, seed: int, start: Any = None) -> Any:
        """Learn a part: a distribution of this family."""
        if self.learner is None:
            raise RuntimeError("composites are learned by `ensample.train.learn`")
        return self.learner(family, records, seed, self, start)

    def keep(self, part: str, arrays: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Store a part under its name; a part of the same name is replaced as a whole."""
        if self.folder is not None:
            packed = {**arrays, **_text_as_array(facts)}
            write_arrays(self.folder / f"{part}.safetensors", packed)

    def kept(self, part: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """A part stored by this run or one before it, or None."""
        if self.folder is None or not (path := self.folder / f"{part}.safetensors").exists():
            return None
        arrays = read_arrays(path)
        facts = json.loads(bytes(arrays.pop("__facts__").tolist()).decode())
        return arrays, facts


def _text_as_array(facts: dict[str, Any]) -> dict[str, Tensor]:
    import torch

    return {"__facts__": torch.frombuffer(bytearray(json.dumps(facts).encode()), dtype=torch.uint8)}
