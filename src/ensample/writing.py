"""Verbs of models of texts: write on from a prompt, whole or as it appears."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack, cast

import numpy as np
import pyarrow as pa

from ensample import filler
from ensample.data.dataset import Dataset
from ensample.errors import InputError
from ensample.kinds.alone import AloneCodec
from ensample.kinds.textcodec import TextCodec
from ensample.sampling import counted
from ensample.solvers.decoding.options import Drawing, Options, Searching
from ensample.writer import Asked, Writer, Written

if TYPE_CHECKING:
    from ensample.model import Model


def generate(
    model: Model,
    prompts: str | Sequence[str] = "",
    n: int = 1,
    *,
    suffix: str | Sequence[str] | None = None,
    candidates: int | None = None,
    draft: Model | None = None,
    where: Mapping[str, Any] | Any = None,
    seed: int | None = None,
    log_probs: bool = False,
    **options: Unpack[Searching],
) -> Written | list[Written]:
    """Texts that go on from prompts.

    Whatever the options leave is drawn from the model's own distribution, token by token. Options apply in the order
    in which they stand here from `repetition_penalty` on: that, `no_repeat`, then `temperature`, `top_k`, `top_p`,
    `min_p`, `typical`; constraints before all of them. A prompt may be longer than what the model sees at once: it
    sees the last part. Characters or words of a prompt that the model does not know are unknown to it, as they are in
    `log_prob`, and a warning names them; the model never writes what is unknown.

    Arguments:
        model: a fitted model of texts.
        prompts: one or several, of any length; "" begins a new text.
        n: how many texts for each prompt.
        suffix: what the text has to lead to, one for all prompts or one for each: it is what stands between the two.
            Models that were taught it see the suffix while they write (`SequenceAutoregressive(infill=0.5)`,
            `sequence-field`), and write at most as much as they have room for. Others write several candidates, and one
            is taken by how probable the suffix is behind it: good where a text of some tokens is missing.
        candidates: tries of each text that leads to a suffix, of which one is taken so that, as tries grow, texts are
            draws by `log_prob` of the whole (64). A model that was taught writes one (1); 16 fit better, and take as
            many times as long. Beams of such a model are put in order by that law.
        tokens: at most so many new ones (256 if left out); a text may end before by itself.
        at_least: tokens before it may end by itself (0).
        temperature: below 1 the probable becomes more so; see `Temperature`.
        top_k: choose among so many most probable tokens.
        top_p: choose among the fewest most probable tokens of this share of the probability.
        min_p: choose among tokens at least so many times as probable as the most probable one.
        typical: choose among the fewest tokens of this share whose surprise is nearest to the expected.
        repetition_penalty: above 1, tokens that came before (in the prompt, too) become less probable.
        no_repeat: no run of so many tokens comes twice.
        greedy: the most probable token each time; nothing is drawn.
        contrast: take, of the `top_k` (4) most probable tokens, one that is probable and unlike all before: from 0 (the
            most probable) to 1; 0.6 is usual. Nothing is drawn. Needs a network, and reads the prompt token by token.
        beams: search for the most probable text and keep so many on the way; the `n` best are returned, best first.
        length_power: beams are compared by their log-probability divided by this power of their length.
        early_stopping: what ends a search of which so many beams are done. "unlikely": when no text to come would be
            better that ended, with certainty, by the next token; exact where `length_power` is at most 0, otherwise a
            guess, which is seldom wrong. "never": when none to come can be better; where `length_power` is above 0 that
            takes nearly all `tokens` steps. "enough": at once.
        stop: one or several strings before which a text ends.
        regex: all of the new text matches this regular expression (package `llguidance`, extra `text`).
        grammar: it is of this grammar, in the notation of Lark.
        schema: it is JSON of this JSON schema.
        choices: it is one of these strings.
        draft: a faster model over the same tokens that proposes tokens, for `model` to check several at once; the
            distribution stays that of `model` (speculative decoding). Pays for few texts and a `model` that is slow.
        ahead: tokens proposed at once (4).
        where: one value for each given field; or a table with a row for each text (anything that `read` takes), which
            all have one prompt, or one each: `where={"de": ["Ein Hund.", "Zwei Katzen."]}` where a text is given.
        seed: same seed and prompt, same text: alone or beside others (but for rounding, which may change one token in
            a million). Texts of the same prompt are different. None draws a fresh one.
        log_probs: also give the log-probability of each token.

    Returns:
        For one prompt as a string and n=1 a `Written`, which is a string; otherwise a list, `n` for each prompt (or
        row of a table) in their order.

    Raises:
        InputError: an option out of its range, options that contradict one another, or a constraint that cannot be
            read.
        CapabilityError: the constraint leaves nothing to write in any text, or the draft does not fit. A text that it
            leaves nothing while others end well is `ended` as "stuck".
    """
    wishes, rows = Options(**options), counted(n)
    tries = counted(filler.tries_of(model, candidates), "candidates")
    if wishes.searches and rows > (most := wishes.beams or 1):
        raise InputError("A search finds so many texts.", "generate, n", f"{rows} of {most}", f"say n={most}")
    asked = _asked(model, _several(prompts, "prompts"), suffix)
    if isinstance(told := _told(model, where), Dataset):
        asked = _each(asked, len(told))
    writer = Writer(model, wishes, told, seed, draft, log_probs)
    if suffix is not None:
        filler.check(model, writer, tries=tries)
    if suffix is not None and (tries > 1 or not filler.is_native(model)):
        made = filler.weighed(writer, asked, rows, tries)
    else:
        order = None if suffix is None else partial(filler.in_order, writer)
        made = writer.searched(asked, rows, order) if wishes.beams is not None else writer.written(asked, rows)
    return made[0] if isinstance(prompts, str) and rows == 1 and not isinstance(told, Dataset) else made


def stream(
    model: Model,
    prompt: str = "",
    *,
    suffix: str | None = None,
    draft: Model | None = None,
    where: Mapping[str, Any] | None = None,
    seed: int | None = None,
    **options: Unpack[Drawing],
) -> Iterator[str]:
    """Pieces of one text as they are written; together they are what `generate` gives for the same arguments.

    A piece holds whole characters. What may turn out to be the beginning of a stop string is held back until it is
    clear. Arguments are those of `generate`, without beams, whose best text is known only at the end; and so is what is
    raised: at once, before the first piece.
    """
    wishes = Options(**options)
    if wishes.beams is not None:
        rule = "A text that is searched for is known only at the end."
        raise InputError(rule, "stream, beams", str(wishes.beams), "leave it out, or use generate")
    asked = _asked(model, [prompt], suffix)
    writer = Writer(model, wishes, where, seed, draft, False)
    if suffix is not None:
        filler.check(model, writer, stream=True)
    return writer.pieces_of(asked[0])


def _told(model: Model, where: Any) -> Mapping[str, Any] | Dataset | None:
    """Conditions: one value for each given field, or a table with a row for each text."""
    source = model.codec.source if isinstance(model.codec, AloneCodec) else None
    several = source is not None and isinstance(where, Mapping) and _listed(where.get(source.field))
    return where if where is None or (isinstance(where, Mapping) and not several) else model._dataset(where)


def _listed(value: Any) -> bool:
    return isinstance(value, Sequence | np.ndarray | pa.Array | pa.ChunkedArray) and not isinstance(value, str)


def _each(asked: list[Asked], rows: int) -> list[Asked]:
    """What is asked of each row of a table. Raises InputError if prompts are neither one nor as many."""
    if asked[0].suffix is not None:
        rule = "What stands between a prompt and a suffix is written under one condition."
        raise InputError(rule, "generate, where", f"a table of {rows} rows", "name one value for each given field")
    if len(asked) not in (1, rows):
        seen = f"{len(asked)} prompts for {rows} rows"
        raise InputError("Each row has its prompt.", "generate, where", seen, "give one for all, or one for each")
    several = asked * rows if len(asked) == 1 else asked
    return [one._replace(row=row) for row, one in enumerate(several)]


def _asked(model: Model, prompts: list[str], suffix: str | Sequence[str] | None) -> list[Asked]:
    """Prompts and their suffixes. Raises InputError if one is no string, or if there are not as many."""
    _check_strings(model, prompts, "prompts")
    if suffix is None:
        return [Asked(prompt) for prompt in prompts]
    ends = [suffix] * len(prompts) if isinstance(suffix, str) else _several(suffix, "suffix")
    if len(ends) != len(prompts):
        seen = f"{len(ends)} for {len(prompts)} prompts"
        raise InputError("Each prompt has its suffix.", "generate, suffix", seen, "give one for all, or one for each")
    _check_strings(model, ends, "suffix")
    return [Asked(*pair) for pair in zip(prompts, ends, strict=True)]


def _several(texts: str | Sequence[str], name: str) -> list[str]:
    """One or several strings as a list. Raises InputError if they are neither."""
    if isinstance(texts, str):
        return [texts]
    if isinstance(texts, bytes) or not isinstance(texts, Iterable):
        raise _no_string(texts, name)
    return list(texts)


def _no_string(seen: Any, name: str) -> InputError:
    rule = "What a text goes on from, or leads to, is a string."
    return InputError(rule, f"generate, {name}", repr(seen), "give one or several strings")


def _check_strings(model: Model, prompts: list[str], name: str) -> None:
    for prompt in prompts:
        if not isinstance(prompt, str):
            fix = "give one or several strings"
            raise InputError(
                "What a text goes on from, or leads to, is a string.", f"generate, {name}", repr(prompt), fix
            )
    kind = cast(TextCodec, model.codec).kind
    found = kind.tokens_of(prompts)  # tells what is no Unicode
    if kind.tokens.unknown is None:
        return
    for prompt, tokens in zip(prompts, found, strict=True):
        if kind.tokens.unknown in tokens:
            words = f"A part of this was never met: the model takes it as unknown. It stands in {name}: {prompt[:60]!r}"
            warnings.warn(words, stacklevel=4)
