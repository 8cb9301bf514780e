"""Bytes of text files as texts, block by block, and what is wrong with them where they are none."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from ensample.data.sources import File
from ensample.errors import InputError

BLOCK = 2**22
"""Bytes that are read at a time."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
MOST_CONTROL = 0.1
"""Larger shares of control characters at the beginning are no text."""


def decoded(file: File, encoding: str) -> Iterator[str]:
    """The text of a file in blocks; line ends stay as they are, a byte order mark is left out.

    Raises:
        InputError: the encoding is unknown, the bytes are not in it, or they are no text at all.
        FormatError: the file vanished or changed, or its compression is damaged.
    """
    decoder = _decoder(encoding)
    fed = lines = 0
    with file.open() as stream:
        while True:
            block = stream.read(BLOCK)
            waiting = len(decoder.getstate()[0])  # bytes of a character that the last block did not end
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                place = fed - waiting + error.start
                line = lines + error.object[: error.start].count(b"\n") + 1
                head = block[:4096] if fed == 0 else b""
                raise _not_in(encoding, file, error, place, line, head) from error
            if fed == 0:
                text = text.removeprefix("\ufeff")
                _refuse_binary(text, file)
            fed, lines = fed + len(block), lines + block.count(b"\n")
            if text:
                yield text
            if not block:
                return


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    try:
        return codecs.getincrementaldecoder(encoding)()
    except (LookupError, TypeError) as error:
        raise InputError(
            "An encoding must be known.", "encoding", repr(encoding), 'say "utf-8" or "latin-1"'
        ) from error


def _not_in(encoding: str, file: File, error: UnicodeDecodeError, place: int, line: int, head: bytes) -> InputError:
    wrong = error.object[error.start]
    fix = 'name the right one, for example encoding="latin-1", "cp1252" or "utf-16"'
    seen = f"the byte 0x{wrong:02x} at offset {place:,} ({error.reason})"
    if head.startswith(_UTF16):
        fix = 'it begins as UTF-16 does: say encoding="utf-16"'
    elif b"\0" in head:
        seen, fix = f"{seen}, and zero bytes: this looks like no text", "name a text file"
    return InputError(f"A text file must be in its encoding ({encoding}).", f"{file.path}, line {line:,}", seen, fix)


def _refuse_binary(text: str, file: File) -> None:
    head = text[:4096]
    count = len(_CONTROL.findall(head))
    if count > MOST_CONTROL * len(head):
        raise InputError(
            "A text file must hold text.",
            str(file.path),
            f"{count:,} control characters among the first {len(head):,}: this looks like no text",
            'name a text file, or its encoding, for example encoding="utf-16"',
        )
