"""Vector fields from noise to pictures: the options, and how they learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from ensample.errors import InputError
from ensample.events import Array, Batch, Continuous, Mixed
from ensample.families.base import Distribution, Player, at_least
from ensample.families.field.family import SOLVERS
from ensample.families.field.parameterisation import PARAMETERISATIONS
from ensample.families.images.field.fitted import FieldPictures, Way
from ensample.families.images.field.learning import Learning, errors
from ensample.families.images.field.network import Guide
from ensample.families.images.field.pixels import Pixels
from ensample.families.independent import part
from ensample.families.layout import given_width
from ensample.families.training import Training
from ensample.kinds.images import Images
from ensample.nets.images.augment import Augmentation
from ensample.nets.images.patches import PatchTransformer
from ensample.nets.images.sizes import size_for
from ensample.nets.images.unet import UNet
from ensample.nets.random import seeded
from ensample.solvers.paths import LEAST, MOST, PATHS, Path, polynomial

GRIDS: dict[str, Callable[[Path, int], Tensor]] = {
    "noise": lambda path, steps: polynomial(path, steps, LEAST, MOST),
    "time": lambda path, steps: path.grid(steps),
}
"""How the steps of drawing are spaced, by public names."""

MOVES = Augmentation(p=0.3, rotation=10.0, scale=0.15, shift=0.06)
MIRROR = replace(MOVES, flip=True)
CHANGES: dict[str, Augmentation | None] = {
    "none": None,
    "moves": MOVES,
    "mirror": MIRROR,
    "colours": replace(MIRROR, brightness=0.1, contrast=0.2, saturation=0.3),
}
"""How pictures are changed in learning, by public names."""


@dataclass(frozen=True)
class ImageField(Training):
    """Pictures flow from noise along a learned vector field: diffusion, flow matching and their few-step kin.

    With x_t = alpha(t) x_0 + sigma(t) e a network learns E[x_0 | x_t] by least squares, in whatever form `predict`
    says; dx/dt = alpha' E[x_0 | x_t] + sigma' E[e | x_t] carries noise to pictures (Ho et al. 2020; Song et al. 2021;
    Karras et al. 2022; Lipman et al. 2023). Given fields enter the network and are left out now and then, so that draws
    can be pulled towards them (Ho and Salimans 2021).

    Use it for the best pictures that a budget allows, for pictures of a wanted class, and where one model should also
    inpaint, enlarge, colour and deblur (`ensample.infer.restore`). Not for exact likelihoods (a flow or an
    autoregressive network has them) nor where a picture must come in one pass of a small network (an adversarial one).

    Arguments:
        path: "edm" (noise is added), "linear" (flow matching), "cosine", "ddpm", "sub-vp" or "ve".
        predict: "edm" (preconditioned), "velocity", "noise", "data", "score", or "mean" (MeanFlow, for few steps).
        solver: "dpm++2m", "dpm++3m", "heun", "euler", "runge-kutta", "ddim", "ancestral", "euler-maruyama",
            "adaptive" (Dormand-Prince), or "jump" (with predict="mean").
        steps: of the solver.
        grid: steps are spaced by "noise" (the seventh root of its ratio to the data) or by the "time" of the path.
        guidance: how far given fields pull draws, 1 as learned, more for clearer ones of less variety.
        guide_low, guide_high: ratios of noise to data between which they pull.
        drop: share of pictures that learn without the given fields, which guidance needs.
        noise_mean, noise_sd: of the normal law of log(sigma / alpha), by which noise is drawn in learning.
        coupling: of noise with pictures in learning, "independent" or "optimal" (transport inside the batch).
        augment: how pictures are changed in learning, for few pictures: "none", "moves" (turned, enlarged, shifted),
            "mirror" (these and mirrored) or "colours" (these and other colours). The network is told what was done
            to each, so that draws are not changed (Karras et al. 2022).
        network: "patches" (a transformer) or "unet".
        patch: side of a transformer's patches, or of the squares that a U-Net folds into channels; none chooses by
            the size of the pictures.
        width: of the tokens, or channels at the largest size of a U-Net; none chooses by the size of the pictures.
        layers: of the transformer, or residual blocks at each size of a U-Net; none chooses likewise.
        heads: of attention.
        integration: Runge-Kutta steps of the ODE behind `log_prob`.
        probes: random directions of its divergence; as many as there are pixels take the exact trace.

    How it is trained: the options of `Training`; pictures are drawn in the `precision` of learning, and scored in
    float32.

    Example:
        >>> import numpy as np
        >>> from ensample.events import Lattice
        >>> event = Continuous(Lattice(0, 3, 1.5, 1.5), (1, 4, 4))
        >>> dots = Images(event, np.random.default_rng(0).integers(0, 4, (30, 1, 4, 4), dtype=np.uint8))
        >>> start = ImageField(width=8, layers=1).build(dots, seed=0)  # learning goes on from here
        >>> start.sample(5, Generator().manual_seed(0)).cells.shape
        torch.Size([5, 1, 4, 4])
    """

    path: Literal["edm", "linear", "cosine", "ddpm", "sub-vp", "ve"] = "edm"
    predict: Literal["edm", "velocity", "noise", "data", "score", "mean"] = "edm"
    solver: Literal[
        "dpm++2m",
        "dpm++3m",
        "heun",
        "euler",
        "runge-kutta",
        "ddim",
        "ancestral",
        "euler-maruyama",
        "adaptive",
        "jump",
    ] = "dpm++2m"
    steps: int = 8
    grid: Literal["noise", "time"] = "noise"
    guidance: float = 1.5
    guide_low: float = 0.0
    guide_high: float = 1e9
    drop: float = 0.1
    noise_mean: float = 0.0
    noise_sd: float = 1.3
    coupling: Literal["independent", "optimal"] = "independent"
    augment: Literal["none", "moves", "mirror", "colours"] = "none"
    network: Literal["patches", "unet"] = "patches"
    patch: int | None = None
    width: int | None = None
    layers: int | None = None
    heads: int = 4
    integration: int = 24
    probes: int = 1
    learning_rate: float = 2e-2
    optimiser: Literal["adamw", "adam", "sgd", "muon"] = "muon"
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    batch_size: int = 64
    average: float = 0.998
    patience: int = 100
    holdout: float = 0.02

    name: ClassVar[str] = "image-field"
    distribution: ClassVar[type[Distribution]] = FieldPictures

    def __post_init__(self) -> None:
        at_least(
            self,
            steps=1,
            guidance=0.0,
            guide_low=0.0,
            guide_high=0.0,
            drop=0,
            noise_sd=1e-3,
            patch=1,
            width=1,
            layers=1,
            heads=1,
            integration=1,
            probes=1,
        )
        self.check()
        jumps = PARAMETERISATIONS[self.predict].jumps
        if self.solver == "jump" and not jumps:
            raise self._clash("solver=jump", f"predict={self.predict}", 'say predict="mean"')
        if jumps and self.path not in ("linear", "cosine"):
            raise self._clash("predict=mean", f"path={self.path}", 'say path="linear"')
        if self.width is not None and self.width % self.heads:
            raise self._clash("width", f"{self.width} for {self.heads} heads", "choose a multiple of the heads")

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "image-field learns pictures; for tables there is field"

    def refuses_arrays(self, event: Array, given: Mixed | None) -> str | None:
        """Accepts pictures whose pixels have levels."""
        if not isinstance(event, Continuous):
            return "image-field moves levels of light, and these pixels are classes without an order"
        return None if len(event.shape) == 3 else "image-field learns pictures of channels, height and width"

    def build(self, records: Images, seed: int) -> FieldPictures:
        """A field that carries noise to a normal law of the pictures' mean and spread."""
        assert isinstance(records.event, Continuous)
        pixels = Pixels.fit(records.event, records.table)
        return self._module(pixels, records.given, Generator().manual_seed(seed))

    def players(self, module: FieldPictures) -> tuple[Player, ...]:
        """Least squares."""
        loss = lambda batch, generator: self._errors(module, batch, generator).mean()  # noqa: E731
        return (Player("network", loss, tuple(module.parameters())),)

    def validate(self, module: FieldPictures, batch: Batch, generator: Generator) -> Tensor:
        """Loss [rows] of the field itself, in the precision of learning: it serves to compare with itself alone."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bfloat16"):
            return self._errors(module, batch, generator, slopes=False)

    def restore(
        self, event: Any, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> FieldPictures:
        """Inverse of `FieldPictures.arrays`."""
        module = self._module(Pixels(event, arrays["centre"], arrays["spread"]), given, Generator())
        module.net.load_state_dict(part(arrays, "weights"))
        return module.eval()

    def _errors(self, module: FieldPictures, batch: Batch, generator: Generator, slopes: bool = True) -> Tensor:
        data, told = module.pixels.numbers(batch.cells), None
        change, known = CHANGES[self.augment], batch.mask.flatten(1)
        if change is not None and slopes and bool(known.all()):
            real = module.event.lattice.encode(batch.cells).to(torch.float32)
            changed, told = change(real, generator)
            data = module.pixels.standard(changed).flatten(1).to(torch.float32)
        learning = Learning(self.noise_mean, self.noise_sd, self.drop, self.coupling)
        field = module.field(batch, told=told)
        return errors(field, torch.where(known, data, 0.0), known, learning, generator, slopes)

    def _module(self, pixels: Pixels, given: Mixed | None, generator: Generator) -> FieldPictures:
        change, width = CHANGES[self.augment], given_width(given)
        told = 0 if change is None else change.width
        path = PATHS[self.path]
        way = Way(
            path,
            PARAMETERISATIONS[self.predict],
            SOLVERS[self.solver],
            GRIDS[self.grid](path, self.steps),
            self.integration,
            self.probes,
            Guide(self.guidance if width else 1.0, self.guide_low, self.guide_high),
            self.precision == "bfloat16",
        )
        with seeded(generator):
            net = NETWORKS[self.network](self, pixels.event.shape, width + (width > 0) + told)
        return FieldPictures(pixels, given, told, net, way)

    def _clash(self, option: str, other: str, fix: str) -> InputError:
        return InputError("Options must fit together.", f"{self.name}, {option}", other, fix)


def _patches(family: ImageField, shape: tuple[int, ...], given: int) -> nn.Module:
    channels, height, width = shape
    size = size_for(height, width)
    return PatchTransformer(
        channels,
        channels,
        (height, width),
        patch=family.patch or size.patch,
        width=family.width or size.width,
        layers=family.layers or size.layers,
        heads=family.heads,
        times=1 + PARAMETERISATIONS[family.predict].jumps,
        given=given,
    )


def _unet(family: ImageField, shape: tuple[int, ...], given: int) -> nn.Module:
    channels, height, width = shape
    size = size_for(height, width)
    scale = (family.width or size.channels[0]) / size.channels[0]
    widths = [family.heads * max(1, round(scale * wide / family.heads)) for wide in size.channels]
    return UNet(
        channels,
        channels,
        widths=widths,
        blocks=family.layers or size.blocks,
        fold=family.patch or size.fold,
        heads=family.heads,
        times=1 + PARAMETERISATIONS[family.predict].jumps,
        given=given,
    )


NETWORKS: dict[str, Callable[[ImageField, tuple[int, ...], int], nn.Module]] = {"patches": _patches, "unet": _unet}
"""How networks are made, by public names."""
