"""Checkpoints of Hugging Face as models, against `transformers` itself."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import ensample as en
from ensample.errors import CapabilityError, FormatError, InputError
from ensample.events import Batch
from tests.checkpoints import LINES, PLACES, SORTS, checkpoint, reference

each = pytest.mark.parametrize("sort", SORTS)
TEXTS = ["Once upon a mouse", "the clock", "", " two  blanks\n", "猫 <|endoftext|> </s>"]


@pytest.fixture(scope="module")
def opened() -> dict[str, en.Model]:
    return {sort: en.load(checkpoint(sort)) for sort in SORTS}


def numbers(sort: str, model: en.Model, text: str) -> torch.Tensor:
    """Tokens of the checkpoint behind its mark of beginning, [1, tokens]."""
    network = reference(sort)[0]
    classes = torch.from_numpy(model.codec.kind.tokens_of(text))
    begin = torch.tensor([network.config.bos_token_id])
    return torch.cat([begin, classes + (classes >= network.config.eos_token_id).long()])[None]


def prompts(model: en.Model, texts: list[str]) -> Batch:
    found = [torch.from_numpy(classes) for classes in model.codec.kind.tokens_of(texts)]
    lengths = torch.tensor([len(row) for row in found])
    cells = torch.nn.utils.rnn.pad_sequence(found, batch_first=True)[:, :, None]
    return Batch(cells, (torch.arange(cells.shape[1]) < lengths[:, None])[:, :, None], lengths=lengths)


def columns(sort: str, logits: torch.Tensor) -> torch.Tensor:
    """Logits of the checkpoint with the end behind all others."""
    end = reference(sort)[0].config.eos_token_id
    return torch.cat([logits[..., :end], logits[..., end + 1 :], logits[..., end : end + 1]], -1)


@each
def test_tokens_are_those_of_transformers(sort, opened):
    tokens = reference(sort)[1]
    for text in TEXTS[:4]:
        assert numbers(sort, opened[sort], text)[0, 1:].tolist() == tokens(text, add_special_tokens=False).input_ids


@each
def test_long_texts_are_read_as_a_whole(sort, opened, monkeypatch):
    kind, text = opened[sort].codec.kind, "The mouse " * 9
    whole = kind.tokens_of(text).tolist()
    monkeypatch.setattr("ensample.kinds.tokens.base.BLOCK", 7)
    assert kind.tokens_of(text).tolist() == whole and kind.text_of(whole) == text


def test_texts_that_are_normalised_are_said_to_be(tmp_path):
    folder = tmp_path / "lower"
    shutil.copytree(checkpoint("gpt2"), folder)
    plain = json.loads((folder / "tokenizer.json").read_text())
    plain["normalizer"] = {"type": "Lowercase"}
    (folder / "tokenizer.json").write_text(json.dumps(plain))
    kind = en.load(folder).codec.kind
    assert kind.text_of(kind.tokens_of("The Mouse")) == "the mouse"
    assert not kind.tokens.lossless and "not always as they were" in kind.describe()


def test_marks_that_the_tokenizer_has_not(opened, tmp_path):
    folder = tmp_path / "marks"
    shutil.copytree(checkpoint("llama"), folder)
    last = reference("llama")[0].config.vocab_size - 1
    changed(bos_token_id=last)(folder)
    assert en.load(folder).distribution.net.begin == reference("llama")[0].config.eos_token_id
    changed(eos_token_id=[last, 2])(folder)
    with pytest.raises(FormatError, match="of the tokenizer"):
        en.load(folder)
    changed(eos_token_id=[2, last])(folder)
    assert en.load(folder).distribution.net.end == 2


@each
def test_texts_come_back_as_they_were(sort, opened):
    kind = opened[sort].codec.kind
    assert kind.text_of(kind.tokens_of([*TEXTS, *LINES])) == [*TEXTS, *LINES]
    assert kind.tokens.lossless and "normalised" not in kind.describe()
    assert kind.classes == reference(sort)[0].config.vocab_size - 1 == len(kind.tokens.pieces)
    tokens = reference(sort)[1]
    assert [tokens.decode(numbers(sort, opened[sort], text)[0, 1:]) for text in LINES] == LINES


@each
def test_logits_are_those_of_transformers_with_the_end_last(sort, opened):
    begun = opened[sort].distribution.continuation(prompts(opened[sort], TEXTS))
    with torch.no_grad():
        for row, text in enumerate(TEXTS):
            expected = reference(sort)[0](numbers(sort, opened[sort], text)).logits[0, -1]
            assert torch.allclose(begun.logits()[row], columns(sort, expected), atol=1e-5)


@each
def test_written_on_from_memory_as_read_anew(sort, opened):
    model = opened[sort]
    begun = model.distribution.continuation(prompts(model, TEXTS))
    added = torch.randint(0, 250, (len(TEXTS), 6), generator=torch.Generator().manual_seed(0))
    rows = torch.tensor([1, 4, 1])
    for step in added.unbind(1):
        begun.append(step)
    taken = begun.take(rows)
    taken.append(torch.tensor([5, 6, 7]))
    taken.take(torch.tensor([0])).append(torch.tensor([9]))
    with torch.no_grad():
        for place, row in enumerate(rows.tolist()):
            end = reference(sort)[0].config.eos_token_id
            behind = torch.cat([added[row], torch.tensor([5 + place])])
            tokens = torch.cat([numbers(sort, model, TEXTS[row])[0], behind + (behind >= end).long()])[None]
            out = reference(sort)[0](tokens, output_hidden_states=True)
            assert torch.allclose(taken.logits()[place], columns(sort, out.logits[0, -1]), atol=1e-5)
            assert torch.allclose(taken.hidden()[place], out.hidden_states[-1][0, -1], atol=1e-5)
    begun.append(added[:, 0])  # what was taken of it has not changed it
    model = opened[sort]
    for row, text in enumerate(TEXTS):
        whole = torch.cat([torch.from_numpy(model.codec.kind.tokens_of(text)), added[row], added[row, :1]])
        cells = Batch(whole[None, :, None], torch.ones(1, len(whole), 1).bool(), lengths=torch.tensor([len(whole)]))
        assert torch.allclose(begun.logits()[row], model.distribution.continuation(cells).logits()[0], atol=1e-5)


@each
def test_log_probabilities_are_the_cross_entropy(sort, opened):
    network = reference(sort)[0]
    expected = []
    for text in TEXTS:
        tokens = numbers(sort, opened[sort], text)
        targets = torch.cat([tokens[0, 1:], torch.tensor([network.config.eos_token_id])])
        with torch.no_grad():
            nats = torch.nn.functional.cross_entropy(network(tokens).logits[0].double(), targets, reduction="sum")
        expected.append(-float(nats))
    assert opened[sort].log_prob(TEXTS) == pytest.approx(expected, abs=1e-4)


@each
def test_long_texts_slide_alike_in_scoring_and_in_writing(sort, opened):
    model = opened[sort]
    classes = torch.randint(0, 200, (1, 2 * PLACES), generator=torch.Generator().manual_seed(3))
    whole = Batch(classes[:, :, None], torch.ones(1, 2 * PLACES, 1, dtype=torch.bool), lengths=torch.tensor([96]))
    begun, total = model.distribution.continuation(prompts(model, [""])), 0.0
    for step in classes[0]:
        total += float(begun.logits().double().log_softmax(1)[0, step])
        begun.append(step[None])
    total += float(begun.logits().double().log_softmax(1)[0, -1])
    assert float(model.distribution.log_prob(whole)) == pytest.approx(total, abs=1e-3)


@each
def test_greedy_texts_are_those_of_transformers(sort, opened):
    network = reference(sort)[0]
    for prompt in ("Once", "the mo", ""):
        tokens = numbers(sort, opened[sort], prompt)
        asked: dict[str, Any] = {"do_sample": False, "max_new_tokens": 20, "pad_token_id": 0}
        made = network.generate(tokens, attention_mask=torch.ones_like(tokens), **asked)[0, tokens.shape[1] :]
        written = opened[sort].generate(prompt, tokens=20, greedy=True)
        end = network.config.eos_token_id
        found = [number + (number >= end) for number in written.tokens if number < network.config.vocab_size - 1]
        assert found == [number for number in made.tolist() if number != end]
        assert opened[sort].generate(prompt, tokens=20, contrast=1e-6, top_k=4).tokens == written.tokens


@each
def test_probabilities_and_draws_agree(sort, opened):
    model = opened[sort]
    first = torch.cat([prompts(model, [""]).cells, torch.zeros(1, 0, 1, dtype=torch.int64)], 1)
    assert first.shape[1] == 0
    classes = torch.arange(model.codec.kind.classes)
    singles = Batch(classes[:, None, None], torch.ones(len(classes), 1, 1, dtype=torch.bool),
                    lengths=torch.ones(len(classes), dtype=torch.int64))  # fmt: skip
    log_p = model.distribution.log_prob(singles)
    after = model.distribution.continuation(singles).logits().double().log_softmax(1)[:, -1]
    ends = float(model.log_prob([""])[0])
    assert float((log_p - after).exp().sum()) + np.exp(ends) == pytest.approx(1.0, abs=1e-5)
    made = model.sample(40, seed=5)
    assert made.column("text").to_pylist() == model.sample(40, seed=5).column("text").to_pylist()
    assert made.column("text").to_pylist() != model.sample(40, seed=6).column("text").to_pylist()


@each
@pytest.mark.parametrize("adapters", [0, 2])
def test_tuning_learns_and_is_kept(sort, adapters, opened, tmp_path):
    model, texts = opened[sort], LINES[:3] * 12
    family = dataclasses.replace(model.family, adapters=adapters, learning_rate=1e-2, batch_size=256)
    before = {name: array.clone() for name, array in model.distribution.arrays().items()}
    tuned = en.fit(texts, family, start=model, budget="30 steps", seed=1)
    assert tuned.log_prob(LINES[:3]).sum() > model.log_prob(LINES[:3]).sum() + 20
    after = tuned.distribution.arrays()
    for name, array in model.distribution.arrays().items():
        assert torch.equal(array, before[name]), "the model that learning started from has changed"
        change = after[name] - array
        if not adapters or array.dim() < 2:
            assert bool(change.any()) == (not adapters and array.is_floating_point() and array.dim() > 0), name
        else:
            assert int(torch.linalg.matrix_rank(change, atol=1e-4)) in (1, 2), name
    tuned.save(tmp_path / "tuned.ens")
    again = en.load(tmp_path / "tuned.ens")
    assert np.array_equal(again.log_prob(TEXTS), tuned.log_prob(TEXTS))
    assert again.generate("Once", seed=4, tokens=10) == tuned.generate("Once", seed=4, tokens=10)
    assert again.family == family and again.codec.kind == model.codec.kind


@each
def test_an_export_is_opened_by_transformers(sort, opened, tmp_path):
    model = en.fit(LINES * 9, start=opened[sort], budget="2 steps")
    again = en.load(tmp_path / "model.ens") if model.save(tmp_path / "model.ens") else model
    again.export(tmp_path / "out")
    network = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    tokens = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    asked = numbers(sort, model, LINES[0])
    assert tokens(LINES[0], add_special_tokens=False).input_ids == asked[0, 1:].tolist()
    assert tokens.eos_token_id == network.config.eos_token_id and tokens.bos_token_id == network.config.bos_token_id
    begun = model.distribution.continuation(prompts(model, LINES[:1]))
    with torch.no_grad():
        assert torch.allclose(columns(sort, network(asked).logits[0, -1]), begun.logits()[0], atol=1e-5)
    assert np.array_equal(en.load(tmp_path / "out").log_prob(TEXTS), model.log_prob(TEXTS))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="other files"):
        model.export(tmp_path / "mine")


def test_other_models_of_texts_are_not_exported():
    model = en.fit(LINES * 9, "ngram", budget="2s")
    assert "export" not in model.can and not hasattr(model, "export")
    built = en.fit(LINES * 9, "pretrained", budget="1 steps")
    assert "export" not in built.can and "generate" in built.can


def test_a_report_is_made_of_a_checkpoint(opened, tmp_path):
    opened["gpt2"].report(LINES * 6, LINES * 6).save(tmp_path / "report.html")
    assert "bits" in (tmp_path / "report.html").read_text()


def broken(tmp_path, how) -> Any:
    folder = tmp_path / "broken"
    shutil.copytree(checkpoint("llama"), folder)
    how(folder)
    return folder


def changed(**values):
    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **values}))

    return change


def pickled(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))


def disguised(folder):
    (folder / "model.safetensors").write_bytes(pickle.dumps({"a": 1}))


def without_bytes(folder):
    plain = json.loads((folder / "tokenizer.json").read_text())
    plain["model"]["vocab"].pop("<0x41>")
    (folder / "tokenizer.json").write_text(json.dumps(plain))


def endless(folder):
    changed(eos_token_id=None)(folder)
    (folder / "generation_config.json").unlink()


@pytest.mark.parametrize(
    "how, error, told",
    [
        (lambda folder: (folder / "config.json").unlink(), FormatError, "config.json"),
        (lambda folder: (folder / "tokenizer.json").unlink(), FormatError, "tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), FormatError, "tokenizer"),
        (lambda folder: (folder / "model.safetensors").unlink(), FormatError, "no \\*.safetensors"),
        (pickled, FormatError, "a pickle, which may run code"),
        (disguised, FormatError, "whole safetensors"),
        (without_bytes, CapabilityError, "1 bytes have no token"),
        (changed(hidden_size=64), FormatError, "of shape"),
        (changed(num_hidden_layers=3), FormatError, "no model.layers.2"),
        (changed(vocab_size=100), FormatError, "token number"),
        (endless, FormatError, "eos_token_id null"),
        (changed(auto_map={"AutoModelForCausalLM": "code.Net"}), CapabilityError, "no code"),
        (changed(model_type="nonsense"), CapabilityError, "nonsense"),
        (changed(model_type="bert", intermediate_size=48), FormatError, "no "),
        (changed(is_encoder_decoder=True), CapabilityError, "encoder"),
        (lambda folder: (folder / "config.json").write_text("[]"), FormatError, "object"),
    ],
)  # fmt: skip
def test_bad_folders_say_what_is_wrong(how, error, told, tmp_path):
    with pytest.raises(error, match=told) as found:
        en.load(broken(tmp_path, how))
    assert all((found.value.rule, found.value.place, found.value.seen, found.value.fix))


def test_weights_may_lie_in_several_files_and_lack_the_prefix(opened, tmp_path):
    from ensample.storage import read_arrays, write_arrays

    folder = tmp_path / "parts"
    shutil.copytree(checkpoint("gpt2"), folder)
    arrays = read_arrays(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(arrays)
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for part, inside in parts.items():
        write_arrays(folder / part, {name.removeprefix("transformer."): arrays[name] for name in inside})
    where = {name: part for part, inside in parts.items() for name in inside}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    assert np.array_equal(en.load(folder).log_prob(TEXTS), opened["gpt2"].log_prob(TEXTS))


def test_a_longer_context_than_the_network_has_is_refused(opened):
    longer = dataclasses.replace(opened["gpt2"].family, context=PLACES + 1)
    with pytest.raises(InputError, match=f"context={PLACES}"):
        en.fit(LINES * 9, longer, start=opened["gpt2"], budget="1 steps")


def test_nothing_is_asked_of_the_network(monkeypatch):
    import socket

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert en.load(checkpoint("llama")).can["log_prob"] == "exact"
