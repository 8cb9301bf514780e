"""Generative adversarial networks over pictures: options, how they are built and taught."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ensample.events import Array, Batch, Continuous, Mixed, coordinates
from ensample.families.base import Distribution, Player, at_least
from ensample.families.gan.objectives import OBJECTIVES
from ensample.families.images.gan.groups import Groups, Views
from ensample.families.images.gan.levels import Levels
from ensample.families.images.gan.model import AdversarialPictures, Looks
from ensample.families.images.gan.networks import ConvolutionalFeatures, ConvolutionalGenerator, Critic
from ensample.families.images.gan.residual import ResidualFeatures, ResidualGenerator
from ensample.families.images.gan.texture import Texture
from ensample.families.independent import part
from ensample.families.layout import given_width
from ensample.families.training import Training
from ensample.kinds.images import Images
from ensample.kinds.records import Records
from ensample.nets.mlp import Affine
from ensample.nets.random import seeded

LOOKED_AT, CELLS = 20_000, 2**26
"""Pictures that components and groups are found from, and their cells, at most."""
GROUPS, ALIKE = 200, 20
"""Groups of pictures if nothing is said, at most, and how many pictures each has on average, at least."""
SMALLEST = 4
"""Pixels of the shorter side of a picture, at least."""

Pair = Callable[["ImageGan", int, Sequence[int]], tuple[nn.Module, Any]]


@dataclass(frozen=True)
class ImageGan(Training):
    """A generator `x = G(z)`, z standard normal, against a critic C that tells real pictures x from made ones y.

    Losses and penalties are those of the adversarial networks over tables (`ensample.families.gan`). The critic sees
    given fields by projection (Miyato and Koyama 2018), the generator beside its noise. Where nothing is given, groups
    of alike pictures are found first (k-means of principal components) and told to both players like labels, drawn as
    often as they are met: so no sort of picture can be lost (conditions from clusters: Liu et al. 2020). The weights
    that are kept are averages that score best against held-out pictures by a proper score of samples.

    Use it where sharp pictures, made fast in one pass, are all that is wanted. It has no likelihood, so it cannot score
    or complete pictures, and what it makes within a sort may vary less than the data: fields and flows are safer.

    Arguments:
        network: "dcgan" (Radford, Metz and Chintala 2016) or "residual" (no normalisation, in the spirit of R3GAN:
            Huang et al. 2024; slower).
        loss: the game: "relativistic", "non-saturating", "wasserstein", "hinge" or "likelihood".
        penalty: on the critic's slope: "zero-centred" (R1 and R2), "interpolated", "none", or "usual" for the loss.
        penalty_weight: its weight.
        spectral: divide the critic's matrices by their largest singular value (Miyato et al. 2018).
        critic_steps: steps of the critic for one of the generator.
        balance: share of right verdicts from which on the critic learns more slowly; 1 leaves it alone.
        groups: sorts of pictures that are found where nothing is given: up to 200, of 20 pictures or more, if left
            out; 0 finds none.
        augment: what the critic sees changed, real and made pictures alike, where pictures are few: "none", "moves"
            (rotation, scale, shift), "colours" (brightness, contrast, saturation) or "both".
        target: share of right verdicts that the probability of these changes is steered to (Karras et al. 2020).
        latent: width of the noise.
        width: channels of the finest maps; coarser ones have up to eight times as many.
        blocks: of the residual networks at each size.

    How it is trained: the options of `Training`.

    Example:
        >>> import numpy as np
        >>> from ensample.events import Lattice
        >>> event = Continuous(Lattice(0, 1, shift=0.5, scale=0.5), (1, 8, 8))
        >>> pictures = Images(event, np.eye(8, dtype=np.uint8)[None, None].repeat(20, 0))
        >>> start = ImageGan(width=4, latent=2).build(pictures, seed=0)  # learning goes on from here
        >>> start.eval().sample(5, torch.Generator().manual_seed(0)).cells.shape
        torch.Size([5, 1, 8, 8])
    """

    network: Literal["dcgan", "residual"] = "dcgan"
    loss: Literal["relativistic", "non-saturating", "wasserstein", "hinge", "likelihood"] = "relativistic"
    penalty: Literal["usual", "zero-centred", "interpolated", "none"] = "usual"
    penalty_weight: float = 1.0
    spectral: bool = False
    critic_steps: int = 1
    balance: float = 1.0
    groups: int | None = None
    augment: Literal["none", "moves", "colours", "both"] = "none"
    target: float = 0.8
    latent: int = 64
    width: int = 64
    blocks: int = 1
    learning_rate: float = 1e-3
    momentum: float = 0.0
    batch_size: int = 64
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    patience: int = 50

    name: ClassVar[str] = "image-gan"
    distribution: ClassVar[type[Distribution]] = AdversarialPictures

    def __post_init__(self) -> None:
        at_least(self, penalty_weight=0, critic_steps=1, balance=0.5, groups=0, target=0, latent=1, width=1, blocks=1)
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "these adversarial networks learn pictures; `gan` learns tables"

    def refuses_arrays(self, event: Array, given: Mixed | None) -> str | None:
        """Accepts pictures of numbers with sides of at least `SMALLEST` pixels."""
        if not isinstance(event, Continuous) or len(event.shape) != 3:
            return "adversarial networks make pictures of levels, and these are arrays of classes"
        small = min(event.shape[1:]) < SMALLEST
        return f"convolutions need sides of at least {SMALLEST} pixels" if small else None

    def build(self, records: Records, seed: int) -> AdversarialPictures:
        """Fresh networks, and the groups of the pictures."""
        assert isinstance(records, Images)
        generator = torch.Generator().manual_seed(seed)
        first = records.sample(min(LOOKED_AT, CELLS // coordinates(records.event)), seed).batch()
        numbers = Levels(records.event).numbers(first.cells)
        views, texture, groups = Views.of(numbers), Texture.of(numbers), None
        count = min(GROUPS, max(1, len(numbers) // ALIKE)) if self.groups is None else self.groups
        if count and records.given is None:
            groups = Groups.find(views(numbers), count, generator)
        return self._module(records.event, records.given, (views, texture, groups), generator)

    def players(self, module: AdversarialPictures) -> tuple[Player, ...]:
        """The generator first, so that its pictures serve the critic too."""
        critic, generator = tuple(module.critic.parameters()), tuple(module.generator.parameters())
        return (
            Player("generator", module.generator_loss, generator),
            Player("critic", module.critic_loss, critic, self.critic_steps, module.caution),
        )

    def validate(self, module: AdversarialPictures, batch: Batch, generator: torch.Generator) -> Tensor:
        """A proper score of pictures against samples, not a likelihood, [rows]."""
        module.settle(batch, generator)
        return module.score(batch, generator)

    def restore(
        self, event: Array, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> AdversarialPictures:
        """Inverse of `AdversarialPictures.arrays`."""
        views, kept = Views(**part(arrays, "views")), part(arrays, "groups")
        texture = Texture(**part(arrays, "texture"), channels=event.shape[0])
        looks = views, texture, Groups(**kept) if kept else None
        module = self._module(event, given, looks, torch.Generator().manual_seed(0))
        module.load_state_dict(arrays)
        return module.eval()

    def _module(
        self, event: Array, given: Mixed | None, looks: Looks, generator: torch.Generator
    ) -> AdversarialPictures:
        told = given_width(given) + (0 if looks[2] is None else len(looks[2]))
        with seeded(generator):
            make, body = NETWORKS[self.network](self, self.latent + told, event.shape)
            critic = Critic(body, body.features, told, level=OBJECTIVES[self.loss].level)
            if self.spectral:
                for layer in [m for m in critic.modules() if isinstance(m, Affine | nn.Conv2d)]:
                    if not bool(layer.weight.any()):
                        nn.init.kaiming_normal_(layer.weight)  # what is 0 has no norm to be divided by
                    spectral_norm(layer)
            module = AdversarialPictures(event, given, looks, (make, critic), self)
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs know it of tensors alone
        return module


def _residual(options: ImageGan, inputs: int, shape: Sequence[int]) -> tuple[nn.Module, Any]:
    make = ResidualGenerator(inputs, shape, options.width, options.blocks)
    return make, ResidualFeatures(shape, options.width, options.blocks)


def _dcgan(options: ImageGan, inputs: int, shape: Sequence[int]) -> tuple[nn.Module, Any]:
    usual = OBJECTIVES[options.loss].penalty if options.penalty == "usual" else options.penalty
    free = usual == "none" and not options.spectral
    make = ConvolutionalGenerator(inputs, shape, options.width)
    return make, ConvolutionalFeatures(shape, options.width, normalised=free)


NETWORKS: dict[str, Pair] = {"residual": _residual, "dcgan": _dcgan}
"""Pairs of networks by name."""
