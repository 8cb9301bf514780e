"""Autoregressive networks over any order of columns."""

from ensample.families.autoregressive.family import Autoregressive

__all__ = ["Autoregressive"]
