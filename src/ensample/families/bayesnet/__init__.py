"""Bayesian networks over mixed columns: a graph, tables, and exact inference in it."""

from ensample.families.bayesnet.family import BayesNet

__all__ = ["BayesNet"]
