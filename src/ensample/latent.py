"""Verbs of models with a latent space, and of estimates that know how far to trust themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from ensample.data.dataset import Dataset
from ensample.errors import InputError
from ensample.events import Batch
from ensample.families.abilities import Encodes, Intervals
from ensample.infer.latent import PATHS
from ensample.infer.latent import direction as direction_between
from ensample.kinds.codecs import rows_at_once
from ensample.sampling import generator_of, given_rows

if TYPE_CHECKING:
    from ensample.model import Model

AT_ONCE = 16_384
"""Rows in one batch."""


def encode(model: Model, data: Any) -> np.ndarray:
    """Place of each record in the latent space, float32 [rows, width]; standard normal over all records.

    Arguments:
        model: a fitted model.
        data: records with all learned and given fields.
    """
    own = cast(Encodes, model.distribution)
    parts = [own.encode(batch).numpy() for batch in _batches(model, model._dataset(data))]
    return np.concatenate([np.zeros((0, own.latent_width), np.float32), *parts])


def decode(model: Model, latent: Any, given: Any = None, seed: int | None = None) -> Dataset:
    """A record for each place of the latent space; standard normal places make samples.

    Arguments:
        model: a fitted model.
        latent: places [rows, width], as `encode` gives them.
        given: a table with the given fields, a row for each place; needed if the model has any.
        seed: same seed, same records; a family whose places say all does not use it.

    Raises:
        InputError: places of another width, or given fields that are not there or of another length.
    """
    own = cast(Encodes, model.distribution)
    places = torch.as_tensor(np.asarray(latent, dtype=np.float32))
    if places.ndim != 2 or places.shape[1] != own.latent_width or not bool(torch.isfinite(places).all()):
        raise InputError(
            "Places are finite numbers, a row for each record.",
            "decode, latent",
            f"an array of shape {tuple(places.shape)}",
            f"give an array [rows, {own.latent_width}], as encode makes it",
        )
    return _decoded(model, places, _given(model, given, len(places)), seed)


def reconstruct(model: Model, data: Any, seed: int | None = None) -> Dataset:
    """Each record through the latent space and back: what the model keeps of it.

    Arguments:
        model: a fitted model.
        data: records with all learned and given fields.
        seed: of what a place leaves open.
    """
    table = model._dataset(data)
    return decode(model, encode(model, table), table, seed)


def interpolate(
    model: Model, first: Any, last: Any, steps: int = 8, how: str = "spherical", seed: int | None = None
) -> Dataset:
    """Records on the way from each record of `first` to the one of `last` in the same row, both ends included.

    Arguments:
        model: a fitted model.
        first: records with all learned and given fields; given fields stay as they are here.
        last: as many others.
        steps: records on each way, at least 2; the answer has them one way after the other.
        how: "spherical", which stays where records are, or "linear".
        seed: of what places leave open.

    Raises:
        InputError: tables of different lengths, another word for `how`, or fewer than two steps.
    """
    if how not in PATHS:
        raise InputError("`how` names a way.", "interpolate, how", repr(how), f"choose {' or '.join(PATHS)}")
    if steps < 2:
        raise InputError("A way has two ends.", "interpolate, steps", str(steps), "say 2 or more")
    start, end = model._dataset(first), model._dataset(last)
    if len(start) != len(end):
        raise InputError(
            "Each record of the first table goes to one of the last.",
            "interpolate",
            f"{len(start)} and {len(end)} rows",
            "give tables of the same length",
        )
    a, b = (torch.from_numpy(encode(model, table)) for table in (start, end))
    places = PATHS[how](a, b, torch.linspace(0, 1, steps)).flatten(0, 1)
    cond = _given(model, start, len(start))
    return _decoded(model, places, None if cond is None else cond.repeat(steps), seed)


def direction(model: Model, positive: Any, negative: Any) -> np.ndarray:
    """What an attribute adds in the latent space: from the mean place of records without it to those with it.

    `model.decode(model.encode(data) + model.direction(smokers, others))` gives the records the attribute.

    Arguments:
        model: a fitted model.
        positive: records that have the attribute, at least one.
        negative: records that do not.

    Returns:
        float32 [width].
    """
    groups = [encode(model, table) for table in (positive, negative)]
    if not all(len(group) for group in groups):
        raise InputError("A group has records.", "direction", "an empty table", "give at least one record each")
    found: np.ndarray = direction_between(torch.from_numpy(groups[0]), torch.from_numpy(groups[1])).numpy()
    return found


def log_prob_interval(model: Model, data: Any, level: float = 0.95) -> np.ndarray:
    """Lower and upper end of a confidence interval around each `log_prob`, nats, float64 [rows, 2].

    Arguments:
        model: a fitted model.
        data: records, anything that `read` takes.
        level: share of such intervals that hold what the estimate tends to.

    Raises:
        InputError: a level that does not lie between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise InputError("A level lies between 0 and 1.", "log_prob_interval, level", str(level), "say 0.95")
    own, table = cast(Intervals, model.distribution), model._dataset(data)
    parts = [own.log_prob_interval(batch, level).numpy() for batch in _batches(model, table)]
    ends: np.ndarray = np.concatenate([np.zeros((0, 2)), *parts]) + model.codec.log_volume(table)[:, None]
    return ends


def _batches(model: Model, table: Dataset) -> Iterator[Batch]:
    return model.codec.encode(table).batches(rows_at_once(model.codec.event, AT_ONCE))


def _given(model: Model, table: Any, rows: int) -> Batch | None:
    """The given fields of a table as a batch; None if the model has none."""
    if not model.codec.given:
        return None
    table = None if table is None else model._dataset(table)
    missing = [name for name in model.codec.given if table is None or name not in table.names]
    if table is None or missing:
        raise InputError(
            "A model of p(x | given) needs the given fields.",
            "decode, given",
            f"nothing for {', '.join(missing)}",
            "give a table that has them",
        )
    if len(table) != rows:
        raise InputError(
            "Given fields have a row for each place.", "decode, given", f"{len(table)} for {rows} places", "match them"
        )
    return given_rows(model, table)


def _decoded(model: Model, places: torch.Tensor, cond: Batch | None, seed: int | None) -> Dataset:
    generator, number = generator_of(seed)
    made = cast(Encodes, model.distribution).decode(places, generator, cond)
    return model.codec.decode(made, number)
