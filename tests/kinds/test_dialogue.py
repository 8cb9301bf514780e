"""Dialogues as streams of marks and tokens: lossless, and what counts in them."""

import numpy as np
import pyarrow as pa
import pytest

import ensample as en
from ensample.errors import FormatError, InputError
from ensample.kinds import guess, schema_from_plain
from ensample.kinds.dialogue import Dialogue
from ensample.kinds.dialogueprofile import DialogueProfile
from ensample.kinds.replies import parted

TURNS = pa.list_(pa.struct({"role": pa.string(), "content": pa.string()}))
TALKS = [
    [("user", "Grüße, 你好 👋🏽"), ("assistant", "hello\r\n\thello\x00"), ("user", "")],
    None,
    [],
    [("user", "")],
    [("assistant", "user"), ("assistant", "<|user|> assistant: "), ("assistant", "")],
    [("system", "be kind"), ("user", "ok"), ("assistant", "yes"), ("user", "bye"), ("assistant", "bye")],
]


def column(talks=TALKS, dtype=TURNS):
    names = [dtype.value_type.field(j).name for j in range(2)]
    return pa.array([talk and [dict(zip(names, turn, strict=True)) for turn in talk] for talk in talks], dtype)


def kind_of(form="characters", talks=TALKS, dtype=TURNS):
    return Dialogue.fit_as(DialogueProfile.of(column(talks, dtype)), form)


@pytest.mark.parametrize("form", ["characters", "bytes", "bpe:400", "unigram:400", "words"])
def test_dialogues_come_back_as_they_were(form):
    kind = kind_of(form)
    steps, lengths, scored = kind.streams(column(), "talk")
    assert kind.values(steps, lengths).equals(column())
    assert lengths.tolist()[1:4] == [-1, 0, 1] and len(steps) == lengths.clip(min=0).sum()
    assert scored.all() and len(scored) == len(steps) + len(lengths)
    assert kind.longest == lengths.max() and kind.roles == ("assistant", "system", "user")
    assert guess(en.read({"talk": column()}), {"talk": f"dialogue:{form}"})["talk"].kind == kind


@pytest.mark.parametrize(
    "dtype",
    [
        pa.large_list(TURNS.value_type),
        pa.list_(pa.struct({"from": pa.string(), "value": pa.string()})),
        pa.list_(pa.struct({"text": pa.string(), "speaker": pa.dictionary(pa.int32(), pa.string())})),
    ],
    ids=str,
)
def test_the_type_of_the_column_stays(dtype):
    flipped = dtype.value_type.field(0).name == "text"
    talks = [talk and [turn[::-1] if flipped else turn for turn in talk] for talk in TALKS]
    kind = kind_of("characters", talks, dtype)
    assert kind.values(*kind.streams(column(talks, dtype), "talk")[:2]).equals(column(talks, dtype))


def test_no_text_spells_the_mark_of_a_role():
    kind = kind_of("bytes")
    steps, _, _ = kind.streams(column([[("user", "user assistant <|user|>")]]), "talk")
    assert (steps >= kind.text.classes).tolist() == [True] + [False] * 23
    assert kind.classes == 256 + 3


def counted(talks, learned):
    """Which places count, turn by turn: texts of what is learned, and what ends them."""
    out = []
    for talk in talks:
        before = False
        for role, text in talk or []:
            out += [before, *[role in learned] * len(text)]
            before = role in learned
        out.append(before)
    return out


@pytest.mark.parametrize("learned", [("assistant",), ("assistant", "system"), ("user",)])
def test_replies_and_what_ends_them_count(learned):
    kind = kind_of().of_replies(learned, "talk")
    _, _, scored = kind.streams(column(), "talk")
    assert scored.tolist() == counted(TALKS, learned)
    assert kind.event.partly and not kind_of().event.partly


def test_a_text_before_the_first_mark_is_nobodys():
    kind = kind_of("bytes", [[("a", "x"), ("b", "y")]])
    a, b = kind.number_of("a", ""), kind.number_of("b", "")
    made = kind.values(np.array([65, b, 66, a, 67, 68, 69]), np.array([3, -1, 2, 0, 2]))
    turns = [None if talk is None else [tuple(turn.values()) for turn in talk] for talk in made.to_pylist()]
    assert turns == [[("b", "B")], None, [("a", "C")], [], []]


def test_roles_that_were_not_met_are_refused():
    kind = kind_of()
    with pytest.raises(InputError, match="say 'assistant' or 'system' or 'user'") as error:
        kind.streams(column([[("boss", "now")]]), "talk")
    assert "talk" in error.value.place and error.value.seen == "'boss'"
    with pytest.raises(InputError, match="no role"):
        kind.streams(pa.array([[{"role": None, "content": "x"}]], TURNS), "talk")
    assert kind.streams(pa.array([[{"role": "user", "content": None}]], TURNS), "talk")[1].tolist() == [1]


def test_what_cannot_be_read_is_told():
    with pytest.raises(InputError, match="dialogue:bpe"):
        kind_of("letters")
    with pytest.raises(InputError, match="no character"):
        kind_of("characters", [[("user", "")]])
    with pytest.raises(InputError, match="300 roles"):
        kind_of("characters", [[(f"person {j}", "hi")] for j in range(300)])
    with pytest.raises(InputError, match="content"):
        guess(en.read({"x": [1, 2]}), {"x": "dialogue"})


def test_unknown_characters_are_priced_where_they_count():
    talks = column([[("user", "Ω"), ("assistant", "ok")], [("user", "ok"), ("assistant", "ΩΩ")], None])
    kind = kind_of("characters", [[("user", "ok"), ("assistant", "ok")]])
    each = kind.text.tokens.prices(pa.array(["Ω"]))[0]
    missing = np.log(kind.unseen)
    there = np.log1p(-kind.unseen)
    assert kind.log_volume(talks, "talk") == pytest.approx([each + there, 2 * each + there, missing])
    replies = kind.of_replies(("assistant",), "talk")
    assert replies.log_volume(talks, "talk") == pytest.approx([0.0, 2 * each, 0.0])


def test_a_schema_keeps_what_is_learned_of_a_dialogue():
    schema = guess(en.read({"chat": column(), "n": pa.array(range(len(TALKS)))}))
    for model, given, learned in (
        (["chat.assistant"], None, ("assistant",)),
        (None, "chat.user", ("assistant", "system")),
        (["chat"], ["chat.user", "n"], ("assistant", "system")),
        (["chat.user", "chat.system"], [], ("system", "user")),
        (["chat"], ["n"], ()),
    ):
        told, fields, conditions = parted(schema, model, given)
        assert told["chat"].kind.learned == learned
        assert fields == (None if model is None else ("chat",)) and "chat.user" not in conditions
        assert schema_from_plain(told.to_plain()) == told
    for model, given in ((["chat.boss"], None), (["chat.user"], "chat.user"), (None, [f"chat.{r}" for r in "ab"])):
        with pytest.raises(InputError):
            parted(schema, model, given)
    with pytest.raises(InputError, match="all roles"):
        parted(schema, None, [f"chat.{role}" for role in schema["chat"].kind.roles])
    with pytest.raises(FormatError):
        schema_from_plain({**schema.to_plain(), "fields": [{"name": "chat"}]})
