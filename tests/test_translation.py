"""A text given a text, from a table of pairs to a judged model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ensample as en
from ensample.errors import CapabilityError, InputError
from ensample.events import Ragged
from ensample.judge.evaluate import Judgement
from ensample.judge.texts import translations
from ensample.judge.texts.records import text_reference
from ensample.judge.texts.translations import BLEU, CHRF, OTHERS
from ensample.kinds.codecs import codec_of

DIGITS = {"0": "nul", "1": "one", "2": "two"}


def pairs(count: int, seed: int = 0) -> dict[str, list[str]]:
    """Digits, and the same in words."""
    rng = np.random.default_rng(seed)
    rows = [rng.choice(list(DIGITS), n).tolist() for n in rng.integers(1, 4, count)]
    return {"de": [" ".join(row) for row in rows], "en": [" ".join(DIGITS[d] for d in row) for row in rows]}


@pytest.fixture(scope="module")
def data() -> en.Dataset:
    return en.read(pairs(400), kinds={("de", "en"): "text:words"})


@pytest.fixture(scope="module")
def model(data) -> en.Model:
    family = en.families.SequenceToSequence(
        width=16, layers=1, dropout=0.0, batch_size=192, learning_rate=0.04, shared=True, holdout=0.0
    )
    return en.fit(data, family, given="de", budget="70 steps", seed=0)


def test_the_given_text_is_a_sequence_to_the_family(data):
    codec = codec_of(data.schema, ("en",), ("de",))
    batch = codec.encode(data).batch(slice(0, 7))
    assert isinstance(codec.given_event, Ragged) and batch.cond.cells.shape[2] == 1
    found = codec.decode(batch, 0).to_arrow()
    assert found.to_pydict() == data.head(7).to_arrow().to_pydict()


def test_several_fields_share_one_tokenizer(data):
    one, other = (data.schema[name].kind for name in ("de", "en"))
    assert one.vocabulary == other.vocabulary and one.tokens_of("2 two").tolist() == other.tokens_of("2 two").tolist()
    assert one.longest == other.longest == 5
    with pytest.raises(InputError, match="share a tokenizer"):
        en.read(pairs(5), kinds={("de", "en"): "category"})


def test_only_sequences_are_given_a_text_and_only_one(data):
    table = en.read(
        {**pairs(30), "n": [1, 2, 5] * 10, "fr": pairs(30)["en"]}, kinds={"de": "text", "en": "text", "fr": "text"}
    )
    for model, given in ((["n"], ["de"]), (["en"], ["de", "n"]), (["en"], ["de", "fr"])):
        with pytest.raises(CapabilityError, match="may be given alone"):
            codec_of(table.schema, tuple(model), tuple(given))
    with pytest.raises(CapabilityError, match="write what else is known into it"):
        codec_of(table.schema, ("en",), ("de", "n"))
    for family in ("ngram", "sequence-autoregressive", "markov"):
        with pytest.raises(CapabilityError, match="what is given is a sequence"):
            en.fit(data, family, given="de", budget="1 steps")
    assert en.fitting.default_for(*(codec_of(data.schema, ("en",), ("de",)).event,) * 2) == "sequence-to-sequence"


def test_it_translates_one_and_many(model):
    assert model.generate(where={"de": "2 0"}, greedy=True) == "two nul"
    made = model.generate(where={"de": ["0 1 2", "1", "2 2"]}, beams=3, tokens=8)
    assert made == ["nul one two", "one", "two two"]
    both = model.generate(["nul", "one"], where=en.read({"de": ["0 1", "1 0"]}, texts=("de",)), greedy=True)
    assert [one.prompt + one for one in both] == ["nul one", "one nul"]
    assert "".join(model.stream(where={"de": "1 2"}, greedy=True)) == "one two"


def test_draws_belong_to_their_row_and_not_to_their_company(model):
    several = model.generate(where={"de": ["0", "1 2", "0"]}, n=2, seed=3, temperature=4.0, tokens=6)
    alone = model.generate(where={"de": ["1 2"]}, n=2, seed=3, temperature=4.0, tokens=6)
    assert len(several) == 6 and several[2:4] == alone
    made = model.sample(where=en.read({"de": ["0 1", "2"]}, texts=("de",)), seed=1)
    assert made.column("de").to_pylist() == ["0 1", "2"] and len(model.sample(4, where={"de": "1"}, seed=0)) == 4


def test_a_saved_model_keeps_both_tokenizers(model, data, tmp_path):
    model.save(tmp_path / "m.ens")
    again = en.load(tmp_path / "m.ens")
    few = data.head(20)
    assert np.array_equal(again.log_prob(few), model.log_prob(few))
    assert again.generate(where={"de": "0 2"}, beams=2, tokens=8) == model.generate(
        where={"de": "0 2"}, beams=2, tokens=8
    )


def test_what_is_given_must_be_there(model):
    for where in ({}, {"de": None}, {"de": 7}):
        with pytest.raises(InputError, match="given"):
            model.generate(where=where)
    with pytest.raises(InputError, match="no texts 'de'"):
        model.log_prob({"en": ["one"]})
    with pytest.raises(InputError, match="Each row has its prompt"):
        model.generate(["one", "two"], where={"de": ["0", "1", "2"]})


def test_a_run_goes_on_with_its_given_text(data, tmp_path):
    family = en.families.SequenceToSequence(width=8, layers=1, batch_size=64, holdout=0.0)
    first = en.fit(data, family, given="de", budget="2 steps", out=tmp_path)
    again = en.resume(tmp_path, data)
    assert torch.equal(*(m.distribution.arrays()["net.table"] for m in (first, again)))


def test_the_judge_scores_the_most_probable_texts_and_hears_a_model_that_is_deaf(model, data):
    held_out = en.read(pairs(40, seed=9), texts=("de", "en"))
    reference = text_reference(data, held_out, model.schema, "en", ("de",), 0)
    assert reference.subject.judge is translations.judge_translations and reference.subject.ranked_by == CHRF
    asked = translations.translated(model, reference, 0)
    found = translations._against(reference, asked["best"], asked["rows"], translations.GREEDY)
    heard = Judgement(tuple(found), None, None, 0.0)
    assert heard[CHRF].value > 90 > 60 > heard[CHRF].parts[OTHERS] and "most probable" in heard[CHRF].words
    assert not list(translations._deaf(heard))
    mixed = translations._against(reference, asked["best"][::-1], asked["rows"], translations.DRAWN)
    assert [f.severity for f in translations._deaf(Judgement(tuple(mixed), None, None, 0.0))]


def test_there_is_bleu_where_a_right_text_has_four_words(model, data, monkeypatch):
    monkeypatch.setattr(translations, "quality_of_texts", lambda judgement: "More.")
    for words, names in ((3, [CHRF]), (4, [BLEU, CHRF])):
        right = [" ".join([DIGITS[digit]] * words) for digit in DIGITS] * 10
        held_out = en.read({"de": list(DIGITS) * 10, "en": right}, texts=("de", "en"))
        reference = text_reference(data, held_out, model.schema, "en", ("de",), 0)
        found = tuple(translations._against(reference, right, np.arange(len(right)), translations.GREEDY))
        assert [measure.name for measure in found] == names and all(round(m.value, 6) == 100.0 for m in found)
        told = " and ".join(f"100.0 {name}" for name in names)
        assert f"it has {told} of 100" in translations.quality(Judgement(found, None, None, 0.0))
