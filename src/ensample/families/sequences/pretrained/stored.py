"""What all networks of a checkpoint store, and how they are written as `transformers` reads them."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

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
    wanted = {name for name, _ in net.network.named_parameters()} - (computed(net.network) - weights.keys())
    if strange := (wanted - weights.keys()) | (weights.keys() - net.kept().keys()):
        raise KeyError(f"weights {sorted(strange)[:3]}")
    net.network.load_state_dict(weights, strict=False)  # tied ones are filled by their twins


def learned(module: nn.Module) -> tuple[nn.Parameter, ...]:
    """The weights that are learned; those of places may be fixed."""
    return tuple(weight for weight in module.parameters() if weight.requires_grad)


def computed(network: Any) -> set[str]:
    """Names of the weights that a network computes itself, and that a checkpoint may lack: those of places."""
    names, patterns = network.state_dict().keys(), getattr(network, "_keys_to_ignore_on_save", None) or ()
    return {name for name in names if any(re.search(pattern, name) for pattern in patterns)}


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
