"""Pictures for benches, from the folder of the environment variable ENSAMPLE_DATA or `../shared/data`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ensample.events import Continuous, Discrete, Lattice, Mixed, Span
from ensample.kinds.images import Images

FOLDER = Path(os.environ.get("ENSAMPLE_DATA", Path(__file__).parents[2] / "shared" / "data"))


def mnist(part: str = "train", labels: bool = False) -> Images:
    """MNIST digits, 28 by 28, 256 levels; with `labels` as a given field."""
    data = np.load(FOLDER / "mnist.npz")
    given = (Mixed((Span("label", Discrete(10)),)), data[f"y_{part}"].astype(np.int64)[:, None]) if labels else ()
    return Images(Continuous(Lattice(0, 255, 127.5, 127.5), (1, 28, 28)), data[f"x_{part}"][:, None], *given)


def patches(part: str = "train") -> Images:
    """Natural 8 by 8 patches in grey, 256 levels."""
    data = np.load(FOLDER / "bsds_patches8_gray.npz")
    return Images(Continuous(Lattice(0, 255, 127.5, 127.5), (1, 8, 8)), data[part][:, None])
