"""Autoregressive networks over series of numbers and classes: options, how they are built and taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, Batch, Mixed, Ragged
from ensample.families.base import Distribution, Player, at_least
from ensample.families.layout import given_flat, given_width
from ensample.families.sequences.autoregressive.networks import NETWORKS
from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.families.sequences.drawing import longest_of
from ensample.families.sequences.heads import check_heads
from ensample.families.sequences.steps.cuts import cut
from ensample.families.sequences.steps.model import AutoregressiveSteps
from ensample.families.sequences.steps.network import StepNet
from ensample.families.training import Training
from ensample.kinds.records import Records
from ensample.kinds.sequences import Sequences
from ensample.nets.random import seeded
from ensample.nets.sequences.sizes import Size, size_for

LONGEST, SHORTEST = 128, 16
"""Most and fewest steps that are looked back on by default."""
STARTED = 2_000
"""Records that the start is fitted to, at most."""
MANY = 10**6
"""Cells of them, at most, about."""


@dataclass(frozen=True)
class SeriesAutoregressive(Training):
    """p(series | given) = product over steps, and inside a step over its values, of p(value | all before it, given).

    Each number is a mixture around what a linear autoregression (ridge regression on the last steps and on the values
    of the step before it) tells, in units of how far that is off; classes have a softmax. A network that reads all
    steps so far gives the weights, places and widths: it learns what is not linear, how spread changes (volatility),
    and what lies far back. Where records differ in length it gives the chance of ending before each step.

    Use it to forecast: a draw that begins where the known ends is exact, in any number of steps, with classes, missing
    values, given fields and irregular time between steps as a value of the step. Likelihoods are exact, in cells. Do
    not use it to fill gaps inside series: what is known behind a gap only weighs draws (`markov`, or `mixture` on
    windows, know the exact answer); nor to learn in seconds.

    | network | a step is told from | good for |
    |---|---|---|
    | gru | a state that is carried along (Cho et al. 2014) | most series |
    | lstm | likewise, with one gate more (Hochreiter and Schmidhuber 1997) | likewise |
    | transformer | all steps of the window by attention (Vaswani et al. 2017) | patterns from far back |
    | wavenet | dilated causal convolutions (van den Oord et al. 2016) | signals sampled densely |

    Arguments:
        network: one of the table above.
        context: most steps that are looked back on, the longest record's if left out (16 to 128). Longer records are
            learned, scored and drawn by windows that slide by half a context.
        width: hidden units, or channels; by the amount of steps if left out.
        layers: of the network; likewise.
        attention_heads: of a transformer; as many as give each 64 channels if left out.
        key_value_heads: of a transformer: groups of heads share keys and values (Ainslie et al. 2023), if it is said.
        mlp: the small network of a transformer: "relu2" (squared ReLU) or "swiglu".
        lags: steps that the linear autoregression looks back on.
        head: of numbers: a mixture of "logistic" or "gaussian" components over cells.
        pieces: components of a number.
        hidden: units of the layer of each span.
        dropout: share of hidden units left out in training.
        longest: most steps of a drawn record of open length, what is longer is cut; four times the longest record, at
            least 64 and at most 4,096, if left out.
        batch_size: steps of a learning step: it takes as many records as hold them.

    How it is trained: the options of `Training`.

    Example:
        >>> from ensample.events import Continuous, Lattice, Span
        >>> event = Ragged(Mixed((Span("level", Continuous(Lattice(0, 99, 50.0, 25.0))),)), 4, fixed=True)
        >>> walks = Sequences(event, np.array([[10], [30], [50], [70]] * 2), lengths=np.array([4, 4]))
        >>> start = SeriesAutoregressive(width=8, layers=1).build(walks, seed=0)  # learning goes on from here
        >>> start.sample(3, Generator().manual_seed(0)).cells.shape
        torch.Size([3, 4, 1])
    """

    network: Literal["gru", "lstm", "transformer", "wavenet"] = "gru"
    context: int | None = None
    width: int | None = None
    layers: int | None = None
    attention_heads: int | None = None
    key_value_heads: int | None = None
    mlp: Literal["relu2", "swiglu"] = "relu2"
    lags: int = 3
    head: Literal["logistic", "gaussian"] = "logistic"
    pieces: int = 6
    hidden: int = 48
    dropout: float = 0.1
    longest: int | None = None
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    batch_size: int = 1024

    name: ClassVar[str] = "series-autoregressive"
    distribution: ClassVar[type[Distribution]] = AutoregressiveSteps

    def __post_init__(self) -> None:
        at_least(
            self,
            context=2,
            width=2,
            layers=1,
            attention_heads=1,
            key_value_heads=1,
            lags=0,
            pieces=1,
            hidden=1,
            longest=1,
        )
        self.check_shares("dropout")
        if self.network == "transformer":
            check_heads(self.name, self.width, self.attention_heads, self.key_value_heads)
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "this network predicts the next step of series and other sequences; `autoregressive` learns tables"

    def refuses_sequences(self, event: Ragged, given: Mixed | None) -> str | None:
        """Accepts ordered sequences, with or without given fields."""
        return None if event.ordered else "a chain needs sequences, and these elements have no order"

    def build(self, records: Records, seed: int) -> AutoregressiveSteps:
        """A network that at first is the linear autoregression.

        Raises:
            InputError: every record is missing.
        """
        assert isinstance(records, Sequences)
        if not bool((records.lengths >= 0).any()):
            raise InputError("Learning needs records.", "the training data", "all of them are missing", "add some")
        usual = size_for(NETWORKS[self.network].sort, 0, int(records.lengths.clip(min=0).sum()))
        size = Size(self.width or usual.width, self.layers or usual.layers)
        context = self._context(records)
        module = self._module(records.event, records.given, size, context, Generator().manual_seed(seed))
        windows = cut(records, context)
        some = max(2, min(STARTED, MANY // (context * len(records.event.element))))
        rows = np.linspace(0, len(windows) - 1, min(len(windows), some)).astype(np.int64)
        batch = windows.batch(rows[windows.lengths[rows] >= 0])
        assert batch.lengths is not None
        module.net.begin(batch.cells, batch.mask, batch.lengths)
        module.longest.fill_(self.longest or longest_of(torch.from_numpy(records.lengths)))
        if records.event.missing:
            module.missing.fill_((records.lengths == MISSING_LENGTH).mean())
        return module

    def prepared(self, records: Sequences) -> Sequences:
        """Records of at most a context."""
        return cut(records, self._context(records))

    def rows_of_step(self, records: Sequences) -> int:
        """Records of a step, which hold about `batch_size` steps."""
        return max(1, round(self.batch_size / max(1.0, float(records.lengths.clip(min=0).mean()))))

    def players(self, module: AutoregressiveSteps) -> tuple[Player, ...]:
        """Maximum likelihood, in nats a step."""

        def loss(batch: Batch, generator: Generator) -> Tensor:
            nats, steps = _nats(module, batch)
            return nats.sum() / steps.sum().clamp(min=1)

        rate = NETWORKS[self.network].rate
        return (Player("network", loss, tuple(module.parameters()), rate=lambda: rate),)

    def validate(self, module: AutoregressiveSteps, batch: Batch, generator: Generator) -> Tensor:
        """Nats a step, of each record [rows]."""
        nats, steps = _nats(module, batch)
        return nats / steps.clamp(min=1)

    def restore(
        self, event: Any, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> AutoregressiveSteps:
        """Inverse of `AutoregressiveSteps.arrays` and `facts`."""
        size = Size(int(facts["width"]), int(facts["layers"]))
        module = self._module(event, given, size, int(facts["context"]), Generator())
        module.load_state_dict(arrays)
        return module.eval()

    def _context(self, records: Sequences) -> int:
        longest = int(records.lengths.max(initial=0)) + 1
        return self.context or int(2 ** torch.tensor(min(max(longest, SHORTEST), LONGEST)).log2().ceil())

    def _module(
        self, event: Ragged, given: Mixed | None, size: Size, context: int, generator: Generator
    ) -> AutoregressiveSteps:
        with seeded(generator):
            trunk = NETWORKS[self.network].make(self, size, context)  # type: ignore[arg-type]  # the same options
            net = StepNet(
                event.element,
                trunk,
                given_width(given),
                lags=self.lags,
                head=self.head,
                pieces=self.pieces,
                hidden=self.hidden,
            )
        return AutoregressiveSteps(event, given, net, Sliding(context), size.layers)


def _nats(module: AutoregressiveSteps, batch: Batch) -> tuple[Tensor, Tensor]:
    """Minus the log-probability of what is scored of each record, and how many steps that is, [rows] both."""
    assert batch.lengths is not None
    steps, ends = module.log_p(batch, given_flat(module.given, batch))
    place = torch.arange(ends.shape[1])
    scored = torch.ones(ends.shape, dtype=torch.bool) if batch.scored is None else batch.scored
    there = batch.steps() & scored[:, :-1]
    told = torch.where(there, steps, 0.0).sum(1)
    told = told + torch.where(scored & (place <= batch.lengths[:, None]), ends, 0.0).sum(1)
    return -told, there.sum(1)
