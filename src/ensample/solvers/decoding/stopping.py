"""Stop strings and text that appears piece by piece, on the bytes that classes stand for.

UTF-8 never finds one character inside another, so that looking for the bytes of a stop string finds the string itself,
wherever the borders of tokens lie.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Self

from torch import Tensor


class Watch:
    r"""Follows what rows write, and tells when a stop string is complete.

    Arguments:
        pieces: the bytes that each class stands for.
        stops: the byte strings; none is empty.
        rows: how many.

    Example:
        >>> watch = Watch([b"a", b"\n", b"b\n"], [b"\n\n"], rows=2)
        >>> watch.append([0, 2]), watch.append([1, 1])
        ([False, False], [False, True])
    """

    def __init__(self, pieces: Sequence[bytes], stops: Sequence[bytes], rows: int) -> None:
        self._pieces, self._stops = pieces, tuple(stops)
        self._kept = max(len(stop) for stop in self._stops) - 1
        self._tails = [b""] * rows

    def append(self, classes: Sequence[int]) -> list[bool]:
        """Whether the next class of each row, none of them the end, completes a stop string."""
        stopped = []
        for row, number in enumerate(classes):
            seen = self._tails[row] + self._pieces[number]
            self._tails[row] = seen[len(seen) - min(self._kept, len(seen)) :]
            stopped.append(any(stop in seen for stop in self._stops))
        return stopped

    def take(self, rows: Tensor) -> Self:
        """What these rows have written, int64 [new rows]."""
        taken = object.__new__(type(self))
        taken.__dict__.update(self.__dict__)
        taken._tails = [self._tails[row] for row in rows.tolist()]
        return taken


class Typist:
    r"""Text as it appears: whole characters only, and nothing that may turn out to be a stop string.

    Bytes that are no UTF-8 appear as the replacement character.

    Arguments:
        stops: byte strings before which the text ends; none is empty.

    Example:
        >>> typist = Typist([b"END"])
        >>> [typist.write(part) for part in (b"caf\xc3", b"\xa9 E", b"N", b"JOY END of")], typist.close()
        (['caf', 'é ', '', 'ENJOY '], '')
    """

    def __init__(self, stops: Sequence[bytes] = ()) -> None:
        self._stops = tuple(stops)
        self._held = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.stopped = False

    def write(self, piece: bytes) -> str:
        """More bytes; what can be shown of all that is held."""
        if self.stopped:
            return ""
        self._held += piece
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            shown, self._held = self._held[: min(found)], b""
            return self._decoder.decode(shown, final=True)
        ready = len(self._held) - self._beginning()
        shown, self._held = self._held[:ready], self._held[ready:]
        return self._decoder.decode(shown)

    def close(self) -> str:
        """The rest, when nothing more comes."""
        shown, self._held = self._held, b""
        return "" if self.stopped else self._decoder.decode(shown, final=True)

    def _beginning(self) -> int:
        """How many of the last bytes held may be the beginning of a stop string."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(len(stop) > length and self._held.endswith(stop[:length]) for stop in self._stops):
                return length
        return 0


def text_before(written: bytes, stops: Sequence[bytes] = ()) -> str:
    """The text of some bytes, up to the first stop string.

    Example:
        >>> text_before(b"one. two.", [b". "])
        'one'
    """
    typist = Typist(stops)
    return typist.write(written) + typist.close()
