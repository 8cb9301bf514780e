"""Probabilistic circuits over mixed tables, learned by expectation maximisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ensample.errors import InputError
from ensample.events import Batch, Mixed
from ensample.families.base import Distribution, Statistics, at_least
from ensample.families.circuit.design import bare_plan, grown, leaning
from ensample.families.circuit.learning import Parameters, Prior, expected_statistics, most_likely
from ensample.families.circuit.model import CircuitDistribution
from ensample.families.circuit.plan import Coded, Plan, coded
from ensample.families.circuit.start import cluster, features, refined, starting
from ensample.kinds.records import Records

SAMPLE = 20_000
"""Rows that the structure is found on."""

WINDOWS = (0.0, 0.05, 0.2)
"""Windows of the warps that are tried when none is given."""

TRIAL_STATES, TRIAL_STEPS = 16, 8
"""Size of the circuits that choices are made by."""

ROWS_A_STATE, FEWEST_STATES = 128, 8
"""Rows for every latent state, and least states, where no number is given."""

MOST_STATES, MOST_OF_EACH = 256, 96
"""Most states then: of a latent of numbers or of all columns, and of another of a tree, whose cost is the square."""

RIDGE = 1e-7
"""Variance added to every warped number."""


@dataclass(frozen=True)
class Circuit:
    """p(x) = sum_h p(h_0) p(x_0 | h_0) prod_v p(h_v | h_parent(v)) p(x_v | h_v): a tree of latents over cells.

    A smooth, decomposable circuit (Darwiche 2003; Poon and Domingos 2011), so every marginal and conditional is one
    pass up the tree, for any pattern of missing cells; learned by EM on additive statistics. The tree is the Chow-Liu
    tree of the columns with a latent each (a hidden Chow-Liu tree: Liu and Van den Broeck 2021), or a single latent.

    What sets it apart from a circuit of tables: a latent of K states carries at most log2 K bits along an edge, while a
    depth that follows from length and width needs seven. So related numbers share one leaf, a Gaussian with full
    covariance in each state, over logarithms where products are the relations (`z = depth (x + y) / 200` is linear
    there); warps stretch spiky cells, so that the Gaussians keep every round price; and numbers lean on classes that
    move them (a price on colour and clarity) by a shift that costs no state. On diamonds this takes a hidden tree of
    tables from 46 to 39.5 bits a row.

    The probability of a cell is the Gaussian's integral over it by a rule of 11 points, shared by all queries. Values
    with limits: all exact in tables and for one number with Gaussian leaves; further ones are drawn with weights.

    Use it when many questions are asked of one model (imputation, conditions, likelihood: exact and fast), and
    for tables with missing cells. Do not expect it to beat `boosted` in the quality of plain samples where columns
    interact in sharp steps; a fixed order of columns may be learned more sharply than all orders at once.

    Arguments:
        states: most latent states of a node; None takes one for every 128 rows, 8 to 256
            (96 for a latent of a tree, but for that of several related numbers).
        tree: whether every column has a latent of its own (True) or all share one (False); None takes what is better
            on held-out rows.
        grain: numbers of fewer effective values (exponential of the entropy) are tables, the others Gaussian leaves.
        window: width of the windows in which spikes are evened out, in standard deviations; None chooses.
        smoothing: tables are as if each state had seen this many more rows with the overall shares.
        tolerance: learning stops when a step gains less than this, in nats per record.
        steps: most passes over the records.

    Raises:
        InputError: an argument is out of its range.

    Example:
        >>> Circuit(states=64)
        Circuit(states=64, tree=None, grain=24.0, window=None, smoothing=1.0, tolerance=0.001, steps=60)
    """

    states: int | None = None
    tree: bool | None = None
    grain: float = 24.0
    window: float | None = None
    smoothing: float = 1.0
    tolerance: float = 1e-3
    steps: int = 60

    name: ClassVar[str] = "circuit"
    distribution: ClassVar[type[Distribution]] = CircuitDistribution

    def __post_init__(self) -> None:
        at_least(self, states=1, grain=0.0, window=0.0, smoothing=1e-6, tolerance=0.0, steps=1)

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Accepts every mixed event."""
        return None if isinstance(event, Mixed) else "a circuit needs a table of fields"

    def start(self, records: Records, seed: int) -> CircuitDistribution:
        """Structure and starting point from a sample.

        Raises:
            InputError: there are no records.
        """
        if len(records) == 0:
            raise InputError("A circuit needs at least one record.", "the training data", "0 rows", "add rows")
        sample = records.sample(SAMPLE, seed)
        plan = self._planned(records, sample, seed)
        current = self._begin(plan, sample, self._sizes(plan, len(records)), seed)
        return CircuitDistribution(records.event, records.given, plan, current)

    def prepare(self, current: CircuitDistribution, batch: Batch) -> Coded:
        """A batch encoded once for all steps."""
        return coded(current.plan, current.layout.join(batch), RIDGE)

    def summarize(self, current: CircuitDistribution, batch: Batch) -> Statistics:
        """The E step on one batch."""
        return self.summarize_prepared(current, self.prepare(current, batch))

    def summarize_prepared(self, current: CircuitDistribution, prepared: Coded) -> Statistics:
        """The E step on one prepared batch."""
        return expected_statistics(current.plan, current.parameters, prepared)

    def update(self, current: CircuitDistribution, statistics: Statistics) -> CircuitDistribution:
        """The M step."""
        found = most_likely(current.plan, current.parameters, statistics, self._prior)
        return CircuitDistribution(current.event, current.given, current.plan, found)

    def log_prior(self, current: CircuitDistribution) -> float:
        """Log prior of the parameters: EM raises the log-likelihood plus this."""
        return self._prior.log_density(current.parameters)

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> CircuitDistribution:
        """Inverse of `CircuitDistribution.arrays` and `facts`."""
        plan = Plan.restore(event, given, arrays, facts)
        return CircuitDistribution(event, given, plan, Parameters.restore(plan, arrays))

    @property
    def _prior(self) -> Prior:
        return Prior(self.smoothing)

    def _sizes(self, plan: Plan, rows: int) -> list[int]:
        """Most states of every node."""
        if self.states is not None:
            return [self.states] * len(plan.nodes)
        wide = len(plan.nodes) == 1 or len(plan.numbers) > 1
        most = [MOST_STATES if v == 0 and wide else MOST_OF_EACH for v in range(len(plan.nodes))]
        return [min(size, max(FEWEST_STATES, rows // ROWS_A_STATE)) for size in most]

    def _begin(self, plan: Plan, sample: Records, states: list[int], seed: int) -> Parameters:
        generator = torch.Generator().manual_seed(seed)
        return starting(plan, plan.layout.join(sample.batch()), states, RIDGE, self._prior, generator)

    def _planned(self, records: Records, sample: Records, seed: int) -> Plan:
        """The best plan of those that the options leave open, by held-out rows of the sample."""
        learn, held = sample.split(0.2, seed)
        held = held if len(held) else learn
        windows = WINDOWS if self.window is None else (self.window,)
        plans = [bare_plan(records, self.grain, window, log) for log in (False, True) for window in windows]
        plan = plans[0]
        if plan.numbers and len(plans) > 1:
            plan = max(plans, key=lambda plan: self._score(plan, learn, held, seed))
        plan = leaning(plan, plan.layout.join(sample.batch()))
        if self.tree is False:
            return plan
        tree = self._grown(plan, sample, seed)
        if self.tree or len(tree.nodes) == 1:
            return tree
        return max((plan, tree), key=lambda plan: self._score(plan, learn, held, seed))

    def _grown(self, plan: Plan, sample: Records, seed: int) -> Plan:
        joint = plan.layout.join(sample.batch())
        points = features(plan, coded(plan, joint, RIDGE), plan.numbers)
        labels = cluster(points, min(TRIAL_STATES, len(sample)), torch.Generator().manual_seed(seed))
        return grown(plan, joint, labels)

    def _score(self, plan: Plan, learn: Records, held: Records, seed: int) -> float:
        """Mean log-probability of held-out rows under a small circuit of this plan."""
        joint = plan.layout.join(learn.batch())
        current = self._begin(plan, learn, [TRIAL_STATES] * len(plan.nodes), seed)
        current = refined(plan, current, joint, RIDGE, self._prior, TRIAL_STEPS)
        return float(CircuitDistribution(held.event, held.given, plan, current).log_prob(held.batch()).mean())
