"""A fitted generative adversarial network over pictures, and what its two players minimise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from ensample.events import Array, Batch, Mixed, coordinates
from ensample.families.base import ArrayDistribution, Guarantee
from ensample.families.gan.objectives import OBJECTIVES, PENALTIES, slope_of, zero_centred
from ensample.families.gan.score import sample_score
from ensample.families.images.gan.changes import Changes
from ensample.families.images.gan.groups import Groups, Views
from ensample.families.images.gan.levels import Levels
from ensample.families.images.gan.networks import Critic
from ensample.families.images.gan.place import nearest_places
from ensample.families.images.gan.texture import Texture
from ensample.families.layout import Layout, given_flat, given_width
from ensample.nets.machine import operations

if TYPE_CHECKING:
    from ensample.families.images.gan.family import ImageGan

AT_ONCE = 2**19
"""Cells of the pictures made in one pass."""
MEMORY = 0.99
"""Share of the old that the running share of right verdicts keeps at each step."""
MADE = 1024
"""Pictures made to judge held-out ones, and to set running means of averaged weights."""

Looks = tuple[Views, Texture, Groups | None]
"""Coarse and fine features of pictures, and the groups of those."""


class AdversarialPictures(nn.Module, ArrayDistribution):
    """A generator of pictures, and the critic that taught it. How probable a picture is it does not know.

    Its latent places are standard normal: the first number holds the group of alike pictures (if there are groups), the
    others are the noise of the generator.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "encode": "estimate"}

    event: Array
    right: Tensor

    def __init__(
        self,
        event: Array,
        given: Mixed | None,
        looks: Looks,
        pair: tuple[nn.Module, Critic],
        options: ImageGan,
    ) -> None:
        super().__init__()
        self.event, self.given, self.options = event, given, options
        self.levels, (self.views, self.texture, self.groups) = Levels(event), looks
        self.objective = OBJECTIVES[options.loss]
        penalty = self.objective.penalty if options.penalty == "usual" else options.penalty
        self.penalty = PENALTIES.get(penalty)
        self.register_buffer("right", torch.tensor(0.5))
        self.changes = Changes(options.augment, options.target)
        self.generator, self.critic = pair
        self.apart = any(isinstance(m, nn.BatchNorm2d) for m in self.critic.modules())
        self.latent_width = options.latent + (self.groups is not None)
        self.matched = self.objective.paired or penalty == "interpolated"
        self.latest: tuple[Tensor, Tensor] | None = None
        self.operations_per_row = self._operations()

    def real(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Pictures of a batch as numbers, and what both players are told of each: given fields and group."""
        numbers = self.levels.numbers(batch.cells)
        told = given_flat(self.given, batch)
        if self.groups is not None:
            told = torch.cat([told, self.groups.indicators(self.groups.of(self.views(numbers)))], 1)
        return numbers.contiguous(memory_format=torch.channels_last), told

    def made(self, noise: Tensor, told: Tensor) -> Tensor:
        """Pictures of the generator, on levels, [rows, channels, height, width] float32."""
        return self.levels.rounded(self._drawn(noise, told).float())

    def critic_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """What the critic minimises: its objective and the penalty on its slope."""
        real, told = self.real(batch)
        made, made_told = self._opposed(told, generator)
        real, made = self.changes(real, generator), self.changes(made, generator)
        both = torch.cat([real, made]).contiguous(memory_format=torch.channels_last)
        both.requires_grad_(self.penalty is zero_centred)
        scores = self._judged(both, told, made_told)
        on_real, on_made = scores.chunk(2)
        with torch.no_grad():
            self.right.lerp_((on_real > on_made).to(torch.float32).mean(), 1 - MEMORY)
            self.changes.adapt(self.right, len(real))
        loss = self.objective.critic(on_real, on_made)
        if self.penalty is zero_centred:
            loss = loss + self.options.penalty_weight * slope_of(scores, both).mean()
        elif self.penalty is not None:
            loss = loss + self.options.penalty_weight * self.penalty(
                lambda pictures: self.critic(pictures, told), real, made, generator
            )
        return loss

    def generator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """What the generator minimises."""
        real, told = self.real(batch)
        made = self.made(self._noise(len(real), generator), told)
        self.latest = made.detach(), told
        on_made = self.critic(self.changes(made, generator), told)
        if not self.objective.paired:
            return self.objective.generator(on_made, on_made)  # it does not look at the first
        with torch.no_grad():
            on_real = self.critic(self.changes(real, generator), told)
        return self.objective.generator(on_real, on_made)

    def caution(self) -> float:
        """Factor of the critic's learning rate: below 1 once more of its verdicts are right than `balance` allows."""
        spare = 1.0 - self.options.balance
        return 1.0 if spare <= 0 else min(1.0, max(0.0, 1.0 - float(self.right)) / spare)

    @torch.no_grad()
    def score(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """A proper score of each picture, with what is given, against made ones, [rows] float64."""
        latent, cond = self._places(batch, generator)
        made = self.decode(latent, generator, cond)
        seen = [self._seen(each) for each in (batch, made)]
        return sample_score(seen[0], seen[1][None]).to(torch.float64)

    def sample(self, n: int, generator: torch.Generator, cond: Batch | None = None) -> Batch:
        """N pictures made from new noise; with `cond` one for each of its rows."""
        return self.decode(torch.randn(n, self.latent_width, generator=generator), generator, cond)

    @torch.no_grad()
    def decode(self, latent: Tensor, generator: torch.Generator, cond: Batch | None = None) -> Batch:
        """The picture of each latent place [rows, latent width]; places say all, the generator is not asked."""
        told, noise = self._told(latent, cond), latent[:, latent.shape[1] - self.options.latent :]
        parts = [self.levels.cells(self._drawn(z, t)) for z, t in self._parts(noise, told)]
        cells = torch.cat(parts) if len(latent) else torch.zeros(0, *self.event.shape, dtype=torch.int64)
        return Batch(cells, torch.ones(cells.shape, dtype=torch.bool), cond)

    def encode(self, batch: Batch) -> Tensor:
        """A place of each picture, found by descent from the nearest of some made ones; see `nearest_places`."""
        real, told = self.real(batch)
        noise = nearest_places(self._drawn, real, told, self.options.latent)
        if self.groups is None:
            return noise
        return torch.cat([self.groups.place(self.groups.of(self.views(real)))[:, None], noise], 1)

    def arrays(self) -> dict[str, Tensor]:
        """Weights of both networks, components and groups."""
        return {name: value.contiguous() for name, value in self.state_dict().items()}

    @torch.no_grad()
    def settle(self, batch: Batch, generator: torch.Generator) -> None:
        """Set the running means of the generator's normalisations to those of its present weights."""
        norms = [m for m in self.generator.modules() if isinstance(m, nn.BatchNorm2d)]
        if not norms:
            return
        latent, cond = self._places(batch, generator)
        before = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all that follows
        self.generator.train()
        for z, t in self._parts(latent[:, -self.options.latent :], self._told(latent, cond)):
            self._drawn(z, t)
        self.generator.eval()
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum

    def _places(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Batch | None]:
        """New places to judge a batch by, and what is given for them: that of the batch, again and again."""
        count = MADE if self.given is None else max(2, len(batch))
        cond = None if batch.cond is None else batch.cond.take(torch.arange(count) % len(batch))
        return torch.randn(count, self.latent_width, generator=generator), cond

    def _parts(self, noise: Tensor, told: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Noise and what is told, for as many pictures as are made in one pass."""
        rows = max(2, AT_ONCE // coordinates(self.event))
        return zip(torch.split(noise, rows), torch.split(told, rows), strict=True)

    def _operations(self) -> float:
        """Multiplications of one row's way through both networks."""
        told = torch.zeros(1, given_width(self.given) + (0 if self.groups is None else len(self.groups)))
        training = self.training
        self.eval()
        count = operations(lambda: self.critic(self.made(torch.zeros(1, self.options.latent), told), told))
        self.train(training)
        return count

    def _drawn(self, noise: Tensor, told: Tensor) -> Tensor:
        """What the generator makes of noise and of what it is told, not rounded."""
        out: Tensor = self.generator(torch.cat([noise, told], 1))
        return out

    def _opposed(self, told: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Made pictures for the critic, and what they were told: those of the generator's own turn just before.

        They are made anew for a further turn of the critic, or where each belongs to a real one of which the same is
        told.
        """
        latest, self.latest = self.latest, None
        if latest is not None and len(latest[1]) == len(told) and not (self.matched and told.shape[1]):
            return latest
        with torch.no_grad():
            return self.made(self._noise(len(told), generator), told), told

    def _judged(self, both: Tensor, told: Tensor, made_told: Tensor) -> Tensor:
        """The critic of real and made pictures, [2 rows]: apart where it looks at a whole batch, else together."""
        if self.apart:
            real, made = both.chunk(2)
            return torch.cat([self.critic(real, told), self.critic(made, made_told)])
        out: Tensor = self.critic(both, torch.cat([told, made_told]))
        return out

    def _told(self, latent: Tensor, cond: Batch | None) -> Tensor:
        told = torch.zeros(len(latent), 0) if self.given is None or cond is None else Layout(self.given).flat(cond)
        if self.groups is None:
            return told
        return torch.cat([told, self.groups.indicators(self.groups.at(latent[:, 0]))], 1)

    def _noise(self, rows: int, generator: torch.Generator) -> Tensor:
        return torch.randn(rows, self.options.latent, generator=generator)

    def _seen(self, batch: Batch) -> Tensor:
        """Coarse and fine features of pictures beside what is given."""
        numbers, given = self.levels.numbers(batch.cells), given_flat(self.given, batch)
        return torch.cat([self.views(numbers), self.texture(numbers), given / 2**0.5], 1)
