"""Stop strings and text piece by piece, against looking at the whole text."""

from __future__ import annotations

import numpy as np
import pytest

from ensample.solvers.decoding import Typist, Watch, text_before

STOPS = [["\n\n"], ["aab"], ["é!", "ab"], ["abab", "bb", "€"], ["a"]]


def cut(text: str, stops: list[str]) -> str:
    return text[: min([text.find(stop) for stop in stops if stop in text], default=len(text))]


@pytest.mark.parametrize("stops", STOPS, ids=str)
def test_whatever_the_borders_the_text_ends_before_the_first_stop_string(stops):
    rng = np.random.default_rng(0)
    wanted = [stop.encode() for stop in stops]
    for _ in range(300):
        text = "".join(rng.choice(list("aab\né!€"), 12))
        data = text.encode()
        borders = sorted(rng.choice(len(data) + 1, rng.integers(0, 8)))
        pieces = [data[a:b] for a, b in zip([0, *borders], [*borders, len(data)], strict=True)]
        typist, shown = Typist(wanted), ""
        watch = Watch(pieces, wanted, 1)
        for number, piece in enumerate(pieces):
            stopped = watch.append([number])[0]
            new = typist.write(piece)
            shown += new
            whole = b"".join(pieces[: number + 1])
            assert stopped == typist.stopped == any(stop in whole for stop in wanted)
            assert cut(text, stops).startswith(shown)
            held = whole[len(shown.encode()) :]
            if not stopped:  # only what may still become a stop string, or a character, is held back
                assert any(stop.startswith(held[: len(stop)]) for stop in wanted) or len(held) < 4
            if stopped:
                break
        if not typist.stopped:
            shown += typist.close()
        assert shown == cut(text, stops) == text_before(data, wanted)


def test_text_without_stops_appears_at_once_by_whole_characters():
    typist = Typist()
    assert [typist.write(bytes([byte])) for byte in "aé€".encode()] == ["a", "", "é", "", "", "€"]
    assert typist.close() == ""


def test_bytes_that_are_no_text_appear_as_such():
    typist = Typist([b"zz"])
    assert typist.write(b"a\xff\xc3") == "a\ufffd"
    assert typist.write(b"b\xe2\x82") == "\ufffdb"
    assert typist.close() == "\ufffd"
    assert text_before(b"a\xff\xc3b\xe2\x82") == b"a\xff\xc3b\xe2\x82".decode(errors="replace")


def test_what_may_become_a_stop_string_is_shown_when_nothing_more_comes():
    typist = Typist([b"STOP"])
    assert typist.write(b"go ST") == "go "
    assert typist.write(b"ST") == "ST"
    assert typist.close() == "ST"
