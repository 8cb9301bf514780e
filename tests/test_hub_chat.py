"""Checkpoints that chat: their templates, tokens, masks, logits and replies against `transformers` itself."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
import transformers

import ensample as en
from ensample.chatting import _replier
from ensample.cli.main import command
from ensample.data.dialogues import ROLE, TEXT
from ensample.errors import CapabilityError, FormatError, InputError
from ensample.events import Batch
from ensample.kinds.templated import TemplatedDialogue
from tests.checkpoints_chat import SORTS, TELLING, checkpoint, reference

TEMPLATED = [sort for sort in SORTS if sort != "none"]
each = pytest.mark.parametrize("sort", TEMPLATED)


def talk(*said: str, system: str | None = None) -> list[dict[str, str]]:
    turns = [{ROLE: ("user", "assistant")[j % 2], TEXT: text} for j, text in enumerate(said)]
    return turns if system is None else [{ROLE: "system", TEXT: system}, *turns]


TALKS = [
    talk("the mouse", "ran up", "a 猫 clock", "us 猫"),
    talk("Once upon\n a time", "\n there  was\n"),
    talk("a", "a", "a", "", "a", "assistant"),
    talk("Hickory", "dock", "up"),
]
LEARNED = [talk(f"the {word}", f"ran {word}", "clock", "us us") for word in ("mouse", "clock", "up") * 6]


def asked(sort: str) -> list[list[dict[str, str]]]:
    """Dialogues that its template takes."""
    more = [talk("up", "the clock", "a", "ran", system="be a mouse")]
    return TALKS if sort == "strict" else [*TALKS, *more]


@pytest.fixture(scope="module")
def opened() -> dict[str, en.Model]:
    return {sort: en.load(checkpoint(sort)) for sort in SORTS}


def kind_of(model: en.Model) -> TemplatedDialogue:
    return model._talking.codec.kind


def numbers(kind: TemplatedDialogue, classes: Any) -> list[int]:
    """Tokens of the checkpoint."""
    end = kind.tokens.end
    return [end if c == kind.text.classes else int(c) + (c >= end) for c in classes]


def streamed(kind: TemplatedDialogue, dialogue: list[dict[str, str]]) -> tuple[list[int], list[bool]]:
    """Tokens of a dialogue, and which of them are learned."""
    steps, _, counts = kind.streams(pa.array([dialogue]), "messages")
    assert not counts[-1]
    return numbers(kind, steps), counts[:-1].tolist()


@each
def test_texts_and_tokens_are_those_of_transformers(sort, opened):
    kind, tokens = kind_of(opened[sort]), reference(sort)[1]
    for dialogue in asked(sort):
        turns = [(turn[ROLE], turn[TEXT]) for turn in dialogue]
        written = kind.tokens.template.render(turns).text
        assert written == tokens.apply_chat_template(dialogue, tokenize=False)
        assert streamed(kind, dialogue)[0] == tokens.apply_chat_template(dialogue, return_dict=True)["input_ids"]
        before = turns[: -1 if turns[-1][0] == "assistant" else None]
        wanted = [{ROLE: role, TEXT: text} for role, text in before]
        wanted = tokens.apply_chat_template(wanted, add_generation_prompt=True, return_dict=True)["input_ids"]
        assert numbers(kind, kind.prompt(before, "assistant", "messages")) == wanted


@pytest.mark.parametrize("sort", ["chatml", "telling"])
def test_masks_are_those_of_transformers(sort, opened):
    kind, tokens = kind_of(opened[sort]), reference("telling")[1]
    for dialogue in asked(sort):
        made = tokens.apply_chat_template(dialogue, return_dict=True, return_assistant_tokens_mask=True)
        assert streamed(kind, dialogue) == (made["input_ids"], [bool(one) for one in made["assistant_masks"]])


@each
def test_replies_are_found_with_what_ends_them(sort, opened):
    kind, tokens = kind_of(opened[sort]), reference(sort)[1]
    front = {"thinking": "<|think|>", "strict": " "}.get(sort, "")
    behind = {"strict": " </s>", "late": "</s>"}.get(sort, "<|im_end|>")
    for dialogue in asked(sort):
        ids, counts = streamed(kind, dialogue)
        found = tokens.decode([n for n, count in zip(ids, counts, strict=True) if count])
        said = [turn[TEXT] for turn in dialogue if turn[ROLE] == "assistant"]
        said = [text.strip() for text in said] if sort == "strict" else said
        fronts = [front if sort != "thinking" or (turn is dialogue[-1]) else "" for turn in dialogue]
        fronts = [one for one, turn in zip(fronts, dialogue, strict=True) if turn[ROLE] == "assistant"]
        wanted = "".join(f"{one}{text}{behind}" for one, text in zip(fronts, said, strict=True))
        assert found.replace(" ", "") == wanted.replace(" ", "")


@pytest.mark.parametrize("sort", ["chatml", "late"])
def test_logits_and_log_probabilities_are_those_of_transformers(sort, opened):
    model, network = opened[sort]._talking, reference(sort)[0]
    kind, wanted = kind_of(model), []
    for dialogue in asked(sort):
        ids, counts = streamed(kind, dialogue)
        with torch.no_grad():
            log_p = network(torch.tensor([ids])).logits[0].double().log_softmax(1)
        wanted.append(sum(float(log_p[j - 1, ids[j]]) for j, count in enumerate(counts) if count))
    assert model.log_prob(asked(sort)) == pytest.approx(wanted, abs=1e-4)
    alone = [float(model.log_prob([dialogue])[0]) for dialogue in asked(sort)]
    assert alone == pytest.approx(wanted, abs=1e-4)


@each
def test_greedy_replies_are_those_of_transformers(sort, opened):
    network, tokens = reference(sort)
    kind, wanted = kind_of(opened[sort]), []
    dialogues = [TALKS[0][:1], TALKS[0][:3], TALKS[3]]
    for dialogue in dialogues:
        told = tokens.apply_chat_template(dialogue, add_generation_prompt=True, return_dict=True, return_tensors="pt")
        ends = [kind.tokens.end, *kind.tokens.template.ends]
        made = network.generate(**told, do_sample=False, max_new_tokens=12, eos_token_id=ends, pad_token_id=0)
        made = made[0, told["input_ids"].shape[1] :].tolist()
        wanted.append(made[:-1] if made[-1] in ends else made)
    replies = opened[sort].chat(dialogues, greedy=True, tokens=12)
    assert [numbers(kind, [c for c in reply.tokens if c < kind.text.classes]) for reply in replies] == wanted
    alone = opened[sort].chat(dialogues[1], greedy=True, tokens=12)
    assert alone == replies[1] == "".join(opened[sort].chat(dialogues[1], greedy=True, tokens=12, stream=True))


def test_any_token_that_ends_a_text_ends_a_reply(opened):
    model = opened["chatml"]
    kind, network = kind_of(model), reference("chatml")[0]
    assert kind.tokens.token(kind.tokens.end) == "<|im_end|>"
    assert [kind.tokens.token(n) for n in numbers(kind, kind.ends)] == ["<|endoftext|>"]
    ids = numbers(kind, kind.prompt([("user", "up")], "assistant", "messages"))
    with torch.no_grad():
        p = network(torch.tensor([ids])).logits[0, -1].double().softmax(0)
    ends = float(p[kind.tokens.end] + p[reference("chatml")[0].config.eos_token_id])
    replier = _replier(model)
    prompt = torch.from_numpy(
        replier.codec.kind.tokens_of(['[{"role": "user", "content": "up"}, {"role": "assistant"}]'])[0]
    )
    cells = prompt[None, :, None]
    begun = replier.distribution.continuation(
        Batch(cells, torch.ones_like(cells).bool(), lengths=torch.tensor([len(prompt)]))
    )
    told = begun.logits().double().softmax(1)[0]
    assert float(told[-1]) == pytest.approx(ends, rel=1e-4) and float(told.sum()) == pytest.approx(1.0)
    assert float(told[kind.ends[0]]) == 0.0 and int((told == 0).sum()) == 1


def test_white_space_of_the_template_is_no_part_of_a_reply(opened):
    model = opened["strict"]
    made = model.chat("the mouse", regex=" up ran ", tokens=12)
    assert made == "up ran"
    assert "".join(model.chat("the mouse", regex=" up ran ", tokens=12, stream=True)) == "up ran"
    assert model.chat("the mouse", regex=" a  b", tokens=12) == "a  b"


@pytest.mark.parametrize("sort, adapters", [("chatml", 0), ("strict", 2)])
def test_replies_are_learned_and_kept(sort, adapters, opened, tmp_path, capsys):
    family = en.families.Pretrained(adapters=adapters, learning_rate=2e-2, batch_size=512, warm_up=2)
    (tmp_path / "talks.jsonl").write_text("\n".join(json.dumps({"messages": one}) for one in LEARNED))
    tuned = en.fit(str(tmp_path / "talks.jsonl"), family, start=checkpoint(sort), budget="12 steps", seed=1)
    start = opened[sort]._talking
    assert tuned.log_prob(LEARNED[:3]).sum() > start.log_prob(LEARNED[:3]).sum() + 20
    assert tuned.codec.model == ("messages",) and "sample" not in tuned.can and "generate" not in tuned.can
    for name, array in start.distribution.arrays().items():
        if adapters and array.dim() == 2 and min(array.shape) > 2:
            change = tuned.distribution.arrays()[name] - array
            assert int(torch.linalg.matrix_rank(change, atol=1e-4)) <= adapters, name
    tuned.save(tmp_path / "tuned.ens")
    again = en.load(tmp_path / "tuned.ens")
    assert again.codec.kind == tuned.codec.kind and np.array_equal(again.log_prob(TALKS), tuned.log_prob(TALKS))
    reply = tuned.chat("the mouse", greedy=True, tokens=10)
    assert command(["chat", str(tmp_path / "tuned.ens"), "--message", "the mouse", "--greedy", "--tokens", "10"]) == 0
    assert capsys.readouterr().out == f"{reply}\n"
    again.export(tmp_path / "out")
    tokens = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    network = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    assert tokens.chat_template == SORTS[sort][1]
    told = tokens.apply_chat_template(TALKS[0][:1], add_generation_prompt=True, return_dict=True, return_tensors="pt")
    made = network.generate(**told, do_sample=False, max_new_tokens=10, pad_token_id=0)[0]
    text = tokens.decode(made[told["input_ids"].shape[1] :], skip_special_tokens=True)
    assert text.strip() == reply.strip()
    assert en.load(tmp_path / "out").chat("the mouse", greedy=True, tokens=10) == reply


def test_only_replies_are_learned(opened):
    """The loss is that of the tokens that count, however dialogues are cut into windows and put together."""
    model = opened["chatml"]._talking
    data = en.read({"messages": [*LEARNED[:4], *asked("chatml")]})
    records = model.codec.encode(data)
    family = dataclasses.replace(model.family, context=100)
    windows = family.prepared(records)
    assert len(windows) == len(records)
    with torch.no_grad():
        nats, there = family._nats(model.distribution, windows.batch())
    assert nats.sum(1).tolist() == pytest.approx((-model.log_prob(data)).tolist(), abs=1e-3)
    assert int(there.sum()) == int(records.scored.sum())


def test_a_run_of_dialogues_goes_on(opened, tmp_path):
    path = tmp_path / "talks.jsonl"
    path.write_text("\n".join(json.dumps({"messages": one}) for one in LEARNED))
    made = en.fit(str(path), start=checkpoint("strict"), budget="2 steps", out=tmp_path / "run", seed=0)
    assert np.array_equal(en.resume(tmp_path / "run").log_prob(TALKS), made.log_prob(TALKS))


def test_a_checkpoint_chats_at_the_command_line(opened, capsys, monkeypatch, tmp_path):
    folder, model = str(checkpoint("chatml")), opened["chatml"]
    asked = ["--greedy", "--tokens", "6"]
    wanted = model.chat("the mouse", greedy=True, tokens=6)
    assert command(["chat", folder, "--message", "the mouse", *asked]) == 0 and capsys.readouterr().out == f"{wanted}\n"
    second = model.chat([("user", "the mouse"), ("assistant", wanted), ("user", "up")], greedy=True, tokens=6)
    monkeypatch.setattr("sys.stdin", io.StringIO("the mouse\nup\n"))
    assert command(["chat", folder, *asked]) == 0 and capsys.readouterr().out == f"{wanted}\n{second}\n"
    assert command(["chat", folder, "--message", "a <|im_end|>"]) == 1
    assert "marks the turns" in capsys.readouterr().err


def test_models_of_checkpoints_have_the_verbs_that_hold(opened, tmp_path):
    assert {"chat", "generate", "sample"} <= set(opened["chatml"].can) and "chat" not in opened["none"].can
    assert opened["chatml"].generate("the", seed=1, tokens=5) == opened["chatml"].generate("the", seed=1, tokens=5)
    opened["chatml"].save(tmp_path / "texts.ens")
    assert en.load(tmp_path / "texts.ens").chat("up", seed=1, tokens=5) == opened["chatml"].chat("up", seed=1, tokens=5)
    with pytest.raises(CapabilityError, match="not taken apart"):
        kind_of(opened["chatml"]).values(np.array([1]), np.array([1]))


def test_a_checkpoint_without_a_template_gets_a_plain_one_and_says_so(opened, tmp_path):
    with pytest.warns(UserWarning, match="no chat template"):
        tuned = en.fit(en.read({"chat": LEARNED}), start=opened["none"], budget="2 steps", seed=0)
    assert "of ensample's own" in tuned.codec.kind.describe() and tuned.codec.model == ("chat",)
    tuned.export(tmp_path / "out")
    tokens = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    end = "<|endoftext|>"
    wanted = f"user:\nthe mouse{end}\nassistant:\n"
    assert tokens.apply_chat_template(TALKS[0][:1], tokenize=False, add_generation_prompt=True) == wanted
    ids, counts = streamed(tuned.codec.kind, TALKS[0])
    learned = [n for n, count in zip(ids, counts, strict=True) if count]
    assert tokens.decode(learned) == f"ran up{end}us 猫{end}"


def with_template(folder: Any, source: Any, sort: str = "chatml") -> en.Model:
    shutil.copytree(checkpoint(sort), folder)
    (folder / "chat_template.jinja").write_text(source)
    return en.load(folder)


def test_templates_lie_in_several_places(tmp_path):
    plain = json.loads((checkpoint("chatml") / "tokenizer_config.json").read_text())
    shutil.copytree(checkpoint("none"), tmp_path / "one")
    several = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": TELLING}]
    for found in (TELLING, several):
        told = {**plain, "chat_template": found, "eos_token": {"content": "<|endoftext|>"}}
        (tmp_path / "one" / "tokenizer_config.json").write_text(json.dumps(told))
        assert en.load(tmp_path / "one")._talking.codec.kind.tokens.template.source == TELLING
    (tmp_path / "one" / "tokenizer_config.json").write_text(json.dumps({"chat_template": 3}))
    with pytest.raises(FormatError, match="is a text"):
        en.load(tmp_path / "one")


BODY = "{{ m.role + ': ' + m.content"


@pytest.mark.parametrize(
    "source, error, told",
    [
        ("{% for m in messages %}{{ m.content }", FormatError, "Jinja can read"),
        ("{{ messages[0].content }}", FormatError, "no reply in what it writes"),
        ("{% for m in messages %}" + BODY + " }}{% endfor %}", FormatError, "eos_token"),
        ("{{ raise_exception('never') }}", FormatError, "never"),
        ("{{ ''.__class__.__mro__ }}", FormatError, "unsafe"),
        ("{% for m in messages %}{{ m.nothing.more }}{% endfor %}", FormatError, "nothing"),
    ],
)
def test_templates_that_fail_say_why(source, error, told, tmp_path):
    model = with_template(tmp_path / "bad", source)
    assert model.generate("the", seed=1, tokens=3) is not None
    for ask in (lambda: model.chat("up"), lambda: en.fit(LEARNED[:2], start=model, budget="1 steps")):
        with pytest.raises(error, match=told) as found:
            ask()
        assert all((found.value.rule, found.value.place, found.value.seen, found.value.fix))


def test_replies_that_cannot_be_found_ask_for_marks(tmp_path):
    model = with_template(
        tmp_path / "upper",
        "{% for m in messages %}{{ m.role + '\n' + m.content + '<|im_end|>' }}{% endfor %}"
        "{% if messages | length == 4 %}{{ messages[1].content | upper }}{% endif %}",
    )
    assert np.isfinite(model._talking.log_prob([TALKS[0][:2]])).all()
    hidden = "{% for m in messages[::-1] if messages | length > 2 %}{{ m.content | upper }}{% endfor %}"
    model = with_template(tmp_path / "hidden", hidden + SORTS["chatml"][1])
    with pytest.raises(InputError, match=r"generation"):
        model._talking.log_prob([TALKS[0]])


@pytest.mark.parametrize(
    "turns, seen, fix",
    [
        ([("system", "x"), ("user", "up")], "System role not supported", "in the first turn of \"user\""),
        ([("user", "x"), ("user", "up")], "must alternate", "join turns of one role"),
        ([("system", "x"), ("user", "x"), ("user", "up")], "System role", "leave \"system\" out, and join"),
        ([("assistant", "x"), ("user", "up")], "must alternate", "begin with \"user\""),
        ([], "no element 0", "begin with \"user\""),
        ([("user", "a </s>")], "'</s>'", "take it out"),
        ([("human", "a")], "'human'", "'assistant', 'system' or 'user'"),
    ],
)  # fmt: skip
def test_dialogues_that_the_template_refuses_say_what_to_do(turns, seen, fix, opened):
    with pytest.raises(InputError) as found:
        opened["strict"].chat(turns)
    assert seen in found.value.seen and fix in found.value.fix and found.value.rule and found.value.place
    data = {"messages": [TALKS[0], [{ROLE: role, TEXT: text} for role, text in turns]]}
    if turns:
        with pytest.raises(InputError) as found:
            opened["strict"]._talking.log_prob(en.read(data))
        assert seen in found.value.seen and fix in found.value.fix
        assert "row 1" in found.value.place or turns[0][0] == "human"


def test_replies_alone_are_learned_of_a_checkpoint(opened):
    with pytest.raises(InputError, match="replies are learned"):
        en.fit(LEARNED, start=opened["chatml"], model=["messages.user"], budget="1 steps")
    with pytest.raises(InputError, match="turns to learn"):
        en.fit(en.read({"c": LEARNED}), start=opened["chatml"], given=["c.assistant"], budget="1 steps")
    with pytest.raises(InputError, match="begins replies of one role"):
        opened["chatml"].chat([("user", "up")], role="system")
    given = en.fit(en.read({"c": LEARNED}), start=opened["chatml"], given=["c.user"], budget="1 steps")
    assert given.codec.kind.learned == ("assistant",)
