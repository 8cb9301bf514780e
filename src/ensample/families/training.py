"""How families that learn by gradients are trained: options that all of them share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args, get_origin, get_type_hints

from ensample.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Training:
    """Options of the gradient engine, inherited by every family that learns by it. Families set their own defaults.

    Arguments:
        learning_rate: largest step size of the schedule.
        optimiser: "adamw" (Loshchilov and Hutter 2019), "adam" (Kingma and Ba 2015), "sgd" (with Nesterov momentum) or
            "muon" (orthogonal steps of matrices, Jordan et al. 2024; AdamW for the rest).
        momentum: share of the old direction that is kept; the first beta of Adam.
        schedule: of the learning rate over the budget: "linear" to 0, "cosine" to 0, "constant", or "late" (constant,
            then linear to 0 in the last third).
        warm_up: steps in which the learning rate rises to its largest.
        weight_decay: pull of the weights to 0; a share of the learning rate (adamw, muon) or an L2 penalty (adam, sgd).
        l1: strength of an L1 penalty on the weights, which makes some of them exactly 0.
        batch_size: rows of a step.
        clip: largest norm of a player's gradient.
        average: decay of the moving average of the weights; 0 takes the weights themselves.
        precision: of the products in learning: "float32" or "bfloat16" (faster where the processor has it).
        patience: looks at the held-out rows without gain before the learning rate is lowered.
        reductions: how often the rate is lowered so before learning stops early.
        holdout: share of the rows held out to look at.
        freeze: a regular expression; parameters in whose name it is found stay as they are.
        adapters: rank of low-rank changes to the matrices (Hu et al. 2022), all else staying as it is; 0 learns the
            weights themselves. For fine-tuning a fitted model, see `ensample.fit(start=...)`.
    """

    name: ClassVar[str] = "training"

    learning_rate: float = 1e-3
    optimiser: Literal["adamw", "adam", "sgd", "muon"] = "adamw"
    momentum: float = 0.9
    schedule: Literal["linear", "cosine", "constant", "late"] = "linear"
    warm_up: int = 100
    weight_decay: float = 0.0
    l1: float = 0.0
    batch_size: int = 256
    clip: float = 1.0
    average: float = 0.999
    precision: Literal["float32", "bfloat16"] = "float32"
    patience: int = 15
    reductions: int = 2
    holdout: float = 0.1
    freeze: str = ""
    adapters: int = 0

    def __post_init__(self) -> None:
        self.check()

    def check_shares(self, *options: str) -> None:
        """Check options that are shares of something, all of it excluded. Raises InputError."""
        for option in options:
            if not 0.0 <= (value := getattr(self, option)) < 1.0:
                rule = "A share must be at least 0 and less than 1."
                raise InputError(rule, f"{self.name}, {option}", str(value), "choose 0.1, or 0 for none")

    def check(self) -> None:
        """Families with options of their own check them in `__post_init__` and call this too. Raises InputError."""
        ranges = {
            "learning_rate": (1e-12, 1e3),
            "weight_decay": (0.0, 1e3),
            "batch_size": (1, 2**31),
            "clip": (1e-12, float("inf")),
            "momentum": (0.0, 1.0 - 1e-9),
            "l1": (0.0, 1e3),
            "adapters": (0, 2**31),
            "average": (0.0, 1.0 - 1e-9),
            "patience": (1, 2**31),
            "reductions": (0, 2**31),
            "holdout": (0.0, 0.9),
            "warm_up": (1, 2**31),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(
                    "An option must be in its range.",
                    f"{self.name}, {name}",
                    str(value),
                    f"choose a value from {low:g} to {high:g}",
                )
        for option, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is Literal and getattr(self, option) not in get_args(hint):
                raise InputError(
                    "An option must be one of its values.",
                    f"{self.name}, {option}",
                    repr(getattr(self, option)),
                    f"choose {', '.join(map(str, get_args(hint)))}",
                )
        try:
            re.compile(self.freeze)
        except re.error as error:
            raise InputError(
                "`freeze` must be a regular expression.", f"{self.name}, freeze", str(error), 'for example "bias$"'
            ) from error
