"""Generative adversarial networks: a generator learns to make what a critic cannot tell from real rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from ensample.errors import InputError
from ensample.events import Batch, Mixed
from ensample.families.base import Distribution, Guarantee, Player, at_least
from ensample.families.gan.modes import Modes, fit_modes
from ensample.families.gan.networks import CriticNet, GeneratorNet
from ensample.families.gan.objectives import OBJECTIVES, PENALTIES
from ensample.families.gan.score import sample_score
from ensample.families.gan.view import RELAXATIONS, View
from ensample.families.independent import part
from ensample.families.layout import Layout, given_flat, given_width
from ensample.families.training import Training
from ensample.kinds.records import Records
from ensample.nets.random import seeded

LOOKED_AT = 20_000
"""Rows that the modes of numbers and the shares of classes are taken from."""
MEMORY = 0.99
"""Share of the old that the running share of right verdicts keeps at each step."""
MADE_FOR_ALL, MADE_FOR_EACH = 1024, 8
"""Rows made to judge held-out rows: for all of them together, or for each where fields are given."""


class AdversarialRows(nn.Module, Distribution):
    """A generator, and the critic that taught it. It can make rows; how probable a row is it does not know."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact"}

    right: Tensor

    def __init__(
        self, event: Mixed, given: Mixed | None, modes: Modes, bias: Tensor, options: Gan, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.event, self.given, self.options = event, given, options
        self.view = View(event, modes)
        self.relax = RELAXATIONS[options.relaxation]
        self.objective = OBJECTIVES[options.loss]
        penalty = self.objective.penalty if options.penalty == "usual" else options.penalty
        self.penalty = PENALTIES.get(penalty)
        self.register_buffer("right", torch.tensor(0.5))
        with seeded(generator):
            self.generator = GeneratorNet(
                options.latent, given_width(given), self.view.outputs, options.width, options.layers, bias
            )
            self.critic = CriticNet(
                self.view.width,
                given_width(given),
                options.pack,
                options.width,
                options.layers,
                dropout=options.dropout,
                level=self.objective.level,
                spectral=options.spectral,
            )

    def outputs(self, given: Tensor, generator: torch.Generator) -> Tensor:
        """The generator's outputs [rows, outputs] for what is given [rows, given columns], from new noise."""
        noise = torch.randn(len(given), self.generator.latent, generator=generator)
        out: Tensor = self.generator(noise, given)
        return out

    def critic_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """What the critic minimises: its objective and the penalty on its slope."""
        given = given_flat(self.given, batch)
        with torch.no_grad():
            made = self._made(given, generator)
        real, made, given = (self.critic.packed(t) for t in (self.view.of(batch, generator), made, given))
        both = self.critic(torch.cat([real, made]), torch.cat([given, given]))
        on_real, on_made = both.chunk(2)
        with torch.no_grad():
            self.right.lerp_((on_real > on_made).to(torch.float32).mean(), 1 - MEMORY)
        loss = self.objective.critic(on_real, on_made)
        if self.penalty is not None:

            def score(rows: Tensor) -> Tensor:
                out: Tensor = self.critic(rows, given if len(rows) == len(given) else torch.cat([given, given]))
                return out

            loss = loss + self.options.penalty_weight * self.penalty(score, real, made, generator)
        return loss

    def generator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """What the generator minimises."""
        given = given_flat(self.given, batch)
        made = self.critic.packed(self._made(given, generator))
        packed = self.critic.packed(given)
        with torch.no_grad():
            on_real = self.critic(self.critic.packed(self.view.of(batch, generator)), packed)
        return self.objective.generator(on_real, self.critic(made, packed))

    def caution(self) -> float:
        """Factor of the critic's learning rate: below 1 once more of its verdicts are right than `balance` allows."""
        spare = 1.0 - self.options.balance
        return 1.0 if spare <= 0 else min(1.0, max(0.0, 1.0 - float(self.right)) / spare)

    @torch.no_grad()
    def score(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """A proper score of each row against made rows, [rows] float64; see `sample_score`."""
        each = self.given is not None
        given = given_flat(self.given, batch)
        given = given.repeat_interleave(MADE_FOR_EACH, 0) if each else torch.zeros(MADE_FOR_ALL, 0)
        made = self.sample_from(given, generator)
        real = self._standard(batch)
        made_rows = self._standard(made).reshape(len(batch) if each else 1, -1, real.shape[1])
        return sample_score(real, made_rows).to(torch.float64)

    def sample(self, n: int, generator: torch.Generator, cond: Batch | None = None) -> Batch:
        """N records made from new noise; with `cond` one for each of its rows."""
        given = torch.zeros(n, 0) if cond is None or self.given is None else Layout(self.given).flat(cond)
        return self.sample_from(given, generator, cond)

    @torch.no_grad()
    def sample_from(self, given: Tensor, generator: torch.Generator, cond: Batch | None = None) -> Batch:
        """A record for each row of what is given [rows, given columns]."""
        return self.view.batch(self.outputs(given, generator), generator, cond)

    def arrays(self) -> dict[str, Tensor]:
        """Weights of both networks and the modes of numbers."""
        return dict(self.state_dict())

    def _made(self, given: Tensor, generator: torch.Generator) -> Tensor:
        return self.view.made(self.outputs(given, generator), generator, self.relax, self.options.temperature)

    def _standard(self, batch: Batch) -> Tensor:
        """Numbers and class indicators; two classes are as far apart as numbers one standard deviation from another."""
        layout = self.view.layout
        indicators = layout.one_hot(layout.codes(batch), layout.known(batch))
        return torch.cat([layout.values(batch), indicators / 2**0.5], 1)


@dataclass(frozen=True)
class Gan(Training):
    """A generator `x = G(z)`, z standard normal, against a critic C that tells real rows x from made rows y.

    Losses of (critic; generator), means over rows (`ensample.families.gan.objectives`):

    - "relativistic": `softplus(C(y) - C(x)); softplus(C(x) - C(y))` (R3GAN: Huang et al. 2024)
    - "non-saturating": `softplus(-C(x)) + softplus(C(y)); softplus(-C(y))` (Goodfellow et al. 2014)
    - "wasserstein": `C(y) - C(x); -C(y)` (Arjovsky et al. 2017; Gulrajani et al. 2017)
    - "hinge": `max(0, 1 - C(x)) + max(0, 1 + C(y)); -C(y)` (Lim and Ye 2017)
    - "likelihood": as non-saturating; `-sum_i w_i C(y_i)` with w the importance weights (MaliGAN: Che et al. 2017)

    to which the critic adds a penalty on its slope. A number is its mode and its place in the mode (Xu et al. 2019), a
    class is drawn with a straight-through gradient, and what does not exist is hidden from both players. The weights
    that are kept are averages that score best against held-out rows by a proper score of samples.

    Use it where samples are all that is wanted and must be sharp, or made fast. It has no likelihood, so nothing can
    be scored, ranked as anomalous or imputed with it, and it may leave out rare modes: judge its samples
    before use. On tables boosted trees, mixtures and circuits learn faster and answer more.

    Arguments:
        loss: the game.
        penalty: on the critic's slope: "zero-centred" (R1 and R2: Mescheder et al. 2018), "interpolated" (towards 1
            between real and made rows), "none", or the one that is "usual" for the loss.
        penalty_weight: its weight.
        spectral: divide the critic's matrices by their largest singular value (Miyato et al. 2018).
        pack: rows that the critic judges together, against lost modes (PacGAN: Lin et al. 2018).
        critic_steps: steps of the critic for one of the generator.
        balance: share of right verdicts from which on the critic learns more slowly; 1 leaves it alone.
        modes: most modes of a number.
        relaxation: how gradients pass through classes: "gumbel" (straight-through) or "softmax" (probabilities).
        temperature: of the relaxation.
        latent: width of the noise.
        width: hidden units.
        layers: hidden layers of each network.
        dropout: share of the critic's hidden units left out in learning.

    How it is trained: the options of `Training`.

    Example:
        >>> import numpy as np
        >>> from ensample.events import Discrete, Span
        >>> records = Records(Mixed((Span("a", Discrete(2)),)), np.array([[0], [1], [1]]))
        >>> start = Gan(width=8).build(records, seed=0)  # learning goes on from here
        >>> len(start.sample(5, torch.Generator().manual_seed(0)))
        5
    """

    loss: Literal["relativistic", "non-saturating", "wasserstein", "hinge", "likelihood"] = "relativistic"
    penalty: Literal["usual", "zero-centred", "interpolated", "none"] = "usual"
    penalty_weight: float = 0.1
    spectral: bool = False
    pack: int = 1
    critic_steps: int = 1
    balance: float = 1.0
    modes: int = 10
    relaxation: Literal["gumbel", "softmax"] = "gumbel"
    temperature: float = 0.5
    latent: int = 32
    width: int = 128
    layers: int = 3
    dropout: float = 0.0
    learning_rate: float = 3e-3
    momentum: float = 0.0
    patience: int = 50

    name: ClassVar[str] = "gan"
    distribution: ClassVar[type[Distribution]] = AdversarialRows
    turns_windows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(self, penalty_weight=0, pack=1, critic_steps=1, modes=1, latent=1, width=1, layers=1, dropout=0)
        at_least(self, temperature=1e-3, balance=0.5)
        _one_of("loss", self.loss, OBJECTIVES)
        _one_of("penalty", self.penalty, {"usual": 0, "none": 0, **PENALTIES})
        _one_of("relaxation", self.relaxation, RELAXATIONS)
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Accepts every mixed event."""
        return None if isinstance(event, Mixed) else "adversarial networks over columns need a table of fields"

    def build(self, records: Records, seed: int) -> AdversarialRows:
        """Networks that start near independent columns."""
        generator = torch.Generator().manual_seed(seed)
        layout = Layout(records.event)
        batch = records.sample(LOOKED_AT, seed).batch()
        values = layout.values(batch, generator, torch.float64)
        modes = fit_modes(values, layout.exists(batch), self.modes)
        shares = [_log_share(batch, j, size) for j, size in zip(layout.classes, layout.sizes, strict=True)]
        weights = [row[torch.isfinite(row)] for row in modes.log_weight]
        bias = torch.cat([torch.zeros(len(layout.numbers)), *weights, *shares])
        return AdversarialRows(records.event, records.given, modes, bias, self, generator)

    def players(self, module: AdversarialRows) -> tuple[Player, ...]:
        """The critic first, then the generator."""
        critic, generator = tuple(module.critic.parameters()), tuple(module.generator.parameters())
        return (
            Player("critic", module.critic_loss, critic, self.critic_steps, module.caution),
            Player("generator", module.generator_loss, generator),
        )

    def validate(self, module: AdversarialRows, batch: Batch, generator: torch.Generator) -> Tensor:
        """A proper score of the rows against samples, not a likelihood, [rows]."""
        return module.score(batch, generator)

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> AdversarialRows:
        """Inverse of `AdversarialRows.arrays`."""
        kept = part(arrays, "view.modes")
        modes = Modes(kept["log_weight"], kept["mean"], kept["scale"])
        bias = arrays["generator.net.last.bias"]
        module = AdversarialRows(event, given, modes, bias, self, torch.Generator().manual_seed(0))
        module.load_state_dict(arrays)
        return module.eval()


def _log_share(batch: Batch, column: int, classes: int) -> Tensor:
    """Log shares of a span's classes, half a row more each."""
    counts = torch.bincount(batch.cells[batch.mask[:, column], column], minlength=classes) + 0.5
    return torch.log(counts / counts.sum())


def _one_of(option: str, value: str, table: dict[str, Any]) -> None:
    if value not in table:
        rule, fix = "An option must be one of its values.", f"choose {', '.join(table)}"
        raise InputError(rule, f"gan, {option}", repr(value), fix)
