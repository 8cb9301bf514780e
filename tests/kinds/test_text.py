"""The kind `text`: texts to classes and back in whole data sets, prices, probabilities that sum to one, guessing."""

import itertools
import math
import sys

import numpy as np
import pyarrow as pa
import pytest
import torch

import ensample as en
from ensample.data.dataset import Dataset
from ensample.errors import CapabilityError, FormatError, InputError
from ensample.events import MISSING_LENGTH, UNKNOWN_LENGTH, Discrete, unknown
from ensample.kinds import fit_kind, guess, records, schema_from_plain
from ensample.kinds.codecs import codec_of
from ensample.kinds.records import Packed
from ensample.kinds.text import Text
from ensample.kinds.textcodec import TextCodec
from tests.kinds.nasty import NASTY, random_texts

FORMS = ["text", "text:characters", "text:bytes", "text:bpe:300", "text:unigram:300", "text:words"]


def texts_of(values, form="text", **beside):
    data = Dataset.from_arrow(pa.table({"body": pa.array(values, pa.string()), **beside}))
    return data.with_schema(guess(data, {"body": form}))


def codec(data, given=()):
    return codec_of(data.schema, ("body",), given)


@pytest.mark.parametrize("form", FORMS)
def test_texts_come_back_through_records_and_files(form):
    values = [*NASTY, None, *random_texts(100, seed=3), None]
    data = texts_of(values, form)
    own = codec(data)
    assert isinstance(own, TextCodec) and own.event.missing
    encoded = own.encode(data)
    assert [length < 0 for length in encoded.lengths] == [value is None for value in values]
    assert max(encoded.lengths) == own.event.max_length
    batch = encoded.batch()
    assert own.decode(batch, 0).to_arrow().column("body").to_pylist() == values
    again = schema_from_plain(data.schema.to_plain())
    assert again == data.schema
    assert torch.equal(codec_of(again, ("body",)).encode(data).batch().cells, batch.cells)


def test_one_text_or_many_both_ways():
    kind = fit_kind("text", pa.array(["abc", "b"]))
    assert kind.tokens_of("cab").tolist() == [2, 0, 1] and kind.text_of(np.array([2, 0, 1])) == "cab"
    assert [one.tolist() for one in kind.tokens_of(["a", "", "cc"])] == [[0], [], [2, 2]]
    assert kind.text_of([np.array([0]), np.array([], int), np.array([2, 2])]) == ["a", "", "cc"]
    assert kind.text_of([]) == "" and kind.tokens_of([]) == [] and kind.tokens_of("").tolist() == []


@pytest.mark.parametrize(
    "dtype", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_every_type_of_text_keeps_it(dtype):
    column = pa.array(["ab", None, "", "ba"], pa.string()).cast(dtype)
    kind = fit_kind("text", column)
    assert kind.lengths(column).tolist() == [2, MISSING_LENGTH, 0, 2]
    back = kind.texts(kind.encode(column, "x")[:, 0], kind.lengths(column))
    assert back.type == dtype and back.to_pylist() == ["ab", None, "", "ba"]
    part = column.slice(2, 2)
    assert kind.encode(part, "x")[:, 0].tolist() == [1, 0] and kind.lengths(part).tolist() == [0, 2]


def test_large_tables_are_packed_and_the_same(monkeypatch, tmp_path):
    values = [*random_texts(500, seed=4), None, "é" * 4000]
    data = texts_of(values, "text:bytes")
    plain = codec(data).encode(data)
    monkeypatch.setattr(records, "IN_MEMORY", 0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("ensample.kinds.tokens.base.BLOCK", 1000)
    packed = codec(data).encode(data)
    assert isinstance(packed.table, Packed)
    assert np.array_equal(np.asarray(packed.table), plain.table) and np.array_equal(packed.lengths, plain.lengths)
    kind = data.schema["body"].kind
    assert np.array_equal(
        np.where(packed.lengths < 0, MISSING_LENGTH, packed.lengths), kind.lengths(data.column("body"))
    )
    letters = fit_kind("text", pa.array(["ab"]))
    one, many = (letters.log_volume(pa.array([text]), "x")[0] for text in ("é", "é" * 4000))
    free = letters.log_volume(pa.array(["ab"]), "x")[0]
    assert many - free == pytest.approx(4000 * (one - free))  # also where a text is cut into pieces


def every_text(letters, most):
    return ["".join(text) for n in range(most + 1) for text in itertools.product(letters, repeat=n)]


@pytest.mark.parametrize("family", ["markov", "ngram"])
def test_all_texts_together_have_probability_one(family):
    """Texts of two letters and one never met, up to four letters, and what the model gives to longer ones."""
    data = texts_of(["ab", "ba", "b", "", "aab", "ab"] * 5)
    model = en.fit(data, family, budget="20 steps", seed=0)
    kind = model.codec.kind
    letters = every_text("abz", 4)
    others = 0x110000 - 0x800 - 2
    known = [text.count("z") for text in letters]
    total = np.sum(np.exp(model.log_prob(letters)) * float(others) ** np.array(known))  # each z stands for all others
    batch = model.codec.encode(model._dataset(letters)).batch()
    own = float(model.distribution.log_prob(batch).exp().sum())
    seen = 1 - kind.unseen  # the rest is for a text that is missing
    assert total == pytest.approx(seen * own, rel=1e-9)
    assert 0.9 < own <= 1 + 1e-9
    if family == "markov":  # its lengths are a table, so what is beyond four letters is known
        made = model.distribution.sample(4000, torch.Generator().manual_seed(0)).lengths
        assert own == pytest.approx(float((made <= 4).double().mean()), abs=0.01)


@pytest.mark.parametrize("form", ["text:bytes", "text:words", "text:bpe:300"])
def test_other_tokenizers_never_give_more_than_one(form):
    data = texts_of(["a b", "b a", "a", "", "b"] * 6, form)
    model = en.fit(data, "ngram", budget="20 steps", seed=0)
    total = np.exp(model.log_prob(every_text("ab ", 5))).sum()
    assert 0.5 < total <= 1


def test_a_missing_text_is_a_value_or_has_a_price():
    some, none = texts_of(["a", None, "b"] * 10), texts_of(["a", "b"] * 10)
    assert codec(some).event.missing and codec(some).encode(some).lengths[1] == MISSING_LENGTH
    assert codec(some).encode(some, holes=True).lengths[1] == UNKNOWN_LENGTH
    assert not codec(none).event.missing and codec(none).encode(some).lengths[1] == UNKNOWN_LENGTH
    unseen = none.schema["body"].kind.unseen
    assert unseen == pytest.approx(0.5 / 21)
    assert codec(none).log_volume(some)[:2] == pytest.approx([math.log1p(-unseen), math.log(unseen)])
    assert codec(some).log_volume(some)[:2].tolist() == [0, 0]
    assert codec(some).log_volume(texts_of(["axb"]))[0] == pytest.approx(-math.log(0x110000 - 0x800 - 2))


@pytest.mark.parametrize("form", FORMS)
def test_a_model_of_texts_is_saved_with_its_tokenizer(form, tmp_path):
    data = texts_of(["the cat", "a dog", "the dog", None] * 8, form)
    model = en.fit(data, "markov", budget="2 steps", seed=0)
    model.save(tmp_path / "m.ens")
    again = en.load(tmp_path / "m.ens")
    assert np.array_equal(again.log_prob(["the cow", ""]), model.log_prob(["the cow", ""]))
    made = model.sample(20, seed=1)
    assert made.names == ["body"] and made.arrow_schema.field("body").type == pa.string()
    assert again.sample(20, seed=1).to_arrow().equals(made.to_arrow())
    assert made.with_schema(guess(made)).schema["body"].kind.name == "text"  # samples are texts again
    assert model.log_prob({"body": ["the cat"]}) == model.log_prob(["the cat"])


def test_given_fields_and_imputing():
    data = texts_of(["aaa", "bb", "aa", "b", None] * 20, label=["x", "y", "x", "y", "x"] * 20)
    own = codec(data, given=("label",))
    batch = own.encode(data).batch(slice(0, 3))
    assert batch.cond.cells[:, 0].tolist() == [0, 1, 0] and own.given_event is not None
    back = own.decode(batch, 0).to_arrow()
    assert back.column_names == ["body", "label"] and back.column("label").to_pylist() == ["x", "y", "x"]
    with pytest.raises(CapabilityError, match="A field of texts is learned alone"):
        en.fit(data, "markov")
    with pytest.raises(CapabilityError, match="it is given"):
        en.fit(data, "markov", model=["label"], given=["body"])
    alone = en.fit(data.select(["body"]), "markov", budget="5 steps", seed=0)
    filled = alone.impute(["aa", "b"]).to_arrow().column(0).to_pylist()
    assert filled == ["aa", "b"]
    holes = Dataset.from_arrow(pa.table({"body": ["aa", None]}))
    assert None not in alone.impute(holes, seed=0).to_arrow().column(0).to_pylist()


def test_guessing_takes_a_column_for_text_only_where_nothing_else_is_learned():
    prose = [f"{'so ' * n}the {animal} was seen by all" for n, animal in enumerate(["cat", "dog", "emu"] * 20)]
    assert en.read({"review": prose}).schema["review"].kind.name == "text"
    numbered = en.read({"review": prose, "id": list(range(60))}).schema
    assert numbered["review"].kind.name == "text" and numbered["id"].kind.name == "identifier"
    beside = en.read({"review": prose, "stars": [1, 2, 3] * 20}).schema
    assert beside["review"].kind.name == "identifier" and beside["review"].kind.prose
    asked = en.read({"review": prose, "stars": [1, 2, 3] * 20}, kinds={"review": "text:bytes"}).schema
    assert asked["review"].kind.tokenizer == "bytes"
    assert en.read({"a": prose, "b": [p[::-1] for p in prose]}).schema["a"].kind.name == "identifier"
    assert en.read({"review": prose}, kinds={"review": "identifier"}).schema["review"].kind.name == "identifier"
    assert en.read({"code": [f"AB-{n:03}x{n * 7 % 13}" for n in range(60)]}).schema["code"].kind.name == "identifier"


def test_texts_asked_for_are_never_numbers_dates_or_missing():
    data = en.read({"body": ["12", "", "None", "2020-01-01", None, " NA "]}, kinds={"body": "text"})
    assert data.column("body").to_pylist() == ["12", "", "None", "2020-01-01", None, " NA "]
    spelled = en.read({"body": ["12", "-", ""]}, kinds={"body": "text"}, missing=["-"])
    assert spelled.column("body").to_pylist() == ["12", None, ""]
    model = en.fit(data, "markov", budget="2 steps", seed=0)
    assert model.log_prob({"body": ["12"]}) == model.log_prob(["12"]) != model.log_prob([""])


def test_a_run_on_texts_goes_on_from_its_folder(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"body": "{text}"}}\n' for text in ["anna", "", "12", "NA"] * 10))
    how = {"budget": "3 steps", "seed": 0, "out": tmp_path / "run"}
    first = en.fit(en.read(path, kinds={"body": "text"}), "markov", **how)
    (tmp_path / "run" / "model.ens").unlink()
    assert np.array_equal(en.resume(tmp_path / "run").log_prob(["", "NA"]), first.log_prob(["", "NA"]))
    assert en.fit(path, "markov", start=first, budget="1 steps").log_prob([""])[0] > -5  # read as the model knows it


def test_a_file_of_lines_called_text_is_text_again(tmp_path):
    names = [f"{a}{b}{c}" for a in "abc" for b in "eio" for c in "rst"]
    path = en.read(names).save(tmp_path / "a.jsonl")
    assert en.read(path).schema["text"].kind.name == "text"
    renamed = pa.table({"word": names})
    assert en.read(renamed).schema["word"].kind.name == "identifier"
    assert en.read({"text": list(range(50, 90))}).schema["text"].kind.name != "text"


def test_without_its_package_a_model_says_what_to_install(tmp_path, monkeypatch):
    en.fit(texts_of(["the cat", "a dog"] * 9, "text:bpe:300"), "markov", budget="1 steps").save(tmp_path / "m.ens")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(CapabilityError, match=r"ensample\[text\]"):
        en.load(tmp_path / "m.ens")


def test_many_characters_make_bytes_the_default():
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 8193)))
    assert fit_kind("text", pa.array([many])).tokenizer == "bytes"
    assert fit_kind("text", pa.array([many[:-1]])).tokenizer == "characters"
    assert fit_kind("text:characters", pa.array([many])).classes == 8194


@pytest.mark.parametrize(
    "kind, column, words",
    [
        ("text:foo", pa.array(["a"]), "one of the tokenizers"),
        ("text:bpe:x", pa.array(["a"]), "one of the tokenizers"),
        ("text:bpe:1", pa.array(["a"]), "one of the tokenizers"),
        ("text", pa.array([1, 2]), "values of type int64"),
        ("text", pa.array(["", "", None]), "no character in any row"),
        ("text", pa.array([], pa.string()), "no character in any row"),
        ("text", pa.nulls(3), "no value in any row"),
    ],
)
def test_what_cannot_be_text_is_told(kind, column, words):
    with pytest.raises(InputError, match=words):
        fit_kind(kind, column)


def test_other_errors():
    data = texts_of(["a", "b"])
    with pytest.raises(InputError, match="A kind must be one that exists"):
        guess(data, {"body": "number:3"})
    with pytest.raises(InputError, match="no texts 'body'"):
        codec(data).encode(Dataset.from_arrow(pa.table({"body": [1, 2]})))
    with pytest.raises(InputError, match="a wish about a text"):
        codec(data).limits({"body": "a"})
    with pytest.raises(FormatError, match="no tokenizer of this name"):
        Text("string", "runes", "", 1, False, 0.1)
    assert isinstance(codec(data).event.element.spans[0].event, Discrete)
    assert len(unknown(2, codec(data).event)) == 2
