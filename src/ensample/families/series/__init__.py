"""Families over windows of series by their principal components."""

from ensample.families.series.family import Components

__all__ = ["Components"]
