"""Autoregressive networks over series: steps of several numbers and classes."""

from ensample.families.sequences.steps.family import SeriesAutoregressive

__all__ = ["SeriesAutoregressive"]
