"""Verbs of models of pictures: fill holes, make a picture of a part, a small, a grey, a blurred or a rough one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.data.dataset import Dataset
from ensample.data.pictures.column import MODES, NAMES, is_pictures, pixels_of, tensor_column
from ensample.data.readers import read as read_records
from ensample.errors import CapabilityError, InputError
from ensample.events import Batch
from ensample.families.abilities import AsRows, Denoises, Draws, Translates
from ensample.infer.impute import fill
from ensample.infer.restore import Flows, restore, vary
from ensample.infer.style import stylised
from ensample.kinds.image import Image
from ensample.kinds.imagecodec import ImageCodec
from ensample.sampling import generator_of, given_row, given_rows
from ensample.solvers.measured import Blur, Downsample, Grey, Mask, Measurement

if TYPE_CHECKING:
    from ensample.model import Model


BRIGHT = 127
"""Pixels of a mask above this are to be filled."""


@dataclass(frozen=True)
class Wish:
    """What `edit` is asked for, past its checks; see there."""

    model: Model
    pixels: np.ndarray
    cond: Batch | None
    mask: Any
    sd: float
    noise: float
    strength: float
    travel: int
    steps: int
    to: Any

    @property
    def kind(self) -> Image:
        """The kind of the pictures that were learned."""
        return cast(ImageCodec, self.model.codec).kind

    @property
    def size(self) -> tuple[int, int, int]:
        """(height, width, channels) of a picture that was learned."""
        return self.kind.height, self.kind.width, self.kind.channels

    def batch(self, pixels: np.ndarray) -> Batch:
        """Whole pictures as levels."""
        levels = self.kind.levels_of(tensor_column(pixels), cast(ImageCodec, self.model.codec).field)
        cells = torch.from_numpy(levels).to(torch.int64)
        return Batch(cells, torch.ones_like(cells, dtype=torch.bool), self.cond)

    def numbers(self) -> Tensor:
        """Pixels as numbers in [-1, 1], on the grid of levels or not, float64 [rows, channels, height, width]."""
        half = self.kind.step * (self.kind.levels - 1) / 2
        return torch.from_numpy(np.moveaxis(self.pixels, -1, 1).astype(np.float64) / half - 1)

    def check_size(self, height: int, width: int, channels: int, what: str) -> None:
        """Raise InputError unless the pictures are of this size."""
        seen = self.pixels.shape[1:]
        if seen != (height, width, channels):
            raise InputError(
                f"{what} needs pictures of {height} x {width}, {NAMES[channels]}.",
                "edit",
                f"{seen[0]} x {seen[1]}, {NAMES[seen[2]]}",
                f'read them with size=({height}, {width}) and mode="{MODES[channels]}"',
            )


def edit(
    model: Model,
    data: Any,
    how: str = "inpaint",
    *,
    mask: Any = None,
    sd: float = 1.5,
    noise: float = 0.0,
    strength: float = 0.6,
    travel: int = 1,
    steps: int = 50,
    to: Any = None,
    where: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> Dataset:
    """Pictures made from other pictures by one trained model: what is missing given what is there.

    Arguments:
        model: a fitted model of pictures.
        data: pictures, anything that `read` takes; also given fields, if `where` does not say them.
        how: "inpaint" (fill `mask`), "outpaint" (go on beyond the edges of smaller pictures), "enlarge" (smaller
            pictures whose sides divide those that were learned), "colourise" (grey pictures, of a model of colours),
            "deblur" (of a Gaussian blur of `sd` pixels), "denoise" (of errors of `noise`), "vary" (new pictures from
            rough ones), or "translate" (the same with another value of a given field).
        mask: for "inpaint": what to fill, bool or bright, [height, width] or one for each picture; also a file.
        sd: of the blur, in pixels.
        noise: standard deviation of errors in the pictures given, as a share of half the range of a pixel; what is
            there is otherwise taken at its word.
        strength: for "vary": share of the way to noise, in (0, 1].
        travel: how often each step is taken; more fit what is new better to what is there, and cost as much more.
        steps: of the chain.
        to: for "translate": the value of the given field that they are to have, or a dict of it. What they are now
            need not be said.
        where: one value for each given field; the columns of `data` if None.
        seed: same seed, same pictures.

    Returns:
        A Dataset with a picture for each of `data`. Known pixels of "inpaint" and "outpaint" are unchanged.

    Raises:
        InputError: pictures of a size that does not go with `how`, a mask of another size, or a number out of range.
        CapabilityError: the family of the model cannot do this.
    """
    if how not in HOW:
        raise InputError("`how` names a way to edit.", "edit, how", repr(how), f"choose {', '.join(HOW)}")
    for name, value, low in (("sd", sd, 1e-3), ("noise", noise, 0), ("travel", travel, 1), ("steps", steps, 1)):
        if not value >= low:
            raise InputError("A number must be in its range.", f"edit, {name}", str(value), f"choose {low} or more")
    table = data if isinstance(data, Dataset) else read_records(data)
    pixels = _pictures(table)
    cond = None if how == "translate" else given_rows(model, table) if where is None else given_row(model, dict(where))
    if cond is not None and where is not None:
        cond = cond.repeat(len(pixels))
    generator, number = generator_of(seed)
    wish = Wish(model, pixels, cond, mask, sd, noise, strength, int(travel), int(steps), to)
    return model.codec.decode(HOW[how](wish, generator), number)


def restyle(data: Any, style: Any, *, keep: float = 1.0, steps: int = 150) -> Dataset:
    """Pictures that keep what they show and take the texture of another (neural style: Gatys, Ecker and Bethge 2016).

    No model is needed: it is found by descent, seconds for a small picture. See `infer.style.stylised`.

    Arguments:
        data: pictures, anything that `read` takes.
        style: the picture whose texture to take; of several, the first.
        keep: weight of what is shown; 0 makes pure texture.
        steps: of the descent.

    Returns:
        A Dataset with the column of pictures changed and all others as they were.

    Raises:
        InputError: grey and coloured pictures together, or a number out of range.
    """
    for name, value, low in (("keep", keep, 0.0), ("steps", steps, 1)):
        if not value >= low:
            raise InputError("A number must be in its range.", f"restyle, {name}", str(value), f"choose {low} or more")
    table, other = (each if isinstance(each, Dataset) else read_records(each) for each in (data, style))
    content, manner = _pictures(table), _pictures(other)[:1]
    if content.shape[3] != manner.shape[3]:
        raise InputError(
            "Content and style have the same colours.",
            "restyle",
            f"{NAMES[content.shape[3]]} and {NAMES[manner.shape[3]]}",
            'read both with mode="RGB"',
        )
    both = [torch.from_numpy(np.moveaxis(each, -1, 1) / np.float32(127.5) - 1) for each in (content, manner)]
    made = torch.cat([stylised(one, both[1], keep=keep, steps=int(steps)) for one in torch.split(both[0], 1)])
    pixels = ((made + 1) * 127.5).round().to(torch.uint8).movedim(1, -1).contiguous().numpy()
    whole = table.to_arrow()
    place = next(j for j, field in enumerate(whole.schema) if is_pictures(field.type))
    column = tensor_column(pixels)
    return Dataset.from_arrow(whole.set_column(place, whole.schema.field(place).with_type(column.type), column))


def _fill(model: Model, batch: Batch, generator: Generator) -> Batch:
    if not isinstance(model.distribution, AsRows | Draws):
        raise CapabilityError(
            "Filling needs a family with conditional draws.", "edit", model.family.name, "fit image-field"
        )
    return fill(model._completing, replace(batch, cells=torch.where(batch.mask, batch.cells, 0)), [], generator)


def _inpaint(wish: Wish, generator: Generator) -> Batch:
    wish.check_size(*wish.size, "Inpainting")
    holes = _holes(wish.mask, len(wish.pixels), wish.size[:2])
    batch = wish.batch(wish.pixels)
    return _fill(wish.model, replace(batch, mask=batch.mask & ~holes[:, None]), generator)


def _outpaint(wish: Wish, generator: Generator) -> Batch:
    height, width, channels = wish.size
    rows, h, w, c = wish.pixels.shape
    if h > height or w > width or c != channels:
        wish.check_size(min(h, height), min(w, width), channels, "Outpainting")
    top, left = (height - h) // 2, (width - w) // 2
    whole = np.zeros((rows, *wish.size), np.uint8)
    whole[:, top : top + h, left : left + w] = wish.pixels
    batch = wish.batch(whole)
    batch.mask[:] = False
    batch.mask[:, :, top : top + h, left : left + w] = True
    return _fill(wish.model, batch, generator)


def _enlarge(wish: Wish, generator: Generator) -> Batch:
    height, width, channels = wish.size
    h, w = wish.pixels.shape[1:3]
    factor = max(2, height // max(1, h))
    if (h * factor, w * factor) != (height, width) or wish.pixels.shape[3] != channels:
        wish.check_size(height // factor, width // factor, channels, "Enlarging")
    return _restored(wish, Downsample(factor), generator)


def _colourise(wish: Wish, generator: Generator) -> Batch:
    height, width, channels = wish.size
    if channels != 3:
        raise InputError(
            "Colours come from a model of colours.", "edit, colourise", f"pictures of {NAMES[channels]}", "fit RGB ones"
        )
    wish.check_size(height, width, 1, "Colourising")
    return _restored(wish, Grey(), generator)


def _deblur(wish: Wish, generator: Generator) -> Batch:
    wish.check_size(*wish.size, "Deblurring")
    return _restored(wish, Blur.gaussian(wish.size[0], wish.size[1], wish.sd), generator)


def _denoise(wish: Wish, generator: Generator) -> Batch:
    wish.check_size(*wish.size, "Denoising")
    if not wish.noise > 0:
        raise InputError("Denoising needs to know how large errors are.", "edit, noise", "0", "say noise=0.1, say")
    own = wish.model.distribution
    if not isinstance(own, Denoises):
        return _restored(wish, Mask(torch.ones((), dtype=torch.bool)), generator)
    half = (wish.kind.levels - 1) / 2
    cells = own.denoise((wish.numbers() + 1) * half, wish.noise * half).round().clamp(0, 2 * half).to(torch.int64)
    return Batch(cells, torch.ones_like(cells, dtype=torch.bool), wish.cond)


def _vary(wish: Wish, generator: Generator) -> Batch:
    wish.check_size(*wish.size, "Varying")
    return vary(_flows(wish), wish.batch(wish.pixels), wish.strength, generator, steps=wish.steps)


def _translate(wish: Wish, generator: Generator) -> Batch:
    own, given = wish.model.distribution, wish.model.codec.given
    if not isinstance(own, Translates):
        raise CapabilityError(
            "Translation is learned as such.",
            "edit",
            wish.model.family.name,
            'fit image-cycle, or use "vary" with a field',
        )
    wish.check_size(*wish.size, "Translating")
    if wish.to is None:
        raise InputError(
            "A translation has an end.", "edit, to", "nothing", f"say to= which {' and '.join(given)} to make"
        )
    to = given_row(wish.model, wish.to if isinstance(wish.to, Mapping) else dict.fromkeys(given, wish.to))
    assert to is not None
    return own.translate(wish.batch(wish.pixels), to.repeat(len(wish.pixels)))


def _restored(wish: Wish, measurement: Measurement, generator: Generator) -> Batch:
    return restore(
        _flows(wish),
        measurement,
        wish.numbers(),
        generator,
        wish.cond,
        noise=wish.noise,
        travel=wish.travel,
        steps=wish.steps,
    )


HOW: dict[str, Callable[[Wish, Generator], Batch]] = {
    "inpaint": _inpaint,
    "outpaint": _outpaint,
    "enlarge": _enlarge,
    "colourise": _colourise,
    "deblur": _deblur,
    "denoise": _denoise,
    "vary": _vary,
    "translate": _translate,
}
"""Ways to edit by their public names."""


def _flows(wish: Wish) -> Flows:
    if not isinstance(wish.model.distribution, Flows):
        raise CapabilityError(
            "Only fields of pictures can do this.", "edit", wish.model.family.name, "fit image-field, or inpaint"
        )
    return wish.model.distribution


def _pictures(table: Dataset) -> np.ndarray:
    """The one column of pictures, uint8 [rows, height, width, channels]."""
    found = [field.name for field in table.arrow_schema if is_pictures(field.type)]
    if len(found) != 1:
        raise InputError(
            "Editing needs one column of pictures.", table.source or "data", f"{len(found)} of them", "select one"
        )
    return pixels_of(table.column(found[0]))


def _holes(mask: Any, rows: int, size: tuple[int, ...]) -> Tensor:
    """Which pixels are to be filled, bool [rows, height, width]."""
    if mask is None:
        raise InputError(
            "Filling needs a mask.", "mask", "none", "give an array [height, width] that is true where to fill"
        )
    array = mask if isinstance(mask, np.ndarray) else _pictures(read_records(mask)).max(-1)
    holes = array if array.dtype == bool else array > BRIGHT
    holes = holes[None] if holes.ndim == 2 else holes
    if holes.shape[1:] != size or len(holes) not in (1, rows):
        raise InputError(
            "A mask is of the size of the pictures.",
            "mask",
            f"an array of shape {array.shape}",
            f"give [{size[0]}, {size[1]}], or one for each of {rows}",
        )
    return torch.from_numpy(np.ascontiguousarray(holes)).expand(rows, *size)
