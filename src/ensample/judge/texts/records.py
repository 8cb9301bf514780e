"""From records with a field of texts to the reference that judges them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ensample.judge.leaderboard import MOST_TEST, MOST_TRAIN, bounded
from ensample.judge.texts.dialogues import DialogueReference, ReplyReference
from ensample.judge.texts.reference import TextReference
from ensample.judge.texts.translations import TranslationReference
from ensample.kinds.base import Kind
from ensample.kinds.dialogue import Dialogue
from ensample.kinds.sequence import Sequence as Steps
from ensample.kinds.text import Text
from ensample.kinds.tokens import TOKENIZERS
from ensample.kinds.tokens.subwords import Subwords

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset
    from ensample.data.schema import Schema


def text_of(schema: Schema, given: Sequence[str]) -> str | None:
    """The field of texts or dialogues that is learned, None if there is none."""
    return next((f.name for f in schema if isinstance(f.kind, Text | Dialogue) and f.name not in given), None)


def text_reference(
    train: Dataset | None, test: Dataset, schema: Schema, text: str, given: tuple[str, ...], seed: int
) -> TextReference:
    """The real texts, as many as are looked at, with the fields that are given."""
    names = [name for name in schema.names if name in (text, *given)]
    known = None if train is None else [name for name in names if name in train.names]
    learned = None if train is None or known is None else bounded(train.select(known), MOST_TRAIN, seed)
    held_out = bounded(test.select(names), MOST_TEST, seed)
    kind = schema[text].kind
    sort: type[TextReference] = TextReference
    if isinstance(kind, Dialogue):
        sort = ReplyReference if kind.learned else DialogueReference
    elif any(isinstance(schema[name].kind, Text) for name in given):
        sort = TranslationReference
    return sort(learned, held_out, schema.select(names), text=text, given=given, seed=seed)


def forms_of(schema: Schema) -> dict[str, str]:
    """`form_of` each field, and each field of the steps of sequences: overrules under which a schema is found again."""
    found = {field.name: form_of(field.kind) for field in schema}
    for field in schema:
        if isinstance(field.kind, Steps):
            found |= {f"{field.name}.{step.name}": form_of(step.kind) for step in field.kind.steps.schema}
    return found


def form_of(kind: Kind) -> str:
    """The name of a kind, with the tokenizer of a text behind a colon and the size of its vocabulary.

    Example:
        >>> import pyarrow as pa
        >>> from ensample.kinds.guessing import fit_kind
        >>> form_of(fit_kind("text:bytes", pa.array(["ab", "cd"]))), form_of(fit_kind(None, pa.array([1, 2, 2])))
        ('text:bytes', 'number')
    """
    if isinstance(kind, Dialogue):
        return form_of(kind.text).replace(Text.name, kind.name, 1)
    if not isinstance(kind, Text) or kind.tokenizer not in TOKENIZERS:  # that of a checkpoint is not learned
        return kind.name
    size = f":{kind.classes}" if issubclass(TOKENIZERS[kind.tokenizer], Subwords) else ""
    return f"{kind.name}:{kind.tokenizer}{size}"
