"""Room for pixels: in memory, or past a limit in a temporary file that is mapped into it."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from typing import IO

import numpy as np
import pyarrow as pa

from ensample.data.pictures.column import is_pictures
from ensample.errors import FormatError

IN_MEMORY = 256 * 2**20
"""Pixels of more bytes than this go to a temporary file."""

BLOCK = 2**22


def room(shape: tuple[int, ...]) -> np.ndarray:
    """An array uint8 of this shape to be filled; a temporary file behind it is gone with the last reference.

    Raises:
        FormatError: the disk is full.

    Example:
        >>> room((2, 8, 8, 3)).shape
        (2, 8, 8, 3)
    """
    size = math.prod(shape)
    if size <= IN_MEMORY:
        return np.zeros(shape, np.uint8)
    with tempfile.TemporaryFile(prefix="ensample-") as file:  # has no name, so nothing is left behind by a crash
        try:
            _reserve(file, size)
            mapped = mmap.mmap(file.fileno(), size)
        except OSError as error:
            fix = "free some space, set TMPDIR to another disk, or read the pictures in a smaller size"
            raise FormatError(
                "Decoded pictures must fit on the disk.", tempfile.gettempdir(), str(error), fix
            ) from error
    return np.frombuffer(mapped, np.uint8).reshape(shape)


def in_file(table: pa.Table) -> bool:
    """Whether pictures of a table are so large that they lie in a file: parts of it are then not copied."""
    return any(column.nbytes > IN_MEMORY for column in table.columns if is_pictures(column.type))


def _reserve(file: IO[bytes], size: int) -> None:
    """Take the space now: a disk that fills up under a mapped file would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(0, size, BLOCK):
        file.write(bytes(min(BLOCK, size - start)))
    file.flush()
