"""One vector-field family: diffusion, score, flow-matching and few-step models of tables, with masked classes."""

from ensample.families.field.family import Field

__all__ = ["Field"]
