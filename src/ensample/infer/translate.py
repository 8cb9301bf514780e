"""Pictures with other given fields than they have, by what the distribution can do."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ensample.errors import CapabilityError
from ensample.events import Batch
from ensample.families.abilities import Encodes, Translates
from ensample.families.base import Fitted
from ensample.infer.restore import STEPS, Flows
from ensample.solvers.steps import Heun

AT_ONCE = 256
"""Pictures that follow a field in one pass."""


@torch.no_grad()
def translated(fitted: Fitted, batch: Batch, to: Batch, generator: Generator, *, steps: int = STEPS) -> Batch:
    """Each picture as it would be if `to` were given for it, and not what is.

    A family that learned this as such answers by itself (`Translates`). Elsewhere the picture goes to a place of the
    latent space under what is given, and back under `to` (`Encodes`), or so along a field: by its ODE to noise and from
    there to data (dual diffusion implicit bridges: Su et al. 2023). What goes through a latent space keeps what the
    space holds beside the given fields; nothing says that this is what a person would keep.

    Arguments:
        fitted: a fitted family of pictures.
        batch: the pictures, with their given fields where the family has to be told.
        to: a row of given fields for each.
        generator: of what a place leaves open.
        steps: of a field, each way.

    Raises:
        CapabilityError: the family can do none of these.
    """
    if isinstance(fitted, Translates):
        return fitted.translate(batch, to)
    if isinstance(fitted, Encodes):
        return fitted.decode(fitted.encode(batch), generator, to)
    if isinstance(fitted, Flows):
        return _bridged(fitted, batch, to, generator, steps)
    raise CapabilityError(
        "Translation needs a map between sorts of pictures, or a space that they share.",
        "edit, translate",
        f"a {type(fitted).__name__}, which has neither",
        "fit image-cycle",
    )


def _bridged(fitted: Flows, batch: Batch, to: Batch, generator: Generator, steps: int) -> Batch:
    grid, cells = fitted.grid(steps)[:-1], []
    for start in range(0, len(batch), AT_ONCE):
        here = slice(start, start + AT_ONCE)
        part = batch.take(here)
        there, back = fitted.field(part), fitted.field(Batch(part.cells, part.mask, to.take(here)))
        x: Tensor = fitted.pixels.numbers(part.cells) * there.path.alpha(grid[-1:])
        x = Heun()(there, x.to(torch.float32), grid.flip(0), generator)
        cells.append(fitted.pixels.cells(Heun()(back, x, grid, generator)))
    made = torch.cat(cells) if cells else batch.cells
    return Batch(made, torch.ones_like(made, dtype=torch.bool), to)
