"""Writing on, from the public side."""

from __future__ import annotations

import json
import pickle
import re
from collections import Counter
from typing import get_args, get_type_hints

import numpy as np
import pytest
from scipy import stats

import ensample as en
from ensample.cli.generate import PATIENCE
from ensample.errors import CapabilityError, InputError
from ensample.solvers.decoding.options import Drawing, Options, Searching
from ensample.solvers.decoding.patience import BOUNDS, EarlyStopping
from ensample.writer import Written

NAMES = ["anna", "bob", "hannah", "otto", "nathan", "ann", "bobby", "ottoman", "nan", "tom", "tommy", "zoë"] * 10
LINES = ["the cat sat on the mat.\n", "the dog sat on the cat.\n", "a café for the dog: €2\n"] * 20


def fitted(texts, kind: str):
    return en.fit(en.read({"text": texts}, kinds={"text": kind}), "ngram", budget="5s", seed=0)


@pytest.fixture(scope="module")
def names():
    return fitted(NAMES, "text")


@pytest.fixture(scope="module")
def raw():
    return fitted(NAMES, "text:bytes")


@pytest.fixture(scope="module", params=["text:characters", "text:bytes", "text:bpe:280", "text:words"])
def lines(request):
    return fitted(LINES, request.param)


def test_a_string_goes_in_and_a_string_comes_out(names):
    text = names.generate("an", seed=1)
    assert isinstance(text, str) and text == names.generate(["an"], seed=1)[0] == names.generate("an", n=2, seed=1)[0]
    assert text.prompt == "an" and text.ended == "end" and text.log_probs is None
    assert len(text.tokens) == len(text)
    same = pickle.loads(pickle.dumps(text))
    assert (same, same.prompt, same.tokens, same.ended) == (text, text.prompt, text.tokens, text.ended)
    assert names.generate([]) == []


def test_the_same_seed_writes_the_same_alone_or_beside_others(lines):
    prompts = ["the ", "", "a", "the cat sat on", "the "]
    together = lines.generate(prompts, seed=4, temperature=1.5)
    for place, prompt in enumerate(prompts[:4]):
        assert lines.generate(prompt, seed=4, temperature=1.5) == together[place]
    assert lines.generate("the ", n=2, seed=4, temperature=1.5)[1] == together[4] != together[0]
    assert lines.generate(prompts, seed=5, temperature=1.5) != together
    twice = lines.generate(prompts, seed=4, no_repeat=3, tokens=20)
    assert [lines.generate(prompt, seed=4, no_repeat=3, tokens=20) for prompt in prompts[:4]] == twice[:4]
    assert len(set(lines.generate("", n=20, temperature=2.0, tokens=30))) > 10


def test_texts_are_as_frequent_as_the_model_says_and_so_are_their_log_probabilities(names):
    made = names.generate("", n=4000, seed=0, log_probs=True)
    counts = Counter(made)
    told = {str(text): text.log_probs.sum() for text in made}
    texts = en.read({"text": list(told)}, kinds={"text": "text"})
    probable = np.exp(names.log_prob(texts) - names.codec.log_volume(texts))
    np.testing.assert_allclose(np.exp(list(told.values())), probable, rtol=1e-4)
    common = [(counts[text], p) for text, p in zip(told, probable, strict=True) if p > 0.005]
    seen, p = np.array(common).T
    p = np.append(p, 1 - p.sum()) * len(made)
    assert stats.chisquare(np.append(seen, len(made) - seen.sum()), p).pvalue > 1e-6  # the chance of a false alarm


def test_log_probabilities_are_given_the_prompt_and_before_options(names):
    made = names.generate("an", n=30, seed=0, log_probs=True, temperature=3.0, top_k=9)
    whole = names.log_prob({"text": ["an" + text for text in made]})
    differences = whole - np.array([text.log_probs.sum() for text in made])
    np.testing.assert_allclose(differences, differences[0], atol=1e-3)
    assert len({str(text) for text in made}) > 3


def test_a_stream_is_the_text_piece_by_piece(lines):
    for options in ({}, {"stop": ["t on", "é f"]}, {"greedy": True, "tokens": 40}, {"temperature": 2.0, "tokens": 60}):
        for seed in range(8):
            if options.get("greedy") and seed:
                continue
            pieces = list(lines.stream("the", seed=seed, **options))
            assert "".join(pieces) == lines.generate("the", seed=seed, **options)
            assert all(pieces)
            assert len(pieces) > 1 or options


def test_a_text_ends_before_a_stop_string_wherever_tokens_end(lines):
    for text in lines.generate("", n=60, seed=0, stop=["sat o", "fé"]):
        assert "sat o" not in text and "fé" not in text
        whole = lines.codec.kind.text_of(list(text.tokens))
        assert (text.ended == "stop") == ("sat o" in whole or "fé" in whole)
        assert whole.startswith(text)


def test_what_is_written_keeps_to_its_language(lines):
    for text in lines.generate("the ", n=10, seed=0, regex="[cd]a?o?[tg] (sat|ran)"):
        assert re.fullmatch("[cd]a?o?[tg] (sat|ran)", text) or lines.codec.kind.tokenizer == "words"
    assert {*lines.generate("the ", n=40, seed=0, choices=["cat", "dog"])} == {"cat", "dog"}


def test_json_of_a_schema():
    model = fitted(['{"name":"anna","age":12}', '{"name":"bob","age":3}'] * 10, "text")
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 0, "maximum": 99}, "name": {"enum": ["anna", "bob"]}},
        "required": ["age", "name"],
        "additionalProperties": False,
    }
    for text in model.generate("", n=10, seed=0, schema=schema):
        assert json.loads(text).keys() == {"age", "name"}
    assert model.generate("", seed=0, grammar='start: "bob" "1"~2') == "bob11"


def test_beams_find_what_is_most_probable(names):
    made = names.generate("", n=8, beams=100, length_power=0.0, log_probs=True)
    sums = [text.log_probs.sum() for text in made]
    assert sums == sorted(sums, reverse=True)
    best = max(set(NAMES), key=lambda name: names.log_prob({"text": [name]})[0])
    assert made[0] == best
    assert names.generate(["b", "to"], beams=3) == [names.generate("b", beams=3), names.generate("to", beams=3)]


def test_a_draft_changes_no_greedy_text_and_no_frequency(names):
    draft = en.fit(en.read({"text": NAMES}, kinds={"text": "text"}), en.families.Ngram(order=2), budget="5s", seed=0)
    assert names.generate("b", greedy=True, draft=draft) == names.generate("b", greedy=True)
    made = Counter(names.generate("", n=500, seed=1, draft=draft))
    texts = sorted(set(NAMES))
    p = np.exp(names.log_prob({"text": texts}))
    seen = np.array([made[text] for text in texts])
    p, seen = np.append(p, 1 - p.sum()) * 500, np.append(seen, 500 - seen.sum())
    assert stats.chisquare(seen, p).pvalue > 1e-6
    assert names.generate(["", "b"], seed=3, draft=draft)[1] == names.generate("b", seed=3, draft=draft)
    assert "".join(names.stream("b", seed=3, draft=draft)) == names.generate("b", seed=3, draft=draft)


def test_a_draft_reads_the_same_tokens(names, lines):
    with pytest.raises(CapabilityError, match="same tokens"):
        names.generate("", draft=lines)


def test_what_was_never_met_is_unknown_in_a_prompt_and_never_written():
    model = fitted(NAMES, "text")
    with pytest.warns(UserWarning, match="never met"):
        assert isinstance(model.generate("anQ", seed=0), str)
    assert not any("\ufffd" in text for text in model.generate("", n=300, temperature=9.0, tokens=20, seed=0))


def test_bounds_of_length_hold(names):
    made = names.generate("", n=50, tokens=6, at_least=4, seed=0)
    assert {len(text) for text in made} == {4, 5, 6}
    assert all((text.ended == "tokens") == (len(text) == 6 and text.ended != "end") for text in made)


@pytest.fixture(scope="module")
def network():
    table = {"text": LINES, "sort": ["cat", "dog", "cafe"] * 20}
    family = en.families.SequenceAutoregressive(width=16, layers=2, context=32, batch_size=256)
    data = en.read(table, kinds={"text": "text"})
    return en.fit(data, family, model=["text"], given=["sort"], budget="40 steps", seed=0)


def test_prompts_of_any_length_in_one_batch_write_as_alone(network):
    where, long = {"sort": "dog"}, "".join(LINES[:6])
    prompts = ["", "the cat", long, "a", long[3:40]]
    together = network.generate(prompts, seed=2, where=where, tokens=70, at_least=60)
    assert [network.generate(prompt, seed=2, where=where, tokens=70, at_least=60) for prompt in prompts] == together
    assert len(set(together)) == 5


def test_given_fields_change_what_is_written(network):
    made = {sort: network.generate("", n=4, where={"sort": sort}, seed=0, tokens=12) for sort in ("cat", "cafe")}
    assert made["cat"] != made["cafe"]
    with pytest.raises(InputError, match="given fields"):
        network.generate("")


def test_a_network_checks_drafts_beyond_its_context(network):
    where = {"sort": "cat"}
    plain = network.generate("the", greedy=True, tokens=90, at_least=90, where=where)
    drafted = network.generate("the", greedy=True, tokens=90, at_least=90, where=where, draft=network, ahead=3)
    assert drafted == plain
    assert len(plain.tokens) == 90


def test_contrastive_search_goes_less_round(network, names):
    where = {"sort": "cat"}
    plain = network.generate("the", greedy=True, tokens=60, at_least=60, where=where)
    least, most = (
        network.generate("the", contrast=c, top_k=6, tokens=60, at_least=60, where=where) for c in (1e-9, 0.9)
    )
    assert least == plain != most
    assert "".join(network.stream("the", contrast=0.9, top_k=6, tokens=60, at_least=60, where=where)) == most
    with pytest.raises(CapabilityError, match="states of a network"):
        names.stream("a", contrast=0.6)


def test_only_models_of_texts_write():
    lists = en.fit({"walk": [["a", "b"], ["b", "a", "a"]] * 10}, "ngram", budget="2s")
    assert "generate" not in lists.can and not hasattr(lists, "stream")
    with pytest.raises(CapabilityError, match="field of texts"):
        lists.generate("a")
    with pytest.raises(CapabilityError):
        en.fit({"x": list(range(30))}, "independent").generate("a")


BAD = [
    ({"n": 0}, "n"),
    ({"tokens": 0}, "tokens"),
    ({"tokens": 2.5}, "tokens"),
    ({"at_least": 9, "tokens": 8}, "at_least"),
    ({"temperature": 0}, "greedy=True"),
    ({"temperature": -1.0}, "temperature"),
    ({"top_p": 0.0}, "top_p"),
    ({"min_p": 1.5}, "min_p"),
    ({"typical": -0.1}, "typical"),
    ({"top_k": 0}, "top_k"),
    ({"no_repeat": 0}, "no_repeat"),
    ({"ahead": 64}, "ahead"),
    ({"repetition_penalty": 0.0}, "repetition_penalty"),
    ({"greedy": True, "temperature": 0.5}, "temperature"),
    ({"beams": 4, "top_p": 0.5}, "top_p"),
    ({"greedy": True, "beams": 4}, "beams"),
    ({"greedy": True, "n": 2}, "n=1"),
    ({"contrast": 0.5, "n": 2}, "n=1"),
    ({"contrast": 1.5}, "contrast"),
    ({"contrast": 0.5, "greedy": True}, "contrast"),
    ({"contrast": 0.5, "top_p": 0.5}, "top_p"),
    ({"beams": 2, "n": 3}, "n=2"),
    ({"stop": ""}, "stop"),
    ({"stop": ["a", ""]}, "stop"),
    ({"regex": "a", "choices": ["a"]}, "choices"),
    ({"choices": []}, "choices"),
    ({"choices": "yes"}, "choices"),
    ({"regex": "(a"}, "regex"),
    ({"schema": "{"}, "schema"),
    ({"grammar": "begin: 3"}, "grammar"),
    ({"prompts": ["a", 3]}, "prompts"),
]


@pytest.mark.parametrize(("options", "told"), BAD, ids=str)
def test_wrong_wishes_are_told_before_anything_is_written(names, options, told):
    with pytest.raises(InputError, match=re.escape(told)):
        names.generate(**{"prompts": "a", **options})


def test_a_constraint_that_cannot_be_met_is_told(names):
    with pytest.raises(CapabilityError, match="leave something to write"):
        names.generate("", choices=["XYZ"])


def test_a_stream_tells_what_is_wrong_before_its_first_piece(names):
    with pytest.raises(InputError, match="top_p"):
        names.stream("a", top_p=3.0)


def test_keywords_of_writing_are_its_options(names):
    assert get_type_hints(Searching) == get_type_hints(Options)
    assert set(get_type_hints(Searching)) - set(get_type_hints(Drawing)) == {"beams", "early_stopping", "length_power"}
    assert {*get_args(EarlyStopping)} == {*BOUNDS} == {*PATIENCE}
    with pytest.raises(InputError, match="unlikely"):
        names.generate("a", beams=3, early_stopping="always")
    with pytest.raises(InputError, match="use generate"):
        names.stream("a", beams=3)
    with pytest.raises(TypeError, match="colour"):
        names.generate("a", colour="red")


@pytest.mark.parametrize("kind", ["names", "raw"])
@pytest.mark.parametrize(
    ("prompt", "more"),
    [
        ("a\ud800", {}),
        ("a", {"suffix": "\udfff"}),
        ("a", {"stop": ["b", "\ud800"]}),
        ("a", {"choices": ["\ud800"]}),
        (b"abc", {}),
        (None, {}),
        (["a", 3], {}),
        ("a", {"suffix": 3}),
    ],
)
def test_what_is_no_text_is_told_as_such(kind, prompt, more, request):
    with pytest.raises(InputError, match=r"surrogate|string"):
        request.getfixturevalue(kind).generate(prompt, tokens=3, **more)


def test_no_stop_string_is_none(names):
    assert names.generate("a", stop=None, seed=1) == names.generate("a", seed=1)


def test_a_written_text_is_a_string():
    assert Written("ab") + "c" == "abc"
