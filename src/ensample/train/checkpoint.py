"""All that a gradient run must remember, as arrays and plain facts: to go back, to go on, to keep the best."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ensample.families.base import Player
from ensample.families.training import Training
from ensample.train.average import Average, assign
from ensample.train.guards import LOWER, Guard
from ensample.train.optimisers import optimiser_for
from ensample.train.tuning import Free

State = tuple[dict[str, Tensor], dict[str, Any]]


@dataclass
class Facts:
    """Plain numbers of a run. `scale` multiplies the learning rate, `waited` counts looks since the best one."""

    step: int = 0
    setbacks: int = 0
    reductions: int = 0
    waited: int = 0
    scale: float = 1.0
    best: float | None = None
    stopped: bool = False


@dataclass
class Learner:
    """Weights, their average, their optimisers, and where learning stands. `state` and `restore` are inverse."""

    module: nn.Module
    free: list[Free]
    optimisers: list[torch.optim.Optimizer]
    average: Average
    guard: Guard
    facts: Facts = field(default_factory=Facts)
    best: list[Tensor] = field(default_factory=list)

    @classmethod
    def begin(cls, module: nn.Module, players: tuple[Player, ...], options: Training, seed: int) -> Learner:
        """A learner before its first step, with an optimiser for each player's own parameters."""
        generator = torch.Generator().manual_seed(seed)
        free = [Free.of(module, player, options, generator) for player in players]
        optimisers = [optimiser_for(options, part.leaves) for part in free]
        weights = Average(list(module.parameters()), options.average)
        return cls(module, free, optimisers, weights, Guard(len(players) == 1 and players[0].steady))

    def _live(self) -> dict[str, Tensor]:
        """Every tensor that a step changes, by name."""
        names = [name for name, _ in self.module.named_parameters()]
        arrays = {f"average.{name}": value for name, value in zip(names, self.average.values, strict=True)}
        arrays |= {f"module.{name}": value.detach() for name, value in self.module.state_dict().items()}
        for i, optimiser in enumerate(self.optimisers):
            for j, weight in enumerate(_parameters(optimiser)):
                arrays |= {f"optimiser.{i}.{j}.{key}": value for key, value in optimiser.state[weight].items()}
        for i, part in enumerate(self.free):
            if part.fixed:
                arrays |= {f"leaf.{i}.{j}": leaf for j, leaf in enumerate(part.leaves)}
                arrays |= {f"fixed.{i}.{j}": weight for j, weight in enumerate(part.fixed)}
        return arrays

    def state(self) -> State:
        """A copy of everything."""
        arrays = {name: value.clone() for name, value in self._live().items()}
        arrays |= {f"best.{i}": value for i, value in enumerate(self.best)}
        return arrays, {**asdict(self.facts), "guard": [_plain(x) for x in self._watched()]}

    @torch.no_grad()
    def restore(self, state: State) -> None:
        """Stand where `state` was taken, to the bit."""
        arrays, facts = state[0], dict(state[1])
        for name, value in self._live().items():
            value.copy_(arrays[name])
        self.best = [arrays[f"best.{i}"] for i in range(sum(name.startswith("best.") for name in arrays))]
        mean, deviation, first = (float("nan") if x is None else x for x in facts.pop("guard"))
        self.guard.mean, self.guard.deviation, self.guard.first = mean, deviation, first
        self.facts = Facts(**facts)

    def _watched(self) -> tuple[float, float, float]:
        return self.guard.mean, self.guard.deviation, self.guard.first

    def set_back(self, state: State) -> None:
        """Return to a good state with a lower rate; the setbacks so far are remembered."""
        setbacks, scale = self.facts.setbacks, self.facts.scale
        self.restore(state)
        self.facts.setbacks, self.facts.scale = setbacks + 1, scale * LOWER

    def keep_best(self) -> None:
        """Remember the averaged weights, and the buffers (running means) that go with them, as the best so far."""
        self.best = [value.clone() for value in (*self.average.values, *self.module.buffers())]

    def return_to_best(self) -> None:
        """Go on from the best averaged weights."""
        weights = list(self.module.parameters())
        assign([*weights, *self.module.buffers()], self.best)
        assign(self.average.values, self.best[: len(weights)])
        for part in self.free:
            part.rebase()

    def take_best(self) -> None:
        """Put the best averaged weights in place, or the average as it stands if none was ever looked at."""
        if self.best:
            assign([*self.module.parameters(), *self.module.buffers()], self.best)
        else:
            assign(list(self.module.parameters()), self.average.values)


def _parameters(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [weight for group in optimiser.param_groups for weight in group["params"]]


def _plain(x: float) -> float | None:
    return x if x == x else None
