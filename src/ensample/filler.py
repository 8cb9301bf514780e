"""Text between a beginning and an end by any model that writes forwards: many tries, weighed by what follows."""

from __future__ import annotations

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

OTHERWISE = "fit sequence-autoregressive with infill=0.5, or leave it out"
"""What to do where this way does not go."""


def is_native(model: Model) -> bool:
    """Whether the model itself writes what stands between a beginning and an end."""
    return isinstance(model.distribution, FillsIn) and model.distribution.fills_in


def check(model: Model, writer: Writer, *, stream: bool = False) -> None:
    """Whether these wishes go together with a text to lead to.

    Raises:
        InputError: an option that does not go with a suffix at all, or not with this model.
    """
    options = writer.options
    if writer.draft is not None or options.contrast is not None:
        name = "contrast" if writer.draft is None else "draft"
        raise InputError(
            "What leads to a suffix is drawn.", f"generate, {name}", "also suffix", "leave one of them out"
        )
    if is_native(model):
        return
    if stream:
        rule = "This model weighs whole texts by the suffix that follows."
        raise CapabilityError(rule, "stream, suffix", repr(model.family), "use generate, or " + OTHERWISE)
    asked = [name for name in (*LANGUAGES, "stop") if getattr(options, name)]
    if asked or options.searches:
        rule = "A model that was not taught to fill in draws tries, and weighs where they may end."
        raise InputError(rule, f"generate, {(*options.searches, *asked)[0]}", "also suffix", OTHERWISE)


def weighed(writer: Writer, asked: list[Asked], n: int, tries: int) -> list[Written]:
    """`n` texts for each of what is asked, by sampling importance resampling (Rubin 1987).

    Of each try, a draw `y_1 .. y_T` from p(. | prompt), every beginning `y_1 .. y_m` is a proposal of what stands
    between, of weight `p(suffix, end | prompt, y_1 .. y_m)`; one of all is taken in proportion. So it tends to a draw
    from p(text | prompt, suffix), all lengths up to T alike before the suffix is seen, as tries grow.

    Arguments:
        writer: of the model, past `check`.
        asked: prompts and suffixes.
        n: texts for each.
        tries: drawn for each text.
    """
    inner = replace(writer, log_probs=True)
    return [_one(writer, inner, one, tries) for one in asked for _ in range(n)]


def _one(writer: Writer, inner: Writer, asked: Asked, tries: int) -> Written:
    seed, row = writer.seed_of(asked), Asked(asked.prompt)
    passages = collected(inner.steps([row] * tries, [[*seed, number] for number in range(tries)]), tries)
    rng = np.random.default_rng(seed)
    ends = [
        (number, size)
        for number, passage in enumerate(passages)
        for size in range(writer.options.at_least, len(passage.classes) + 1)
    ]
    if len(ends) > WEIGHED:
        ends = [ends[place] for place in rng.permutation(len(ends))[:WEIGHED]]
    weight = _weights(writer, asked, passages, ends)
    number, size = ends[rng.choice(len(ends), p=np.exp(weight - np.logaddexp.reduce(weight)))]
    chosen = passages[number]
    return writer.as_written(asked, Passage(chosen.classes[:size], chosen.log_probs[:size], "end"))


def _weights(writer: Writer, asked: Asked, passages: list[Passage], ends: list[tuple[int, int]]) -> np.ndarray:
    """Log p(suffix, end | prompt, try up to its end), up to a constant, float64 [ends]."""
    before, after = writer.tokens_of([asked.prompt, cast(str, asked.suffix)])
    different: dict[tuple[int, ...], int] = {}
    place = [different.setdefault(tuple(passages[k].classes[:m]), len(different)) for k, m in ends]
    made = [torch.cat([before, torch.tensor(middle, dtype=torch.int64), after]) for middle in different]
    own, scores = cast(Distribution, writer.model.distribution), []
    for first in range(0, len(made), AT_ONCE):
        scores.append(cell_log_prob(own, writer.batch_of(made[first : first + AT_ONCE])).numpy())
    behind = np.array([sum(passages[k].log_probs[:m]) for k, m in ends])
    told: np.ndarray = np.concatenate(scores)[place] - behind
    return told
