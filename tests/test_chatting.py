"""Chatting: replies are draws from the model's own turns, and every option of writing on holds."""

import io
import json
import math

import numpy as np
import pytest
import torch

import ensample as en
from ensample.cli.main import command
from ensample.errors import InputError
from ensample.events import Batch
from ensample.families import Ngram, SequenceAutoregressive
from ensample.judge.leaderboard import sampled_from
from ensample.judge.texts.records import text_reference
from ensample.verbs import MissingVerb

NAMES = ("anna", "ben", "clara")


def talk(rng):
    name, other = rng.choice(NAMES, 2)
    turns = [("user", f"hi, {name} here"), ("assistant", f"hello {name}!")]
    if rng.random() < 0.5:
        turns += [("user", f"and {other}"), ("assistant", f"hello {other}!" if rng.random() < 0.7 else "")]
    return [{"role": role, "content": text} for role, text in turns]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return en.read({"chat": [talk(rng) for _ in range(200)]})


@pytest.fixture(scope="module")
def whole(data):
    return en.fit(data, Ngram(order=6), budget="5s", seed=0)


@pytest.fixture(scope="module")
def replies(data):
    return en.fit(data, Ngram(order=6), model=["chat.assistant"], budget="5s", seed=0)


@pytest.fixture(scope="module")
def network(data):
    small = SequenceAutoregressive(width=16, layers=1, context=32, dropout=0.0, batch_size=256)
    return en.fit(data, small, given="chat.user", budget="20 steps", seed=0)


def log_p_of_turn(model, turns, role, reply):
    """Step by step from the distribution itself: the reply, and whatever ends it."""
    kind = model.codec.kind
    told = [x for whose, text in turns for x in (kind.number_of(whose, ""), *kind.text.tokens_of(text))]
    steps, total = [*told, kind.number_of(role, "")], 0.0
    for token in [*kind.text.tokens_of(reply).tolist(), None]:
        cells = torch.tensor(steps)[None, :, None]
        batch = Batch(cells, torch.ones_like(cells, dtype=torch.bool), lengths=torch.tensor([len(steps)]))
        log_p = model.distribution.continuation(batch).logits().double().log_softmax(1)[0]
        total += float(log_p[kind.text.classes :].logsumexp(0) if token is None else log_p[token])
        steps.append(token)
    return total


@pytest.mark.parametrize("which", ["whole", "network"])
def test_a_reply_is_a_draw_from_the_turns_of_the_model(which, request):
    model = request.getfixturevalue(which)
    turns = [("user", "hi, anna here"), ("assistant", "hello anna!"), ("user", "and ben")]
    for made in model.chat(turns, "assistant", n=3, seed=1, log_probs=True, tokens=25):
        assert len(made.log_probs) == len(made.tokens) + (made.ended == "end")
        if made.ended == "end":
            assert made.log_probs.sum() == pytest.approx(log_p_of_turn(model, turns, "assistant", made), abs=1e-3)


def test_replies_are_as_frequent_as_probable(whole):
    turns = [("user", "hi, anna here"), ("assistant", "hello anna!"), ("user", "and ben")]
    made = whole.chat(turns, n=400, seed=3)
    for reply in ("", "hello anna!"):
        p = math.exp(log_p_of_turn(whole, turns, "assistant", reply))
        assert sum(one == reply for one in made) == pytest.approx(400 * p, abs=4 * math.sqrt(400 * p * (1 - p)) + 1)
        assert p > 0.02


def test_a_reply_is_the_same_alone_beside_others_and_in_pieces(network):
    asked = [[("user", f"hi, {name} here")] for name in NAMES]
    together = network.chat(asked, seed=5, tokens=20)
    assert [network.chat(one, seed=5, tokens=20) for one in asked] == together
    assert "".join(network.chat(asked[1], seed=5, tokens=20, stream=True)) == together[1]
    assert network.chat("hi, anna here", seed=5, tokens=20) == together[0]
    assert network.chat([{"role": "user", "content": "hi, anna here"}], seed=5, tokens=20) == together[0]
    assert network.chat(asked[0], n=5, seed=6) != network.chat(asked[0], n=5, seed=7)


def test_options_of_writing_hold(whole, network):
    asked = [("user", "hi, clara here")]
    assert network.chat(asked, regex="[ab]{3}", seed=0) in {a + b + c for a in "ab" for b in "ab" for c in "ab"}
    assert network.chat(asked, choices=["yes", "no"], seed=0) in ("yes", "no")
    assert "l" not in network.chat(asked, n=5, stop="l", seed=0, tokens=30)[0]
    assert whole.chat(asked, greedy=True).startswith("hello ") and whole.chat(asked, beams=4).startswith("hello ")
    assert network.chat(asked, draft=whole, greedy=True, tokens=15) == network.chat(asked, greedy=True, tokens=15)
    fresh = network.chat(asked, no_repeat=1, at_least=3, tokens=3, seed=0)
    assert len(set(fresh)) == 3 and not set(fresh) & set("hi, clara here")
    with pytest.raises(InputError, match="more than that"):
        network.chat(asked, contrast=0.3)
    assert len(whole.chat(asked, tokens=3, seed=0).tokens) <= 3


def test_who_replies_is_told_or_asked(whole, replies):
    assert whole.chat([], seed=0).prompt == '[{"role": "assistant"}]'
    assert '{"role": "user"}' in whole.chat([("assistant", "hello ben!")], seed=0).prompt
    assert '{"role": "assistant"}' in replies.chat([("assistant", "hello ben!")], seed=0).prompt
    assert whole.chat([("user", "hi, ben here")], "user", seed=0).prompt.endswith('{"role": "user"}]')
    for asked, role in (([("boss", "hi")], None), ("hi", "boss"), ([("user", 3)], None), ([3], None), (4, None)):
        with pytest.raises((InputError, TypeError)):
            whole.chat(asked, role)
    with pytest.raises(InputError, match="one reply alone"):
        whole.chat("hi", n=2, stream=True)
    three = en.fit({"c": [[("a", "x"), ("b", "y"), ("c", "z")]] * 3}, Ngram(order=2), seed=0)
    with pytest.raises(InputError, match="clear who replies"):
        three.chat([("a", "x")])
    with pytest.raises(InputError, match="clear who speaks"):
        three.chat("x", "b")


def test_verbs_are_those_that_can_be_honoured(whole, replies):
    assert {"sample", "chat", "log_prob"} <= set(whole.can) and "generate" not in whole.can
    assert "sample" not in replies.can and "chat" in replies.can
    with pytest.raises(MissingVerb, match="what is said to it is given"):
        replies.sample(2)
    with pytest.raises(MissingVerb, match="use chat"):
        whole.generate("hi")
    with pytest.raises(MissingVerb, match="a field of dialogues"):
        en.fit(["anna", "bob", "otto"], Ngram(order=2), seed=0).chat("hi")
    made = whole.sample(20, seed=0)
    assert en.read(made.to_arrow()).schema["chat"].kind.roles == ("assistant", "user")


def test_replies_cost_what_they_add_to_what_is_said(data, whole, replies):
    """The chain of the whole dialogue is that of what counts and of what does not."""
    listed = data.column("chat").to_pylist()[:20]
    scored = replies.log_prob(listed)
    assert scored == pytest.approx(replies.log_prob(en.read({"chat": listed})))
    said = en.fit(data, Ngram(order=6), model=["chat.user"], budget="5s", seed=0)
    first = whole.codec.kind
    cells = torch.zeros(1, 0, 1, dtype=torch.int64)
    begin = whole.distribution.continuation(Batch(cells, cells.bool(), lengths=torch.tensor([0]))).logits().double()
    opened = float(begin.log_softmax(1)[0, first.number_of("user", "")])
    never_missing = math.log1p(-first.unseen)
    assert scored + said.log_prob(listed) + opened + never_missing == pytest.approx(whole.log_prob(listed), abs=1e-6)


def test_models_of_replies_are_saved_and_resumed(data, replies, tmp_path):
    replies.save(tmp_path / "replies.ens")
    again = en.load(tmp_path / "replies.ens")
    assert again.codec.kind == replies.codec.kind and "sample" not in again.can
    assert np.array_equal(again.log_prob(data), replies.log_prob(data))
    path = data.save(tmp_path / "talks.jsonl")
    first = en.fit(path, Ngram(order=3), model=["chat.assistant"], out=tmp_path / "run", seed=0)
    assert np.array_equal(en.resume(tmp_path / "run").log_prob(data), first.log_prob(data))


def test_a_list_of_dialogues_is_read_as_it_stands(data):
    listed = data.column("chat").to_pylist()
    assert en.read(listed).column("messages").to_pylist() == listed
    pairs = [[(turn["role"], turn["content"]) for turn in talk] for talk in listed]
    assert en.read(pairs).column("messages").to_pylist() == listed


@pytest.mark.parametrize("messages", [3, {"role": "user", "content": "hi"}], ids=str)
def test_what_is_no_list_of_turns_is_refused(messages, whole):
    with pytest.raises(InputError, match="A dialogue is a list of turns"):
        whole.chat(messages)


def test_dialogues_are_judged_as_texts_with_the_names_of_roles(data, whole):
    reference = text_reference(None, data, whole.schema, "chat", (), 0)
    made = reference.side(sampled_from(whole, reference, 0))
    assert all(text.startswith(("user: ", "assistant: ")) or not text for text in made.texts)
    said = reference.scored.column("chat").to_pylist()
    assert reference.test.texts[0].startswith("user: hi, ") and "\nassistant: hello " in reference.test.texts[0]
    assert reference.texts_scored == ["".join(turn["content"] for turn in talk) for talk in said]


def test_models_of_replies_are_judged_by_a_reply_each(data):
    learned, held_out = data.split(test=25, seed=1)
    board = en.compare(learned.head(25), held_out, [Ngram(order=6)], given="chat.user", budget="4s")
    (judged,) = [entry.judgement for entry in board.entries if entry.role == "model"]
    model = en.fit(learned.head(25), Ngram(order=6), model=["chat.assistant"])
    said = [turn for talk in held_out.column("chat").to_pylist() for turn in talk if turn["role"] == "assistant"]
    bits = -model.log_prob(held_out).sum() / math.log(2) / sum(len(turn["content"]) for turn in said)
    assert judged.get("bits").value == pytest.approx(bits, rel=1e-6)
    assert len(judged.made.side) == 25 and any(text.startswith("hello") for text in judged.made.side.texts)
    assert not any(text.startswith(("hi", "assistant")) for text in judged.made.side.texts)


def test_chat_at_the_command_line(replies, tmp_path, capsys, monkeypatch):
    path = tmp_path / "replies.ens"
    replies.save(path)

    def run(*words):
        assert command(["chat", str(path), *words]) == 0
        return capsys.readouterr().out

    wanted = replies.chat("hi, ben here", greedy=True)
    assert run("--message", "hi, ben here", "--greedy") == wanted + "\n"
    told = json.loads(run("--message", "hi, ben here", "--greedy", "--json"))
    assert told["text"] == wanted and told["role"] == "assistant"
    monkeypatch.setattr("sys.stdin", io.StringIO("hi, ben here\nand anna\n"))
    second = replies.chat([("user", "hi, ben here"), ("assistant", wanted), ("user", "and anna")], greedy=True)
    assert run("--greedy") == f"{wanted}\n{second}\n"
    turns = [{"role": "user", "content": "hi, ben here"}, {"role": "assistant", "content": wanted}]
    (tmp_path / "before.json").write_text(json.dumps(turns))
    assert run("--history", str(tmp_path / "before.json"), "--message", "and anna", "--greedy") == f"{second}\n"
    (tmp_path / "before.json").write_text("[3")
    for wrong in (["--history", str(tmp_path / "before.json")], ["--role", "boss"], ["--json"]):
        assert command(["chat", str(path), *wrong]) == 1
