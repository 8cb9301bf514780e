"""The verb of models of dialogues: write the next turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Unpack, cast

from torch import Tensor

from ensample.data.dialogues import is_message, messages_of, no_turn
from ensample.errors import InputError
from ensample.events import Batch
from ensample.families.abilities import Continues
from ensample.families.base import Fitted, Guarantee
from ensample.hubchat import is_pretrained
from ensample.kinds.dialogue import Dialogue
from ensample.kinds.dialoguecodec import DialogueCodec
from ensample.kinds.prompts import prompt_of, replying
from ensample.kinds.textcodec import TextCodec
from ensample.solvers.decoding.options import Searching
from ensample.solvers.replies import Turn, turn_of
from ensample.writer import Written

if TYPE_CHECKING:
    from ensample.model import Model

USER, ASSISTANT = "user", "assistant"
"""Roles that speak and reply where nothing else is said."""

Message = Mapping[str, str] | Sequence[str]
"""A turn: {"role": ..., "content": ...}, or a pair of the two."""


def chat(
    model: Model,
    messages: str | Sequence[Message] | Sequence[Sequence[Message]],
    role: str | None = None,
    n: int = 1,
    *,
    stream: bool = False,
    draft: Model | None = None,
    where: Mapping[str, Any] | None = None,
    seed: int | None = None,
    log_probs: bool = False,
    **options: Unpack[Searching],
) -> Written | list[Written] | Iterator[str]:
    """The next turn of a dialogue, up to where the model ends it.

    The turn ends where the model would let another role speak, or end the dialogue; with no options it is a draw from
    p(turn | all turns before it). A dialogue may be longer than what the model sees at once: it sees the last part.

    Arguments:
        model: a fitted model of dialogues.
        messages: the turns so far, each `{"role": ..., "content": ...}` or a pair of the two, none to begin; or a
            string, one turn of "user", or of the other one of two roles; or several dialogues.
        role: who replies; if left out the role whose turns were learned, "assistant", or the one of two roles that did
            not speak last.
        n: how many replies for each dialogue.
        stream: give pieces of one reply as they are written.
        draft: a faster model of dialogues with the same tokenizer, see `ensample.Model.generate`.
        where: one value for each given field.
        seed: same seed and dialogue, same reply; None draws a fresh one.
        log_probs: also give the log-probability of each token, the last that of the end of the turn.
        options: how tokens are chosen and where a reply ends: `greedy`, `temperature`, `top_p`, `tokens`, `stop`,
            `regex` and all others of `ensample.Model.generate` but `contrast`.

    Returns:
        The reply, a `Written`, which is a string; a list of them for several dialogues or n above 1; with `stream` an
        iterator of strings.

    Raises:
        InputError: a role that was not met, a role that cannot be told, or what `generate` refuses.
    """
    if options.get("contrast") is not None:
        rule = "Contrastive search reads a text, and a dialogue is more than that."
        raise InputError(rule, "chat, contrast", str(options["contrast"]), "draw, or search with beams")
    model = model._talking
    kind, field = _kind(model)
    if isinstance(messages, Mapping) or not isinstance(messages, Sequence):
        raise no_turn("chat, messages", messages)
    alone = isinstance(messages, str) or not messages or is_message(messages[0])
    dialogues: list[Any] = [messages] if alone else list(messages)
    prompts = [_prompt(kind, field, dialogue, role) for dialogue in dialogues]
    writer = _replier(model)
    draft = None if draft is None else _replier(draft)
    if stream:
        if len(prompts) != 1 or n != 1 or log_probs:
            seen = "log_probs" if log_probs else f"{len(prompts) * n} replies"
            raise InputError("One reply is shown as it is written.", "chat, stream", seen, "ask for one reply alone")
        return _unframed(
            writer.stream(prompts[0], draft=draft, where=where, seed=seed, **cast(Any, options)), kind.frame
        )
    made = writer.generate(prompts, n, draft=draft, where=where, seed=seed, log_probs=log_probs, **options)
    assert isinstance(made, list)
    made = [_bare(one, kind.frame) for one in made]
    return made[0] if alone and n == 1 else made


def _bare(made: Written, frame: tuple[str, str]) -> Written:
    text = "".join(_unframed(iter([str(made)]), frame))
    return Written(text, made.prompt, made.tokens, made.log_probs, made.ended)


def _unframed(pieces: Iterator[str], frame: tuple[str, str]) -> Iterator[str]:
    """Pieces of a text without what stands around it, as they come."""
    front, behind = frame
    whole, begun = "", not front
    for piece in pieces:
        whole += piece
        if not begun:
            if len(whole) < len(front) and front.startswith(whole):
                continue
            whole, begun = whole.removeprefix(front), True
        kept = next((n for n in range(len(behind), 0, -1) if whole.endswith(behind[:n])), 0)
        if kept < len(whole):
            yield whole[: len(whole) - kept]
            whole = whole[len(whole) - kept :]
    if rest := whole.removesuffix(behind):
        yield rest


def speakers(model: Model, role: str | None = None, speaker: str | None = None) -> tuple[str, str]:
    """(who speaks, who replies), as `chat` tells them where one of them is None.

    Raises:
        InputError: a role that was not met, or one that cannot be told.
    """
    kind, field = _kind(model._talking)
    role = role or _usual(kind, speaker)
    speaker = speaker or _asking(kind, role)
    for whose in (speaker, role):
        kind.number_of(whose, field)
    return speaker, role


class Replier(Fitted):
    """A model of dialogues as one of the turns that come next.

    Arguments:
        of: the distribution of dialogues.
        classes: of the texts; those from there on are marks of roles.
        ends: classes of texts that end a turn, too.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {}
    storable: ClassVar[bool] = False

    def __init__(self, of: Fitted, classes: int, ends: tuple[int, ...] = ()) -> None:
        self.of, self.classes, self.ends, self.event, self.given = of, classes, ends, of.event, of.given

    def continuation(self, prompts: Batch) -> Turn:
        """Turns behind these dialogues, each of which ends with the mark of a role."""
        return turn_of(cast(Continues, self.of).continuation(prompts), self.classes, self.ends)

    def arrays(self) -> dict[str, Tensor]:
        """Those of the model."""
        return self.of.arrays()


def _replier(model: Model) -> Model:
    """The same model as one of texts, whose prompts are dialogues."""
    from ensample.model import Model

    model = model._talking
    kind, _ = _kind(model)
    codec = replying(cast(DialogueCodec, model.codec))
    return Model(codec, model.family, Replier(model.distribution, kind.text.classes, kind.ends), model.facts)


def _kind(model: Model) -> tuple[Dialogue, str]:
    if isinstance(model.codec, TextCodec) and is_pretrained(model.codec):
        fix = "fit dialogues with start=, or put a chat_template.jinja into its folder"
        raise InputError("A checkpoint chats by its template.", "chat", "a checkpoint without one", fix)
    if not isinstance(model.codec, DialogueCodec):
        raise InputError("Replies are written by a model of dialogues.", "chat", repr(model), "fit one to dialogues")
    return model.codec.kind, model.codec.field


def _prompt(kind: Dialogue, field: str, dialogue: Any, role: str | None) -> str:
    if isinstance(dialogue, str):
        role = role or _usual(kind, None)
        turns = [(_asking(kind, role), dialogue)]
    else:
        turns = messages_of(dialogue, "chat, messages")
        role = role or _usual(kind, turns[-1][0] if turns else None)
    for whose in (*(whose for whose, _ in turns), role):
        kind.number_of(whose, field)
    return prompt_of(turns, role)


def _usual(kind: Dialogue, last: str | None) -> str:
    """Who replies if nothing is said."""
    if len(kind.learned) == 1:
        return kind.learned[0]
    others = [role for role in kind.roles if role != last]
    if ASSISTANT in kind.roles and last != ASSISTANT:
        return ASSISTANT
    if last is not None and len(others) == 1:
        return others[0]
    raise InputError(
        "It must be clear who replies.", "chat, role", f"roles {', '.join(kind.roles)}", f'say role="{kind.roles[0]}"'
    )


def _asking(kind: Dialogue, role: str) -> str:
    """Whose turn a string is."""
    others = [other for other in kind.roles if other != role]
    if USER in others or len(others) == 1:
        return USER if USER in others else others[0]
    fix = f'give turns: [{{"role": "{kind.roles[0]}", "content": "..."}}]'
    raise InputError("It must be clear who speaks.", "chat, messages", f"roles {', '.join(kind.roles)}", fix)
