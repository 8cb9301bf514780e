"""The judge of texts."""
