"""Deep energy models: an unnormalised density over numbers, from a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import Batch, Continuous, Mixed
from ensample.families.base import Distribution, Player, at_least
from ensample.families.energy.unnormalised import BASE, EnergyRows
from ensample.families.independent import part
from ensample.families.training import Training
from ensample.kinds.records import Records
from ensample.solvers.langevin import langevin

RENEWED, CALM = 0.02, 1e-3
"""Share of the replay buffer that starts anew at each step; weight of the squared energies that keeps them small."""


@dataclass(frozen=True)
class Energy(Training):
    """A deep energy model over numbers: `p(x) = exp(-E(x)) / Z` with E from a network (LeCun et al. 2006).

    Z is not known in learning. Three ways around it:

    - "denoising": the score `s = -dE/dx` at `x + noise e` is drawn to `-e / noise` (Vincent 2011): learns the density
      of the data blurred by that noise;
    - "sliced": `v' (ds/dx) v + |s|^2 / 2` for random signs v (Song et al. 2019): no blur, more variance;
    - "langevin": `E(data) - E(made)`, made by Langevin dynamics that goes on in a replay buffer (Tieleman 2008; Du and
      Mordatch 2019): maximum likelihood, if the chains keep up.

    Use it for few numbers, where the shape of a density matters and its constant does not, or to learn how energy
    models work. `log_prob` is normalised afterwards by annealed importance sampling, an estimate with an interval.
    Prefer a flow where likelihoods must be exact; classes and missing values are for `rbm`.

    Arguments:
        method: how it learns.
        noise: of "denoising", in standard deviations of a column.
        steps: Langevin steps at each step of learning.
        step: their length.
        chains: places in the replay buffer.
        width: hidden units.
        layers: hidden layers.

    How it is trained: the options of `Training`.

    Example:
        >>> import numpy as np
        >>> from ensample.events import Lattice, Span
        >>> event = Mixed((Span("x", Continuous(Lattice(0, 9, shift=4.5, scale=2.0))),))
        >>> start = Energy(width=8).build(Records(event, np.arange(10)[:, None]), seed=0)  # learning goes on from here
        >>> len(start.sample(5, Generator().manual_seed(0)))
        5
    """

    method: Literal["denoising", "sliced", "langevin"] = "denoising"
    noise: float = 0.1
    steps: int = 20
    step: float = 0.01
    chains: int = 512
    width: int = 128
    layers: int = 3
    learning_rate: float = 2e-3
    patience: int = 30

    name: ClassVar[str] = "energy"
    distribution: ClassVar[type[Distribution]] = EnergyRows

    def __post_init__(self) -> None:
        at_least(self, noise=1e-6, steps=1, step=1e-9, chains=1, width=1, layers=1)
        if self.method not in LOSSES:
            rule, fix = "An option must be one of its values.", f"choose {', '.join(LOSSES)}"
            raise InputError(rule, "energy, method", repr(self.method), fix)
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Numbers alone, each of which is always there; no given fields."""
        if not isinstance(event, Mixed):
            return "a deep energy model needs a table of numbers"
        if given is not None:
            return "it learns all fields together: leave given out, and condition with where"
        other = [span.name for span in event.spans if not isinstance(span.event, Continuous)]
        if other:
            return f"it models numbers that are always there, and {other[0]} has classes or missing values"
        return None

    def build(self, records: Records, seed: int) -> EnergyRows:
        """An energy near that of a wide normal density."""
        return self._rows(records.event, seed)

    def players(self, module: EnergyRows) -> tuple[Player, ...]:
        """One."""
        loss = LOSSES[self.method]
        learned = tuple(p for p in module.parameters() if p.requires_grad)
        return (Player("energy", lambda b, g: loss(module, module.layout.values(b, g), self, g), learned),)

    def validate(self, module: EnergyRows, batch: Batch, generator: Generator) -> Tensor:
        """Nats [rows] by a quick annealing."""
        return module.nats(batch, generator)

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> EnergyRows:
        """Inverse of `EnergyRows.arrays`."""
        module = self._rows(event, 0)
        module.load_state_dict({"buffer": module.buffer, **part(arrays, "weights")})
        return module.eval()

    def _rows(self, event: Mixed, seed: int) -> EnergyRows:
        return EnergyRows(event, self.width, self.layers, self.chains, Generator().manual_seed(seed))


def denoising(module: EnergyRows, x: Tensor, options: Energy, generator: Generator) -> Tensor:
    """`mean |noise s(x + noise e) + e|^2 / 2`, a scalar."""
    e = torch.randn(x.shape, generator=generator)
    return 0.5 * (options.noise * module.score(x + options.noise * e) + e).square().sum(1).mean()


def sliced(module: EnergyRows, x: Tensor, options: Energy, generator: Generator) -> Tensor:
    """`mean v'(ds/dx)v + |s|^2 / 2` with random signs v, a scalar (the variant of lower variance)."""
    v = torch.randint(2, x.shape, generator=generator).to(x.dtype) * 2 - 1
    x = x.detach().requires_grad_(True)
    score = module.score(x)
    (curve,) = torch.autograd.grad((score * v).sum(), x, create_graph=True)
    return ((curve * v).sum(1) + 0.5 * score.square().sum(1)).mean()


def replayed(module: EnergyRows, x: Tensor, options: Energy, generator: Generator) -> Tensor:
    """`mean E(x) - mean E(made)` with what the replay buffer holds after some Langevin steps, a scalar."""
    rows = torch.randperm(options.chains, generator=generator)[: len(x)]
    kept = module.buffer[rows]
    anew = torch.rand(len(kept), 1, generator=generator) < RENEWED
    start = torch.where(anew, BASE * torch.randn(kept.shape, generator=generator), kept)
    made = langevin(module.log_density, start, options.step, options.steps, generator)
    module.buffer[rows] = made
    data, model = module.bend(x), module.bend(made)
    gap = module.energy(x).mean() - module.energy(made).mean()
    return gap + CALM * (data.square().mean() + model.square().mean())


Loss = Callable[[EnergyRows, Tensor, Energy, Generator], Tensor]
LOSSES: dict[str, Loss] = {"denoising": denoising, "sliced": sliced, "langevin": replayed}
"""Ways to learn by name."""
