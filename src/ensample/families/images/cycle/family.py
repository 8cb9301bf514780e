"""Unpaired translation of pictures: options, how the two networks are built and taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ensample.events import Array, Batch, Continuous, Discrete, Mixed, coordinates
from ensample.families.base import Fitted, Player, at_least
from ensample.families.images.cycle.model import TranslatedPictures
from ensample.families.images.cycle.networks import PatchCritic, Translator
from ensample.families.images.gan.family import CELLS, LOOKED_AT, SMALLEST
from ensample.families.images.gan.groups import Views
from ensample.families.images.gan.levels import Levels
from ensample.families.images.gan.networks import ConvolutionalFeatures
from ensample.families.images.gan.texture import Texture
from ensample.families.independent import part
from ensample.families.training import Training
from ensample.kinds.images import Images
from ensample.kinds.records import Records
from ensample.nets.images.sizes import size_for
from ensample.nets.random import seeded

NARROWEST = 16
"""Channels of the translator's finest map, at least; a quarter of those of a U-Net, since many quick steps count."""


@dataclass(frozen=True)
class ImageCycle(Training):
    """Pictures of one sort into those of another, from pictures of both that nobody has paired (Zhu et al. 2017).

    The given field, one category, says the sort: horse or zebra, summer or winter, photograph or painting. A translator
    `G(x, s)` makes of a picture x one of sort s, and a critic tells patches of real pictures of each sort from made
    ones. What keeps the picture is that the way back must lead to where it began, and that a picture of the sort
    already should stay as it is:

        L_G = E (C_s(G(x, s)) - 1)^2 + cycle E |G(G(x, s), r) - x| + identity E |G(x, r) - x|,    x of sort r, s != r
        L_C = E (C_r(x) - 1)^2 + E C_s(G(x, s))^2

    One translator and one critic serve all sorts, told by the given field (Choi et al. 2018), so that there may be more
    than two, and what they have in common is learned once.

    Use it for changes of colour, texture and line that leave shapes where they are. It learns a map, not a
    distribution: there is nothing to draw from, and no picture has a probability. Turning and moving what is shown is
    beyond its local networks, and nothing but the loss says which zebra a horse becomes: look at what it makes.

    Arguments:
        cycle: weight of the way there and back.
        identity: weight of staying as it is, for sorts that share their colours; where all pixels change, it makes
            the translator cling to what it is given.
        anneal: steps in which both weights rise from 0, so that the first thing learned is what a sort looks like.
        penalty_weight: weight of the squared slope of the critic at real and at made pictures.
        width, depth, fold, sizes: of the translator, as of `nets.images.coders.ConvEncoder`; by the size of the
            pictures if None.
        critic_width: channels of the critic's finest map.

    How it is trained: the options of `Training`.

    Example:
        >>> import numpy as np
        >>> from ensample.events import Lattice, Span
        >>> event, sorts = Continuous(Lattice(0, 1, shift=0.5, scale=0.5), (1, 8, 8)), Mixed((Span("s", Discrete(2)),))
        >>> table = np.eye(8, dtype=np.uint8)[None, None].repeat(20, 0)
        >>> pictures = Images(event, table, sorts, np.arange(20)[:, None] % 2)
        >>> start = ImageCycle(width=4).build(pictures, seed=0)  # learning goes on from here
        >>> batch = pictures.batch()
        >>> start.eval().translate(batch, batch.cond).cells.shape
        torch.Size([20, 1, 8, 8])
    """

    cycle: float = 3.0
    identity: float = 0.0
    anneal: int = 100
    penalty_weight: float = 0.0
    width: int | None = None
    depth: int | None = None
    fold: int | None = None
    sizes: int | None = None
    critic_width: int = 32
    learning_rate: float = 2e-3
    schedule: Literal["linear", "cosine", "constant", "late"] = "late"
    warm_up: int = 20
    momentum: float = 0.5
    batch_size: int = 16
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    patience: int = 50

    name: ClassVar[str] = "image-cycle"
    distribution: ClassVar[type[Fitted]] = TranslatedPictures

    def __post_init__(self) -> None:
        at_least(
            self, cycle=0, identity=0, anneal=0, penalty_weight=0, width=1, depth=1, fold=1, sizes=1, critic_width=1
        )
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "it translates pictures, and here every record is a row of a table"

    def refuses_arrays(self, event: Array, given: Mixed | None) -> str | None:
        """Accepts pictures of numbers with one given category of at least two classes."""
        if not isinstance(event, Continuous) or len(event.shape) != 3:
            return "it translates pictures of levels, and these are arrays of classes"
        if min(event.shape[1:]) < SMALLEST:
            return f"convolutions need sides of at least {SMALLEST} pixels"
        spans = () if given is None else given.spans
        if len(spans) != 1 or not isinstance(spans[0].event, Discrete) or spans[0].event.classes < 2:
            return "it needs one given category that says the sort of each picture, with two sorts or more"
        return None

    def build(self, records: Records, seed: int) -> TranslatedPictures:
        """Fresh networks."""
        assert isinstance(records, Images)
        generator = torch.Generator().manual_seed(seed)
        first = records.sample(min(LOOKED_AT, CELLS // coordinates(records.event)), seed).batch()
        numbers = Levels(records.event).numbers(first.cells)
        return self._module(records.event, records.given, (Views.of(numbers), Texture.of(numbers)), generator)

    def players(self, module: TranslatedPictures) -> tuple[Player, ...]:
        """The translator first, so that its pictures serve the critic too."""
        critic, translator = tuple(module.critic.parameters()), tuple(module.translator.parameters())
        return (
            Player("translator", module.translator_loss, translator),
            Player("critic", module.critic_loss, critic),
        )

    def validate(self, module: TranslatedPictures, batch: Batch, generator: torch.Generator) -> Tensor:
        """A proper score of pictures against translated ones of their sort, and how far the way back misses, [rows]."""
        return module.score(batch, generator)

    def restore(
        self, event: Array, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> TranslatedPictures:
        """Inverse of `TranslatedPictures.arrays`."""
        looks = Views(**part(arrays, "views")), Texture(**part(arrays, "texture"), channels=event.shape[0])
        module = self._module(event, given, looks, torch.Generator().manual_seed(0))
        module.load_state_dict(arrays)
        return module.eval()

    def _module(
        self, event: Array, given: Mixed | None, looks: tuple[Views, Texture], generator: torch.Generator
    ) -> TranslatedPictures:
        assert given is not None
        sort = given.spans[0].event
        assert isinstance(sort, Discrete)
        channels, height, wide = event.shape
        usual = size_for(height, wide)
        with seeded(generator):
            make = Translator(
                (channels, height, wide),
                sort.classes,
                width=self.width or max(NARROWEST, usual.channels[0] // 4),
                depth=self.depth or 2 * usual.blocks,
                fold=self.fold or usual.fold,
                sizes=self.sizes or len(usual.channels),
            )
            critic = PatchCritic(ConvolutionalFeatures(event.shape, self.critic_width, normalised=False), sort.classes)
            module = TranslatedPictures(event, given, looks, (make, critic), self)
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs know it of tensors alone
        return module
