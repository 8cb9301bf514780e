"""Mixtures of Gaussian and categorical components, learned by EM."""

from ensample.families.mixture.family import Mixture

__all__ = ["Mixture"]
