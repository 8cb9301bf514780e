"""One thing to know about data or a model, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing to know: how bad it is, what it is about, and a sentence."""

    severity: Literal["serious", "notice"]
    about: str
    words: str

    def __str__(self) -> str:
        return f"{self.about}: {self.words}"
