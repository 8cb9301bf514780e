"""A fitted translator of pictures, and what it and its critic minimise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.events import Array, Batch, Mixed
from ensample.families.base import Fitted
from ensample.families.gan.objectives import OBJECTIVES, slope_of
from ensample.families.gan.score import sample_score
from ensample.families.images.cycle.networks import PatchCritic, Translator
from ensample.families.images.gan.groups import Views
from ensample.families.images.gan.levels import Levels
from ensample.families.images.gan.texture import Texture
from ensample.families.layout import given_flat
from ensample.nets.machine import careful_products, operations

if TYPE_CHECKING:
    from ensample.families.images.cycle.family import ImageCycle

AT_ONCE = 64
"""Pictures translated in one pass."""


class TranslatedPictures(nn.Module, Fitted):
    """A map from pictures of any of its sorts to any other, and the critic that taught it."""

    taken: Tensor

    event: Array  # type: ignore[assignment]  # a picture, not a row

    def __init__(
        self,
        event: Array,
        given: Mixed | None,
        looks: tuple[Views, Texture],
        pair: tuple[Translator, PatchCritic],
        options: ImageCycle,
    ) -> None:
        super().__init__()
        self.event, self.given, self.options = event, given, options
        self.levels, (self.views, self.texture) = Levels(event), looks
        self.translator, self.critic = pair
        self.register_buffer("taken", torch.zeros(()))
        self.objective = OBJECTIVES["least-squares"]
        self.sorts = pair[1].heads.out_channels
        self.latest: tuple[Tensor, Tensor] | None = None
        self.operations_per_row = self._operations()

    def translator_loss(self, batch: Batch, generator: Generator) -> Tensor:
        """What the translator minimises: `L_G` of `ImageCycle`."""
        real, own = self._seen(batch)
        to = self._others(own, generator)
        made = self._made(real, to)
        back = self._made(made, own)
        self.latest = made.detach(), to
        scores = self.critic(made, to)
        loss = self.objective.generator(scores, scores)  # it does not look at the first
        ways = self.options.cycle * F.l1_loss(back, real)
        if self.options.identity:
            ways = ways + self.options.identity * F.l1_loss(self._made(real, own), real)
        return loss + self._share() * ways

    def critic_loss(self, batch: Batch, generator: Generator) -> Tensor:
        """What the critic minimises: `L_C` of `ImageCycle`, and the penalty on its slope."""
        real, own = self._seen(batch)
        made, to = self._opposed(real, own, generator)
        both = torch.cat([real, made]).contiguous(memory_format=torch.channels_last)
        weight = self.options.penalty_weight
        scores = self.critic(both.requires_grad_(weight > 0), torch.cat([own, to]))
        loss = self.objective.critic(*scores.chunk(2))
        return loss + weight * slope_of(scores, both).mean() if weight else loss

    @torch.no_grad()
    def translate(self, batch: Batch, to: Batch) -> Batch:
        """Each picture as one of the sort that `to` gives; of which sort it is now does not matter."""
        told = given_flat(self.given, Batch(batch.cells, batch.mask, to))
        cells = torch.zeros_like(batch.cells)
        with careful_products():
            for start in range(0, len(batch), AT_ONCE):
                here = slice(start, start + AT_ONCE)
                cells[here] = self.levels.cells(self._made(self.levels.numbers(batch.cells[here]), told[here]))
        return Batch(cells, torch.ones_like(cells, dtype=torch.bool), to)

    @torch.no_grad()
    def score(self, batch: Batch, generator: Generator) -> Tensor:
        """See `ImageCycle.validate`, [rows] float64."""
        real, own = self._seen(batch)
        to = self._others(own, generator)
        made = self._made(real, to)
        missed = (self._made(made, own) - real).abs().mean((1, 2, 3))
        seen = [torch.cat([self.views(x), self.texture(x), sort / 2**0.5], 1) for x, sort in ((real, own), (made, to))]
        return (sample_score(seen[0], seen[1][None]) + missed).to(torch.float64)

    def arrays(self) -> dict[str, Tensor]:
        """Weights of both networks, and what held-out pictures are looked at by."""
        return {name: value.contiguous() for name, value in self.state_dict().items()}

    def _seen(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Pictures of a batch as numbers, and their sorts as indicators."""
        numbers = self.levels.numbers(batch.cells)
        return numbers.contiguous(memory_format=torch.channels_last), given_flat(self.given, batch)

    def _share(self) -> Tensor:
        """Share of the weights of the way back and of staying that counts at this step."""
        with torch.no_grad():
            self.taken += 1
        return (self.taken / max(1, self.options.anneal)).clamp(max=1.0)

    def _made(self, pictures: Tensor, to: Tensor) -> Tensor:
        out: Tensor = self.translator(pictures, to)
        return out.float()

    def _others(self, own: Tensor, generator: Generator) -> Tensor:
        """For each row another sort than its own, each as likely, as indicators."""
        step = torch.randint(1, self.sorts, (len(own),), generator=generator)
        return F.one_hot((own.argmax(1) + step) % self.sorts, self.sorts).to(own.dtype)

    def _opposed(self, real: Tensor, own: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Made pictures for the critic: those of the translator's own turn just before, if there are any."""
        latest, self.latest = self.latest, None
        if latest is not None and len(latest[1]) == len(own):
            return latest
        to = self._others(own, generator)
        with torch.no_grad():
            return self._made(real, to), to

    def _operations(self) -> float:
        """Multiplications of one row's way through both networks."""
        one, sort = torch.zeros(1, *self.event.shape), torch.eye(self.sorts)[:1]
        return operations(lambda: self.critic(self._made(one, sort), sort))
