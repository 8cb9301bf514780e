"""Files as streams of bytes: formats by suffix, compression, and the mistakes of the outside world."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from ensample.errors import FormatError, InputError

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")


@dataclass(frozen=True)
class File:
    """A file, the suffix of its format and of its compression ("" for none), and how it looked when it was found."""

    path: Path
    suffix: str
    compression: str
    look: tuple[int, int]

    @classmethod
    def find(cls, path: Path) -> File:
        """Look at a file.

        Raises:
            FormatError: it does not exist.
            InputError: it is a folder, or empty.
        """
        suffix, compression = suffixes(path)
        look = _look(path)
        if path.is_dir():
            raise InputError("The source must be one file.", str(path), "a folder", "name a file in it")
        if look[0] == 0:
            raise InputError("A file must hold records.", str(path), "an empty file (0 bytes)", "check how it was made")
        return cls(path, suffix, compression, look)

    @contextmanager
    def open(self) -> Iterator[Any]:
        """The decompressed bytes from the start, as an Arrow input stream.

        Raises:
            FormatError: the file vanished or changed since it was found, or its compression is damaged.
        """
        if _look(self.path) != self.look:
            raise FormatError(
                "A file must stay as it is while it is read.",
                str(self.path),
                "its size or time of change is another than at first",
                "read it anew",
            )
        try:
            with _decompressed(self.path, self.compression) as stream:
                yield stream
        except (EOFError, lzma.LZMAError, OSError) as error:
            if isinstance(error, FormatError | InputError):
                raise
            raise FormatError(
                "The file must be readable to its end.",
                str(self.path),
                str(error) or type(error).__name__,
                "it is truncated, damaged or not compressed as its suffix says: copy it anew",
            ) from error

    def seekable(self) -> Any:
        """The file as a random-access source: a memory map, or its decompressed bytes in memory."""
        if not self.compression:
            with self.open():
                return pa.memory_map(str(self.path))
        with self.open() as stream:
            return pa.BufferReader(stream.read())


def suffixes(path: Path) -> tuple[str, str]:
    """(format, compression) of a path in lower case: `("csv", "xz")` of `people.csv.xz`, as (".csv", ".xz")."""
    name = path.name.lower()
    compression = next((c for c in COMPRESSIONS if name.endswith(c)), "")
    return Path(name.removesuffix(compression)).suffix, compression


def _look(path: Path) -> tuple[int, int]:
    try:
        facts = path.stat()
    except FileNotFoundError as error:
        raise FormatError("The file must exist.", str(path), "nothing there", "check the path") from error
    except OSError as error:
        raise FormatError("The file must be readable.", str(path), str(error), "check the path") from error
    return facts.st_size, facts.st_mtime_ns


def _decompressed(path: Path, compression: str) -> Any:
    if compression == ".xz":
        return pa.PythonFile(lzma.open(path), mode="r")
    if compression == ".gz":
        return pa.PythonFile(gzip.open(path), mode="r")
    return pa.input_stream(str(path), compression={".bz2": "bz2", ".zst": "zstd"}.get(compression))


@contextmanager
def compressed(path: Path, compression: str) -> Iterator[IO[bytes] | pa.NativeFile]:
    """A file to write to, compressed on the way; the same input gives the same bytes."""
    if compression == ".gz":
        with path.open("wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed:
            yield packed
    elif compression == ".bz2":
        with bz2.open(path, "wb") as packed:
            yield packed
    elif compression == ".xz":
        with lzma.open(path, "wb") as packed:
            yield packed
    else:
        with pa.output_stream(str(path), compression="zstd" if compression == ".zst" else None) as packed:
            yield packed


def lines_of(stream: Any, size: int) -> Iterator[bytes]:
    """The bytes of a stream in pieces of about `size` that end at line ends."""
    rest = b""
    while block := stream.read(size):
        head, newline, tail = block.rpartition(b"\n")
        if newline:
            yield rest + head + newline
            rest = tail
        else:
            rest += block
    if rest:
        yield rest


def text_of(stream: Any, encoding: str) -> io.TextIOWrapper:
    """The stream as text; line ends stay as they are."""
    return io.TextIOWrapper(io.BufferedReader(_Raw(stream)), encoding=encoding, newline="")


class _Raw(io.RawIOBase):
    """An Arrow input stream as Python's own kind of stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)
