"""Families of pictures: one package each."""
