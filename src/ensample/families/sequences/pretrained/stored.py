"""What all networks of a checkpoint store, and how they are written as `transformers` reads them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from ensample.errors import InputError
from ensample.families.sequences.pretrained.network import PretrainedNet


class Stored:
    """A distribution over texts whose network is that of a checkpoint: what it stores. For a class beside another."""

    net: PretrainedNet
    config: dict[str, Any]
    missing: Tensor
    longest: Tensor

    def arrays(self) -> dict[str, Tensor]:
        """Weights, tied ones once; the share of missing records, and how long a drawn one may be."""
        weights = {f"network.{name}": weight for name, weight in self.net.kept().items()}
        return {**weights, "missing": self.missing, "longest": self.longest}

    def export(self, folder: Path) -> None:
        """Write `config.json` and the weights as `transformers` reads them."""
        config = copy.deepcopy(self.net.network.config)
        config.architectures, config.dtype = [type(self.net.network).__name__], "float32"
        config.save_pretrained(folder)
        weights = {name: weight.contiguous() for name, weight in self.net.kept().items()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def filled(net: PretrainedNet, arrays: dict[str, Tensor]) -> None:
    """Put stored weights into a network. Raises KeyError if they are those of another."""
    weights = {n.removeprefix("network."): weight for n, weight in arrays.items() if n.startswith("network.")}
    learned = {name for name, _ in net.network.named_parameters()}
    if strange := (learned - weights.keys()) | (weights.keys() - net.kept().keys()):
        raise KeyError(f"weights {sorted(strange)[:3]}")
    net.network.load_state_dict(weights, strict=False)  # tied ones are filled by their twins


def places_of(network: Any) -> int | None:
    """Most tokens that a network reads, None if it has no limit."""
    found = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return None if found is None else int(found)


def asked(config: str, usual: dict[str, Any]) -> dict[str, Any]:
    """A configuration from its text, the usual one from none. Raises InputError if it is no JSON object."""
    try:
        found = json.loads(config) if config else usual
    except ValueError as error:
        found = str(error)
    if not isinstance(found, dict):
        fix = f"for example {json.dumps(usual)}"
        raise InputError("A configuration is a JSON object.", "pretrained, config", str(found), fix)
    return found
