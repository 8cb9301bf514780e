"""Weights of a trained network from a file, as tensors and nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ensample.errors import FormatError, InputError

ENDINGS = (".safetensors", ".pth", ".pt", ".bin")


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name. Files of torch are read so that only tensors and plain containers come out of them.

    Raises:
        InputError: another ending than .safetensors, .pth, .pt or .bin, or no such file.
        FormatError: the file is broken, or holds more than tensors (a whole pickled model, a TorchScript program).
    """
    path = Path(path)
    if path.suffix not in ENDINGS or not path.is_file():
        raise InputError(
            f"Weights are read from a file that ends in {', '.join(ENDINGS)}.",
            str(path),
            "no such file" if path.suffix in ENDINGS else f"the ending {path.suffix!r}",
            "name the file of weights that came with the network",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's about what it then refuses
            found = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # nowhere is it listed what readers raise on files that are broken
        raise _unsafe(path, str(error).strip().partition("\n")[0][:160] or type(error).__name__) from error
    for inner in ("state_dict", "model", "teacher"):
        if isinstance(found, Mapping) and isinstance(found.get(inner), Mapping):
            found = found[inner]
    if not isinstance(found, Mapping) or not found or not all(isinstance(v, Tensor) for v in found.values()):
        raise _unsafe(path, f"a {type(found).__name__} that is no table of tensors")
    return {str(name): tensor for name, tensor in found.items()}


def _unsafe(path: Path, seen: str) -> FormatError:
    return FormatError(
        "A file of weights holds tensors by name and nothing that runs.",
        str(path),
        seen,
        "save the network's state_dict() and pass that file; whole models and TorchScript are not opened",
    )


def fill(network: nn.Module, weights: Mapping[str, Tensor], place: str) -> None:
    """Put weights into a network of the same names and shapes; names that it lacks are left out.

    Raises:
        FormatError: one of the network's is missing or of another shape.
    """
    wanted = network.state_dict()
    for name, tensor in wanted.items():
        if name.endswith("num_batches_tracked"):
            continue
        seen = "missing" if name not in weights else f"of shape {tuple(weights[name].shape)}"
        if name not in weights or weights[name].shape != tensor.shape:
            raise FormatError(
                "A file of weights fits the network that it is for.",
                f"{place}, {name}",
                f"{seen}, not {tuple(tensor.shape)}",
                "pass the file of the network that was named",
            )
    network.load_state_dict({k: v.float() for k, v in weights.items() if k in wanted}, strict=False)
