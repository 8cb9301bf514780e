"""Texts that are given a text, like translations: against the texts that they should be, BLEU and chrF."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ensample.judge.evaluate import Judgement
from ensample.judge.finding import Finding
from ensample.judge.measure import Measure, Sort
from ensample.judge.texts.doctor import check_made
from ensample.judge.texts.doctor import quality as quality_of_texts
from ensample.judge.texts.evaluate import judge_texts
from ensample.judge.texts.paired import bleu, chrf
from ensample.judge.texts.reference import TextReference

if TYPE_CHECKING:
    from ensample.judge.subject import Subject

BLEU, CHRF = "BLEU", "chrF"

BLEU_WORDS = 4
"""Words of the longest runs that BLEU counts."""

OTHERS = "texts of other records"
"""In `Measure.parts`: the score against the right texts of others."""

SOURCE = "share that repeat what is given"
"""In `Measure.parts`: how many are what they were given, word by word."""

GREEDY, DRAWN = "the most probable token each time", "draws from the model"
"""How the texts that are compared with the right ones were made."""


class TranslationReference(TextReference):
    """A reference whose records are given a text; arguments are those of `TextReference`."""

    @property
    def subject(self) -> Subject:
        """How texts are judged and shown, with BLEU and chrF before all else where sacrebleu is there."""
        plain = super().subject
        if find_spec("sacrebleu") is None:
            return plain
        shown = ((BLEU, BLEU), (CHRF, CHRF))
        panels = ((BLEU, BLEU, "runs of one to four words found in the right text, 100 is best"),)
        notes = ("BLEU, chrF: runs of words, of characters, found in the right text of each held-out record, 100 is",)
        return replace(
            plain,
            ranked_by=CHRF,  # of short texts there is no BLEU
            columns=(*shown, *plain.columns),
            panels=(*panels, *plain.panels),
            tiles=(*shown, *plain.tiles),
            notes=(*notes, "best;", *plain.notes),
            judge=judge_translations,
            check_model=check_translations,
            quality=quality,
            ask=translated,
        )

    @property
    def source(self) -> str:
        """Name of the given text."""
        return self.given[0]


def translated(model: Any, reference: TranslationReference, seed: int) -> dict[str, Any]:
    """The most probable texts of held-out records, as many as are made for judging; nothing if it cannot write."""
    if "generate" not in model.can:
        return {}
    rows = np.sort(np.random.default_rng(seed).permutation(len(reference.test))[: reference.subject.made])
    conditions = reference.test_table.select(list(reference.given)).take(pa.array(rows))
    longest = int(min(1_024, 2 * model.codec.event.max_length + 16))
    made = model.generate(where=conditions, greedy=True, tokens=longest)
    return {"best": [str(text) for text in made], "rows": rows}


def judge_translations(
    reference: TranslationReference,
    table: pa.Table,
    log_prob: np.ndarray | None = None,
    sort: Sort = "exact",
    best: Sequence[str] | None = None,
    rows: np.ndarray | None = None,
) -> Judgement:
    """Measure made texts as `judge_texts` does, and against the right text of each.

    Arguments:
        reference: the real texts.
        table: made records, with what they were given; without it there is no BLEU.
        log_prob: as of `judge_texts`.
        sort: likewise.
        best: the model's most probable texts; made ones stand in for them where there are none.
        rows: held-out records that they belong to.
    """
    judgement = judge_texts(reference, table, log_prob, sort)
    if best is not None and rows is not None:
        found = _against(reference, best, rows, GREEDY)
    else:
        found = _against(reference, *_drawn(reference, table), DRAWN)
    return replace(judgement, measures=(*found, *judgement.measures))


def _drawn(reference: TranslationReference, table: pa.Table) -> tuple[list[str], np.ndarray]:
    """Made texts whose source is one of the held-out ones, and which."""
    if reference.source not in table.column_names:
        return [], np.zeros(0, np.int64)
    place = {text: row for row, text in enumerate(_sources(reference))}
    found = [place.get(text, -1) for text in table.column(reference.source).to_pylist()]
    texts = reference.side(table).texts
    kept = [j for j, row in enumerate(found) if row >= 0]
    return [texts[j] for j in kept], np.array([found[j] for j in kept], np.int64)


def _sources(reference: TranslationReference) -> list[Any]:
    sources: list[Any] = reference.test_table.column(reference.source).to_pylist()
    return sources


def _against(reference: TranslationReference, made: Sequence[str], rows: np.ndarray, how: str) -> list[Measure]:
    """BLEU and chrF of texts for these held-out records; of records with one source all texts are right.

    Where no right text has four words there is no BLEU: it would be 0, however right the texts are.
    """
    if len(made) < 2:
        return []
    sources, right = _sources(reference), dict[Any, list[str]]()
    for source, text in zip(sources, reference.test.texts, strict=True):
        right.setdefault(source, []).append(text)
    wanted = [right[sources[row]] for row in rows]
    others = [*wanted[1:], wanted[0]]
    repeats = float(np.mean([text == sources[row] for text, row in zip(made, rows, strict=True)]))
    out = []
    long_enough = any(len(text.split()) >= BLEU_WORDS for texts in wanted for text in texts)
    for score in (bleu, chrf) if long_enough else (chrf,):
        measure, apart = score(made, wanted, reference.seed), score(made, others, reference.seed)
        words = f"{measure.words}; {how}; against {OTHERS} {apart.value:.1f}"
        out.append(replace(measure, words=words, parts={OTHERS: apart.value, SOURCE: repeats}))
    return out


def check_translations(reference: TranslationReference, judgement: Judgement) -> tuple[Finding, ...]:
    """What a model gets wrong, the serious things first."""
    found = (*_deaf(judgement), *_untranslated(reference, judgement), *check_made(reference, judgement))
    return tuple(sorted(found, key=lambda finding: finding.severity != "serious"))


def _deaf(judgement: Judgement) -> Iterator[Finding]:
    """What is given must make a difference."""
    measure = judgement.get(CHRF)
    if measure is None:
        return
    apart = measure.parts[OTHERS]
    words = f"its texts are {measure.value:.1f} chrF like the right ones, and {apart:.1f} like those of other records"
    if measure.low <= apart:
        yield Finding("serious", "what is given", f"makes no difference: {words}")
    elif measure.value < apart + 5.0:
        yield Finding("notice", "what is given", f"makes little difference: {words}")


def _untranslated(reference: TranslationReference, judgement: Judgement) -> Iterator[Finding]:
    """Texts that are their source, more than in the real records."""
    measure = judgement.get(CHRF)
    if measure is None:
        return
    pairs = zip(_sources(reference), reference.test.texts, strict=True)
    usual, share = float(np.mean([source == text for source, text in pairs])), measure.parts[SOURCE]
    if share > 0.02 + 2 * usual:
        words = f"{share:.1%} repeat what is given word by word; of real texts {usual:.1%}"
        yield Finding("serious" if share > 0.2 + usual else "notice", "repeated sources", words)


def quality(judgement: Judgement) -> str:
    """How good the texts are, in two or three sentences."""
    found = [measure for name in (BLEU, CHRF) if (measure := judgement.get(name)) is not None]
    text = quality_of_texts(judgement)
    if not found:
        return text
    how = GREEDY if GREEDY in found[0].words else DRAWN
    scores = " and ".join(f"{measure.value:.1f} {measure.name}" for measure in found)
    return f"Against the right texts it has {scores} of 100 ({how}). {text}"
