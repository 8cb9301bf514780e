"""Files of dialogues: pairs, messages, and what is neither."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ensample as en
from ensample.data import readers
from ensample.errors import InputError

PAIRS = [[["U", "hi, table for 2?"], ["S", "2020-01-01"]], [], None, [["U", "2020-01-02"]]]
TALKS = [talk and [{"role": role, "content": text} for role, text in talk] for talk in PAIRS]


def written(path, talks, name="turns"):
    path.write_text("\n".join(json.dumps({"id": f"no {j}", name: talk}) for j, talk in enumerate(talks)))
    return path


def test_pairs_and_messages_are_the_same_dialogues(tmp_path):
    pq.write_table(pa.table({"turns": pa.array(PAIRS, pa.list_(pa.list_(pa.string())))}), tmp_path / "pairs.parquet")
    sources = {
        "pairs": written(tmp_path / "pairs.jsonl", PAIRS),
        "messages": written(tmp_path / "messages.jsonl", TALKS),
        "memory": {"turns": PAIRS},
        "arrow": tmp_path / "pairs.parquet",
    }
    for name, source in sources.items():
        data = en.read(source)
        assert data.column("turns").to_pylist() == TALKS, name
        assert data.schema["turns"].kind.name == "dialogue" and data.schema["turns"].kind.roles == ("S", "U")
    assert en.read({"turns": TALKS}, kinds={"turns": "sequence"}).schema["turns"].kind.name == "sequence"
    assert en.read({"turns": TALKS}, kinds={"turns": "dialogue:bytes"}).schema["turns"].kind.tokenizer == "bytes"


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".jsonl.gz"])
def test_dialogues_are_saved_and_read_again(tmp_path, suffix):
    data = en.read({"turns": TALKS})
    again = en.read(data.save(tmp_path / f"talks{suffix}"))
    assert again.column("turns").to_pylist() == TALKS and again.schema["turns"].kind == data.schema["turns"].kind


def test_what_else_turns_say_is_left_aside():
    more = [talk and [{**turn, "name": "A", "weight": 1} for turn in talk] for talk in TALKS]
    data = en.read({"turns": more})
    kind = data.schema["turns"].kind
    assert kind.name == "dialogue" and "without name, weight" in kind.describe()
    made = kind.values(*kind.streams(data.column("turns").combine_chunks(), "turns")[:2])
    plain = [talk and [{key: turn[key] for key in ("role", "content")} for turn in talk] for talk in made.to_pylist()]
    assert plain == TALKS and made.type == data.column("turns").type
    others = [[{"speaker": name, "text": name, "when": j} for j, name in enumerate("ab")]] * 2  # may be a table
    assert en.read({"turns": others}).schema["turns"].kind.name == "sequence"


def test_turns_that_are_dates_or_numbers_stay_texts(tmp_path):
    only = [[{"role": "U", "content": "2020-01-01"}], [{"role": "U", "content": "2021-01-01T10:00:00"}]]
    data = en.read(written(tmp_path / "dates.jsonl", only))
    assert data.column("turns").to_pylist() == only


def test_a_large_file_of_pairs_streams(tmp_path):
    path = written(tmp_path / "pairs.jsonl", PAIRS * 40)
    data = readers.read(path, limit=1_000)
    assert data.streams and data.column("turns").to_pylist() == TALKS * 40


def test_lists_of_lists_that_are_no_pairs_are_refused():
    with pytest.raises(InputError, match="nested cells"):
        en.read({"x": [[["a", "b", "c"]], [["a", "b"]]]})
    torn = pa.table({"x": pa.chunked_array([PAIRS, [[["U", "one"]], [["U", "one", "too many"]]]])})
    with pytest.raises(InputError, match="a list that is no pair") as error:
        en.read(torn)
    assert "record 6" in error.value.place
