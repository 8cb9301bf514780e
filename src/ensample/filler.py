"""Text between a beginning and an end by any model that writes forwards: many tries, weighed by what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from ensample.errors import CapabilityError, InputError
from ensample.families.abilities import FillsIn
from ensample.families.base import Distribution
from ensample.infer.likelihood import cell_log_prob
from ensample.solvers.decoding import Passage, collected
from ensample.solvers.decoding.options import LANGUAGES
from ensample.writer import Asked, Writer, Written

if TYPE_CHECKING:
    from ensample.model import Model

WEIGHED = 2048
"""Most ways to go on that are weighed for one text: ends of tries, chosen at random where there are more."""

AT_ONCE = 256
"""Records scored at once."""

TRIES = 64
"""Tries of a model that was not taught to fill in, if nothing is said."""

OTHERWISE = "fit sequence-autoregressive with infill=0.5, or leave it out"
"""What to do where this way does not go."""


def is_native(model: Model) -> bool:
    """Whether the model itself writes what stands between a beginning and an end."""
    return isinstance(model.distribution, FillsIn) and model.distribution.fills_in


def tries_of(model: Model, candidates: int | None) -> int:
    """How many tries of each text, if nothing else is said."""
    return candidates if candidates is not None else 1 if is_native(model) else TRIES


def check(model: Model, writer: Writer, *, tries: int = 1, stream: bool = False) -> None:
    """Whether these wishes go together with a text to lead to.

    Raises:
        InputError: an option that does not go with a suffix at all, or not with this model, or not with tries.
        CapabilityError: tries are weighed by whole texts, and there is no exact law of these, or no stream of tries.
    """
    options = writer.options
    if writer.draft is not None or options.contrast is not None:
        name = "contrast" if writer.draft is None else "draft"
        raise InputError(
            "What leads to a suffix is drawn.", f"generate, {name}", "also suffix", "leave one of them out"
        )
    native = is_native(model)
    if native and tries == 1:
        return
    if stream:
        rule = "This model weighs whole texts by the suffix that follows."
        raise CapabilityError(rule, "stream, suffix", repr(model.family), "use generate, or " + OTHERWISE)
    if native and not is_weighing(model):
        rule, fix = "Tries are weighed by the exact law of whole texts.", "leave out candidates"
        raise CapabilityError(rule, "generate, candidates", repr(model.family), fix)
    asked = [name for name in (*(() if native else LANGUAGES), "stop") if getattr(options, name)]
    if asked or options.searches:
        rule = "What is drawn in several tries is weighed by whole texts, where each may end."
        fix = "leave out candidates" if native else OTHERWISE
        raise InputError(rule, f"generate, {(*options.searches, *asked)[0]}", "also candidates of a suffix", fix)


def is_weighing(model: Model) -> bool:
    """Whether whole texts have an exact law here."""
    return model.can.get("log_prob") == "exact"


def weighed(writer: Writer, asked: list[Asked], n: int, tries: int) -> list[Written]:
    """`n` texts for each of what is asked, by sampling importance resampling (Rubin 1987).

    A model that was taught to fill in draws `y` from its q(. | prompt, suffix), of weight `p(prompt, y, suffix) /
    q(y)`. Of a draw `y_1 .. y_T` of any other, from p(. | prompt), every beginning `y_1 .. y_m` is a proposal of what
    stands between, of weight `p(suffix, end | prompt, y_1 .. y_m)`. One of all is taken in proportion. So it tends to a
    draw from p(text | prompt, suffix) as tries grow; in the second way all lengths up to T are alike before the suffix
    is seen.

    Arguments:
        writer: of the model, past `check`.
        asked: prompts and suffixes.
        n: texts for each.
        tries: drawn for each text.
    """
    inner = replace(writer, log_probs=True)
    return [_one(writer, inner, one, tries) for one in asked for _ in range(n)]


def _one(writer: Writer, inner: Writer, asked: Asked, tries: int) -> Written:
    seed, native = writer.seed_of(asked), is_native(writer.model)
    row = asked if native else Asked(asked.prompt)
    passages = collected(inner.steps([row] * tries, [[*seed, number] for number in range(tries)]), tries)
    rng = np.random.default_rng(seed)
    ends = [
        (number, size)
        for number, passage in enumerate(passages)
        for size in range(len(passage.classes) if native else writer.options.at_least, len(passage.classes) + 1)
    ]
    if len(ends) > WEIGHED:
        ends = [ends[place] for place in rng.permutation(len(ends))[:WEIGHED]]
    proposed = [sum(passages[k].log_probs[: None if native else m]) for k, m in ends]
    weight = log_p(writer, asked, [passages[k].classes[:m] for k, m in ends]) - np.array(proposed)
    number, size = ends[rng.choice(len(ends), p=np.exp(weight - np.logaddexp.reduce(weight)))]
    chosen = passages[number]
    return writer.as_written(
        asked, chosen if native else Passage(chosen.classes[:size], chosen.log_probs[:size], "end")
    )


def in_order(writer: Writer, asked: Asked, passages: list[Passage]) -> list[Passage]:
    """What was found between a prompt and a suffix, the most probable whole text first, if that is known."""
    if not is_weighing(writer.model):
        return passages
    told = log_p(writer, asked, [passage.classes for passage in passages])
    return [passages[number] for number in np.argsort(-told, kind="stable")]


def log_p(writer: Writer, asked: Asked, middles: Sequence[Sequence[int]]) -> np.ndarray:
    """Log p(prompt, middle, suffix) of whole texts, nats, float64 [middles]."""
    before, after = writer.tokens_of([asked.prompt, cast(str, asked.suffix)])
    different: dict[tuple[int, ...], int] = {}
    place = [different.setdefault(tuple(middle), len(different)) for middle in middles]
    made = [torch.cat([before, torch.tensor(middle, dtype=torch.int64), after]) for middle in different]
    own, scores = cast(Distribution, writer.model.distribution), []
    for first in range(0, len(made), AT_ONCE):
        scores.append(cell_log_prob(own, writer.batch_of(made[first : first + AT_ONCE])).numpy())
    told: np.ndarray = np.concatenate(scores)[place]
    return told
