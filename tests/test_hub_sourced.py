"""Checkpoints with an encoder and a decoder as models of a text given another, against `transformers` itself."""

from __future__ import annotations

import dataclasses
import json
import shutil
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import ensample as en
from ensample.errors import CapabilityError, FormatError, InputError
from ensample.events import Batch
from tests.checkpoints_sourced import PLACES, SORTS, checkpoint, reference

each = pytest.mark.parametrize("sort", SORTS)
SOURCES = ["The mouse", "ran up the clock.", "", "Dock Dock"]
TEXTS = ["the clock", "", "Once the mouse ran", "us"]
UNKNOWN = "Zürich 猫"


@pytest.fixture(scope="module")
def opened() -> dict[str, en.Model]:
    return {sort: en.load(checkpoint(sort)) for sort in SORTS}


def labels(sort: str, model: en.Model, text: str) -> list[int]:
    """Tokens of the checkpoint that a decoder has to write, the end included."""
    end = reference(sort)[0].config.eos_token_id
    return [int(c) + (int(c) >= end) for c in model.codec.kind.tokens_of(text)] + [end]


def expected(sort: str, model: en.Model, source: str, text: str) -> torch.Tensor:
    """Logits of `transformers` at every place of the text and behind it, the end in the last column."""
    network, tokens = reference(sort)
    begin, behind = model.distribution.facts()["begin"], labels(sort, model, text)
    with torch.no_grad():
        out = network(
            input_ids=torch.tensor([tokens(source).input_ids]),
            decoder_input_ids=torch.tensor([begin + behind[:-1]]),
            output_hidden_states=True,
        )
    logits, end = out.logits[0, len(begin) - 1 :], network.config.eos_token_id
    return torch.cat([logits[:, :end], logits[:, end + 1 :], logits[:, end : end + 1]], 1)


def prompts(model: en.Model, sources: list[str], texts: list[str]) -> Batch:
    return model.codec.encode(en.read({"source": sources, "text": texts}, texts=("source", "text"))).batch()


def pairs(sources: list[str] = SOURCES, texts: list[str] = TEXTS) -> dict[str, list[str]]:
    return {"source": sources, "text": texts}


def test_beginnings_are_those_of_the_checkpoint(opened):
    marks = {name: reference("bart")[0].config.to_dict()[name] for name in ("bos_token_id", "eos_token_id")}
    facts = opened["bart"].distribution.facts()
    assert facts["begin"] == [marks["eos_token_id"], marks["bos_token_id"]]
    assert (facts["before"], facts["behind"]) == ([marks["bos_token_id"]], [marks["eos_token_id"]])
    facts = opened["t5"].distribution.facts()
    assert (facts["begin"], facts["before"], facts["behind"]) == ([0], [], [1])


@each
def test_logits_are_those_of_transformers_with_the_end_last(sort, opened):
    model = opened[sort]
    begun = model.distribution.continuation(prompts(model, SOURCES, TEXTS))
    for row, (source, text) in enumerate(zip(SOURCES, TEXTS, strict=True)):
        assert torch.allclose(begun.logits()[row], expected(sort, model, source, text)[-1], atol=1e-5)


@each
def test_written_on_from_memory_as_read_anew(sort, opened):
    """Rows of unequal length, taken more than once, each going on by itself."""
    model = opened[sort]
    begun = model.distribution.continuation(prompts(model, SOURCES, TEXTS))
    added = [model.codec.kind.tokens_of(text)[:2].tolist() for text in ("Dock", "clock", "mouse", "up c")]
    for step in zip(*added, strict=True):
        begun.append(torch.tensor(step))
    rows = [2, 0, 2, 3]
    taken = begun.take(torch.tensor(rows))
    last = [int(model.codec.kind.tokens_of(word)[0]) for word in ("the", "up", "clock", "us")]
    taken.append(torch.tensor(last))
    taken.take(torch.tensor([1])).append(torch.tensor([5]))
    end = reference(sort)[0].config.eos_token_id
    for place, row in enumerate(rows):
        behind = [c + (c >= end) for c in (*added[row], last[place])]
        begin = [*model.distribution.facts()["begin"], *labels(sort, model, TEXTS[row])[:-1], *behind]
        network, tokens = reference(sort)
        with torch.no_grad():
            out = network(
                input_ids=torch.tensor([tokens(SOURCES[row]).input_ids]),
                decoder_input_ids=torch.tensor([begin]),
                output_hidden_states=True,
            )
        assert torch.allclose(taken.logits()[place, :end], out.logits[0, -1, :end], atol=1e-5)
        assert torch.allclose(taken.hidden()[place], out.decoder_hidden_states[-1][0, -1], atol=1e-5)
    before = begun.logits().clone()
    begun.take(torch.arange(4)).append(torch.tensor(last))
    assert torch.equal(begun.logits(), before)


@each
def test_log_probabilities_are_the_cross_entropy(sort, opened):
    model, wanted = opened[sort], []
    for source, text in zip(SOURCES, TEXTS, strict=True):
        targets = torch.tensor(labels(sort, model, text))
        network = reference(sort)[0]
        target = torch.where(targets == network.config.eos_token_id, network.config.vocab_size - 1, targets)
        target = target - ((targets > network.config.eos_token_id).long())
        log_p = expected(sort, model, source, text).double().log_softmax(1)
        wanted.append(float(log_p.gather(1, target[:, None]).sum()))
    assert model.log_prob(pairs()) == pytest.approx(wanted, abs=1e-4)
    alone = [float(model.log_prob({"source": [s], "text": [t]})[0]) for s, t in zip(SOURCES, TEXTS, strict=True)]
    assert alone == pytest.approx(wanted, abs=1e-4)


@each
def test_greedy_texts_are_those_of_transformers(sort, opened):
    network, tokens = reference(sort)
    end, begin = network.config.eos_token_id, opened[sort].distribution.facts()["begin"]
    for source in SOURCES[:2]:
        made = network.generate(
            torch.tensor([tokens(source).input_ids]),
            decoder_input_ids=torch.tensor([begin]),
            do_sample=False,
            num_beams=1,
            max_new_tokens=15,
        )[0, len(begin) :]
        written = opened[sort].generate(where={"source": source}, tokens=15, greedy=True)
        found = [number + (number >= end) for number in written.tokens if number < network.config.vocab_size - 1]
        assert found == [number for number in made.tolist() if number != end]


def test_long_texts_slide_alike_in_scoring_and_in_writing(opened):
    model, longer = opened["bart"], 2 * PLACES
    classes = torch.randint(0, 200, (1, longer), generator=torch.Generator().manual_seed(3))
    source = prompts(model, SOURCES[:1], ["a"])
    source = dataclasses.replace(source, lengths=torch.tensor([0]))
    there = torch.ones(1, longer, 1, dtype=torch.bool)
    whole = Batch(classes[:, :, None], there, source.cond, lengths=torch.tensor([longer]))
    begun, total = model.distribution.continuation(source), 0.0
    for step in classes[0]:
        total += float(begun.logits().double().log_softmax(1)[0, step])
        begun.append(step[None])
    total += float(begun.logits().double().log_softmax(1)[0, -1])
    assert float(model.distribution.log_prob(whole)) == pytest.approx(total, abs=1e-3)


def test_sources_longer_than_the_encoder_reads_are_refused(opened):
    with pytest.raises(InputError, match=f"cut texts to {PLACES - 2} tokens"):
        opened["bart"].log_prob({"source": ["Dock " * 40], "text": ["a"]})
    assert np.isfinite(opened["t5"].log_prob({"source": ["Dock " * 40], "text": ["the"]})).all()


def test_what_a_vocabulary_lacks_is_one_class_with_a_price(opened):
    kind = opened["t5"].codec.kind
    assert reference("t5")[1](UNKNOWN, add_special_tokens=False).input_ids == labels("t5", opened["t5"], UNKNOWN)[:-1]
    unknown = kind.tokens.unknown
    assert (kind.tokens_of("the 猫猫") == unknown).sum() == 1 and kind.tokens.pieces[unknown] == b""
    one, two = (opened["t5"].log_prob({"source": ["the"], "text": [text]})[0] for text in ("the 猫", "the 猫猫"))
    assert one - two == pytest.approx(np.log(2 * (0x110000 - 0x800)))
    assert "does not know are lost" in kind.describe() and not kind.tokens.lossless
    assert opened["bart"].codec.kind.tokens.unknown is None
    assert opened["bart"].codec.kind.text_of(opened["bart"].codec.kind.tokens_of(UNKNOWN)) == UNKNOWN


@pytest.mark.parametrize("sort, adapters", [("t5", 0), ("bart", 2)])
def test_tuning_learns_and_is_kept(sort, adapters, opened, tmp_path):
    model = opened[sort]
    data = pairs(SOURCES * 6, TEXTS * 6)
    family = dataclasses.replace(model.family, adapters=adapters, learning_rate=3e-2, batch_size=256, context=32)
    before = {name: array.clone() for name, array in model.distribution.arrays().items()}
    tuned = en.fit(en.read(data, texts=("source", "text")), family, start=model, budget="15 steps", seed=1)
    assert tuned.codec.given == ("source",)
    assert tuned.log_prob(pairs()).sum() > model.log_prob(pairs()).sum() + 3
    after = tuned.distribution.arrays()
    for name, array in model.distribution.arrays().items():
        assert torch.equal(array, before[name]), "the model that learning started from has changed"
        if adapters and array.dim() == 2 and min(array.shape) > 2:
            assert int(torch.linalg.matrix_rank(after[name] - array, atol=1e-4)) <= 2, name
    tuned.save(tmp_path / "tuned.ens")
    again = en.load(tmp_path / "tuned.ens")
    assert np.array_equal(again.log_prob(pairs()), tuned.log_prob(pairs()))
    asked: dict[str, Any] = {"where": {"source": SOURCES[0]}, "tokens": 8}
    assert again.generate(seed=4, **asked) == tuned.generate(seed=4, **asked)
    assert len(set(tuned.generate(beams=3, n=2, **asked))) == 2


@each
def test_an_export_is_opened_by_transformers(sort, opened, tmp_path):
    model = opened[sort]
    model.export(tmp_path / "out")
    network = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "out").eval()
    tokens = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    ids, begin = tokens(SOURCES[0]).input_ids, model.distribution.facts()["begin"]
    assert ids == reference(sort)[1](SOURCES[0]).input_ids
    with torch.no_grad():
        asked = {"input_ids": torch.tensor([ids]), "decoder_input_ids": torch.tensor([begin])}
        assert torch.equal(network(**asked).logits, reference(sort)[0](**asked).logits)
    assert network.generation_config.decoder_start_token_id == begin[0]
    assert network.generation_config.forced_bos_token_id == (begin[1] if len(begin) > 1 else None)
    assert np.array_equal(en.load(tmp_path / "out").log_prob(pairs()), model.log_prob(pairs()))


def changed(**values):
    def change(folder):
        for name in ("config.json", "generation_config.json"):
            plain = json.loads((folder / name).read_text())
            (folder / name).write_text(json.dumps({**plain, **values}))

    return change


@pytest.mark.parametrize(
    "how, error, told",
    [
        (changed(decoder_start_token_id=None), FormatError, "decoder_start_token_id null"),
        (changed(auto_map={"AutoModel": "code.Net"}), CapabilityError, "no code"),
        (changed(model_type="llama"), CapabilityError, "an encoder with a decoder"),
        (changed(is_encoder_decoder=False, model_type="t5"), CapabilityError, "causal language model"),
        (changed(d_model=16), FormatError, "of shape"),
        (lambda folder: (folder / "model.safetensors").unlink(), FormatError, "no \\*.safetensors"),
    ],
)
def test_bad_folders_say_what_is_wrong(how, error, told, tmp_path):
    shutil.copytree(checkpoint("t5"), tmp_path / "broken")
    how(tmp_path / "broken")
    with pytest.raises(error, match=told) as found:
        en.load(tmp_path / "broken")
    assert all((found.value.rule, found.value.place, found.value.seen, found.value.fix))
