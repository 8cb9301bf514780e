"""The rule of missing values: what is null in which column, and how it is spelled again."""

import pytest

from ensample.data.missing import SURE, WORDS
from ensample.data.readers import read
from ensample.errors import InputError


def column(cells, **options):
    return read({"x": cells, "y": [str(j) for j in range(len(cells))]}, **options)


@pytest.mark.parametrize("spelling", SURE)
@pytest.mark.parametrize("others", [["1", "2"], ["red", "blue"], ["2020-01-01", "2021-05-06"], ["True", "False"]])
def test_sure_spellings_are_missing_in_every_column(spelling, others):
    data = column([*others, spelling])
    assert data.column("x").to_pylist()[2] is None
    assert data.column("x").null_count == 1
    assert data.spellings == {"x": spelling}


@pytest.mark.parametrize("word", [*WORDS, "NA"])
def test_words_are_missing_among_numbers_and_dates(word):
    assert column(["1.5", word, "2.25"]).column("x").to_pylist() == [1.5, None, 2.25]
    assert column(["2020-01-01", word]).column("x").null_count == 1


@pytest.mark.parametrize("word", WORDS)
def test_words_are_levels_among_texts(word):
    data = column(["brick", word, "stone"])
    assert data.column("x").to_pylist() == ["brick", word, "stone"]
    assert data.spellings == {}


def test_na_is_missing_among_texts_but_a_code_among_codes():
    assert column(["red", "NA", "blue"]).column("x").to_pylist() == ["red", None, "blue"]
    assert column(["DE", "NA", "ZA"]).column("x").to_pylist() == ["DE", "NA", "ZA"]
    assert column(["DE", "NA", "ZA", "?"]).column("x").to_pylist() == ["DE", "NA", "ZA", None]
    assert column(["DE", "NA", "ZAF"]).column("x").to_pylist() == ["DE", None, "ZAF"]


def test_a_column_of_nothing_is_null_and_one_of_a_word_is_text():
    assert str(column(["NA", "", "?"]).arrow_schema.field("x").type) == "null"
    assert column(["None", "None"]).column("x").to_pylist() == ["None", "None"]


def test_the_commonest_spelling_is_kept_and_blanks_belong_to_it():
    data = column([" ?", "12", "NA", " ?", "13"])
    assert data.column("x").to_pylist() == [None, 12, None, None, 13]
    assert data.spellings == {"x": " ?"}


def test_a_list_replaces_the_rule():
    data = column(["?", "-999", "NA", "None"], missing=["-999", "None"])
    assert data.column("x").to_pylist() == ["?", None, "NA", None]
    assert column(["red", " - "], missing=["- "]).column("x").to_pylist() == ["red", None]
    assert column(["1", "-999"], missing=["-999"]).column("x").to_pylist() == [1, None]
    with pytest.raises(InputError, match="list of texts"):
        column(["1"], missing="NA")


def test_a_level_that_means_missing_leaves_a_dictionary(tmp_path):
    import pyarrow as pa

    table = pa.table({"x": pa.array(["a", "?", "b", None, "?"]).dictionary_encode(), "n": range(5)})
    cells = read(table).column("x")
    assert cells.to_pylist() == ["a", None, "b", None, None]
    assert all("?" not in chunk.dictionary.to_pylist() for chunk in cells.chunks)
    assert read(table).spellings == {"x": "?"}
