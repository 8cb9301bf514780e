"""Augmentation: pictures changed at random in ways that leave them pictures, and what was done to each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.nets.images import colour, warp


@dataclass(frozen=True)
class Augmentation:
    """Random changes of pictures, each made with probability `p` and independently of the others.

    All moves (mirror, rotation, scale, shift, crop) are one affine warp with one interpolation, all changes of colour
    one matrix; rows to which nothing is done stay exactly as they are. Gradients flow through.

    Calling it gives the changed pictures and `parameters` [rows, width]: what was done to each row, all 0 where nothing
    was. A network that is told them learns what each change does, and makes unchanged pictures when told zeros (Karras
    et al., 2022, "Elucidating the design space of diffusion-based generative models", appendix F.2). A GAN changes real
    and made pictures alike before its critic sees them, which does not leak into what it makes as long as `p` is well
    below 1 (Karras et al., 2020, "Training generative adversarial networks with limited data").

    When to use it: few pictures (up to some ten thousand), and changes under which the wanted pictures still look
    right. When not: a family with an exact likelihood of pictures that is not told the parameters would learn the
    changed pictures; a mirror turns digits and letters into no digits and letters.

    Arguments:
        p: probability of each change.
        flip: mirror left to right.
        rotation: largest angle to either side, degrees.
        scale: spread of the enlargement, the standard deviation of its base-2 logarithm.
        shift: spread of shifts, the standard deviation as a share of each side.
        crop: largest share that is cut off each side; the rest is enlarged.
        brightness: standard deviation of what is added to values in [-1, 1].
        contrast, saturation: spread of the factor, the standard deviation of its base-2 logarithm.
        noise: spread of the standard deviation of white noise.
        cutout: side of a square that becomes middle grey, as a share of the picture's sides.
        mixup: largest weight of another picture of the batch that is mixed in, below one half or equal.

    Raises:
        InputError: a value is out of its range.

    Example:
        >>> x = torch.rand(8, 3, 16, 16) * 2 - 1
        >>> changed, parameters = Augmentation(p=0.5, flip=True, shift=0.1)(x, Generator().manual_seed(0))
        >>> changed.shape, parameters.shape
        (torch.Size([8, 3, 16, 16]), torch.Size([8, 3]))
    """

    p: float = 0.12
    flip: bool = False
    rotation: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    crop: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    noise: float = 0.0
    cutout: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        for name, highest in _HIGHEST.items():
            value = getattr(self, name)
            if not 0 <= value <= highest:
                seen, fix = f"{name}={value}", f"choose a number from 0 to {highest:g}"
                raise InputError("A strength of augmentation is within its range.", name, seen, fix)

    @property
    def names(self) -> tuple[str, ...]:
        """What the parameters of a row are, in their order."""
        return tuple(word for name, words in _PARAMETERS.items() if getattr(self, name) for word in words)

    @property
    def width(self) -> int:
        """Parameters that are told of each row."""
        return len(self.names)

    def __call__(self, x: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Changed pictures and what was done.

        Arguments:
            x: [rows, channels, height, width] in [-1, 1].
            generator: the source of all randomness.

        Returns:
            Pictures of the same shape, whose values may leave [-1, 1] a little by colour and noise, and parameters
            [rows, width].
        """
        draw, told = _Draw(self.p, x, generator), [x.new_zeros(len(x), 0)]
        steps: tuple[tuple[Callable[[Tensor, _Draw, Any], tuple[Tensor, Tensor]], Any], ...] = (
            (_mixed, self.mixup),
            (_moved, self._strengths(_MOVES)),
            (_coloured, self._strengths(_COLOURS)),
            (_noisy, self.noise),
            (_cut, self.cutout),
        )
        for change, strength in steps:
            if strength:
                x, parameters = change(x, draw, strength)
                told.append(parameters)
        return x, torch.cat(told, 1)

    def _strengths(self, table: Iterable[str]) -> dict[str, float]:
        return {name: getattr(self, name) for name in table if getattr(self, name)}


class _Draw:
    """Random numbers for the rows of a batch: [rows], on its device."""

    def __init__(self, p: float, x: Tensor, generator: Generator) -> None:
        self.p, self.x, self.generator = p, x, generator

    def uniform(self) -> Tensor:
        return self._to(torch.rand(len(self.x), generator=self.generator, device=self.generator.device))

    def normal(self, shape: Sequence[int] | None = None) -> Tensor:
        size = (len(self.x),) if shape is None else tuple(shape)
        return self._to(torch.randn(size, generator=self.generator, device=self.generator.device))

    def chosen(self) -> Tensor:
        """1 with probability p, else 0."""
        return (self.uniform() < self.p).to(self.x.dtype)

    def order(self) -> Tensor:
        """A permutation of the rows."""
        order = torch.randperm(len(self.x), generator=self.generator, device=self.generator.device)
        return order.to(self.x.device)

    def _to(self, numbers: Tensor) -> Tensor:
        return numbers.to(self.x.device, self.x.dtype)


def _where_told(told: Tensor, x: Tensor, matrix: Tensor, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Change the rows of which something is told; the others cost nothing and stay as they are, to the bit."""
    rows = (told != 0).any(1).nonzero()[:, 0]
    return x.index_copy(0, rows, change(x[rows], matrix[rows])) if len(rows) else x


def _moved(x: Tensor, draw: _Draw, strengths: Mapping[str, float]) -> tuple[Tensor, Tensor]:
    """All moves as one warp."""
    matrix, told = warp.identity(len(x), x), list[Tensor]()
    for name, strength in strengths.items():
        more, parameters = _MOVES[name](draw, strength, (x.shape[-2], x.shape[-1]))
        matrix = more @ matrix
        told.append(parameters)
    whole = torch.cat(told, 1)
    return _where_told(whole, x, matrix, warp.warp), whole


def _coloured(x: Tensor, draw: _Draw, strengths: Mapping[str, float]) -> tuple[Tensor, Tensor]:
    """All changes of colour as one matrix."""
    matrix, told = colour.identity(len(x), x), list[Tensor]()
    for name, strength in strengths.items():
        amount = draw.chosen() * draw.normal() * strength
        matrix = _COLOURS[name](amount) @ matrix
        told.append(amount)
    whole = torch.stack(told, 1)
    return _where_told(whole, x, matrix, colour.recolour), whole


def _flip(draw: _Draw, strength: float, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    on = draw.chosen()
    return warp.scaling(1 - 2 * on, torch.ones_like(on)), on[:, None]


def _scale(draw: _Draw, strength: float, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    power = draw.chosen() * draw.normal() * strength
    factor = torch.exp2(power)
    return warp.scaling(factor, factor), power[:, None]


def _rotate(draw: _Draw, strength: float, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    degrees = draw.chosen() * (2 * draw.uniform() - 1) * strength
    angle = degrees * (math.pi / 180)
    return warp.rotation(degrees), torch.stack([torch.cos(angle) - 1, torch.sin(angle)], 1)


def _crop(draw: _Draw, strength: float, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    cut = draw.chosen() * draw.uniform() * strength
    left, top = draw.uniform() * cut, draw.uniform() * cut
    told = torch.stack([cut, left - cut / 2, top - cut / 2], 1)
    return warp.window(1 - cut, left, top, size), told


def _shift(draw: _Draw, strength: float, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    on = draw.chosen()
    right, down = on * draw.normal() * strength, on * draw.normal() * strength
    return warp.translation(right * size[1], down * size[0]), torch.stack([right, down], 1)


def mix(x: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    """Pictures with others mixed in by weights [rows] (Zhang et al., 2018, "mixup: beyond empirical risk")."""
    return torch.lerp(x, other, weight[:, None, None, None])


def cut_out(x: Tensor, across: Tensor, down: Tensor, side: float) -> Tensor:
    """Pictures with a square of middle grey (0), which may reach over the edge (DeVries and Taylor, 2017).

    Arguments:
        x: [rows, channels, height, width].
        across: where the square's middle is, as a share of the width, [rows].
        down: the same of the height.
        side: its sides as shares of the picture's.
    """
    height, width = x.shape[-2:]
    row = (torch.arange(height, device=x.device) + 0.5) / height
    column = (torch.arange(width, device=x.device) + 0.5) / width
    in_row, in_column = (row - down[:, None]).abs() < side / 2, (column - across[:, None]).abs() < side / 2
    return x.masked_fill((in_row[:, :, None] & in_column[:, None])[:, None], 0.0)


def _mixed(x: Tensor, draw: _Draw, strength: float) -> tuple[Tensor, Tensor]:
    weight = draw.chosen() * draw.uniform() * strength
    return mix(x, x[draw.order()], weight), weight[:, None]


def _noisy(x: Tensor, draw: _Draw, strength: float) -> tuple[Tensor, Tensor]:
    spread = draw.chosen() * draw.normal().abs() * strength
    return x + draw.normal(x.shape) * spread[:, None, None, None], spread[:, None]


def _cut(x: Tensor, draw: _Draw, strength: float) -> tuple[Tensor, Tensor]:
    on, across, down = draw.chosen(), draw.uniform(), draw.uniform()
    changed = torch.where(on[:, None, None, None] > 0, cut_out(x, across, down, strength), x)
    return changed, torch.stack([on, on * (across - 0.5), on * (down - 0.5)], 1)


_HIGHEST = {
    **{"p": 1.0, "rotation": 180.0, "scale": 4.0, "shift": 1.0, "crop": 0.9, "brightness": 2.0, "contrast": 4.0},
    **{"saturation": 4.0, "noise": 2.0, "cutout": 1.0, "mixup": 0.5},
}
_MOVES = {"flip": _flip, "scale": _scale, "rotation": _rotate, "crop": _crop, "shift": _shift}
_COLOURS: dict[str, Callable[[Tensor], Tensor]] = {
    "brightness": colour.brightness,
    "contrast": lambda power: colour.contrast(torch.exp2(power)),
    "saturation": lambda power: colour.saturation(torch.exp2(power)),
}
_PARAMETERS = {
    "mixup": ("weight of another picture",),
    "flip": ("mirrored",),
    "scale": ("log2 of scale",),
    "rotation": ("cosine of angle, less 1", "sine of angle"),
    "crop": ("share cut off", "window across", "window down"),
    "shift": ("shift to the right", "shift down"),
    "brightness": ("brightness",),
    "contrast": ("log2 of contrast",),
    "saturation": ("log2 of saturation",),
    "noise": ("standard deviation of noise",),
    "cutout": ("square cut out", "square across", "square down"),
}
"""What is told of each change, in the order in which they are made."""
