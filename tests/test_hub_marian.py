"""Marian checkpoints, which have a model of SentencePiece for each side, against `transformers`."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil

import numpy as np
import pyarrow as pa
import pytest
import torch
import transformers

import ensample as en
from ensample.errors import CapabilityError, FormatError
from tests.checkpoints_marian import PLACES, SCORES, checkpoint, reference, spm, vocabulary

SOURCES = ["the mouse ran", "up the  clock", "", ">>fra<< the mouse", "ran Zü clock"]
TEXTS = ["the clock", "mouse ran up.", "us", "", "ou the 猫猫 ck"]
UNKNOWN = 1


@pytest.fixture(scope="module")
def opened() -> en.Model:
    return en.load(checkpoint())


def pairs(rows: slice = slice(None)) -> dict[str, list[str]]:
    return {"source": SOURCES[rows], "text": TEXTS[rows]}


def cut(side: str, text: str) -> list[int]:
    """Numbers of the best way to cut a text into pieces, by looking at all of them; the end is not among them."""
    numbers, scores = vocabulary(), SCORES[side]
    if text.startswith(">>") and "<<" in text:
        code, text = text[: text.index("<<") + 2], text[text.index("<<") + 2 :]
        return [numbers.get(code, UNKNOWN), *cut(side, text)]
    words = text.split(" ")
    text = "".join(f"\u2581{word}" for word in words if word)
    lost = min(scores.values()) - 10
    best: list[tuple[float, list[str]]] = [(0.0, [])]
    for end in range(1, len(text) + 1):
        ways = [(best[begin][0] + scores[text[begin:end]], [*best[begin][1], text[begin:end]])
                for begin in range(end) if text[begin:end] in scores]  # fmt: skip
        if text[end - 1] not in scores:
            ways.append((best[end - 1][0] + lost, [*best[end - 1][1], f"?{text[end - 1]}"]))
        best.append(max(ways))
    found: list[str] = []
    for piece in best[-1][1]:  # unknown letters side by side are one piece, which the other side may know
        if piece[0] == "?" and found and found[-1][0] == "?":
            found[-1] += piece[1:]
        else:
            found.append(piece)
    return [numbers.get(piece.removeprefix("?"), UNKNOWN) for piece in found]


def read(model: en.Model, side: str, text: str) -> list[int]:
    kind = model.codec.source.kind if side == "source" else model.codec.kind
    return [int(c) + 1 for c in kind.tokens_of(text)]


def test_texts_are_cut_into_the_best_pieces(opened):
    more = [
        "themousethe",
        "ck us",
        "a the",
        "mouseranup",
        "  up",
        "the",
        "\u2581the",
        ">>deu<<the",
        ">> the",
        "</s> ck",
    ]
    for side in ("source", "target"):
        for text in [*SOURCES, *TEXTS, *more]:
            assert read(opened, side, text) == cut(side, text), text
    assert UNKNOWN not in read(opened, "source", "mouse ran up.")  # the other side knows the point
    assert len(vocabulary()) == opened.codec.kind.classes + 1


def test_texts_come_back_normalised(opened):
    kind = opened.codec.kind
    assert kind.text_of(kind.tokens_of("mouse  ran up.")) == "mouse ran up."
    assert not kind.tokens.lossless and kind.tokens.unknown == UNKNOWN - 1
    one, two = (kind.log_volume(pa.array([text]), "text")[0] for text in ("the 猫", "the 猫猫"))
    assert one - two == pytest.approx(math.log(2 * (0x110000 - 0x800)))
    assert read(opened, "target", "ou") == [UNKNOWN] or UNKNOWN in read(opened, "target", "ou")


def expected(source: str, text: str) -> torch.Tensor:
    """Log-probabilities by `transformers` of what is written, the token of padding never."""
    network, pad = reference(), vocabulary()["<pad>"]
    behind = [*cut("target", text), 0]
    with torch.no_grad():
        ids, begun = [*cut("source", source), 0], [pad, *behind[:-1]]
        logits = network(input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([begun])).logits[0]
    logits[:, pad] = -torch.inf
    return logits.double().log_softmax(1).gather(1, torch.tensor(behind)[:, None])[:, 0]


def test_log_probabilities_are_those_of_transformers(opened):
    wanted = np.array([float(expected(*pair).sum()) for pair in zip(SOURCES, TEXTS, strict=True)])
    priced = opened.codec.kind.log_volume(pa.array(TEXTS), "text")
    assert opened.log_prob(pairs()) == pytest.approx(wanted + priced, abs=1e-4)


def test_greedy_texts_are_those_of_transformers(opened):
    for source in SOURCES[:2]:
        asked = {"do_sample": False, "num_beams": 1, "max_new_tokens": 12}
        made = reference().generate(torch.tensor([[*cut("source", source), 0]]), **asked)[0, 1:].tolist()
        written = opened.generate(where={"source": source}, greedy=True, tokens=12)
        assert [c + 1 for c in written.tokens if c < opened.codec.kind.classes] == [n for n in made if n]
        assert not made.count(vocabulary()["<pad>"])


def test_the_blank_before_a_text_is_no_part_of_it(opened):
    asked = {"where": {"source": "the mouse"}, "tokens": 4}
    made = opened.generate(n=30, seed=2, **asked)
    kind = opened.codec.kind
    begun = [kind.tokens.pieces[one.tokens[0]][:1] for one in made if one.tokens]
    assert begun.count(b" ") > 2 and [kind.text_of(list(one.tokens)) for one in made if one.ended == "tokens"] == [
        str(one) for one in made if one.ended == "tokens"
    ]
    for seed in range(6):
        assert "".join(opened.stream(seed=seed, **asked)) == opened.generate(seed=seed, **asked)
    assert opened.generate(regex=" the", **asked) == " the"


def test_it_is_tuned_and_written_back(opened, tmp_path):
    family = dataclasses.replace(opened.family, adapters=2, learning_rate=3e-2, batch_size=256)
    data = en.read({"source": SOURCES * 4, "text": TEXTS * 4}, texts=("source", "text"))
    tuned = en.fit(data, family, start=opened, budget="8 steps", seed=1)
    assert tuned.log_prob(pairs()).sum() > opened.log_prob(pairs()).sum() + 3
    tuned.save(tmp_path / "tuned.ens")
    again = en.load(tmp_path / "tuned.ens")
    assert np.array_equal(again.log_prob(pairs()), tuned.log_prob(pairs()))
    again.export(tmp_path / "out")
    assert np.array_equal(en.load(tmp_path / "out").log_prob(pairs()), tuned.log_prob(pairs()))
    network = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "out").eval()
    assert network.generation_config.bad_words_ids == [[vocabulary()["<pad>"]]]
    for name in ("source.spm", "target.spm"):
        assert (tmp_path / "out" / name).read_bytes() == (checkpoint() / name).read_bytes()
    assert json.loads((tmp_path / "out" / "vocab.json").read_text()) == vocabulary()
    settings = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "MarianTokenizer" and settings["source_lang"] == "en"
    assert network.config.max_position_embeddings == PLACES


def test_its_tokenizers_are_those_of_transformers(opened):
    pytest.importorskip("sentencepiece")
    tokens = transformers.MarianTokenizer.from_pretrained(checkpoint())
    for text in [*SOURCES, *TEXTS, "\u2581the", " \u2581 a", "the\t\nmouse", "a\u2581"]:
        assert [*read(opened, "source", text), 0] == tokens(text).input_ids
        assert [*read(opened, "target", text), 0] == tokens(text_target=text).input_ids


def put(name, data):
    return lambda folder: (folder / name).write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())


@pytest.mark.parametrize(
    "how, error, told",
    [
        (lambda folder: (folder / "target.spm").unlink(), FormatError, "target.spm"),
        (lambda folder: (folder / "vocab.json").unlink(), FormatError, "vocab.json"),
        (put("source.spm", b"\x0a\xff\xff"), FormatError, "must be whole"),
        (put("source.spm", spm("source")[:-40] + b"\x0a"), FormatError, "must be whole"),
        (put("source.spm", b""), FormatError, "what is unknown"),
        (put("source.spm", spm("source", t3=2)), CapabilityError, "no unigram model"),
        (put("source.spm", spm("source", t24=1)), CapabilityError, "blanks behind words"),
        (put("source.spm", spm("source", n4=0)), CapabilityError, "kept as they are"),
        (put("vocab.json", {"</s>": 0, "a": 1}), FormatError, "another file"),
        (put("vocab.json", {"</s>": 0, "<unk>": 0}), FormatError, "another file"),
        (put("vocab.json", {"</s>": 0, "<unk>": 9_999}), FormatError, "token number"),
        (put("tokenizer_config.json", {"separate_vocabs": True}), FormatError, "one vocabulary"),
    ],
)
def test_bad_folders_say_what_is_wrong(how, error, told, tmp_path):
    shutil.copytree(checkpoint(), tmp_path / "broken")
    how(tmp_path / "broken")
    with pytest.raises(error, match=told) as found:
        en.load(tmp_path / "broken")
    assert all((found.value.rule, found.value.place, found.value.seen, found.value.fix))
