"""Boosted digits: the default on tables."""

from ensample.families.boosted.family import Boosted

__all__ = ["Boosted"]
