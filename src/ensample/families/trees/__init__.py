"""Back-off trees: the instant family."""

from ensample.families.trees.family import Trees

__all__ = ["Trees"]
