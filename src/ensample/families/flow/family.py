"""Normalising flows: numbers as an invertible map of a standard normal."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from torch import Generator, Tensor

from ensample.events import Batch, Mixed
from ensample.families.base import Distribution, Player, at_least
from ensample.families.flow.classes import Classes, classes_of
from ensample.families.flow.model import FlowDistribution
from ensample.families.flow.steps import Plan, compose
from ensample.families.layout import Layout, given_width
from ensample.families.training import Training
from ensample.kinds.records import Records
from ensample.nets.random import seeded
from ensample.nets.staircase import Conditioner

FIRST, ROWS_A_BIN = 20_000, 50
"""Rows that transforms set their initial weights from, and the fewest for a bin of a margin."""


@dataclass(frozen=True)
class Flow(Training):
    """log p(x) = log N(f(x); 0, I) + log |det df/dx|, with f a chain of invertible transforms.

    A row's classes come first, by a masked network; its numbers follow by a flow that sees the classes and the
    given fields: `p(classes) p(numbers | classes)`, exact. Numbers that do not exist in a row are left out of every
    transform. Learning spreads each number evenly over its cell (Uria, Murray and Larochelle 2013).

    | transform | source | learning | sampling |
    |---|---|---|---|
    | realnvp | affine coupling, Dinh, Sohl-Dickstein and Bengio 2017 | fast | fast |
    | glow | actnorm, linear mixing, affine coupling, Kingma and Dhariwal 2018 | fast | fast |
    | maf | affine autoregressive, Papamakarios, Pavlakou and Murray 2017 | fast | a step a number |
    | iaf | the inverse of maf, Kingma et al. 2016 | a step a number | fast |
    | spline-coupling | rational-quadratic splines, Durkan, Bekasov, Murray and Papamakarios 2019 | fast | fast |
    | spline-autoregressive | the same, autoregressive | fast | a step a number |

    Use it for exact densities of continuous numbers that depend on each other smoothly, for a latent space that keeps
    everything (`encode`, `decode`), and where anomalies are wanted. Do not use it for tables of classes and round
    numbers: autoregressive and boosted count cells, which a density can only approach.

    Arguments:
        transform: one of the table above.
        layers: transforms in the chain.
        width: hidden units of each transform's network.
        depth: hidden layers of each transform's network.
        bins: bins of a spline.
        bound: half the width of a spline's box, in standard deviations; the identity outside.
        margins: most bins of a spline of each number by itself that comes first, started at the quantiles of the data;
            0 for none. As many as a column has gaps and favourite values; one for 50 rows at most.
        waves: sines and cosines that each transform's network sees of every number: for densities with steep changes.
        norm: a normalisation before each transform: "act" (actnorm) or "batch" (batch norm).
        mixing: a learned linear map before each transform (glow always has one).
        permute: "reverse" takes the numbers as they come and backwards in turn, "random" in random orders.
        dropout: share of hidden units left out in learning.

    How it is trained: the options of `Training`.

    Example:
        >>> import numpy as np
        >>> from ensample.events import Continuous, Lattice, Span
        >>> number = Continuous(Lattice(0, 9, 4.5, 3.0))
        >>> event = Mixed((Span("x", number), Span("y", number)))
        >>> records = Records(event, np.arange(40).reshape(20, 2) % 10)
        >>> start = Flow(width=8, layers=2).build(records, seed=0)  # learning goes on from here
        >>> made = start.sample(5, Generator().manual_seed(0))
        >>> bool((start.decode(start.encode(made), Generator()).cells == made.cells).all())
        True
    """

    transform: Literal["realnvp", "glow", "maf", "iaf", "spline-coupling", "spline-autoregressive"] = (
        "spline-autoregressive"
    )
    layers: int = 2
    width: int = 128
    depth: int = 2
    bins: int = 16
    bound: float = 5.0
    margins: int = 128
    waves: int = 6
    norm: Literal["none", "act", "batch"] = "none"
    mixing: bool = False
    permute: Literal["reverse", "random"] = "reverse"
    dropout: float = 0.0
    learning_rate: float = 5e-3
    batch_size: int = 2048

    name: ClassVar[str] = "flow"
    distribution: ClassVar[type[Distribution]] = FlowDistribution

    def __post_init__(self) -> None:
        at_least(self, layers=1, width=1, depth=1, bins=1, bound=0.1, margins=0, waves=0, dropout=0.0)
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Needs a number: classes alone have no density to transform."""
        if not isinstance(event, Mixed):
            return "a flow needs a table of fields"
        if not Layout(event).numbers:
            return "a flow transforms numbers, and no field to learn is a number"
        return None

    def build(self, records: Records, seed: int) -> FlowDistribution:
        """A flow near the identity, and classes that start independent."""
        generator = Generator().manual_seed(seed)
        margins = min(self.margins, len(records) // ROWS_A_BIN)
        module = self._module(records.event, records.given, margins, generator)
        module.begin(records.sample(FIRST, seed).batch(), generator)
        return module

    def players(self, module: FlowDistribution) -> tuple[Player, ...]:
        """Maximum likelihood."""
        weights = tuple(p for p in module.parameters() if p.numel())
        return (Player("flow", lambda batch, generator: module.nats(batch, generator).mean(), weights),)

    def validate(self, module: FlowDistribution, batch: Batch, generator: Generator) -> Tensor:
        """Nats [rows], each number at a random place in its cell."""
        return module.nats(batch, generator)

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> FlowDistribution:
        """Inverse of `FlowDistribution.arrays`."""
        module = self._module(event, given, int(facts["margins"]), Generator())
        module.load_state_dict(arrays)
        return module.eval()

    def _module(self, event: Mixed, given: Mixed | None, margins: int, generator: Generator) -> FlowDistribution:
        flow, inner, classes = compose(self._plan(event, given, margins), generator), classes_of(event), None
        if len(inner):
            with seeded(generator):
                sizes = Layout(inner).sizes
                net = Conditioner.causal(sizes, sizes, given_width(given), width=self.width, depth=self.depth)
            classes = Classes(inner, net)
        return FlowDistribution(event, given, flow, classes, margins)

    def _plan(self, event: Mixed, given: Mixed | None, margins: int) -> Plan:
        layout = Layout(event)
        names = {field.name for field in fields(Plan)} - {"dims", "context", "margins"}
        options = {name: getattr(self, name) for name in names}
        return Plan(len(layout.numbers), given_width(given) + sum(layout.sizes), margins=margins, **options)
