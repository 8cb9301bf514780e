"""Pictures in the manner of others."""

from ensample.families.images.translate.style import RandomFeatures, gram, stylised

__all__ = ["RandomFeatures", "gram", "stylised"]
