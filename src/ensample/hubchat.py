"""Checkpoints of Hugging Face that chat: their templates, and their models of texts as models of dialogues."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from ensample.data.dialogues import ROLE, TEXT
from ensample.data.schema import Field, Schema
from ensample.errors import FormatError
from ensample.events import Ragged
from ensample.families.sequences.pretrained.model import PretrainedSequences
from ensample.kinds.codecs import Codec, codec_of
from ensample.kinds.dialogue import Dialogue
from ensample.kinds.dialoguecodec import DialogueCodec
from ensample.kinds.templated import TemplatedDialogue, end_of
from ensample.kinds.textcodec import TextCodec
from ensample.kinds.tokens import Pretrained as Tokens
from ensample.kinds.tokens.template import OWN, PLACE, ChatTemplate
from ensample.storage import read_json, write_json

if TYPE_CHECKING:
    from ensample.model import Model

MESSAGES = "messages"
"""The field of dialogues of a checkpoint that was tuned to none."""

TURNS = f"list<item: struct<{ROLE}: string, {TEXT}: string>>"
"""Its type."""

TOKENS, MARKS, GENERATION = "tokenizer_config.json", "special_tokens_map.json", "generation_config.json"


def template_of(folder: Path, ends: tuple[int, ...]) -> ChatTemplate | None:
    """The chat template of a checkpoint; None if it has none.

    That is `chat_template.jinja`, or else `chat_template` of `tokenizer_config.json`, of several the default.

    Arguments:
        folder: of the checkpoint.
        ends: numbers of the tokens that end a text.

    Raises:
        FormatError: a file is damaged, or the template no text.
    """
    told = {name: read_json(folder / name) if (folder / name).exists() else {} for name in (MARKS, TOKENS)}
    found = told[TOKENS].get("chat_template")
    if isinstance(found, list):
        found = next((one.get("template") for one in found if one.get("name") == "default"), None)
    if (folder / PLACE).exists():
        try:
            found = (folder / PLACE).read_text(encoding="utf-8")
        except ValueError as error:
            rule = "A chat template is text, UTF-8."
            raise FormatError(rule, str(folder / PLACE), str(error), "copy the checkpoint anew") from error
    if found is None:
        return None
    if not isinstance(found, str):
        rule, fix = "A chat template is a text.", "copy the checkpoint anew"
        raise FormatError(rule, f"{folder / TOKENS}, chat_template", type(found).__name__, fix)
    return ChatTemplate(found, _named({**told[MARKS], **told[TOKENS]}), ends)


def _named(plain: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The marks that a template may name, by name."""
    texts = {name: one.get("content") if isinstance(one, dict) else one for name, one in plain.items()}
    return tuple((name, one) for name, one in texts.items() if name.endswith("_token") and isinstance(one, str))


def ends_of(folder: Path, config: dict[str, Any]) -> tuple[int, ...]:
    """Numbers of all tokens that end a text, by `config.json` and by `generation_config.json`."""
    told = read_json(folder / GENERATION) if (folder / GENERATION).exists() else {}
    found = list[int]()
    for plain in (config, told):
        ends = plain.get("eos_token_id")
        found += [end for end in (ends if isinstance(ends, list) else [ends]) if isinstance(end, int)]
    return tuple(dict.fromkeys(found))


def is_pretrained(codec: Codec) -> TypeGuard[TextCodec | DialogueCodec]:
    """Whether records are texts, or dialogues, that the tokenizer of a checkpoint reads."""
    return isinstance(codec, TextCodec | DialogueCodec) and isinstance(codec.kind.tokens, Tokens)


def template_in(codec: Codec) -> ChatTemplate | None:
    """The chat template of a model of texts that came from a checkpoint; None if there is none."""
    if not isinstance(codec, TextCodec) or not is_pretrained(codec) or codec.given:
        return None
    return cast(Tokens, codec.kind.tokens).template


def talking(model: Model, field: str = MESSAGES, dtype: str = TURNS) -> Model:
    """A model of texts of a checkpoint with a template, as one of the replies in its dialogues. Shares its weights.

    Raises:
        FormatError: the template cannot be read, or does not end a reply with a token.
    """
    tokens = cast(Tokens, cast(TextCodec, model.codec).kind.tokens)
    tokens = replace(tokens, end=end_of(tokens))
    before = cast(PretrainedSequences, model.distribution)
    kind = TemplatedDialogue.of(tokens, dtype, before.sliding.context)
    codec = codec_of(Schema((Field(field, dtype, kind),)), (field,))
    replying = before.replying(cast(Ragged, codec.event), tokens.end)
    return type(model)(codec, model.family, replying, model.facts)


def started(model: Model, schema: Schema) -> Model:
    """What learning goes on from: of a checkpoint and of dialogues a model of dialogues, else the model itself.

    A checkpoint without a template gets a plain one, with a warning.
    """
    fields = [field for field in schema if isinstance(field.kind, Dialogue)]
    own = isinstance(model.distribution, PretrainedSequences) and isinstance(model.codec, TextCodec)
    if len(fields) != 1 or not own or model.codec.model[0] in schema.names:
        return model
    codec = cast(TextCodec, model.codec)
    if not is_pretrained(codec):
        return model
    if template_in(codec) is None:
        words = "The checkpoint has no chat template: turns are written as a line with the role, the text and the end."
        warnings.warn(words, stacklevel=3)
        model = with_template(model, _own(cast(Tokens, codec.kind.tokens)))
    return talking(model, fields[0].name, fields[0].dtype)


def _own(tokens: Tokens) -> ChatTemplate:
    """The template for a checkpoint that has none."""
    return ChatTemplate(OWN, (("eos_token", tokens.token(tokens.end) or ""),), (tokens.end,))


def with_template(model: Model, template: ChatTemplate) -> Model:
    """A model of texts of a checkpoint with this chat template."""
    codec = cast(TextCodec, model.codec)
    tokens = replace(cast(Tokens, codec.kind.tokens), template=template)
    field = codec.schema[codec.field]
    fields = (replace(field, kind=replace(codec.kind, vocabulary=tokens.state)),)
    return type(model)(codec_of(Schema(fields), codec.model), model.family, model.distribution, model.facts)


def write_chat(tokens: Tokens, config: Any, folder: Path) -> None:
    """Write the template of a checkpoint, and how a reply ends, as `transformers` reads them."""
    template = tokens.template
    if template is None:
        return
    (folder / PLACE).write_text(template.source, encoding="utf-8")
    marks = {name: number for name in ("bos_token_id", "pad_token_id") if (number := getattr(config, name)) is not None}
    ends = list(dict.fromkeys((tokens.end, *template.ends)))
    write_json(folder / GENERATION, {**marks, "eos_token_id": ends})
