"""What turns pictures into features: the space in which made and real pictures are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from ensample.errors import InputError
from ensample.nets.machine import machine

Prepare = Callable[[np.ndarray], Tensor]
"""From pictures, uint8 [rows, height, width, channels], to what a network takes, float32 [rows, c, h, w]."""


@runtime_checkable
class Extractor(Protocol):
    """Pictures to features.

    `name` is for people; `hash` changes with the weights and with how pictures are prepared for them, so numbers taken
    with two different hashes are never compared.
    """

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits of weights and preparation."""
        ...

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """Features, float32 [rows, dimensions], of pictures, uint8 [rows, height, width, channels]."""
        ...


@runtime_checkable
class Classifier(Extractor, Protocol):
    """An extractor that also says which class a picture shows."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        ...

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Logits, float32 [rows, classes], from features of `features`."""
        ...


class Pixels:
    """The pixels themselves, 0 to 1: no learning, the floor of extractors. Small shifts count as large differences.

    Example:
        >>> Pixels().features(np.full((1, 2, 2, 1), 255, np.uint8)).tolist()
        [[1.0, 1.0, 1.0, 1.0]]
    """

    name = "pixels"
    hash = hashlib.sha256(b"pixels / 255").hexdigest()[:12]

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """Pixels in one row a picture, float32 [rows, height * width * channels]."""
        checked(pictures)
        return pictures.reshape(len(pictures), -1).astype(np.float32) / 255


class Network:
    """A network as an extractor; one with a last linear layer over its features is a `Classifier` (`Labelled`).

    Arguments:
        name: for people.
        body: from prepared pictures to features [rows, dimensions].
        prepare: how pictures become what the body takes.
        preparation: the same in words; part of the hash.
        batch: pictures that go through at once.
    """

    def __init__(self, name: str, body: nn.Module, prepare: Prepare, preparation: str, batch: int = 250) -> None:
        self.name, self.batch, self._prepare = name, batch, prepare
        self._body = body.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.hash = weights_hash(body.state_dict(), f"{name}: {preparation}")

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Every weight by its name; those of a last layer are `head.weight` and `head.bias`."""
        return {name: tensor.numpy() for name, tensor in self._body.state_dict().items()}

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """Features, float32 [rows, dimensions]; each picture on its own, whatever lies beside it."""
        checked(pictures)
        if not len(pictures):
            raise InputError("Features are of at least one picture.", "pictures", "none", "pass some")
        with torch.inference_mode(), machine(torch.get_num_threads()):
            parts = [self._part(pictures[i : i + self.batch]) for i in range(0, len(pictures), self.batch)]
        return np.concatenate(parts)

    def _part(self, pictures: np.ndarray) -> np.ndarray:
        out: Tensor = self._body(self._prepare(pictures).contiguous(memory_format=torch.channels_last))
        return out.float().numpy()


class Labelled(Network):
    """A network with a last linear layer: features and classes.

    Arguments:
        head: the last layer, features to logits.
        classes: names of the classes, in order.
        others: as for `Network`.
    """

    def __init__(
        self,
        name: str,
        body: nn.Module,
        head: nn.Linear,
        classes: tuple[str, ...],
        prepare: Prepare,
        preparation: str,
        batch: int = 250,
    ) -> None:
        super().__init__(name, body, prepare, preparation, batch)
        self.classes = classes
        self._head = {f"head.{k}": v.detach().float().numpy().copy() for k, v in head.state_dict().items()}
        self.hash = weights_hash({k: torch.from_numpy(v) for k, v in self.weights.items()}, f"{name}: {preparation}")

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Every weight by its name."""
        return {**super().weights, **self._head}

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Logits, float32 [rows, classes]."""
        return np.asarray(features @ self._head["head.weight"].T + self._head["head.bias"])


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax in float64, [rows, classes].

    Example:
        >>> probabilities(np.zeros((1, 4))).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """
    wide = np.asarray(logits, np.float64)
    top = np.exp(wide - wide.max(1, keepdims=True))
    return np.asarray(top / top.sum(1, keepdims=True))


def checked(pictures: np.ndarray) -> None:
    """Raises InputError unless pictures are uint8 [rows, height, width, channels]."""
    if pictures.dtype != np.uint8 or pictures.ndim != 4:
        raise InputError(
            "Pictures are bytes [rows, height, width, channels].",
            "pictures",
            f"{pictures.dtype} with shape {pictures.shape}",
            "scale to 0 .. 255 and convert to uint8",
        )


def colours(pictures: np.ndarray) -> np.ndarray:
    """Three channels for networks that want colour: grey thrice, transparency over white; uint8 [rows, h, w, 3].

    Example:
        >>> colours(np.array([[[[10, 20, 30, 0]]]], np.uint8)).ravel().tolist()
        [255, 255, 255]
    """
    channels = pictures.shape[3]
    if channels == 3:
        return pictures
    if channels == 1:
        return np.repeat(pictures, 3, axis=3)
    if channels == 2:
        pictures = np.concatenate([np.repeat(pictures[..., :1], 3, axis=3), pictures[..., 1:]], axis=3)
    seen = pictures[..., 3:].astype(np.float32) / 255
    return np.asarray(np.rint(pictures[..., :3] * seen + 255 * (1 - seen)).astype(np.uint8))


def weights_hash(weights: Mapping[str, Tensor], preparation: str) -> str:
    """Twelve hexadecimal digits that change with any weight, its name, its shape, or the preparation."""
    digest = hashlib.sha256(preparation.encode())
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]
