"""Generative adversarial networks over mixed tables."""

from ensample.families.gan.family import Gan

__all__ = ["Gan"]
