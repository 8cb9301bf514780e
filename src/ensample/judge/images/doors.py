"""Extractors by name or by file: what a user writes becomes an object here, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ensample.errors import FormatError, InputError
from ensample.judge.images.dino import dino
from ensample.judge.images.efficientnet import efficientnet
from ensample.judge.images.extractor import Extractor, Pixels
from ensample.judge.images.inception import inception
from ensample.judge.images.weights import ENDINGS, read_weights

NAMED: dict[str, Callable[[], Extractor | None]] = {
    "own": lambda: None,
    "pixels": Pixels,
    "efficientnet-lite0": efficientnet,
}
"""By name; None is the judge's own network, which is trained when its pictures are known."""

FILES: tuple[tuple[str, Callable[[str | Path], Extractor]], ...] = (
    ("Mixed_7c.branch_pool.conv.weight", inception),
    ("patch_embed.proj.weight", dino),
    ("_blocks.0._depthwise_conv.weight", efficientnet),
)
"""A tensor that only the weights of this network have."""


def as_extractor(wanted: str | Path | Extractor | None) -> Extractor | None:
    """An extractor from its name, its file of weights, or itself; None for the judge's own network.

    Raises:
        InputError: an unknown name, or no such file.
        FormatError: a file with the weights of none of the networks that are known.

    Example:
        >>> as_extractor("pixels").name
        'pixels'
    """
    if wanted is None or not isinstance(wanted, str | Path):
        return wanted
    if isinstance(wanted, str) and wanted in NAMED:
        return NAMED[wanted]()
    if Path(wanted).suffix not in ENDINGS:
        raise InputError(
            "An extractor must be known.",
            "extractor",
            repr(str(wanted)),
            f"choose one of {', '.join(NAMED)}, or name a file of weights ({', '.join(ENDINGS)})",
        )
    return from_file(wanted)


def from_file(path: str | Path) -> Extractor:
    """Inception-v3, DINOv2 or EfficientNet-lite0 from a file of weights; which one, its tensors tell."""
    weights = read_weights(path)
    for name, build in FILES:
        if name in weights:
            return build(path)
    raise FormatError(
        "A file of weights is of a network that the judge knows.",
        str(path),
        f"{len(weights)} tensors, such as {next(iter(weights))!r}",
        "pass Inception-v3 of the Frechet distance, DINOv2 or EfficientNet-lite0",
    )
