"""Energy-based models: restricted Boltzmann machines over mixed tables, deep energies over numbers."""

from ensample.families.energy.deep import Energy
from ensample.families.energy.rbm import Boltzmann

__all__ = ["Boltzmann", "Energy"]
