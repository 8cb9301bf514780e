"""A reply seen as a text: the dialogue before it is its prompt, what ends the turn is its end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ensample.data.dialogues import ROLE, TEXT, messages_of
from ensample.data.schema import Schema
from ensample.kinds.dialogue import Dialogue
from ensample.kinds.dialoguecodec import DialogueCodec
from ensample.kinds.text import Text
from ensample.kinds.textcodec import TextCodec
from ensample.kinds.tokens import Tokenizer


def prompt_of(turns: Sequence[tuple[str, str]], role: str) -> str:
    """A dialogue, and whose reply comes next, as a prompt: its turns as JSON, the last one without a text.

    Example:
        >>> prompt_of([("user", "Hi")], "bot")
        '[{"role": "user", "content": "Hi"}, {"role": "bot"}]'
    """
    told = [{ROLE: whose, TEXT: text} for whose, text in turns]
    return json.dumps([*told, {ROLE: role}], ensure_ascii=False)


@dataclass(frozen=True)
class Replies(Text):
    """The texts of turns, as those that go on from prompts of `prompt_of`.

    Arguments:
        dialogue: the kind of the whole dialogues.
        field: its name.
    """

    dialogue: Dialogue = field(kw_only=True)
    field: str = field(kw_only=True)

    @classmethod
    def of(cls, dialogue: Dialogue, field: str) -> Replies:
        """Those of a kind of dialogues."""
        same = (dialogue.tokenizer, dialogue.vocabulary, dialogue.longest)
        return cls("string", *same, False, 0.5, dialogue=dialogue, field=field)

    @property
    def tokens(self) -> Tokenizer:
        """That of the dialogues, which is read once."""
        return self.dialogue.tokens

    def tokens_of(self, texts: str | list[str]) -> np.ndarray | list[np.ndarray]:  # type: ignore[override]
        """Classes of prompts, the marks of roles among them; see `Text.tokens_of`."""
        if isinstance(texts, str):
            return self._classes(texts)
        return [self._classes(prompt) for prompt in texts]

    def _classes(self, prompt: str) -> np.ndarray:
        *told, last = json.loads(prompt)
        return self.dialogue.prompt(messages_of(told, "chat"), last[ROLE], self.field)


def replying(codec: DialogueCodec) -> TextCodec:
    """A codec of dialogues as one of the texts of replies, with the same given fields."""
    fields = [
        replace(field, dtype="string", kind=Replies.of(codec.kind, codec.field)) if field.name == codec.field else field
        for field in codec.schema
    ]
    return TextCodec(Schema(tuple(fields)), codec.model, codec.given, codec.source)
