"""Restricted Boltzmann machines over mixed tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from scipy.stats import norm
from torch import Generator, Tensor, nn

from ensample.errors import InputError
from ensample.events import Batch, Continuous, Limit, Mixed, unknown
from ensample.families.base import Distribution, Guarantee, Player, at_least
from ensample.families.bins import Bins
from ensample.families.energy.estimate import Estimate
from ensample.families.energy.machine import ENUMERATED, Machine
from ensample.families.energy.units import Units
from ensample.families.independent import part
from ensample.families.training import Training
from ensample.kinds.records import ABSENT, Records

LOOK_CHAINS, LOOK_ANNEALS = 64, 100
"""Chains and temperatures of the quick estimate that early stopping looks at."""
BLOCK = 256
"""Rows of one pass of `log_prob`: always the same, so that a row's result does not depend on its company."""


class BoltzmannRows(nn.Module, Distribution):
    """A fitted machine.

    Up to `ENUMERATED` hidden units nothing is estimated; beyond, sums are by annealed importance sampling and draws by
    block Gibbs sampling. `chains` are the persistent chains of learning.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "estimate", "log_prob": "estimate", "draw": "estimate"}

    chains: Tensor

    def __init__(
        self, event: Mixed, bins: tuple[Bins, ...], shares: Tensor, options: Boltzmann, generator: Generator
    ) -> None:
        super().__init__()
        self.event, self.given, self.bins, self.sweeps = event, None, bins, options.sweeps
        self.machine = Machine(Units(event, bins), shares, options.hidden, generator)
        allowed = self.machine.anything().expand(options.chains, -1, -1)
        self.register_buffer("chains", self.machine.gibbs(allowed, 0, generator))
        self._normaliser: Estimate | None = None

    def train(self, mode: bool = True) -> BoltzmannRows:
        """As of every module; what is known of the normaliser is forgotten."""
        self._normaliser = None
        super().train(mode)
        return self

    @torch.no_grad()
    def normaliser(self) -> Estimate:
        """Log of the partition function, the same at each call."""
        if self._normaliser is None:
            self._normaliser = self.machine.log_sum(self.machine.anything(), Generator().manual_seed(0))
        return self._normaliser

    def log_prob(self, batch: Batch) -> Tensor:
        """`-F(v) - log Z` and the log share of each cell in its bin, nats [rows] float64."""
        return self._estimate(batch).value

    def log_prob_interval(self, batch: Batch, level: float = 0.95) -> Tensor:
        """Interval [rows, 2] from the spread of the annealed chains; of no width where the sum is exact."""
        estimate = self._estimate(batch)
        reach = float(norm.ppf(0.5 + level / 2)) * estimate.error
        return torch.stack([estimate.value - reach, estimate.value + reach], 1)

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records."""
        return self.draw(unknown(n, self.event), generator)[0]

    @torch.no_grad()
    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Fill what is unset, from the conditional distribution; all weights are 0 or, where nothing fits, -inf."""
        machine = self.machine
        allowed = machine.units.allowed(batch, limits)
        possible = machine.possible(allowed)
        safe = torch.where(possible[:, None, None], allowed, 0.0)
        exact = len(machine.hidden) <= ENUMERATED
        index = machine.exact_draw(safe, generator) if exact else machine.gibbs(safe, self.sweeps, generator)
        weight = torch.where(possible, 0.0, -torch.inf).to(torch.float64)
        index[~possible] = machine.units.index(batch)[~possible]
        return machine.units.cells(index, batch, generator, limits), weight

    def nats(self, batch: Batch, generator: Generator) -> Tensor:
        """Quick estimate of minus the log-probability of each record's bins, [rows]."""
        log_z = self.machine.log_sum(self.machine.anything(), generator, LOOK_CHAINS, LOOK_ANNEALS).value
        return self.machine.free_energy(self.machine.units.index(batch)).double() + log_z

    def arrays(self) -> dict[str, Tensor]:
        """Weights and bins; the chains, which serve learning alone, stay behind."""
        state = {f"weights.{name}": value for name, value in self.state_dict().items() if name != "chains"}
        return state | {f"bins.{j}.{name}": a for j, b in enumerate(self.bins) for name, a in b.arrays().items()}

    @torch.no_grad()
    def _estimate(self, batch: Batch) -> Estimate:
        units, normaliser = self.machine.units, self.normaliser()
        value = torch.empty(len(batch), dtype=torch.float64)
        error = normaliser.error.expand(len(batch)).clone()
        complete = units.complete(batch)
        rows = complete.nonzero()[:, 0]
        index = units.index(batch)[rows]
        for start in range(0, len(rows), BLOCK):  # padded to one size: products round alike
            block = index[torch.arange(start, start + BLOCK).clamp(max=len(rows) - 1)]
            value[rows[start : start + BLOCK]] = -self.machine.free_energy(block).double()[: len(rows) - start]
        for row in (~complete).nonzero()[:, 0].tolist():  # each by itself, with the same noise
            allowed = units.allowed(batch.take(slice(row, row + 1)))
            part_sum = self.machine.log_sum(allowed, Generator().manual_seed(1))
            value[row], error[row] = part_sum.value[0], (error[row].square() + part_sum.error[0].square()).sqrt()
        return Estimate(value - normaliser.value + units.log_inside(batch), error)


@dataclass(frozen=True)
class Boltzmann(Training):
    """A restricted Boltzmann machine: `p(v) = sum_h exp(b'v + c'h + v'W h) / Z` (Smolensky 1986; Hinton 2002).

    A class or a binned number is a softmax unit, silent where the field does not exist; hidden units are binary. The
    gradient of the log-likelihood is `E_data[-dF] - E_model[-dF]` with F the free energy. Its second part is taken
    from a few Gibbs sweeps that start at the data ("cd": contrastive divergence, Hinton 2002) or go on from the last
    step's ("pcd": persistent chains, Tieleman 2008), which is slower but nearer to the likelihood.

    Use it to learn relations among many classes, to complete rows from any part of them, and as the textbook of energy
    models. Not where numbers matter to the last digit (they are binned), nor where other fields are given: learn them
    together and condition. With up to 12 hidden units all answers are exact; beyond, `log_prob` is an estimate by
    annealed importance sampling (Salakhutdinov and Murray 2008) with an interval, and draws are by Gibbs sampling.

    Arguments:
        hidden: number of hidden units.
        bins: most bins of a number.
        method: "pcd" or "cd".
        steps: Gibbs sweeps at each step of learning.
        chains: persistent chains.
        sweeps: Gibbs sweeps of a sample, where samples are not exact.

    How it is trained: the options of `Training`.

    Example:
        >>> from ensample.events import Discrete, Span
        >>> records = Records(Mixed((Span("a", Discrete(2)),)), np.array([[0], [1], [1]]))
        >>> start = Boltzmann(hidden=2).build(records, seed=0)  # learning goes on from here
        >>> len(start.sample(5, Generator().manual_seed(0)))
        5
    """

    hidden: int = 64
    bins: int = 32
    method: Literal["pcd", "cd"] = "pcd"
    steps: int = 2
    chains: int = 256
    sweeps: int = 100
    learning_rate: float = 0.05
    momentum: float = 0.0
    patience: int = 30

    name: ClassVar[str] = "rbm"
    distribution: ClassVar[type[Distribution]] = BoltzmannRows

    def __post_init__(self) -> None:
        at_least(self, hidden=1, bins=1, steps=1, chains=1, sweeps=0)
        if self.method not in LOSSES:
            rule, fix = "An option must be one of its values.", f"choose {', '.join(LOSSES)}"
            raise InputError(rule, "rbm, method", repr(self.method), fix)
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Accepts every mixed event, but no given fields: their normaliser would differ from row to row."""
        if not isinstance(event, Mixed):
            return "a restricted Boltzmann machine needs a table of fields"
        return None if given is None else "it learns all fields together: leave given out, and condition with where"

    def build(self, records: Records, seed: int) -> BoltzmannRows:
        """A machine that starts near independent columns."""
        spans, table = records.event.spans, records.table
        bins = tuple(
            Bins.fit(span.event, (column := table[:, j])[column != ABSENT], self._most(records.event, j))
            for j, span in enumerate(spans)
        )
        shares = [_log_share(table[:, j], b) for j, b in enumerate(bins)]
        return BoltzmannRows(records.event, bins, torch.cat(shares), self, Generator().manual_seed(seed))

    def players(self, module: BoltzmannRows) -> tuple[Player, ...]:
        """One: data down, what the machine makes up."""
        loss = LOSSES[self.method]
        return (Player("machine", lambda b, g: loss(module, b, self.steps, g), tuple(module.parameters())),)

    def validate(self, module: BoltzmannRows, batch: Batch, generator: Generator) -> Tensor:
        """Nats [rows] of each row's bins: exact for few hidden units, else by a quick annealing."""
        return module.nats(batch, generator)

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> BoltzmannRows:
        """Inverse of `BoltzmannRows.arrays`."""
        bins = tuple(Bins.restore(part(part(arrays, "bins"), str(j))) for j in range(len(event)))
        weights = part(arrays, "weights")
        module = BoltzmannRows(event, bins, weights["machine.shares"], self, Generator().manual_seed(0))
        module.load_state_dict({"chains": module.chains, **weights})
        return module.eval()

    def _most(self, event: Mixed, column: int) -> int:
        """Bins of a span: classes keep one each."""
        span = event.spans[column].event
        return self.bins if isinstance(span, Continuous) else span.classes


def contrastive(module: BoltzmannRows, batch: Batch, steps: int, generator: Generator) -> Tensor:
    """`mean F(data) - mean F(k sweeps from the data)`, a scalar (CD-k)."""
    data = module.machine.units.index(batch)
    return _difference(module, data, _swept(module, data, steps, generator))


def persistent(module: BoltzmannRows, batch: Batch, steps: int, generator: Generator) -> Tensor:
    """The same with chains that go on where the last step left them (PCD)."""
    made = _swept(module, module.chains, steps, generator)
    module.chains.copy_(made)
    return _difference(module, module.machine.units.index(batch), made)


LOSSES = {"pcd": persistent, "cd": contrastive}
"""How the model's side of the gradient is estimated, by name."""


@torch.no_grad()
def _swept(module: BoltzmannRows, index: Tensor, steps: int, generator: Generator) -> Tensor:
    allowed = module.machine.anything()
    for _ in range(steps):
        index = module.machine.sweep(index, generator, allowed)
    return index


def _difference(module: BoltzmannRows, data: Tensor, made: Tensor) -> Tensor:
    return module.machine.free_energy(data).mean() - module.machine.free_energy(made).mean()


def _log_share(column: np.ndarray, bins: Bins) -> Tensor:
    index = bins.index(torch.from_numpy(np.ascontiguousarray(column[column != ABSENT])))
    counts = torch.bincount(index, minlength=len(bins)).to(torch.float64) + 0.5
    return torch.log(counts / counts.sum())
