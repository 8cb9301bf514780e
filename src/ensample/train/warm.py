"""Going on from a fitted model: with other data, other options of training, or new fields."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ensample.errors import InputError
from ensample.families.base import Fitted, GradientFamily
from ensample.kinds.records import Records


def warm_module(family: GradientFamily, records: Records, seed: int, start: Fitted) -> Any:
    """A module of the family that stands where `start` stands.

    Over the same event it is `start` itself, its bins and scales included. Over another one (new fields) it is built
    anew, and takes every array whose name and shape agree.

    Raises:
        InputError: `start` is of another family, or nothing of it fits.
    """
    if type(start) is not family.distribution or not isinstance(start, nn.Module):
        raise _unfit(family, f"a fitted {type(start).__name__}")
    if start.event == records.event and start.given == records.given:
        try:
            return family.restore(records.event, records.given, start.arrays(), start.facts())
        except (RuntimeError, KeyError) as error:  # the networks are of another size
            raise _unfit(family, str(error).splitlines()[0]) from error
    module = family.build(records, seed)
    known, carried = start.state_dict(), 0
    with torch.no_grad():
        for name, value in module.named_parameters():
            if name in known and known[name].shape == value.shape:
                value.copy_(known[name])
                carried += 1
    if not carried:
        raise _unfit(family, "no array agrees in name and shape")
    return module


def _unfit(family: GradientFamily, seen: str) -> InputError:
    return InputError(
        "Learning goes on from a model of the same family and the same networks.",
        f"start, {family.name}",
        seen,
        "leave the family out to take that of the model, or change its training options alone",
    )
