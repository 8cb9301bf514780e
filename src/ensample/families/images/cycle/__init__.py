"""Pictures of one sort turned into those of another, learned without pairs."""

from ensample.families.images.cycle.family import ImageCycle

__all__ = ["ImageCycle"]
