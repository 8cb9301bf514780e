"""Verbs that a model has only if its family can honour them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, TypeVar

from ensample.errors import CapabilityError
from ensample.families.abilities import (
    Continues,
    DecodesStates,
    Draws,
    Exports,
    HasGraph,
    Intervals,
    Lengthens,
    Scores,
    Translates,
)
from ensample.families.base import (
    ArrayDistribution,
    Distribution,
    Family,
    Fitted,
    Guarantee,
    LearnsWindows,
    RaggedDistribution,
)

if TYPE_CHECKING:
    from ensample.model import Model

Alone = Lengthens | Continues | ArrayDistribution | RaggedDistribution
"""Distributions over one field that is learned alone: sequences and pictures."""

OTHERS = {
    "chat": "fit a field of dialogues to use chat",
    "forecast": "fit a field of series to use forecast (Dataset.series)",
    "sample": "use chat: what is said to it is given; fit whole dialogues to use sample",
}
"""What to do about a verb that the family has and the records do not."""

P = ParamSpec("P")
R = TypeVar("R")


class MissingVerb(CapabilityError, AttributeError):
    """The model does not have this verb, because its family cannot honour it."""


class verb(Generic[P, R]):
    """A method that a model has only if its `can` lists it; `hasattr` tells."""

    def __init__(self, function: Callable[Concatenate[Model, P], R]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, model: Model | None, owner: type | None = None) -> Callable[P, R]:
        name = self.function.__name__
        if model is None:
            return self.function  # type: ignore[return-value]
        if name not in model.can:
            able = [other for other, can in offered().items() if name in can]
            fix = f"fit {' or '.join(able[:3]) or 'another family'} to use {name}"
            if model.family.name in able:  # this model's records are of another kind
                fix = f"fit a field of texts to use {name}"
                fix = OTHERS.get(name, "use chat" if "chat" in model.can else fix)
            raise MissingVerb(
                "A model has only the verbs that its family can honour.",
                f"model.{name}",
                f"{model.family.name} offers {', '.join(model.can)}",
                fix,
            )
        return self.function.__get__(model)  # type: ignore[no-any-return]


def capabilities(distribution: type[Fitted], guarantees: Mapping[str, Guarantee]) -> dict[str, Guarantee]:
    """Public verbs of a distribution from what it has and guarantees.

    What needs the integral of a density over a cell is an estimate: a numerical rule takes it (`infer.likelihood`).
    """
    out: dict[str, Guarantee] = {}
    if issubclass(distribution, Distribution):
        out["sample"] = guarantees.get("sample", "exact")
        if distribution.measure == "density":
            guarantees = {**guarantees, "log_prob": "estimate", "draw": "estimate"}
    if issubclass(distribution, Scores):
        out["log_prob"] = out["anomaly_score"] = guarantees.get("log_prob", "exact")
        if not issubclass(distribution, Alone):  # such records have no field of one value
            out["classify"] = out["log_prob"]
    if issubclass(distribution, Draws):
        out["impute"] = guarantees.get("draw", "exact")
    elif issubclass(distribution, Scores) and (not issubclass(distribution, Alone) or _as_rows(distribution)):
        out["impute"] = guarantees.get("draw", "estimate")  # that of the rows it is; else by `infer.proposal`
    if issubclass(distribution, Alone) and not issubclass(distribution, ArrayDistribution) and "impute" in out:
        out["forecast"] = out["impute"]  # a model has it only where its records are series
    if issubclass(distribution, ArrayDistribution) and "impute" in out:  # pictures have holes where one says so
        out["edit"] = out.pop("impute")
    if issubclass(distribution, Translates):
        out["edit"] = "estimate"
    if issubclass(distribution, Intervals):
        out["log_prob_interval"] = "estimate"
    if _encodes(distribution):
        for name in ("encode", "decode", "reconstruct", "interpolate", "direction"):
            out[name] = guarantees.get("encode", "exact")
    if issubclass(distribution, DecodesStates):
        out["states"] = "exact"
    if issubclass(distribution, Continues):  # a model has them only where its records are texts or dialogues
        out["generate"] = out["stream"] = out["chat"] = guarantees.get("sample", "exact")
    elif hasattr(distribution, "between"):  # `FillsIn`, whose properties an instance alone has
        out["generate"] = out["stream"] = guarantees.get("generate", "exact")
    if issubclass(distribution, Exports):  # where the tokenizer is that of a checkpoint
        out["export"] = "exact"
    if issubclass(distribution, HasGraph):
        out["graph"] = "exact"
    return out


def offered() -> dict[str, dict[str, Guarantee]]:
    """Family -> public verb -> guarantee, for every family."""
    from ensample.families import TABLE

    return {
        name: {
            verb: sort for each in distributions(family) for verb, sort in capabilities(each, each.guarantees).items()
        }
        for name, family in TABLE.items()
    }


def distributions(family: type[Family]) -> tuple[type[Fitted], ...]:
    """What a family may give: its distribution, and for windows of series another one where it says so."""
    windows = family.windows if isinstance(family, LearnsWindows) else None
    return (family.distribution,) if windows is None else (family.distribution, windows)


def _encodes(distribution: type[Fitted]) -> bool:
    """Whether it is `Encodes`, whose width an instance alone has."""
    return hasattr(distribution, "encode") and hasattr(distribution, "decode")


def _as_rows(distribution: type[Fitted]) -> bool:
    """Whether it is `AsRows`, whose row an instance alone has."""
    return hasattr(distribution, "rows") and hasattr(distribution, "arrays_of")
