"""Families of sequences of classes: texts, lists of categories."""
