"""What a record is in a text file: the whole, each line, or each paragraph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from ensample.errors import InputError

FEWEST, SHORT, MOST_ALIKE = 20, 40, 0.9
"""Lines that make a list, characters of a short one, and the share of them that must be alike."""

LOOKED_AT = 2**20
"""Characters of a file that are looked at to tell what it is."""

AT_ONCE = 65_536
"""Records of one batch, at most."""

_SENTENCE = re.compile(r"[.!?…。！？][\"'”’)»]*$")
_GAP = re.compile(r"\r?\n(?:[ \t]*\r?\n)+")
_BLANK = re.compile(r"\A(?:[ \t]*\r?\n)+")


def is_list(head: str) -> bool:
    r"""Whether the beginning of a file is a list: then each of its lines is a record.

    It is one if there are at least 20 lines, none of them blank, and nine in ten of them are short (at most 40
    characters), or are one word, or end as a sentence does. Otherwise the file is one text.

    Example:
        >>> is_list("Anna\nBert\n" * 10), is_list("A line of a long, long paragraph that goes on and\n" * 20)
        (True, False)
    """
    lines = [line.rstrip("\r") for line in head[:LOOKED_AT].split("\n")]
    lines = lines[:-1] if len(lines) > 1 else lines  # what stands behind the last line end may be cut
    if len(lines) < FEWEST or not all(line.strip() for line in lines):
        return False
    enough = MOST_ALIKE * len(lines)
    short = sum(len(line) <= SHORT for line in lines)
    words = sum(len(line.split()) == 1 for line in lines)
    sentences = sum(_SENTENCE.search(line.rstrip()) is not None for line in lines)
    return max(short, words, sentences) >= enough


def whole(blocks: Iterable[str], place: str) -> Iterator[pa.Array]:
    """One record."""
    data = bytearray()
    for block in blocks:
        data += block.encode()
        if len(data) >= 2**31:
            raise InputError(
                "One text takes less than 2 GiB.", place, "more", 'say records="paragraphs" or records="lines"'
            )
    offsets = pa.py_buffer(pa.array([0, len(data)], pa.int32()).buffers()[1])
    yield pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(data)])


def lines(blocks: Iterable[str], place: str) -> Iterator[pa.Array]:
    """A record for each line, without its line end; a blank line is an empty text."""
    rest = ""
    for block in blocks:
        *found, rest = (rest + block).split("\n")
        yield from _arrays([line.removesuffix("\r") for line in found])
    if rest:
        yield from _arrays([rest])


def paragraphs(blocks: Iterable[str], place: str) -> Iterator[pa.Array]:
    """A record for each run of lines between blank ones, without the line ends around it; lines keep their own."""
    rest = ""
    for block in blocks:
        *found, rest = _GAP.split(rest + block)
        yield from _arrays([text for text in map(_bare, found) if text])
    if last := _bare(rest):
        yield from _arrays([last])


def _bare(text: str) -> str:
    return _BLANK.sub("", text).rstrip("\r\n")  # a gap may have gone on in another block


def _arrays(texts: list[str]) -> Iterator[pa.Array]:
    for start in range(0, len(texts), AT_ONCE):
        yield pa.array(texts[start : start + AT_ONCE], pa.string())


RECORDS: dict[str, Callable[[Iterable[str], str], Iterator[pa.Array]]] = {
    "whole": whole,
    "lines": lines,
    "paragraphs": paragraphs,
}
"""What `read(records=...)` may say."""
