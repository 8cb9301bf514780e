"""Chat templates: how a checkpoint writes a dialogue as one text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ensample.data.dialogues import ROLE, TEXT
from ensample.data.frames import optional
from ensample.errors import FormatError, InputError

ASSISTANT, SYSTEM, USER = "assistant", "system", "user"
"""Roles that chat templates know."""

OWN = (
    "{% for message in messages %}{{ message['role'] + ':\\n' + message['content'] + eos_token + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant:\\n' }}{% endif %}"
)
"""What stands in for the template of a checkpoint that has none."""

PLACE = "chat_template.jinja"

Turn = tuple[str, str]
"""A role and what it says."""

_TOLD = re.compile(r"\{%-?\s*generation\s*-?%\}")


class Rendered(NamedTuple):
    """A dialogue as a template writes it, and which of its characters the template says are of replies."""

    text: str
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class ChatTemplate:
    r"""How a checkpoint writes a dialogue as one text, in which the marks of its tokenizer stand between the turns.

    It is rendered in Jinja's sandbox, by the code of `transformers`, so that texts are those of its
    `apply_chat_template`.

    Arguments:
        source: the template, Jinja.
        named: names and texts of the marks that it may use, such as ("eos_token", "</s>").
        ends: numbers of other tokens with which a reply may end.

    Example:
        >>> ChatTemplate(OWN, (("eos_token", "<end>"),)).render([("user", "Hi")], reply=True).text
        'user:\nHi<end>\nassistant:\n'
    """

    source: str
    named: tuple[tuple[str, str], ...] = ()
    ends: tuple[int, ...] = ()

    @classmethod
    def restored(cls, plain: Mapping[str, Any]) -> ChatTemplate:
        """From `plain`."""
        named = tuple((str(name), str(text)) for name, text in plain["named"].items())
        return cls(str(plain["source"]), named, tuple(int(number) for number in plain["ends"]))

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {"source": self.source, "named": dict(self.named), "ends": list(self.ends)}

    @property
    def is_own(self) -> bool:
        """Whether it stands in for one that the checkpoint lacks."""
        return self.source == OWN

    @property
    def tells_spans(self) -> bool:
        """Whether it says itself what is a reply, by `{% generation %}`."""
        return bool(_TOLD.search(self.source))

    def render(self, turns: Sequence[Turn], place: str = "chat", reply: bool = False) -> Rendered:
        """Turns as one text, behind them the beginning of a reply if one is to come.

        Arguments:
            turns: roles and texts.
            place: of the dialogue, for errors.
            reply: whether the text of a reply is to follow.

        Raises:
            FormatError: the template cannot be read.
            InputError: it refuses this dialogue.
            MissingPackage: `transformers` is not installed.
        """
        try:
            return self._rendered(turns, reply)
        except Exception as error:  # whatever a template does wrong
            if type(error).__name__ == "TemplateSyntaxError":
                seen = f"line {getattr(error, 'lineno', '?')}: {error}"
                rule = "The chat template of a checkpoint is one that Jinja can read."
                raise FormatError(rule, PLACE, seen, "copy the checkpoint anew, or mend its template") from error
            seen = str(error) or type(error).__name__
            rule = "A dialogue is one that the template of the checkpoint takes."
            raise InputError(rule, place, seen, self._remedy(turns, reply)) from error

    def _rendered(self, turns: Sequence[Turn], reply: bool) -> Rendered:
        render = optional("transformers.utils.chat_template_utils", "hub").render_jinja_template
        texts, spans = render(
            conversations=[[{ROLE: role, TEXT: text} for role, text in turns]],
            chat_template=self.source,
            return_assistant_tokens_mask=self.tells_spans,
            add_generation_prompt=reply,
            **dict(self.named),
        )
        return Rendered(str(texts[0]), tuple((int(a), int(b)) for a, b in spans[0]) if self.tells_spans else ())

    def _remedy(self, turns: Sequence[Turn], reply: bool) -> str:
        """What to do about a dialogue that is refused: the first change that helps."""
        for change, words in _CHANGES:
            try:
                self._rendered(change(turns), reply)
                return words
            except Exception:  # this change does not help
                continue
        return f'begin with "{USER}", and let the roles take turns'


def _without_system(turns: Sequence[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn[0] != SYSTEM]


def _joined(turns: Sequence[Turn]) -> list[Turn]:
    """Turns in which no role follows itself."""
    made: list[Turn] = []
    for role, text in turns:
        if made and made[-1][0] == role:
            made[-1] = role, f"{made[-1][1]}\n{text}"
        else:
            made.append((role, text))
    return made


_CHANGES: tuple[tuple[Callable[[Sequence[Turn]], list[Turn]], str], ...] = (
    (_without_system, f'say what "{SYSTEM}" says in the first turn of "{USER}"'),
    (_joined, "join turns of one role that follow one another"),
    (lambda turns: _joined(_without_system(turns)), f'leave "{SYSTEM}" out, and join turns of one role'),
)
